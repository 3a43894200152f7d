/**
 * The models that are measured, and where their files are.
 * @module
 */

import { readFileSync, statSync } from "node:fs";
import type { Repeating } from "../pages/repeating.js";
import { paths } from "./paths.js";
import { LOOP, repeatingTexts } from "./repeating.js";

/** A model. */
export interface Model {
  id: string;
  /** Where the GGUF file is. */
  path: string;
  /** Its address on the benchmark's server. */
  url: string;
  n_vocab: number;
  /** Words of one token each. */
  words: string[];
  /** The file for onnxruntime-web, without the folder, or why there is none. */
  onnx: string | { none: string };
  /**
   * Which engines are also measured with 512 tokens of prompt and after 1,024 tokens: none, the two that a target is about,
   * the project's own and native, or all. The largest models take minutes for that, and so do peers.
   */
  long: "none" | "target" | "own" | "all";
  /** Texts to be written with and without guessing, and whether nothing else is measured. */
  repeating: Repeating[];
  onlyRepeating: boolean;
  /** So small that peers are measured with two threads too. */
  small: boolean;
  file_bytes: number;
  /** What a decoded token reads of the weights. */
  bytes_per_token: number;
}

/** What models.py writes beside the files that it makes. */
interface Listed {
  file: string;
  file_bytes: number;
  bytes_per_token: number;
  n_vocab: number;
  words: string[];
}

const SHAPES = ["15M", "135M", "0.5B"];
const QUANTS = ["Q8_0", "Q4_0", "Q4_K_M"];

/** The models that are part of the project: their matrices are what a token reads, all but the norms. */
const BUILT_IN = [
  { name: "story", n_vocab: 4096, bytes_per_token: 3_352_320 },
  { name: "tasks", n_vocab: 8192, bytes_per_token: 16_737_792 },
];

const COMMON_WORDS = ["the", "and", "to", "a", "was", "it", "in", "he", "she", "of"];

/** The names of all models, in the order in which they are measured. */
export const MODEL_IDS = [...BUILT_IN.map(({ name }) => name), ...SHAPES.flatMap((s) => QUANTS.map((q) => `${s}-${q}`)), LOOP];

/** The models of these names; the synthetic ones have to have been made. */
export function findModels(ids: string[]): Model[] {
  return ids.map((id) => builtIn(id) ?? synthetic(id));
}

function builtIn(id: string): Model | undefined {
  const known = BUILT_IN.find(({ name }) => name === id);
  if (!known) return undefined;
  const path = `${paths.builtIn}/${id}.gguf`;
  const onnx = { none: "There is no ONNX file of the built-in models." };
  const { n_vocab, bytes_per_token } = known;
  const file_bytes = statSync(path).size;
  const text = { n_vocab, words: COMMON_WORDS };
  const size = { long: "none", small: true, file_bytes, bytes_per_token } as const;
  return { id, path, url: `/built-in/${id}.gguf`, ...text, onnx, ...size, repeating: repeatingTexts(id), onlyRepeating: false };
}

function synthetic(id: string): Model {
  const listing = JSON.parse(readFileSync(`${paths.models}/models.json`, "utf8")) as Record<string, Listed>;
  const listed = listing[id];
  if (!listed) throw new Error(`${id} is missing in ${paths.models}: \`cargo xtask bench\` makes it.`);
  const { file, file_bytes, bytes_per_token, n_vocab, words } = listed;
  const [path, url] = [`${paths.models}/${file}`, `/models/${file}`];
  const long = id === "135M-Q8_0" ? "all" : id.startsWith("0.5B") ? "target" : "own";
  const size = { long, small: id.startsWith("15M"), file_bytes, bytes_per_token } as const;
  const texts = { repeating: repeatingTexts(id), onlyRepeating: id === LOOP };
  return { id, path, url, n_vocab, words, onnx: onnxFor(id), ...size, ...texts };
}

/** int8 stands beside 8 bits, MatMulNBits beside 4. ONNX has nothing like the mixtures. */
function onnxFor(id: string): Model["onnx"] {
  const [shape, quant] = id.split(/-(.*)/s);
  if (quant === "Q8_0") return `${shape}-int8.onnx`;
  if (quant === "Q4_0") return `${shape}-q4.onnx`;
  return { none: "ONNX has no mixture of formats like Q4_K_M; its 4-bit weights stand beside Q4_0." };
}
