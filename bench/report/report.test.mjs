import assert from "node:assert/strict";
import { test } from "node:test";
import { digits, quoted, range, table } from "./format.mjs";
import { guessed, guessingSection } from "./guessing.mjs";
import { made, speeds } from "./made.mjs";
import { page } from "./page.mjs";
import { best, byRound, condition, median, ratios, spread } from "./record.mjs";
import { furtherResults, tableResults, verdict } from "./targets.mjs";

/** @typedef {import("./record.mjs").BenchRecord} BenchRecord */

test("medians, spreads and ratios are those of rounds", () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1]), 2.5);
  assert.equal(spread([]), undefined);
  const ratio = ratios(
    new Map([
      [1, 6],
      [2, 8],
      [3, 1],
    ]),
    new Map([
      [1, 2],
      [2, 2],
      [4, 9],
    ]),
  );
  assert.deepEqual(
    [...ratio],
    [
      [1, 3],
      [2, 4],
    ],
  );
});

test("a round with several samples counts once, and other depths not at all", () => {
  const record = made({ candle: [1] });
  record.samples.push({ ...record.samples[0], value: 3 }, { ...record.samples[0], depth: 1024, value: 100 });
  const rounds = byRound(record, {
    engine: "candle",
    threads: 1,
    model: "135M-Q4_0",
    measure: "decode",
    n: 64,
    depth: 128,
  });
  assert.deepEqual([...rounds], [[1, 2]]);
});

test("the best peer is the fastest of each round, named by its median", () => {
  const { rounds, engine } = best(made(speeds), ["candle", "wllama-2"], {
    threads: 1,
    model: "135M-Q4_0",
    measure: "decode",
  });
  assert.deepEqual([...rounds.values()], [25, 30, 25]);
  assert.equal(engine, "candle");
});

test("a round without the best peer does not count", () => {
  const record = made({ candle: [20], "wllama-2": [15, 16, 14] });
  const { rounds, engine } = best(record, ["candle", "wllama-2"], {
    threads: 1,
    model: "135M-Q4_0",
    measure: "decode",
  });
  assert.deepEqual([engine, ...rounds], ["candle", [1, 20]]);
});

test("a target is met by the median, not met below it, and not measured without samples", () => {
  const row = tableResults(made(speeds)).find(({ model }) => model === "135M-Q4_0");
  assert.deepEqual(row?.results.map(verdict), ["not met", "met", "not measured", "not measured"]);
  assert.deepEqual(row?.results[0].measured, { median: 110 / 30, min: 3.6, max: 4 });
  assert.equal(
    verdict({ what: "", sense: "at most", target: 220, unit: "MB", measured: spread([230, 210, 220]) }),
    "met",
  );
  assert.equal(verdict({ what: "", sense: "more than", target: 1, unit: "×", measured: spread([1]) }), "not met");
});

test("the length target is a ratio of ratios", () => {
  const record = made(speeds);
  const long = record.samples.map((sample) => ({
    ...sample,
    depth: 1024,
    value: sample.value * (sample.engine === "llama.cpp" ? 0.5 : 0.4),
  }));
  record.samples.push(...long);
  const [{ results }] = furtherResults([record]);
  assert.deepEqual(
    results.flatMap(({ measured }) => (measured ? digits(measured.median) : [])),
    ["0.800"],
  );
  assert.equal(verdict(results[0]), "not met");
  assert.equal(verdict(results[1]), "not measured", "the other models of the table");
});

test("other runs are found by their options", () => {
  const firefox = made({ "pagelm-relaxed": [2], candle: [1] }, { options: { browser: "firefox" } });
  const flagged = made(
    { "pagelm-relaxed": [3], candle: [1] },
    { options: { chromium_flags: ["--js-flags=--no-enable-avx-vnni"] } },
  );
  const medians = (/** @type {BenchRecord[]} */ records, /** @type {RegExp} */ title) =>
    furtherResults(records)
      .find((group) => title.test(group.title))
      ?.results.flatMap(({ measured }) => measured?.median ?? []);
  assert.deepEqual(medians([made(speeds), firefox], /^In Firefox/), [2]);
  assert.deepEqual(medians([made(speeds), flagged], /avx-vnni/), [3]);
  assert.deepEqual(medians([made(speeds)], /^In Firefox/), []);
  assert.deepEqual(medians([made(speeds)], /avx-vnni/), [110 / 30], "without AVX-VNNI the main run is that case");
  assert.equal(condition(firefox), "in Firefox");
  assert.equal(condition(flagged), "with `--js-flags=--no-enable-avx-vnni`");
});

test("numbers have three digits, and other programs' words stay words", () => {
  assert.deepEqual([0, 0.01234, 1.234, 12.34, 123.4, 1234].map(digits), [
    "0",
    "0.0123",
    "1.23",
    "12.3",
    "123",
    "1,234",
  ]);
  assert.equal(range(spread([1, 2, 4]), "×"), "2.00× (1.00–4.00)");
  assert.equal(range(undefined), "–");
  assert.equal(quoted("a `b`\n c"), "`a 'b' c`");
  assert.match(table(["", "x"], [["a|b", "1"]]), /\| a\\\|b \| 1 \|$/);
});

test("the page says what the machine lacks, what is met, and what failed", () => {
  const record = made(speeds, {
    failures: [{ engine: "flare", threads: 1, model: "135M-Q4_0", message: "panicked at 'x'\n  here" }],
  });
  const text = page([{ path: "../bench/records/a.json", record }], { hasNotes: true });
  assert.match(text, /\*\*This machine has no AVX-VNNI\.\*\*/);
  assert.match(
    text,
    /\| 135M Q4_0 \| ≥ 4×: \*\*not met\*\*<br>3\.67× \(3\.60–4\.00\)<br>candle \| ≥ 1×: \*\*met\*\*<br>1\.00×/,
  );
  assert.match(text, /\| flare \| 135M-Q4_0 \| 1 thread \| `panicked at 'x' here` \|/);
  assert.match(text, /performance-notes\.md/);
  assert.doesNotMatch(text, /undefined|NaN|\[object/);
  record.machine.flags.push("avx_vnni");
  assert.match(page([{ path: "a.json", record }], { hasNotes: false }), /This machine has it\./);
});

test("a run on another machine has the table of targets beside the first, and nothing else", () => {
  const other = made({ "pagelm-relaxed": [50], candle: [10] });
  other.machine = { ...other.machine, cpu_model: "family 1, model 2" };
  other.roofline = { wasm_read_gb_s: { 1: [5] } };
  const text = page([{ path: "a.json", record: made(speeds) }, { path: "records/b.json", record: other }], { hasNotes: false });
  assert.match(text, /- \[b\.json\]\(records\/b\.json\): on another machine/);
  assert.match(text, /### On another machine\n\nFrom \[b\.json\]\(records\/b\.json\): Made Up 1 \(family 1, model 2\), 2 cores; avx2;\nmemory read at 5\.00 GB\/s/);
  assert.match(text, /\| 135M Q4_0 \| ≥ 4×: \*\*met\*\*<br>5\.00×/);
  assert.equal(text.match(/^## All measures/gm)?.length, 1);
});

test("guessing is compared within the rounds of one text", () => {
  const record = made(speeds);
  /** @param {number} round @param {boolean} speculative @param {number} value @param {string} text */
  const add = (round, speculative, value, text) => {
    const about = { engine: "pagelm-relaxed", threads: 1, model: "135M-Q4_0", text, n: 128, depth: 9 };
    const guesses = speculative ? { proposed: 40, accepted: 30 } : { proposed: 0, accepted: 0 };
    record.samples.push({ ...about, measure: "decode_repeating", speculative, ...guesses, round, value, unit: "tokens/s" });
  };
  for (const [round, value] of [100, 50, 80].entries()) {
    add(round + 1, false, value, "a rhyme");
    add(round + 1, true, value * (2 + round), "a rhyme");
  }
  add(1, false, 10, "a story");
  add(1, true, 9, "a story");
  add(2, true, 9, "only one way");
  const [rhyme, story, ...others] = guessed(record);
  assert.deepEqual(rhyme.ratio, { median: 3, min: 2, max: 4 });
  assert.equal(story.ratio.median, 0.9);
  assert.deepEqual(others, []);
  const text = guessingSection(record);
  assert.match(text, /\| 135M-Q4_0: a rhyme \| 1 \| 80\.0 \(50\.0–100\) \| 200 \(150–320\) \| 3\.00× \(2\.00–4\.00\) \| 128 \| 40\.0 \| 30\.0 \|/);
  assert.match(guessingSection(made(speeds)), /Not measured\./);
  assert.deepEqual(byRound(record, { engine: "pagelm-relaxed", threads: 1, model: "135M-Q4_0", measure: "decode" }).size, 3);
});

test("each further target has its section, measured or not", () => {
  const titles = furtherResults([made(speeds)]).map(({ title }) => title);
  for (const words of [/1,024/, /Two threads at least 1\.5×/, /0\.9× one thread.*one core busy/, /^Never slower/, /^The same.*one core busy/, /avx-vnni/, /Firefox/, /144 MB/, /last byte/, /simd128/, /gzip/]) {
    assert.equal(titles.filter((title) => words.test(title)).length, 1, String(words));
  }
  const text = page([{ path: "a.json", record: made(speeds) }], { hasNotes: false });
  assert.match(text, /This machine has no AVX-VNNI, so these are the main run's numbers\./);
  assert.match(text, /## Guessing/);
});
