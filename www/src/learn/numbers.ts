/**
 * The arithmetic of the figures, on numbers that the engine gave.
 * @module
 */

/** Up to so many are kept in order while a list is gone through once; for more, it is sorted. */
const FEW = 64;
/** Rounds of power iteration, where two directions are hard to tell apart. */
const MOST_ROUNDS = 2000;

/** softmax(x / temperature); at temperature 0 all of it on the largest. */
export function softmax(logits: ArrayLike<number>, temperature = 1): Float64Array {
  let max = -Infinity;
  for (let idx = 0; idx < logits.length; idx += 1) max = Math.max(max, logits[idx] as number);
  const probs = new Float64Array(logits.length);
  let sum = 0;
  for (let idx = 0; idx < logits.length; idx += 1) {
    const x = (logits[idx] as number) - max;
    const p = temperature > 0 ? Math.exp(x / temperature) : Number(x === 0);
    probs[idx] = p;
    sum += p;
  }
  return probs.map((p) => p / sum);
}

/** How a distribution is cut before the draw. */
export interface Cut {
  topK: number;
  topP: number;
  minP: number;
}

/** The tokens that stay, the most probable first, with probabilities that sum to 1 again. */
export function cut(probs: Float64Array, { topK, topP, minP }: Cut): { token: number; p: number }[] {
  const sorted = best(probs, topK > 0 ? Math.min(topK, probs.length) : probs.length);
  const kept: { token: number; p: number }[] = [];
  const total = sorted.reduce((sum, { p }) => sum + p, 0);
  let sum = 0;
  for (const one of sorted) {
    if (one.p <= 0 || (kept.length > 0 && (sum >= topP * total || one.p < minP * (sorted[0]?.p ?? 0)))) break;
    kept.push(one);
    sum += one.p;
  }
  return kept.map(({ token, p }) => ({ token, p: p / sum }));
}

/** The `n` largest, the largest first; of equals the lower token first. */
export function best(values: ArrayLike<number>, n: number): { token: number; p: number }[] {
  if (n > FEW) {
    const order = Array.from({ length: values.length }, (_, token) => token);
    order.sort((a, b) => (values[b] as number) - (values[a] as number) || a - b);
    return order.slice(0, n).map((token) => ({ token, p: values[token] as number }));
  }
  const top: { token: number; p: number }[] = [];
  for (let token = 0; token < values.length; token += 1) {
    const p = values[token] as number;
    if (top.length === n && !(p > (top[n - 1]?.p ?? -Infinity))) continue;
    let at = top.length;
    while (at > 0 && (top[at - 1]?.p as number) < p) at -= 1;
    top.splice(at, 0, { token, p });
    if (top.length > n) top.pop();
  }
  return top;
}

/** How much of one distribution the other has not: Σ p ln(p / q), in nats. */
export function divergence(p: Float64Array, q: Float64Array): number {
  return p.reduce((sum, x, idx) => (x > 0 ? sum + x * Math.log(x / Math.max(q[idx] as number, 1e-30)) : sum), 0);
}

/** The cosine of the angle between two vectors. */
export function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [ab, aa, bb] = [0, 0, 0];
  for (let idx = 0; idx < a.length; idx += 1) {
    const [x, y] = [a[idx] as number, b[idx] as number];
    [ab, aa, bb] = [ab + x * y, aa + x * x, bb + y * y];
  }
  return ab / Math.sqrt(aa * bb || 1);
}

/**
 * The two directions in which rows differ most, by power iteration on what is left of the rows; each row's place along them.
 * The start is fixed, so that the same rows give the same map.
 */
export function pca(rows: readonly Float32Array[]): [number, number][] {
  const width = rows[0]?.length ?? 0;
  const mean = new Float64Array(width);
  for (const row of rows) row.forEach((x, idx) => (mean[idx] = (mean[idx] as number) + x / rows.length));
  const left = rows.map((row) => Float64Array.from(row, (x, idx) => x - (mean[idx] as number)));
  const places = rows.map((): [number, number] => [0, 0]);
  for (const axis of [0, 1]) {
    let direction = Float64Array.from({ length: width }, (_, idx) => Math.sin(idx * (axis + 1) + 1));
    let moved = 1;
    for (let round = 0; round < MOST_ROUNDS && moved > 1e-14; round += 1) {
      const next = new Float64Array(width);
      for (const row of left) {
        const along = dot(row, direction);
        row.forEach((x, idx) => (next[idx] = (next[idx] as number) + along * x));
      }
      const length = Math.sqrt(dot(next, next)) || 1;
      const before = direction;
      direction = next.map((x) => x / length);
      moved = 1 - dot(direction, before) ** 2;
    }
    left.forEach((row, idx) => {
      const along = dot(row, direction);
      (places[idx] as [number, number])[axis as 0 | 1] = along;
      row.forEach((x, at) => (row[at] = x - along * (direction[at] as number)));
    });
  }
  return places;
}

function dot(a: Float64Array, b: Float64Array): number {
  return a.reduce((sum, x, idx) => sum + x * (b[idx] as number), 0);
}

/** One head's attention: softmax(q · kᵀ / √d, without the future) · v. */
export function attend(q: number[][], k: number[][], v: number[][], masked: boolean, divisor: number) {
  const inner = (a: number[], b: number[]) => a.reduce((sum, x, idx) => sum + x * (b[idx] ?? 0), 0);
  const scores = q.map((row) => k.map((key) => inner(row, key) / divisor));
  const weights = scores.map((row, i) => [...softmax(row.map((x, j) => (masked && j > i ? -Infinity : x)))]);
  const out = weights.map((row) => (v[0] ?? []).map((_, at) => row.reduce((sum, w, j) => sum + w * ((v[j] ?? [])[at] ?? 0), 0)));
  return { scores, weights, out };
}

/** The root of the mean of the squares. */
export function rms(values: ArrayLike<number>): number {
  let sum = 0;
  for (let idx = 0; idx < values.length; idx += 1) sum += (values[idx] as number) ** 2;
  return Math.sqrt(sum / Math.max(values.length, 1));
}

/** The arithmetic mean. */
export function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let idx = 0; idx < values.length; idx += 1) sum += values[idx] as number;
  return sum / Math.max(values.length, 1);
}

/**
 * Values rounded as a block format does it: each `block` of them shares one scale, d = max |x| / (2^(bits − 1) − 1), and each
 * becomes the nearest whole number of d's. (Q8_0 is 8 bits in blocks of 32; ggml's 4-bit formats choose d a little otherwise.)
 */
export function quantize(values: ArrayLike<number>, bits: number, block: number): Float64Array {
  const most = 2 ** (bits - 1) - 1;
  const out = new Float64Array(values.length);
  for (let at = 0; at < values.length; at += block) {
    let largest = 0;
    const end = Math.min(at + block, values.length);
    for (let idx = at; idx < end; idx += 1) largest = Math.max(largest, Math.abs(values[idx] as number));
    const d = largest / most || 1;
    for (let idx = at; idx < end; idx += 1) out[idx] = Math.round((values[idx] as number) / d) * d;
  }
  return out;
}

/** How a head spreads its attention over a text, each from 0 to 1: means over the tokens that have a choice. */
export interface Habits {
  /** The share of the token before, of the first token, and of the token itself. */
  previous: number;
  first: number;
  self: number;
  /** The entropy, of the most that there could be. */
  spread: number;
}

/** The habits of a head with these attention weights, T × T. The first token has no choice, and does not count. */
export function habitsOf(weights: ArrayLike<number>, nTokens: number): Habits {
  const habits = { previous: 0, first: 0, self: 0, spread: 0 };
  const rows = Math.max(nTokens - 1, 1);
  for (let at = 1; at < nTokens; at += 1) {
    const w = (other: number) => weights[at * nTokens + other] as number;
    habits.previous += w(at - 1) / rows;
    habits.first += w(0) / rows;
    habits.self += w(at) / rows;
    let entropy = 0;
    for (let other = 0; other <= at; other += 1) if (w(other) > 0) entropy -= w(other) * Math.log(w(other));
    habits.spread += entropy / Math.log(at + 1) / rows;
  }
  return habits;
}
