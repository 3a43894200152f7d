/**
 * A text as the workbench reads it, once: what every figure draws from.
 * @module
 */

import type { Intervention, Model } from "pagelm";
import { during } from "../learn/attribution.js";
import { creditMap, creditOf, type Credit } from "../learn/attributing.js";
import { namesOf, tokensOf } from "../learn/lesson.js";
import { HABITS } from "../learn/head-map.js";
import { softmax } from "../learn/numbers.js";

/** Tokens that are read: of a longer text its first and its last ones. */
export const MOST_TOKENS = 64;

/** What heads can be coloured by. */
export const MEASURES = ["credit", ...HABITS] as const;
export type Measure = (typeof MEASURES)[number];

/** A text, and what the model made of it. */
export interface Reading {
  model: Model;
  tokens: Uint32Array;
  pieces: readonly string[];
  /** Switched off while this was read. */
  off: readonly Intervention[];
  /** Of a layer's head, T × T. */
  weights: (layer: number, head: number) => Float32Array;
  /** What may come after a token. */
  logits: (position: number) => Float32Array;
  /** The stream behind a layer at a token: nEmbd numbers. */
  stream: (layer: number, position: number) => Float32Array;
}

/** Reads a text, with parts switched off or not. */
export async function readText(model: Model, text: string, off: readonly Intervention[] = []): Promise<Reading | undefined> {
  const all = await tokensOf(model, text, Infinity);
  const most = Math.min(MOST_TOKENS, model.info.nCtx);
  const tokens = all.length <= most ? all : Uint32Array.from([all[0] as number, ...all.subarray(all.length - most + 1)]);
  const n = tokens.length;
  if (n === 0) return undefined;
  const { nHead, nVocab, nEmbd } = model.info;
  const { sites } = await during(model, off, () => model.trace(tokens, { sites: ["kq_soft_max", "l_out", "result_output"] }));
  const [weights, streams, logits] = [sites.kq_soft_max, sites.l_out, sites.result_output].map((one) => one?.data ?? new Float32Array()) as [Float32Array, Float32Array, Float32Array];
  return {
    model,
    tokens,
    off,
    pieces: await namesOf(model, tokens),
    weights: (layer, head) => weights.subarray((layer * nHead + head) * n * n, (layer * nHead + head + 1) * n * n),
    logits: (position) => logits.subarray(position * nVocab, (position + 1) * nVocab),
    stream: (layer, position) => streams.subarray((layer * n + position) * nEmbd, (layer * n + position + 1) * nEmbd),
  };
}

/** One value for each head, and for the network of each layer where the measure says something of it. */
export interface Values {
  heads: readonly (number | undefined)[];
  networks: readonly number[] | undefined;
  most: number;
  credit: Credit | undefined;
  /** Whether a layer's heads cannot be told apart: each then has an even share of what they say together. */
  whole: boolean;
}

/** What the heads are coloured by at one token. `undefined`: it is no longer wanted. */
export async function valuesOf(reading: Reading, position: number, target: number, measure: Measure, still: () => boolean): Promise<Values | undefined> {
  const { model, tokens, off } = reading;
  if (measure === "credit") {
    const credit = await during(model, off, () => creditOf(model, tokens, position, target, still));
    if (!credit) return undefined;
    const { heads, networks, attention, most, whole } = creditMap(model, credit);
    const shares = whole ? heads.map((_, idx) => (attention[Math.floor(idx / model.info.nHead)] ?? 0) / model.info.nHead) : heads;
    return { heads: shares, networks, most, credit, whole };
  }
  const n = tokens.length;
  const at = (row: Float32Array) => {
    if (measure === "spread") return position === 0 ? 0 : -row.reduce((sum, w) => (w > 0 ? sum + w * Math.log(w) : sum), 0) / Math.log(position + 1);
    const column = { previous: Math.max(position - 1, 0), first: 0, self: position }[measure];
    return row[column] as number;
  };
  const { nLayer, nHead } = model.info;
  const heads = Array.from({ length: nLayer * nHead }, (_, idx) => {
    const all = reading.weights(Math.floor(idx / nHead), idx % nHead);
    return at(all.subarray(position * n, position * n + position + 1));
  });
  return { heads, networks: undefined, most: 1, credit: undefined, whole: false };
}

/** The probabilities of what may come after a token. */
export const nextOf = (reading: Reading, position: number) => softmax(reading.logits(position));
