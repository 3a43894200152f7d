/**
 * Where the benchmark finds what it measures, and where it leaves what it found.
 * @module
 */

import { fileURLToPath } from "node:url";

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url)).replace(/\/$/, "");
const root = at("../..");
const made = `${root}/target/bench`;

export const paths = {
  root,
  bench: at(".."),
  /** The adapters that run in a page. */
  pages: at("../pages"),
  /** What measures how fast memory is read. */
  roofline: at("../roofline"),
  /** The peers from npm. */
  peers: at("../node_modules"),
  /** This project's package, built. */
  pkg: `${root}/pkg/dist`,
  /** The module of one build with the names of its functions: else the same. */
  named: (build: string) => `${root}/target/wasm/${build}/named/pagelm_bg.wasm`,
  /** The models that are part of the project. */
  builtIn: `${root}/www/models`,
  /** Synthetic GGUF files. */
  models: `${made}/models`,
  /** ONNX files of the same shapes. */
  onnx: `${made}/onnx`,
  /** candle, compiled. */
  candle: `${made}/candle/pkg`,
  records: at("../records"),
} as const;
