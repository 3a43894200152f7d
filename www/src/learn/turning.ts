/**
 * How a model turns its keys: found in keys of one token at many positions, which differ in nothing else.
 * @module
 */

/** Which two numbers of a head are turned together. */
export interface Turning {
  pair: (idx: number) => [number, number];
  /** How many pairs there are. */
  n: number;
}

/** A vector of two numbers, turned. */
export const turn = ([x, y]: [number, number], angle: number): [number, number] => [
  x * Math.cos(angle) - y * Math.sin(angle),
  x * Math.sin(angle) + y * Math.cos(angle),
];

export const dotOf = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  let sum = 0;
  for (let idx = 0; idx < a.length; idx += 1) sum += (a[idx] as number) * (b[idx] as number);
  return sum;
};

/** By how much, of itself, the length of a pair that is only turned may change: what rounding leaves. */
const WOBBLE = 1e-3;

/**
 * The way in which keys are paired: neighbours (as in llama), or a number with the one half a head (or half the turned part) on.
 * In the right way a pair keeps its length while it turns; in a wrong one it does not. `"still"` where all keys are the same;
 * `"moved"` where they are not, and no turning explains it: the model adds something that depends on the position.
 */
export function turning(keys: readonly Float32Array[]): Turning | "still" | "moved" {
  const width = keys[0]?.length ?? 0;
  const moved = keys[1]?.some((x, idx) => Math.abs(x - (keys[0]?.[idx] ?? 0)) > 1e-3 * Math.abs(x) + 1e-5);
  if (!moved) return "still";
  // The widest first: of a part that is not turned, pairs of any kind keep their lengths.
  const halves = Array.from({ length: Math.floor(width / 2) }, (_, idx) => Math.floor(width / 2) - idx);
  const ways: Turning[] = halves.map((half) => ({ pair: (idx) => [idx, idx + half], n: half }));
  ways.unshift({ pair: (idx) => [2 * idx, 2 * idx + 1], n: Math.floor(width / 2) });
  return ways.find((way) => wobble(keys, way) < WOBBLE) ?? "moved";
}

/** How much the lengths of the fastest pairs change at most, of themselves. */
function wobble(keys: readonly Float32Array[], { pair, n }: Turning): number {
  let most = 0;
  for (let idx = 0; idx < Math.min(4, n); idx += 1) {
    const [a, b] = pair(idx);
    const lengths = keys.slice(0, 8).map((key) => Math.hypot(key[a] ?? 0, key[b] ?? 0));
    most = Math.max(most, (Math.max(...lengths) - Math.min(...lengths)) / (Math.max(...lengths) || 1));
  }
  return most;
}

/** By how much each pair turns from one position to the next, in radians from −π to π. */
export function anglesOf(keys: readonly Float32Array[], { pair, n }: Turning): number[] {
  const [from, to] = [keys[0] ?? new Float32Array(), keys[1] ?? new Float32Array()];
  return Array.from({ length: n }, (_, idx) => {
    const [a, b] = pair(idx);
    const [x, y, u, v] = [from[a] ?? 0, from[b] ?? 0, to[a] ?? 0, to[b] ?? 0];
    return Math.atan2(x * v - y * u, x * u + y * v);
  });
}
