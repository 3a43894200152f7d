/**
 * Who wrote the logits: what flows into the residual stream, part by part, and what each part says at the output head.
 * @module
 */

import type { Intervention, Model } from "pagelm";
import { best, mean, rms } from "./numbers.js";

/** One thing that was added to the residual stream at one token. */
export interface Part {
  kind: "embedding" | "head" | "attention" | "network";
  /** 0 for the embedding. */
  layer: number;
  /** For heads. */
  head: number;
  /** nEmbd numbers. */
  vector: Float32Array;
}

/** Vectors that are projected at a time. */
const ROWS = 16;
/** The same for this model: no more than its context. */
export const rowsAtATime = ({ info }: Pick<Model, "info">) => Math.min(ROWS, info.nCtx);
/** Pieces that are kept of what a part says. */
const N_TOP = 6;

/**
 * What was added to the stream at `position`, in order: the embedding, each head, each network. A head's part is what the output
 * projection makes of that head alone: all of them are asked for in one pass, over a text of as many tokens as there are heads,
 * where at each token only one head is left. Where something follows that is not linear (a norm behind attention), the parts do
 * not sum up to the whole; attention then stands as one part.
 */
export async function partsOf(model: Model, tokens: Uint32Array, position: number): Promise<Part[]> {
  const { nLayer, nEmbd } = model.info;
  const { sites } = await model.trace(tokens, { sites: ["inp_embd", "kqv_out", "attn_out", "ffn_out"], positions: [position] });
  const row = (site: "inp_embd" | "attn_out" | "ffn_out", layer: number) =>
    (sites[site]?.data ?? new Float32Array()).slice(layer * nEmbd, (layer + 1) * nEmbd);
  const heads = await headsOf(model, tokens, sites.kqv_out?.data ?? new Float32Array());
  const parts: Part[] = [{ kind: "embedding", layer: 0, head: 0, vector: row("inp_embd", 0) }];
  for (let layer = 0; layer < nLayer; layer += 1) {
    const whole = row("attn_out", layer);
    const own = heads[layer] ?? [];
    const left = whole.map((x, idx) => own.reduce((sum, vector) => sum - (vector[idx] as number), x));
    if (rms(left) < 0.02 * rms(whole)) own.forEach((vector, head) => parts.push({ kind: "head", layer, head, vector }));
    else parts.push({ kind: "attention", layer, head: 0, vector: whole });
    parts.push({ kind: "network", layer, head: 0, vector: row("ffn_out", layer) });
  }
  return parts;
}

/** What the output projection of each layer makes of each head alone; a bias is shared out between them. */
async function headsOf(model: Model, tokens: Uint32Array, read: Float32Array): Promise<Float32Array[][]> {
  const { nLayer, nHead, nEmbd } = model.info;
  const width = read.length / nLayer;
  const [n, size] = [nHead + 1, width / nHead];
  const list: Intervention[] = [];
  for (let layer = 0; layer < nLayer; layer += 1) {
    for (let at = 0; at < n; at += 1) {
      const only = new Float32Array(width);
      const begin = layer * width + at * size;
      if (at < nHead) only.set(read.subarray(begin, begin + size), at * size);
      list.push({ site: "kqv_out", layer, positions: [at, at + 1], set: only });
    }
  }
  const any = new Uint32Array(n).fill(tokens[0] ?? 0);
  const written = await during(model, list, async () => (await model.trace(any, { sites: ["attn_out"] })).sites.attn_out?.data ?? new Float32Array());
  return Array.from({ length: nLayer }, (_, layer) => {
    const at = (idx: number) => written.subarray((layer * n + idx) * nEmbd, (layer * n + idx + 1) * nEmbd);
    const bias = at(nHead);
    return Array.from({ length: nHead }, (_, head) => at(head).map((x, idx) => x - ((bias[idx] as number) * (nHead - 1)) / nHead));
  });
}

/** What a neuron of a network writes when it has this activation: its part of `ffn_out`. At most 64 neurons. */
export async function neuronsOf(model: Model, token: number, layer: number, neurons: readonly { idx: number; value: number }[]): Promise<Float32Array[]> {
  const { nEmbd, nFf } = model.info;
  const list = Array.from({ length: neurons.length + 1 }, (_, at): Intervention => {
    const set = new Float32Array(nFf);
    const neuron = neurons[at];
    if (neuron) set[neuron.idx] = neuron.value;
    return { site: "ffn_act", layer, positions: [at, at + 1], set };
  });
  const any = new Uint32Array(list.length).fill(token);
  const written = await during(model, list, async () => (await model.trace(any, { sites: ["ffn_out"], layers: [layer] })).sites.ffn_out?.data ?? new Float32Array());
  const at = (idx: number) => written.subarray(idx * nEmbd, (idx + 1) * nEmbd);
  return neurons.map((_, idx) => at(idx).map((x, column) => x - (at(neurons.length)[column] as number)));
}

/** Does something with interventions that are undone before this ends. */
export async function during<T>(model: Model, list: readonly Intervention[], work: () => Promise<T>): Promise<T> {
  const handle = list.length > 0 ? await model.intervene(list) : undefined;
  try {
    return await work();
  } finally {
    await handle?.dispose();
  }
}

/** What one part of a stream says, in logits above their mean, as they are in the whole. */
export interface Speech {
  /** Of the pieces that were asked for. */
  values: number[];
  /** The pieces that it makes likelier, the most first. */
  top: { token: number; p: number }[];
}

/**
 * Reads parts of a residual stream at the output head, with the last norm's divisor as it was for the whole, so that the logits
 * of parts sum up to the whole's. A norm divides by its input's own size: each part is read at size 1, and multiplied with its
 * share of the size of the whole. Where the norm takes the mean away (LayerNorm), sizes are without the mean, and what the output
 * head says of nothing (a bias) belongs to no part.
 */
export async function speechOf(model: Model, vectors: readonly Float32Array[], whole: Float32Array, wanted: readonly number[], still: () => boolean = () => true): Promise<Speech[]> {
  const { nEmbd, nVocab } = model.info;
  const probe = new Float32Array(2 * nEmbd);
  probe.fill(1, 0, nEmbd);
  const answer = await model.project(probe);
  const nothing = answer.slice(nVocab);
  const takesMean = rms(answer.subarray(0, nVocab).map((x, idx) => x - (nothing[idx] as number))) < 1e-3;
  const sizeOf = (vector: Float32Array) => {
    const middle = takesMean ? mean(vector) : 0;
    return rms(vector.map((x) => x - middle));
  };
  const total = sizeOf(whole) || 1;
  const said: Speech[] = [];
  const step = rowsAtATime(model);
  for (let at = 0; at < vectors.length && still(); at += step) {
    const some = vectors.slice(at, at + step);
    const scaled = new Float32Array(some.length * nEmbd);
    some.forEach((vector, idx) => {
      const size = sizeOf(vector) || 1;
      scaled.set(vector.map((x) => x / size), idx * nEmbd);
    });
    const logits = await model.project(scaled);
    some.forEach((vector, idx) => {
      const share = sizeOf(vector) / total;
      const row = logits.subarray(idx * nVocab, (idx + 1) * nVocab).map((x, token) => (x - (nothing[token] as number)) * share);
      const middle = mean(row);
      said.push({ values: wanted.map((token) => (row[token] as number) - middle), top: best(row, N_TOP).map(({ token, p }) => ({ token, p: p - middle })) });
    });
  }
  return said;
}

/** The sum of vectors: the stream that they flow into. */
export function sumOf(vectors: readonly Float32Array[]): Float32Array {
  const sum = new Float32Array(vectors[0]?.length ?? 0);
  for (const vector of vectors) vector.forEach((x, idx) => (sum[idx] = (sum[idx] as number) + x));
  return sum;
}
