/**
 * The engines that are compared, and how each is driven.
 * @module
 */

import { existsSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import type { Model } from "./models.js";
import { paths } from "./paths.js";
import type { EngineEntry } from "./record.js";

/** One engine. */
export interface Engine {
  id: string;
  /** The module in pages/ that drives it; native programs have none. */
  adapter?: string;
  /** Of this project's engine: which build. */
  build?: string;
  /** The numbers of threads that it is measured with, one after the other. */
  threads: number[];
  /** Whether those are only the most there may be: this project's package then chooses by itself. */
  choosesThreads?: boolean;
  /** Whether the adapter runs in a worker of the benchmark's: for engines that bring none. */
  inWorker?: boolean;
  version(): string;
  driven_by: string;
  /** The module that is run. */
  wasm?: string;
}

const npmVersion = (name: string) => () => {
  const { version } = JSON.parse(readFileSync(`${paths.peers}/${name}/package.json`, "utf8")) as { version: string };
  return version;
};

const crateVersion = (name: string) => () =>
  new RegExp(`name = "${name}"\\nversion = "([^"]+)"`).exec(readFileSync(`${paths.bench}/candle/Cargo.lock`, "utf8"))?.[1] ??
  "unknown";

const nativeVersion = () => /^VERSION = "([^"]+)"/m.exec(readFileSync(`${paths.bench}/native.py`, "utf8"))?.[1] ?? "unknown";

const own = (build: string, threads: number): Engine => ({
  id: `pagelm-${build}`,
  adapter: "pagelm",
  build,
  threads: [threads],
  version: npmVersion("../../pkg"),
  driven_by: "Model.generate with token ids, temperature 0; times by its worker; f32 cache",
  wasm: `${paths.pkg}/${build}/pagelm_bg.wasm`,
});

/** The package as a page uses it that says nothing of threads. */
const automatic: Engine = {
  ...own("relaxed-threads", 2),
  id: "pagelm-automatic",
  choosesThreads: true,
  driven_by: "as the other builds, but for the number of threads, which the package chooses by trying, with two cores",
};

/** All engines, in the order in which they are measured. */
const ENGINES: Engine[] = [
  own("simd128", 1),
  own("relaxed", 1),
  own("simd128-threads", 2),
  own("relaxed-threads", 2),
  automatic,
  {
    id: "wllama-3",
    adapter: "wllama-3",
    threads: [1, 2],
    version: npmVersion("@wllama/wllama"),
    driven_by: "createCompletion with text, temperature 0, ignore_eos; its own timings and counts; f16 cache",
    wasm: `${paths.peers}/@wllama/wllama/esm/wasm/wllama.wasm`,
  },
  {
    id: "wllama-2",
    adapter: "wllama-2",
    threads: [1, 2],
    version: npmVersion("wllama-2"),
    driven_by: "decode and samplingSample, token by token, temperature 0; timed in the page; f16 cache",
    wasm: `${paths.peers}/wllama-2/esm/single-thread/wllama.wasm`,
  },
  {
    id: "candle",
    adapter: "candle",
    threads: [1],
    inWorker: true,
    version: crateVersion("candle-core"),
    driven_by: "quantized_llama and quantized_qwen2, compiled with +simd128; forward, then the largest logit; in a worker",
    wasm: `${paths.candle}/pagelm_bench_candle_bg.wasm`,
  },
  {
    id: "onnxruntime-web",
    adapter: "onnx",
    threads: [1, 2],
    inWorker: true,
    version: npmVersion("onnxruntime-web"),
    driven_by:
      "a graph of the same shape with random weights: DynamicQuantizeMatMul (int8) beside Q8_0, MatMulNBits beside " +
      "Q4_0; GroupQueryAttention with an f32 cache; the largest logit; in a worker",
    wasm: `${paths.peers}/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm`,
  },
  {
    id: "flare",
    adapter: "flare",
    threads: [1],
    inWorker: true,
    version: npmVersion("@sauravpanda/flare"),
    driven_by: "load and load_raw_weights; begin_stream_with_params and next_token, temperature 0; in a worker",
    wasm: `${paths.peers}/@sauravpanda/flare/pkg/flare_web_bg.wasm`,
  },
  {
    id: "llama.cpp",
    threads: [1, 2],
    version: nativeVersion,
    driven_by: "native llama-bench -r 1, built on this machine with GGML_NATIVE=ON; it samples nothing; f16 cache",
  },
];

/** The engines whose id matches and that are there: the builds with threads may not have been made. */
export function findEngines(wanted: RegExp): Engine[] {
  return ENGINES.filter(({ id, build, wasm }) => wanted.test(id) && (!build || existsSync(wasm as string)));
}

/** What the record says of an engine. */
export function describe({ version, driven_by, wasm }: Engine): EngineEntry {
  const entry = { version: version(), driven_by };
  return wasm ? { ...entry, wasm_gzip_bytes: gzipSync(readFileSync(wasm), { level: 9 }).length } : entry;
}

/** What an engine loads for a model, as the server's address, or why it has nothing. */
export function fileFor(engine: Engine, model: Model): string | { none: string } {
  if (engine.adapter !== "onnx") return model.url;
  return typeof model.onnx === "string" ? `/onnx/${model.onnx}` : model.onnx;
}
