import { PageLmError } from "./errors.js";

/**
 * The named steps of the forward pass, in order of computation; llama.cpp's names. D is nEmbd, H nHead, K nHeadKv, Dh headDim,
 * F nFf, V nVocab. The engine knows them by their place in this list.
 *
 * | site | what it is | width |
 * | --- | --- | --- |
 * | `inp_embd` | embeddings | D |
 * | `attn_norm` | the normalised input of attention | D |
 * | `Qcur`, `Kcur`, `Vcur` | queries and keys, turned to their positions, and values | H·Dh, K·Dh, K·Dh |
 * | `kq` | scores of a head and a token against all positions up to it, before scaling | nTokens |
 * | `kq_soft_max` | the attention weights | nTokens |
 * | `kqv_out` | what the heads read, side by side | H·Dh |
 * | `attn_out` | attention's contribution to the residual stream | D |
 * | `ffn_inp` | the residual stream between attention and feed-forward | D |
 * | `ffn_norm` | the normalised input of the feed-forward network | D |
 * | `ffn_gate`, `ffn_up` | its projections | F |
 * | `ffn_act` | the hidden neurons, after the nonlinearity | F |
 * | `ffn_out` | its contribution to the residual stream | D |
 * | `l_out` | the residual stream after a layer | D |
 * | `result_norm` | the normalised input of the output head | D |
 * | `result_output` | the logits | V |
 */
export const SITES = [
  "inp_embd",
  "attn_norm",
  "Qcur",
  "Kcur",
  "Vcur",
  "kq",
  "kq_soft_max",
  "kqv_out",
  "attn_out",
  "ffn_inp",
  "ffn_norm",
  "ffn_gate",
  "ffn_up",
  "ffn_act",
  "ffn_out",
  "l_out",
  "result_norm",
  "result_output",
] as const;

/** The name of a step of the forward pass: see {@link SITES}. */
export type Site = (typeof SITES)[number];

/** What is to be recorded; what is left out is everything. */
export interface TraceOptions {
  sites: readonly Site[];
  layers?: readonly number[];
  /** Query heads, at `kq` and `kq_soft_max`; the other sites hold all heads side by side. */
  heads?: readonly number[];
  /** Tokens of the text, counted from 0. */
  positions?: readonly number[];
}

/** What was recorded at one site. */
export interface Recording {
  /**
   * `[layers, positions, width]`; at `kq` and `kq_soft_max` `[layers, heads, positions, tokens]`, with 0 behind each row's own
   * position. There is one layer at the sites outside the layers (`inp_embd`, `result_norm`, `result_output`).
   */
  shape: readonly number[];
  data: Float32Array<ArrayBuffer>;
}

/** What was recorded of a text. */
export interface Trace {
  tokens: Uint32Array;
  layers: readonly number[];
  heads: readonly number[];
  positions: readonly number[];
  sites: Partial<Record<Site, Recording>>;
}

/**
 * A change that is made to what flows through a site; what is left out is everything. One of `scale`, `add`, `set` and `force`
 * says what is done.
 */
export interface Intervention {
  site: Site;
  layer?: number;
  /** A query head: at `kq`, `kq_soft_max`, `Qcur` and `kqv_out`. */
  head?: number;
  /** From the first to before the second. */
  positions?: readonly [number, number];
  /** Values of each row, from the first to before the second: a neuron of `ffn_act`, for example. */
  columns?: readonly [number, number];
  /** Multiplies; 0 switches off. */
  scale?: number;
  /** Adds one value for each column: a steering vector. */
  add?: Float32Array | readonly number[];
  /** Puts one value for each column in their place: a patch. */
  set?: Float32Array | readonly number[];
  /** At `result_output`: the one token that stays possible. */
  force?: number;
}

/** Interventions that are installed. */
export interface Intervening {
  /** Undoes them; the bits are then as before. */
  dispose(): Promise<void>;
}

/** An intervention as it crosses to the engine: 8 numbers, and values. */
export type WireIntervention = [Uint32Array, Float32Array];

/** Leaves a bound open. */
const OPEN = 0xffff_ffff;

/** Where a site stands in the list. */
function siteIdx(site: Site): number {
  const idx = SITES.indexOf(site);
  if (idx >= 0) return idx;
  throw new PageLmError("argument", `There is no site “${String(site)}”. The sites are ${SITES.join(", ")}.`);
}

/** What a model has, as far as traces need to know. */
type Shape = Record<"nLayer" | "nHead" | "headDim", number>;

/**
 * A selection with nothing left open.
 *
 * # Errors
 * `argument` for a site that has another name, and for what is no count.
 */
export function toSelection(options: TraceOptions, { nLayer, nHead }: Shape, nTokens: number) {
  const upTo = (n: number) => Array.from({ length: n }, (_, idx) => idx);
  const list = (of: readonly number[] | undefined, n: number, what: string) => {
    const taken = of ?? upTo(n);
    if (taken.every((idx) => idx >>> 0 === idx && idx < n)) return Uint32Array.from(taken);
    throw new PageLmError("argument", `${what} must be whole numbers below ${n}, not ${taken.join(", ")}.`);
  };
  return {
    sites: Uint32Array.from(options.sites, siteIdx),
    layers: list(options.layers, nLayer, "layers"),
    heads: list(options.heads, nHead, "heads"),
    positions: list(options.positions, nTokens, "positions"),
  };
}

/** What the engine recorded, with its shapes. */
export function toTrace(
  tokens: Uint32Array,
  { sites, layers, heads, positions }: ReturnType<typeof toSelection>,
  arrays: readonly Float32Array<ArrayBuffer>[],
): Trace {
  const recordings: Trace["sites"] = {};
  sites.forEach((idx, at) => {
    const [site, data] = [SITES[idx] as Site, arrays[at] as Float32Array<ArrayBuffer>];
    const outside = site === "inp_embd" || site.startsWith("result_");
    const rows = [outside ? 1 : layers.length, ...(site.startsWith("kq") && site !== "kqv_out" ? [heads.length] : []), positions.length];
    recordings[site] = { data, shape: [...rows, data.length / (rows.reduce((a, b) => a * b, 1) || 1)] };
  });
  return { tokens, layers: [...layers], heads: [...heads], positions: [...positions], sites: recordings };
}

/**
 * An intervention as it crosses.
 *
 * # Errors
 * `argument` where it does not say exactly one thing that is to be done, or a number is none.
 */
export function toWireIntervention(one: Intervention, { headDim }: Shape): WireIntervention {
  const { site, layer = OPEN, head = OPEN, positions = [0, OPEN], scale, add, set, force } = one;
  const actions = [scale, add, set, force];
  const action = actions.findIndex((value) => value !== undefined);
  const what = actions[action];
  if (what === undefined || actions.filter((value) => value !== undefined).length > 1) {
    throw new PageLmError("argument", "An intervention needs one of scale, add, set and force, and no more than one.");
  }
  const sideBySide = head !== OPEN && (site === "Qcur" || site === "kqv_out");
  const columns = one.columns ?? (sideBySide ? [head * headDim, (head + 1) * headDim] : [0, OPEN]);
  const numbers = [siteIdx(site), layer, sideBySide ? OPEN : head, ...positions, ...columns, action];
  if (numbers.length !== 8 || !numbers.every((n) => n >>> 0 === n)) {
    throw new PageLmError("argument", "Layers, heads, positions and columns must be whole numbers from 0 on.");
  }
  if (force !== undefined && force >>> 0 !== force) throw new PageLmError("argument", `${force} is not a token.`);
  return [Uint32Array.from(numbers), Float32Array.from(typeof what === "number" ? [what] : what)];
}
