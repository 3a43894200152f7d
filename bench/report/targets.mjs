/**
 * The targets, as they were set before anything was measured, and what a set of records says about each.
 *
 * A ratio is taken within each round, and its median is what counts. "The best peer" is the one with the highest median,
 * or another in a round where that was faster.
 *
 * @typedef {import("./record.mjs").BenchRecord} BenchRecord
 * @typedef {import("./record.mjs").Spread} Spread
 *
 * @typedef {object} Result
 * @property {string} what model, measure
 * @property {"at least" | "at most" | "more than"} sense
 * @property {number} target
 * @property {"×" | "MB" | "s" | "KB"} unit
 * @property {Spread | undefined} measured
 * @property {string} [against] the engine that was compared with
 *
 * @typedef {object} Group
 * @property {string} title in the words of the target
 * @property {string} [note]
 * @property {Result[]} results
 */

import { range } from "./format.mjs";
import * as rec from "./record.mjs";
const { best, byRound, peersOf, ratios, spread, NATIVE, OURS, OURS_AUTOMATIC, OURS_PLAIN, OURS_THREADS } = rec;

/** The columns: decode against peers and native, prefill(128) against peers and native. */
const TABLE = [
  { model: "135M-Q8_0", decode: [2.5, 1.0], prefill: [2.5, 1.0] },
  { model: "135M-Q4_0", decode: [4, 1.0], prefill: [5, 0.65] },
  { model: "135M-Q4_K_M", decode: [6, 1.0], prefill: [10, 0.8] },
  { model: "0.5B-Q8_0", decode: [2, 0.85], prefill: [5, 1.0] },
  { model: "0.5B-Q4_0", decode: [4, 0.9], prefill: [7, 0.65] },
  { model: "15M-Q8_0", decode: [3, 1.5], prefill: [6, 1.2] },
];

/** @type {{ measure: "decode", n: number, depth: number }} */
export const DECODE = { measure: "decode", n: 64, depth: 128 };
/** @type {{ measure: "decode", n: number, depth: number }} */
export const DECODE_LONG = { measure: "decode", n: 64, depth: 1024 };
/** @type {{ measure: "prefill", n: number }} */
export const PREFILL = { measure: "prefill", n: 128 };
const SPEEDS = [DECODE, PREFILL];

/** @param {Result} result @returns {"met" | "not met" | "not measured"} */
export function verdict({ sense, target, measured }) {
  if (!measured) return "not measured";
  const { median } = measured;
  const isMet = sense === "at most" ? median <= target : sense === "at least" ? median >= target : median > target;
  return isMet ? "met" : "not met";
}

/** @param {BenchRecord} record @param {string} model @param {typeof SPEEDS[number]} speed @param {string} engine */
function versusPeers(record, model, speed, engine = OURS) {
  const query = { ...speed, model, threads: 1 };
  const peer = best(record, peersOf(record), query);
  return {
    measured: spread(ratios(byRound(record, { ...query, engine }), peer.rounds).values()),
    against: peer.engine,
  };
}

/** @param {BenchRecord} record @param {string} model @param {typeof SPEEDS[number]} speed */
function versusNative(record, model, speed) {
  const query = { ...speed, model, threads: 1 };
  const ours = byRound(record, { ...query, engine: OURS });
  return { measured: spread(ratios(ours, byRound(record, { ...query, engine: NATIVE })).values()) };
}

/**
 * The table of targets: for each row the model and its four results.
 *
 * @param {BenchRecord} record
 * @returns {{ model: string, results: Result[] }[]}
 */
export function tableResults(record) {
  return TABLE.map(({ model, decode, prefill }) => {
    const results = [DECODE, PREFILL].flatMap((speed) => {
      const [peers, native] = speed === DECODE ? decode : prefill;
      const what = `${model}, ${speed.measure}`;
      return [
        { what, target: peers, ...versusPeers(record, model, speed) },
        { what, target: native, ...versusNative(record, model, speed), against: NATIVE },
      ];
    });
    return { model, results: results.map((result) => ({ ...result, sense: "at least", unit: "×" })) };
  });
}

/**
 * Every other target, with one result for each model that it was measured on.
 *
 * @param {BenchRecord[]} records the first is the main one
 * @returns {Group[]}
 */
export function furtherResults(records) {
  const [main] = records;
  const busy = records.find(({ options }) => options.busy_core);
  return [
    {
      title: "At 1,024 tokens of context the decode ratio to native is at least 0.9 of the ratio held at 128",
      results: lengths(main),
    },
    { title: "Two threads at least 1.5× one (decode Q4, prefill 1.8×) on a quiet machine", results: twoThreads(main) },
    {
      title: "Two threads at least 0.9× one thread while another process keeps one core busy",
      results: busy ? besideOne(busy, 0.9) : [],
    },
    {
      title: "Never slower than one thread, with the number that the package chooses",
      results: besideOne(main, 1, OURS_AUTOMATIC),
    },
    {
      title: "The same while another process keeps one core busy",
      results: busy ? besideOne(busy, 1, OURS_AUTOMATIC) : [],
    },
    withoutVnni(records),
    {
      title: "In Firefox: still ahead of every peer that runs there",
      results: ahead(records.find(({ options }) => options.browser === "firefox")),
    },
    { title: "Peak renderer memory for the 144 MB file at most 220 MB at n_ctx 512", ...memory(main) },
    { title: "From last byte to ready at most 0.2 s", results: readiness(main) },
    { title: "Plain simd128 build at least 1.4× the best peer", results: plainBuild(main) },
    {
      title: "`.wasm` + glue + worker at most 150 KB by `gzip -9` in every build",
      note: SIZE_NOTE,
      results: sizes(main),
    },
  ];
}

const SIZE_NOTE =
  "Here is the module alone; `cargo xtask check` measures it with glue and worker, and fails where they are too large.";

/** The models of the table, measured or not, and what else was measured. */
/** @param {BenchRecord} record @param {(model: string) => Result[]} of */
function forModels(record, of) {
  const inTable = TABLE.map(({ model }) => model);
  const lacking = inTable.filter((model) => !(model in record.models));
  return [...Object.keys(record.models), ...lacking].flatMap((model) =>
    of(model).filter(({ measured }) => measured !== undefined || inTable.includes(model)),
  );
}

/** @param {BenchRecord} record @returns {Result[]} */
const lengths = (record) =>
  forModels(record, (model) => {
    /** @param {typeof DECODE} speed */
    const ratio = (speed) => {
      const query = { ...speed, model, threads: 1 };
      return ratios(byRound(record, { ...query, engine: OURS }), byRound(record, { ...query, engine: NATIVE }));
    };
    const measured = spread(ratios(ratio(DECODE_LONG), ratio(DECODE)).values());
    return [{ what: model, sense: "at least", target: 0.9, unit: "×", measured }];
  });

/** @param {BenchRecord} record @param {string} model @param {typeof SPEEDS[number]} speed */
function twoToOne(record, model, speed, engine = OURS_THREADS) {
  const query = { ...speed, model };
  const two = byRound(record, { ...query, engine, threads: 2 });
  return spread(ratios(two, byRound(record, { ...query, engine: OURS, threads: 1 })).values());
}

/** @param {BenchRecord} record */
const twoThreads = (record) =>
  forModels(record, (model) => {
    /** @param {typeof SPEEDS[number]} speed @param {number} target @returns {Result} */
    const result = (speed, target) => {
      const what = `${model}, ${speed.measure}`;
      return { what, sense: "at least", target, unit: "×", measured: twoToOne(record, model, speed) };
    };
    const decode = model.includes("Q4") ? [result(DECODE, 1.5)] : [];
    return [...decode, result(PREFILL, 1.8)];
  });

/** @param {BenchRecord} record @param {number} target */
const besideOne = (record, target, engine = OURS_THREADS) =>
  forModels(record, (model) =>
    SPEEDS.map((speed) => {
      const what = `${model}, ${speed.measure}`;
      return { what, sense: "at least", target, unit: "×", measured: twoToOne(record, model, speed, engine) };
    }),
  );

/** @param {BenchRecord | undefined} record */
function ahead(record) {
  if (!record) return [];
  return forModels(record, (model) =>
    SPEEDS.map((speed) => {
      const what = `${model}, ${speed.measure}`;
      return { what, sense: "more than", target: 1, unit: "×", ...versusPeers(record, model, speed) };
    }),
  );
}

/** Of a machine that has no AVX-VNNI, the main record is already the one that this target asks for. */
/** @param {BenchRecord[]} records @returns {Group} */
function withoutVnni(records) {
  const title = "With `--js-flags=--no-enable-avx-vnni`: still ahead of every peer that runs there";
  const flagged = records.find(({ options }) =>
    options.chromium_flags?.some((flag) => flag.includes("no-enable-avx-vnni")),
  );
  if (flagged) return { title, results: ahead(flagged) };
  if (hasVnni(records[0])) return { title, results: [] };
  return {
    title,
    note: "This machine has no AVX-VNNI, so these are the main run's numbers.",
    results: ahead(records[0]),
  };
}

/** Whether a machine has the instructions that the targets suppose. @param {BenchRecord} record */
export const hasVnni = ({ machine }) => machine.flags.includes("avx_vnni");

/** @param {BenchRecord} record @returns {{ note?: string, results: Result[] }} */
function memory(record) {
  const model = "135M-Q8_0";
  /** @param {"peak_memory" | "peak_own_memory"} measure */
  const measured = (measure) => {
    const bytes = byRound(record, { engine: OURS, threads: 1, model, measure });
    return spread([...bytes.values()].map((value) => value / 1e6));
  };
  const own = measured("peak_own_memory");
  const note =
    own &&
    `Of that ${range(own, "MB")} are the page's own: the rest are pages of the browser's program, which all of its processes ` +
      "share, and of which a page with nothing on it holds about as many.";
  return {
    ...(note && { note }),
    results: [{ what: model, sense: "at most", target: 220, unit: "MB", measured: measured("peak_memory") }],
  };
}

/** @param {BenchRecord} record */
const readiness = (record) =>
  forModels(record, (model) => {
    const ms = byRound(record, { engine: OURS, threads: 1, model, measure: "ready_after_last_byte" });
    return [
      {
        what: model,
        sense: "at most",
        target: 0.2,
        unit: "s",
        measured: spread([...ms.values()].map((value) => value / 1000)),
      },
    ];
  });

/** @param {BenchRecord} record */
const plainBuild = (record) =>
  forModels(record, (model) =>
    SPEEDS.map((speed) => {
      const what = `${model}, ${speed.measure}`;
      return { what, sense: "at least", target: 1.4, unit: "×", ...versusPeers(record, model, speed, OURS_PLAIN) };
    }),
  );

/** @param {BenchRecord} record @returns {Result[]} */
function sizes(record) {
  return Object.entries(record.engines)
    .filter(([engine]) => rec.isOurs(engine) && engine !== OURS_AUTOMATIC)
    .map(([engine, { wasm_gzip_bytes }]) => {
      const measured = wasm_gzip_bytes === undefined ? undefined : spread([wasm_gzip_bytes / 1000]);
      return { what: engine, sense: "at most", target: 150, unit: "KB", measured };
    });
}
