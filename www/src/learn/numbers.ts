/**
 * The arithmetic of the figures, on numbers that the engine gave.
 * @module
 */

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
  const order = Array.from({ length: values.length }, (_, token) => token);
  order.sort((a, b) => (values[b] as number) - (values[a] as number) || a - b);
  return order.slice(0, n).map((token) => ({ token, p: values[token] as number }));
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
    for (let round = 0; round < 60; round += 1) {
      const next = new Float64Array(width);
      for (const row of left) {
        const along = dot(row, direction);
        row.forEach((x, idx) => (next[idx] = (next[idx] as number) + along * x));
      }
      const length = Math.sqrt(dot(next, next)) || 1;
      direction = next.map((x) => x / length);
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
