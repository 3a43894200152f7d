import { expect, test } from "vitest";
import { modelOf, relevantFlags } from "../src/machine.js";
import { readMeasured } from "../src/native.js";
import { parseOptions } from "../src/options.js";
import { baseName, distinct, freePath, type Made, newestOfOtherRuns, plain, type Sample } from "../src/record.js";
import { leaders, toSamples } from "../src/run.js";

test("a record is named by its day, its processor and what was unusual", () => {
  const name = (cpu: string, ...args: string[]) =>
    baseName({ date: "2026-03-01T10:00:00.000Z", machine: { cpu }, options: plain(parseOptions(args)) });
  expect(name("Intel(R) Core(TM) i7-8650U CPU @ 1.90GHz")).toBe("2026-03-01-intel-core-i7-8650u");
  expect(name("AMD EPYC 9B45 128-Core Processor", "--busy-core")).toBe("2026-03-01-amd-epyc-9b45-busy-core");
  expect(name("", "--browser", "firefox")).toBe("2026-03-01-unknown-firefox");
});

test("no run writes over another's record", () => {
  const there = ["records/a.json", "records/a-2.json"];
  const exists = (path: string) => there.includes(path);
  expect(freePath("records", "a", exists)).toBe("records/a-3.json");
  expect(freePath("records", "b", exists)).toBe("records/b.json");
});

test("a report takes the newest records of other conditions and of another machine along, whatever their names", () => {
  const here = { cpu: "A", cpu_model: "family 1, model 2" };
  const made = (name: string, hour: number, args: string[] = [], machine: Made["machine"] = here) => ({
    name,
    date: `2026-03-01T${String(hour).padStart(2, "0")}:00:00.000Z`,
    options: plain(parseOptions(args)),
    machine,
  });
  const records = [
    made("now.json", 9),
    made("before.json", 8),
    made("other.json", 7, [], { cpu: "A" }),
    made("older.json", 6, [], { cpu: "A", cpu_model: "family 1, model 1" }),
    made("other-quick.json", 8, ["--quick"], { cpu: "B" }),
    made("other-flags.json", 8, ["--chromium-flags=--x"], { cpu: "B" }),
    made("firefox.json", 3, ["--browser=firefox"]),
    made("firefox-2.json", 4, ["--browser=firefox"], { cpu: "B" }),
    made("busy-core-2.json", 5, ["--busy-core"]),
    made("busy-core.json", 6, ["--busy-core"]),
  ];
  expect(newestOfOtherRuns(records, here)).toEqual(["busy-core.json", "firefox-2.json", "other.json"]);
  expect(newestOfOtherRuns(records.slice(0, 2), here)).toEqual([]);
});

test("a processor is known by its numbers", () => {
  expect(modelOf("vendor_id\t: X\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\n")).toEqual({ cpu_model: "family 25, model 17" });
  expect(modelOf("Features : asimd")).toEqual({});
});

test("options are written down as text", () => {
  const options = plain(parseOptions(["--models", "^135M", "--out", "x.json"]));
  expect(JSON.parse(JSON.stringify(options))).toEqual({
    quick: false,
    models: "^135M",
    engines: "(?:)",
    rounds: 3,
    chromium_flags: [],
    browser: "chromium",
    busy_core: false,
  });
});

test("a failure of every round is written down once", () => {
  const failure = { engine: "flare", threads: 1, model: "135M-Q4_0", message: "unreachable" };
  const other = { ...failure, model: "135M-Q8_0" };
  expect(distinct([failure, other, { ...failure }])).toEqual([failure, other]);
});

test("of a processor's features only those that matter are kept", () => {
  const cpuinfo = "processor : 0\nflags\t\t: fpu avx2 ssse3 f16c avx_vnni clflush\nbugs : none\n";
  expect(relevantFlags(cpuinfo)).toEqual(["ssse3", "avx2", "f16c", "avx_vnni"]);
  expect(relevantFlags("Features\t: fp asimd asimddp\n")).toEqual(["asimd", "asimddp"]);
  expect(relevantFlags("")).toEqual([]);
});

test("llama-bench's prefill has no depth, its decode has", () => {
  const list = [
    { measure: "prefill", n: 128, depth: 0, value: 450.5, unit: "tokens/s" },
    { measure: "decode", n: 64, depth: 1024, value: 130.25, unit: "tokens/s" },
  ];
  expect(readMeasured(JSON.stringify(list))).toEqual([
    { measure: "prefill", n: 128, value: 450.5, unit: "tokens/s" },
    { measure: "decode", n: 64, depth: 1024, value: 130.25, unit: "tokens/s" },
  ]);
});

test("load time and memory are those of the short context, and memory only of what ran to its end", () => {
  const ran = {
    samples: [
      { measure: "load", value: 300, unit: "ms" },
      { measure: "decode", n: 64, depth: 128, value: 60, unit: "tokens/s" },
    ] as const,
    tookMs: [1000],
    peakBytes: 2 ** 28,
  };
  const whole = { ...ran, samples: [...ran.samples] };
  expect(toSamples(whole, true).map(({ measure }) => measure)).toEqual(["load", "decode", "peak_memory"]);
  expect(toSamples(whole, false).map(({ measure }) => measure)).toEqual(["decode"]);
  expect(toSamples({ ...whole, error: "trap" }, true).map(({ measure }) => measure)).toEqual(["load", "decode"]);
});

test("the peers that lead are those that are fastest with one thread at decoding after 128 or at a prompt of 128", () => {
  const about = { model: "0.5B-Q8_0", round: 1, unit: "tokens/s" } as const;
  const decode = (engine: string, value: number, threads = 1, depth = 128): Sample => ({ ...about, engine, threads, measure: "decode", n: 64, depth, value });
  const prefill = (engine: string, value: number, n = 128): Sample => ({ ...about, engine, threads: 1, measure: "prefill", n, value });
  const peers = ["candle", "wllama-3", "onnxruntime-web", "flare"].map((id) => ({ id }));
  const samples = [decode("pagelm-relaxed", 13), decode("candle", 6), decode("wllama-3", 5), decode("wllama-3", 9, 2), decode("flare", 7, 1, 1024)];
  expect(leaders(samples, peers)).toEqual(new Set(["candle"]));
  expect(leaders([...samples, prefill("onnxruntime-web", 30), prefill("flare", 40, 512)], peers)).toEqual(new Set(["candle", "onnxruntime-web"]));
  expect(leaders([], peers)).toEqual(new Set());
});
