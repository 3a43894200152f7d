import type { Recording } from "./trace.js";

/** A block of the first Transformer; T is nTokens, D nEmbd, H nHead, F nFf. */
export interface TextbookBlock {
  nTokens: number;
  nEmbd: number;
  /** D is a multiple of it. */
  nHead: number;
  nFf: number;
  /** The input: T × D numbers. */
  x: ArrayLike<number>;
  /**
   * The state of PyTorch's `nn.TransformerEncoderLayer`, one tensor behind the other in its order: `in_proj_weight` (3·D × D:
   * queries, keys, values), `in_proj_bias`, `out_proj` (weight, then bias, as all that follow), `linear1` (F × D), `linear2`
   * (D × F), `norm1`, `norm2`.
   */
  weights: ArrayLike<number>;
  /** Whether a token sees those before it alone; `true` by default. */
  causal?: boolean;
  /** What scores are multiplied by; 1 / √(D / H) by default. */
  scale?: number;
}

type Axis = "nTokens" | "nEmbd" | "nHead" | "nFf";

/** The steps, in order of computation, with the axes of each. */
const STEPS = {
  /** Queries, keys and values. */
  q: ["nTokens", "nEmbd"],
  k: ["nTokens", "nEmbd"],
  v: ["nTokens", "nEmbd"],
  /** Scaled scores, those of the future too. */
  scores: ["nHead", "nTokens", "nTokens"],
  /** The attention weights, after mask and softmax. */
  weights: ["nHead", "nTokens", "nTokens"],
  /** What the heads read, side by side. */
  heads: ["nTokens", "nEmbd"],
  /** Attention's output. */
  attn: ["nTokens", "nEmbd"],
  /** x + attn */
  sum1: ["nTokens", "nEmbd"],
  norm1: ["nTokens", "nEmbd"],
  linear1: ["nTokens", "nFf"],
  /** linear1 after ReLU. */
  hidden: ["nTokens", "nFf"],
  /** The feed-forward network's output. */
  ffn: ["nTokens", "nEmbd"],
  /** norm1 + ffn */
  sum2: ["nTokens", "nEmbd"],
  /** The block's output: sum2, normalised. */
  out: ["nTokens", "nEmbd"],
} as const satisfies Record<string, readonly Axis[]>;

/** What a block computes, step by step. */
export type BlockSteps = Record<keyof typeof STEPS, Recording>;

/** A block as it crosses to the engine. */
export function toBlock({ nTokens, nEmbd, nHead, nFf, x, weights, causal = true, scale = 1 / Math.sqrt(nEmbd / nHead) }: TextbookBlock) {
  const values = new Float32Array(1 + x.length + weights.length);
  values[0] = scale;
  values.set(x, 1);
  values.set(weights, 1 + x.length);
  return { shape: Uint32Array.of(nTokens, nEmbd, nHead, nFf, Number(causal)), values };
}

/** The steps that the engine gave one behind the other: views, no copies. */
export function toSteps(block: TextbookBlock, values: Float32Array<ArrayBuffer>): BlockSteps {
  const steps: Record<string, Recording> = {};
  let at = 0;
  for (const [name, axes] of Object.entries<readonly Axis[]>(STEPS)) {
    const shape = axes.map((axis) => block[axis]);
    const end = at + shape.reduce((a, b) => a * b, 1);
    steps[name] = { shape, data: values.subarray(at, end) };
    at = end;
  }
  return steps as BlockSteps;
}
