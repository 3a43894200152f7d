/**
 * Writes GGUF files: small ones with random weights, large ones for measurements, and broken ones.
 * @module
 */

import { closeSync, openSync, readFileSync, writeSync } from "node:fs";

/** A weight format: its number in the file, and how many bytes hold how many weights. */
export interface Format {
  id: number;
  blockLen: number;
  blockBytes: number;
  /** Fills one block with random weights of about ±0.1. */
  fill(block: Buffer, random: () => number): void;
  /** Fills every block, where otherwise a run of them is repeated. */
  whole?: boolean;
}

const byte = (random: () => number) => Math.floor(random() * 256);

function fillBytes(block: Buffer, random: () => number): void {
  for (let i = 0; i < block.length; i++) block[i] = byte(random);
}

/** f16 of a power of two, 2^exponent, with a random fraction: 1 to 2 times that. */
function f16(exponent: number, random: () => number): number {
  return ((exponent + 15) << 10) | Math.floor(random() * 1024);
}

export const F32: Format = {
  id: 0,
  blockLen: 1,
  blockBytes: 4,
  fill: (block, random) => void block.writeFloatLE((random() - 0.5) / 5),
};
export const F16: Format = {
  id: 1,
  blockLen: 1,
  blockBytes: 2,
  fill: (block, random) => void block.writeUInt16LE(f16(-5, random) | (random() < 0.5 ? 0x8000 : 0)),
};
export const BF16: Format = {
  id: 30,
  blockLen: 1,
  blockBytes: 2,
  fill: (block, random) => void block.writeUInt16LE((122 << 7) | Math.floor(random() * 128) | (random() < 0.5 ? 0x8000 : 0)),
};
/** A format of random quants, with f16 scales of 2^exponent to twice that at these bytes of a block, of this sign. */
function quants(id: number, blockLen: number, blockBytes: number, ...scales: [exponent: number, at: number, sign?: -1][]): Format {
  const fill = (block: Buffer, random: () => number) => {
    fillBytes(block, random);
    for (const [exponent, at, sign] of scales) block.writeUInt16LE(f16(exponent, random) | (sign ? 0x8000 : 0), at);
  };
  return { id, blockLen, blockBytes, fill };
}

export const Q4_0 = quants(2, 32, 18, [-7, 0]);
export const Q4_1 = quants(3, 32, 20, [-7, 0], [-4, 2, -1]);
export const Q8_0 = quants(8, 32, 34, [-11, 0]);
export const Q2_K = quants(10, 256, 84, [-13, 80], [-12, 82]);
export const Q6_K = quants(14, 256, 210, [-15, 208]);
export const Q5_0 = quants(6, 32, 22, [-8, 0]);
export const Q5_1 = quants(7, 32, 24, [-8, 0], [-4, 2, -1]);
export const Q5_K = quants(13, 256, 176, [-14, 0], [-11, 2]);
export const Q4_K = quants(12, 256, 144, [-14, 0], [-11, 2]);
export const IQ4_NL = quants(20, 32, 18, [-11, 0]);
/** Of the formats whose values stand in a table, the one with the most kinds of bits: points, signs, two scales a run. */
export const IQ2_XS = quants(17, 256, 74, [-11, 0]);

/** The same numbers every time. */
export function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A metadata value with its type in the file. */
export type Value =
  | { u32: number }
  | { f32: number }
  | { str: string }
  | { strs: string[] }
  | { f32s: number[] }
  | { i32s: number[] }
  | { bool: boolean }
  | { bools: boolean[] };

/** One tensor's row in the file. */
export interface TensorRow {
  name: string;
  shape: number[];
  format: Format;
}

/** The file as data, to be changed before it is written. */
export interface File {
  magic: string;
  version: number;
  metadata: Map<string, Value>;
  tensors: TensorRow[];
  /** Overrides of what would be right. */
  counts?: { tensors?: bigint; metadata?: bigint };
  /** Overrides of where tensors begin. */
  offsets?: Map<string, bigint>;
  /** Overrides of tensors' format numbers. */
  formatIds?: Map<string, number>;
}

/** The shape of a llama model. */
export interface Shape {
  nLayer: number;
  nEmbd: number;
  nHead: number;
  nHeadKv: number;
  nFf: number;
  nVocab: number;
  nCtx: number;
}

export const TINY: Shape = { nLayer: 2, nEmbd: 256, nHead: 4, nHeadKv: 2, nFf: 512, nVocab: 320, nCtx: 128 };

/** A llama model with a SentencePiece-style vocabulary: three specials, 256 bytes, then words of its own. */
export function llama(shape: Shape, format: Format, name = "random"): File {
  const { nLayer, nEmbd, nHead, nHeadKv, nFf, nVocab, nCtx } = shape;
  const nKv = (nEmbd / nHead) * nHeadKv;
  const tensors: TensorRow[] = [{ name: "token_embd.weight", shape: [nEmbd, nVocab], format }];
  for (let layer = 0; layer < nLayer; layer++) {
    const add = (part: string, shape: number[], of = format) =>
      tensors.push({ name: `blk.${layer}.${part}.weight`, shape, format: of });
    add("attn_norm", [nEmbd], F32);
    add("attn_q", [nEmbd, nEmbd]);
    add("attn_k", [nEmbd, nKv]);
    add("attn_v", [nEmbd, nKv]);
    add("attn_output", [nEmbd, nEmbd]);
    add("ffn_norm", [nEmbd], F32);
    add("ffn_gate", [nEmbd, nFf]);
    add("ffn_up", [nEmbd, nFf]);
    add("ffn_down", [nFf, nEmbd]);
  }
  tensors.push({ name: "output_norm.weight", shape: [nEmbd], format: F32 });
  tensors.push({ name: "output.weight", shape: [nEmbd, nVocab], format });
  const metadata = new Map<string, Value>([
    ["general.architecture", { str: "llama" }],
    ["general.name", { str: name }],
    ["llama.context_length", { u32: nCtx }],
    ["llama.embedding_length", { u32: nEmbd }],
    ["llama.block_count", { u32: nLayer }],
    ["llama.feed_forward_length", { u32: nFf }],
    ["llama.attention.head_count", { u32: nHead }],
    ["llama.attention.head_count_kv", { u32: nHeadKv }],
    ["llama.attention.layer_norm_rms_epsilon", { f32: 1e-5 }],
    ["llama.rope.dimension_count", { u32: nEmbd / nHead }],
    ...vocabulary(nVocab),
  ]);
  return { magic: "GGUF", version: 3, metadata, tensors };
}

/** A recorded model in `tests/fixtures/models`: what its file holds, but for the weights, which are drawn anew. */
interface Recorded {
  architecture: string;
  metadata: Record<string, number | string | boolean | boolean[]>;
  /** Name, shape, the middle of its values, and how far they are from it at most. */
  tensors: [name: string, shape: number[], around: number, size: number][];
  fixed: Record<string, number[]>;
}

/** A model of an architecture that is recorded, with a vocabulary of `nVocab` pieces in place of its own. */
export function recorded(name: string, nVocab = 400): File {
  const path = new URL(`../../fixtures/models/${name}.json`, import.meta.url);
  const { architecture, metadata: own, tensors, fixed } = JSON.parse(readFileSync(path, "utf8")) as Recorded;
  const nOwn = tensors.find(([name]) => name === "token_embd.weight")?.[1][1];
  const value = (key: string, found: Recorded["metadata"][string]): Value => {
    if (typeof found === "string") return { str: found };
    if (typeof found === "boolean") return { bool: found };
    if (typeof found === "object") return { bools: found };
    if (key.endsWith(".vocab_size")) return { u32: nVocab };
    return Number.isInteger(found) && !FRACTIONS.test(key) ? { u32: found } : { f32: found };
  };
  const values = (list: readonly number[]): Format => {
    let at = 0;
    return { ...F32, fill: (block) => void block.writeFloatLE(list[at++] ?? 0) };
  };
  const drawn = (around: number, size: number): Format => ({ ...F32, fill: (block, random) => void block.writeFloatLE(around + (2 * random() - 1) * size) });
  const ofVocab = /^(token_embd|output)\./;
  return {
    magic: "GGUF",
    version: 3,
    metadata: new Map<string, Value>([
      ["general.architecture", { str: architecture }],
      ["general.name", { str: name }],
      ...Object.entries(own).map(([key, found]) => [key, value(key, found)] as const),
      ...vocabulary(nVocab),
    ]),
    tensors: [
      ...tensors.map(([name, shape, around, size]) => ({ name, shape: shape.map((n) => (ofVocab.test(name) && n === nOwn ? nVocab : n)), format: drawn(around, size) })),
      ...Object.entries(fixed).map(([name, list]) => ({ name, shape: [list.length], format: values(list) })),
    ],
  };
}

/** Keys whose numbers may be whole by chance. */
const FRACTIONS = /scale|capping|factor|freq_base|epsilon|bias|clamp/;

function vocabulary(nVocab: number): [string, Value][] {
  const tokens = ["<unk>", "<s>", "</s>"];
  const types = [2, 3, 3];
  for (let i = 0; i < 256; i++) {
    tokens.push(`<0x${i.toString(16).toUpperCase().padStart(2, "0")}>`);
    types.push(6);
  }
  for (let i = tokens.length; i < nVocab; i++) {
    tokens.push(`\u2581w${i.toString(36)}`);
    types.push(1);
  }
  return [
    ["tokenizer.ggml.model", { str: "llama" }],
    ["tokenizer.ggml.tokens", { strs: tokens }],
    ["tokenizer.ggml.scores", { f32s: tokens.map((_, i) => -i) }],
    ["tokenizer.ggml.token_type", { i32s: types }],
    ["tokenizer.ggml.bos_token_id", { u32: 1 }],
    ["tokenizer.ggml.eos_token_id", { u32: 2 }],
    ["tokenizer.ggml.unknown_token_id", { u32: 0 }],
  ];
}

const ALIGNMENT = 32;
const align = (n: number) => Math.ceil(n / ALIGNMENT) * ALIGNMENT;

function tensorBytes({ shape, format }: TensorRow): number {
  return (shape.reduce((a, b) => a * b, 1) / format.blockLen) * format.blockBytes;
}

/** How many bytes of tensors the file has. */
export function dataBytes(file: File): number {
  return file.tensors.reduce((sum, tensor) => sum + align(tensorBytes(tensor)), 0);
}

/** All that stands before the tensors' data, padded to where that begins. */
export function header(file: File): Buffer {
  const parts: Buffer[] = [];
  const u32 = (n: number) => parts.push(number(4, (b) => b.writeUInt32LE(n)));
  const u64 = (n: bigint | number) => parts.push(number(8, (b) => b.writeBigUInt64LE(BigInt(n))));
  const str = (s: string) => {
    const bytes = Buffer.from(s);
    u64(bytes.length);
    parts.push(bytes);
  };
  parts.push(Buffer.from(file.magic));
  u32(file.version);
  u64(file.counts?.tensors ?? file.tensors.length);
  u64(file.counts?.metadata ?? file.metadata.size);
  for (const [key, value] of file.metadata) {
    str(key);
    parts.push(encode(value));
  }
  let offset = 0;
  for (const tensor of file.tensors) {
    str(tensor.name);
    u32(tensor.shape.length);
    for (const n of tensor.shape) u64(n);
    u32(file.formatIds?.get(tensor.name) ?? tensor.format.id);
    u64(file.offsets?.get(tensor.name) ?? offset);
    offset += align(tensorBytes(tensor));
  }
  const bytes = Buffer.concat(parts);
  return Buffer.concat([bytes, Buffer.alloc(align(bytes.length) - bytes.length)]);
}

function number(size: number, write: (buffer: Buffer) => void): Buffer {
  const buffer = Buffer.alloc(size);
  write(buffer);
  return buffer;
}

function encode(value: Value): Buffer {
  const u32 = (n: number) => number(4, (b) => b.writeUInt32LE(n));
  const u64 = (n: number) => number(8, (b) => b.writeBigUInt64LE(BigInt(n)));
  const f32 = (n: number) => number(4, (b) => b.writeFloatLE(n));
  const i32 = (n: number) => number(4, (b) => b.writeInt32LE(n));
  const str = (s: string) => Buffer.concat([u64(Buffer.byteLength(s)), Buffer.from(s)]);
  const array = (type: number, items: Buffer[]) => Buffer.concat([u32(9), u32(type), u64(items.length), ...items]);
  const flag = (b: boolean) => Buffer.from([Number(b)]);
  if ("bool" in value) return Buffer.concat([u32(7), flag(value.bool)]);
  if ("bools" in value) return array(7, value.bools.map(flag));
  if ("u32" in value) return Buffer.concat([u32(4), u32(value.u32)]);
  if ("f32" in value) return Buffer.concat([u32(6), f32(value.f32)]);
  if ("str" in value) return Buffer.concat([u32(8), str(value.str)]);
  if ("strs" in value) return array(8, value.strs.map(str));
  if ("f32s" in value) return array(6, value.f32s.map(f32));
  return array(5, value.i32s.map(i32));
}

/** Blocks of a run: a prime number, so that no two rows of a small model are the same. */
const RUN = 4093;

/** The file's tensors one by one, as bytes: a run of random blocks, repeated where a tensor is larger than that. */
function* data(file: File, random: () => number): Generator<Buffer> {
  for (const tensor of file.tensors) {
    const bytes = Buffer.alloc(align(tensorBytes(tensor)));
    const filled = tensorBytes(tensor);
    const { blockBytes, fill, whole } = tensor.format;
    const runBytes = whole ? filled : Math.min(filled, RUN * blockBytes);
    for (let at = 0; at < runBytes; at += blockBytes) fill(bytes.subarray(at, at + blockBytes), random);
    for (let at = runBytes; at < filled; at += runBytes) bytes.copy(bytes, at, 0, Math.min(runBytes, filled - at));
    yield bytes;
  }
}

/** A llama model of Q8_0 matrices, as {@link toBytes} wrote it, with what they stand for in F32; `of` may change the values. */
export function floats(file: File, bytes: Buffer, of: (x: number) => number): File {
  const tensors = file.tensors;
  let at = bytes.length - dataBytes(file);
  return {
    ...file,
    tensors: tensors.map((tensor) => {
      const begin = at;
      at += align(tensorBytes(tensor));
      if (tensor.format !== Q8_0) return tensor;
      let idx = 0;
      const fill = (block: Buffer) => {
        const from = begin + Math.floor(idx / 32) * 34;
        block.writeFloatLE(of(half(bytes.readUInt16LE(from)) * bytes.readInt8(from + 2 + (idx++ % 32))));
      };
      return { ...tensor, format: { ...F32, fill, whole: true } };
    }),
  };
}

/** The number that an f16 stands for. */
function half(bits: number): number {
  const [sign, exponent, fraction] = [bits >> 15, (bits >> 10) & 31, bits & 1023];
  return (sign ? -1 : 1) * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15));
}

/** The whole file, in memory. */
export function toBytes(file: File, seed = 1): Buffer {
  return Buffer.concat([header(file), ...data(file, mulberry32(seed))]);
}

/** The whole file, on disk. */
export function writeTo(path: string, file: File, seed = 1): void {
  const descriptor = openSync(path, "w");
  try {
    writeSync(descriptor, header(file));
    for (const bytes of data(file, mulberry32(seed))) writeSync(descriptor, bytes);
  } finally {
    closeSync(descriptor);
  }
}
