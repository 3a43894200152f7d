/**
 * The textbook's block on recorded random weights, with what PyTorch computed at each step: textbook.json is made by
 * tests/conformance/block.py.
 * @module
 */

import recorded from "./textbook.json" with { type: "json" };

/** The steps in order of computation, as the engine names them. */
export const STEPS = ["q", "k", "v", "scores", "weights", "heads", "attn", "sum1", "norm1", "linear1", "hidden", "ffn", "sum2", "out"] as const;
export type Step = (typeof STEPS)[number];

/** The textbook's own form, and those met in articles. */
export const VARIANTS = ["textbook", "noMask", "sharedHeads", "byWidth"] as const;
export type Variant = (typeof VARIANTS)[number];

/** One recorded computation. */
export interface Case {
  nTokens: number;
  nEmbd: number;
  nHead: number;
  nFf: number;
  causal: boolean;
  scale: number;
  /** T × D */
  x: readonly number[];
  /** PyTorch's state_dict of nn.TransformerEncoderLayer, one tensor behind the other. */
  weights: readonly number[];
  /** What PyTorch computed. */
  steps: Record<Step, readonly number[]>;
}

/** A variant's recorded numbers. */
export function caseOf(variant: Variant): Case {
  const { cases, ...common } = recorded;
  const own = cases.find(({ name }) => name === variant) ?? cases[0];
  return { ...common, ...(own as Omit<Case, keyof typeof common>) };
}

/** The inputs with the last token's first number moved. */
export function inputOf(x: readonly number[], nEmbd: number, by: number): number[] {
  return x.map((value, idx) => (idx === x.length - nEmbd ? value + by : value));
}

/** The largest difference between two lists of numbers. */
export function furthest(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let most = a.length === b.length ? 0 : Infinity;
  for (let idx = 0; idx < Math.min(a.length, b.length); idx += 1) most = Math.max(most, Math.abs((a[idx] as number) - (b[idx] as number)));
  return most;
}
