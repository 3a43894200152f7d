/**
 * `docs/performance.md`, from records.
 * @typedef {import("./record.mjs").BenchRecord} BenchRecord
 * @typedef {import("./record.mjs").Query} Query
 * @typedef {import("./targets.mjs").Result} Result
 */

import { bytes, digits, quoted, range, table } from "./format.mjs";
import { guessingSection } from "./guessing.mjs";
import * as rec from "./record.mjs";
import { DECODE, DECODE_LONG, furtherResults, hasVnni, PREFILL, tableResults, verdict } from "./targets.mjs";

/**
 * The whole page.
 *
 * @param {{ path: string, record: BenchRecord }[]} entries the main record first; `path` as seen from the page
 * @param {{ hasNotes: boolean }} options whether performance-notes.md stands beside the page
 */
export function page(entries, { hasNotes }) {
  const [{ record }, ...others] = entries;
  const elsewhere = others.filter((other) => isMain(other.record));
  const here = entries.filter((entry) => !elsewhere.includes(entry)).map((entry) => entry.record);
  return (
    [
      "# Performance\n\n<!-- Written by bench/report from the records: change those, or the program, not this file. -->",
      introduction(entries, hasNotes),
      "![Speed of every engine beside native llama.cpp](performance.svg)",
      machine(record),
      targets(record),
      ...elsewhere.map(({ record, path }) => targetsElsewhere(record, path)),
      further(here),
      guessingSection(record),
      roofline(record),
      driven(record),
      ...here.map(measures),
      failures(here),
    ].join("\n\n") + "\n"
  );
}

/** @param {{ path: string, record: BenchRecord }[]} entries @param {boolean} hasNotes */
function introduction(entries, hasNotes) {
  const notes = hasNotes
    ? " What holds back what is not met, and which designs were tried, is in [performance-notes.md](performance-notes.md)."
    : "";
  const list = entries.map(({ path, record }) => {
    const condition = rec.condition(record) || (record === entries[0].record ? "the main run" : "on another machine");
    const read = range(memoryRead(record), "GB/s");
    return `- [${path.split("/").at(-1)}](${path}): ${condition}, ${record.date.slice(0, 10)}, at commit ${record.commit}; memory read at ${read}`;
  });
  return `Every engine on the same files, in the same browser, in turn within each round; each record on one machine, another where
memory is read at another speed. \`cargo xtask bench\` repeats it. Speeds differ between machines; ratios, which are taken within a round, differ less. A number stands as its
median over the rounds, with the lowest and the highest in parentheses.${notes}

${list.join("\n")}`;
}

/** @param {BenchRecord} record */
function machine({ machine }) {
  return `## Machine

${processor(machine)}, ${machine.cores} cores, ${bytes(machine.memory_bytes)} of memory; ${machine.os}; ${machine.chromium};
Node.js ${machine.node}.
Instructions: ${machine.flags.join(", ") || "unknown"}.`;
}

/** @param {BenchRecord["machine"]} machine */
const processor = ({ cpu, cpu_model }) => (cpu_model ? `${cpu} (${cpu_model})` : cpu);

/** How fast one thread in a page reads memory, which tells machines apart. @param {Pick<BenchRecord, "roofline">} record */
const memoryRead = ({ roofline }) => rec.spread(roofline?.wasm_read_gb_s?.["1"] ?? []);

/** Whether a record was made under no condition. @param {BenchRecord} record */
const isMain = (record) => rec.condition(record) === "";

/** The same targets where memory and caches are others. @param {BenchRecord} record @param {string} path */
function targetsElsewhere(record, path) {
  const { machine } = record;
  return `### On another machine

From [${path.split("/").at(-1)}](${path}): ${processor(machine)}, ${machine.cores} cores; ${machine.flags.join(", ") || "unknown"};
memory read at ${range(memoryRead(record), "GB/s")} by one thread in a page.

${targetTable(record)}`;
}

/** @param {BenchRecord} record */
function targets(record) {
  const stated = "The targets are stated for one thread on a machine with AVX-VNNI, with ratios taken in one run.";
  const here = hasVnni(record)
    ? "This machine has it."
    : "**This machine has no AVX-VNNI.** They stand here as they were set, beside what it reached without.";
  return `## Targets

${stated}
${here}
Memory is read at ${range(memoryRead(record), "GB/s")} by one thread in a page.

${targetTable(record)}

The best peer is the one with the highest median, which is named, or another where that was faster in a round. Ours is
the \`relaxed\` build with one thread.`;
}

/** @param {BenchRecord} record */
function targetTable(record) {
  const head = [
    "",
    "decode vs best wasm peer",
    "decode vs native llama.cpp",
    "prefill(128) vs best wasm peer",
    "prefill vs native",
  ];
  const rows = tableResults(record).map(({ model, results }) => [model.replace("-", " "), ...results.map(resultCell)]);
  return table(head, rows);
}

/** @param {Result} result */
function resultCell(result) {
  const against = result.measured && result.against && result.against !== rec.NATIVE ? `<br>${result.against}` : "";
  return `${goal(result)}: **${verdict(result)}**<br>${range(result.measured, result.unit)}${against}`;
}

/** @param {Result} result */
function goal({ sense, target, unit }) {
  const sign = { "at least": "≥", "at most": "≤", "more than": ">" }[sense];
  return `${sign} ${target}${unit === "×" ? unit : ` ${unit}`}`;
}

/** @param {BenchRecord[]} records */
function further(records) {
  const groups = furtherResults(records).map(({ title, note, results }) => {
    const rows = results.map((result) => [
      result.what,
      goal(result),
      range(result.measured, result.unit),
      `${verdict(result)}${result.against ? `, beside ${result.against}` : ""}`,
    ]);
    const body = rows.length > 0 ? table(["", "target", "measured", ""], rows) : "Not measured.";
    return `### ${title}\n\n${note ? `${note}\n\n` : ""}${body}`;
  });
  return `## Further targets\n\n${groups.join("\n\n")}`;
}

/** @param {BenchRecord} record */
function roofline({ roofline, models }) {
  if (!roofline) return "## Roofline\n\nNot measured.";
  const rows = [
    ...Object.entries(roofline.wasm_read_gb_s ?? {}).map(([threads, values]) => [
      `in a page, ${count(threads)}`,
      range(rec.spread(values), "GB/s"),
    ]),
    ...Object.entries(roofline.native_read_gb_s ?? {}).map(([threads, values]) => [
      `natively, ${count(threads)}`,
      range(rec.spread(values), "GB/s"),
    ]),
  ];
  const one = memoryRead({ roofline });
  const limits = Object.entries(models).map(([model, { file_bytes, bytes_per_token }]) => {
    const limit = one ? digits((one.median * 1e9) / bytes_per_token) : "–";
    return [model, bytes(file_bytes), bytes(bytes_per_token), limit];
  });
  return `## Roofline

How fast memory is read, by a loop that does nothing else with it. A decoded token reads all weights once, so this bounds
its speed; models that fit into the processor's caches may go beyond.

${table(["", "read"], rows)}

${table(["model", "file", "read per token", "at most, tokens/s, one thread in a page"], limits)}`;
}

/** @param {string} threads */
const count = (threads) => (threads === "1" ? "1 thread" : `${threads} threads`);

/** @param {BenchRecord} record */
function driven({ engines }) {
  const rows = Object.entries(engines).map(([engine, { version, wasm_gzip_bytes, driven_by }]) => [
    engine,
    version,
    wasm_gzip_bytes === undefined ? "–" : bytes(wasm_gzip_bytes),
    driven_by,
  ]);
  return `## Engines, and how each was driven

${table(["engine", "version", "wasm, gzip -9", "driven by"], rows)}`;
}

/** @type {{ head: string, query: Pick<Query, "measure" | "n" | "depth">, scale: number }[]} */
const COLUMNS = [
  { head: "decode after 128, tokens/s", query: DECODE, scale: 1 },
  { head: "decode after 1,024, tokens/s", query: DECODE_LONG, scale: 1 },
  { head: "prefill 128, tokens/s", query: PREFILL, scale: 1 },
  { head: "prefill 512, tokens/s", query: { measure: "prefill", n: 512 }, scale: 1 },
  { head: "load, s", query: { measure: "load" }, scale: 1e-3 },
  { head: "last byte to ready, s", query: { measure: "ready_after_last_byte" }, scale: 1e-3 },
  { head: "first token, s", query: { measure: "first_token" }, scale: 1e-3 },
  { head: "peak memory, MB", query: { measure: "peak_memory" }, scale: 1e-6 },
  { head: "of it the page's own, MB", query: { measure: "peak_own_memory" }, scale: 1e-6 },
];

/** Everything that a record holds, a table for each model. @param {BenchRecord} record */
function measures(record) {
  const condition = rec.condition(record);
  const tables = Object.keys(record.models).flatMap((model) => {
    const rows = enginesOf(record, model).map(([engine, threads]) => [
      `${engine}, ${count(String(threads))}`,
      ...COLUMNS.map(({ query, scale }) => {
        const values = rec.byRound(record, { ...query, engine, threads, model }).values();
        return range(rec.spread([...values].map((value) => value * scale)));
      }),
    ]);
    return rows.length > 0 ? [`### ${model}\n\n${table(["", ...COLUMNS.map(({ head }) => head)], rows)}`] : [];
  });
  return `## All measures${condition ? ` ${condition}` : ""}\n\n${tables.join("\n\n") || "None."}`;
}

/** The engines and numbers of threads with a sample of this model, in the record's order. */
/** @param {BenchRecord} record @param {string} model @returns {[string, number][]} */
function enginesOf(record, model) {
  return Object.keys(record.engines).flatMap((engine) => {
    const samples = record.samples.filter((sample) => sample.engine === engine && sample.model === model);
    const threads = [...new Set(samples.map((sample) => sample.threads))].sort((a, b) => a - b);
    return threads.map((n) => /** @type {[string, number]} */ ([engine, n]));
  });
}

/** @param {BenchRecord[]} records */
function failures(records) {
  const rows = records.flatMap((record) =>
    record.failures.map(({ engine, threads, model, message }) => [
      engine,
      model,
      [threads === undefined ? "" : count(String(threads)), rec.condition(record)].filter(Boolean).join(", "),
      quoted(message),
    ]),
  );
  const body = rows.length > 0 ? table(["engine", "model", "", "in its own words"], rows) : "Everything ran.";
  return `## What did not run\n\n${body}`;
}
