import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test, vi } from "vitest";
import { Address } from "../src/learn/address.js";
import { secondsFor } from "../src/learn/cost.js";
import { csv } from "../src/learn/export.js";
import { EVERY_BYTE } from "../src/learn/names.js";
import { attend, best, cut, divergence, habitsOf, pca, quantize, rms, softmax } from "../src/learn/numbers.js";
import { strings } from "../src/learn/strings/index.js";
import { caseOf, furthest, inputOf, STEPS, VARIANTS } from "../src/learn/textbook.js";
import { anglesOf, turn, type Turning, turning } from "../src/learn/turning.js";

test("every string is in both languages, with the same names to fill in", () => {
  const names = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(([name]) => name).sort();
  expect(Object.keys(strings.zh).sort()).toEqual(Object.keys(strings.en).sort());
  for (const [key, text] of Object.entries(strings.en)) {
    const chinese = strings.zh[key as keyof typeof strings.en];
    expect(names(chinese), key).toEqual(names(text));
    expect(chinese.split("**").length, key).toBe(text.split("**").length);
    expect(chinese.split("\n").length, key).toBe(text.split("\n").length);
    expect(text.trim(), key).not.toBe("");
    expect(chinese.trim(), key).not.toBe("");
    const isForTheModel = /[dD]efault$|people$|known$|^bench\.[ab]$|opK$|opP$|inP$/.test(key); // what the model reads, and names of things
    if (!isForTheModel) expect(chinese, key).toMatch(/[\u4e00-\u9fff]/);
  }
});

test("no string is asked for that is not there, and none is there for nothing", () => {
  const folders = ["../src/learn", "../src/learn/lessons", "../src/workbench"].map((path) => fileURLToPath(new URL(path, import.meta.url)));
  const source = folders.flatMap((folder) => readdirSync(folder).filter((name) => name.endsWith(".ts")).map((name) => readFileSync(`${folder}/${name}`, "utf8"))).join("\n");
  const asked = [...source.matchAll(/\bt\("([\w.-]+)"/g), ...source.matchAll(/figure\(context, "([\w.-]+)"/g)].map(([, key]) => key as string);
  expect(asked.filter((key) => !(key in strings.en))).toEqual([]);
  const lessons = /^(tokens|vectors|positions|attention|block|choice|lens|who|speed|limits)\.(title|ask|note)$/;
  const made = /^(error|habits|block\.step|bench\.compare|credit|attention|builtin)\./; // names that are put together
  const unused = Object.keys(strings.en).filter((key) => !source.includes(`"${key}"`) && !lessons.test(key) && !made.test(key));
  expect(unused).toEqual([]);
});

test("what PyTorch computed in the textbook's block has the shapes of its steps, and variants differ where they should", () => {
  const { nTokens: T, nEmbd: D, nHead: H, nFf: F, weights } = caseOf("textbook");
  expect(weights).toHaveLength(3 * D * D + 3 * D + D * D + D + F * D + F + D * F + D + 4 * D);
  for (const variant of VARIANTS) {
    const { steps } = caseOf(variant);
    expect(Object.keys(steps)).toEqual([...STEPS]);
    expect(STEPS.map((step) => steps[step].length)).toEqual([T * D, T * D, T * D, H * T * T, H * T * T, T * D, T * D, T * D, T * D, T * F, T * F, T * D, T * D, T * D]);
  }
  const [plain, free, shared, scaled] = VARIANTS.map((variant) => caseOf(variant).steps) as [ReturnType<typeof caseOf>["steps"], ReturnType<typeof caseOf>["steps"], ReturnType<typeof caseOf>["steps"], ReturnType<typeof caseOf>["steps"]];
  expect(furthest(plain.scores, free.scores)).toBe(0);
  expect(furthest(plain.weights, free.weights)).toBeGreaterThan(0.01);
  expect(plain.q.slice(0, D / H).every((x, idx) => Math.abs(x - (shared.q[idx] as number)) < 1e-6)).toBe(true);
  expect(shared.q.slice(0, D / H).every((x, idx) => Math.abs(x - (shared.q[D / H + idx] as number)) < 1e-6)).toBe(true);
  expect((scaled.scores[0] as number) * Math.SQRT2).toBeCloseTo(plain.scores[0] as number, 4);
  expect(inputOf([1, 2, 3, 4], 2, 0.5)).toEqual([1, 2, 3.5, 4]);
});

test("the way in which keys turn is found in them", () => {
  const pairs = [0.9, 0.3, 0.1, 0.01];
  const start = Float32Array.from([1, 0.5, -0.3, 0.8, 0.2, -1, 0.6, 0.4]);
  const turned = (pair: (idx: number) => [number, number]) =>
    Array.from({ length: 12 }, (_, at) => {
      const key = start.slice();
      pairs.forEach((angle, idx) => {
        const [a, b] = pair(idx);
        [key[a], key[b]] = turn([start[a] as number, start[b] as number], angle * at) as [number, number];
      });
      return key;
    });
  for (const pair of [(idx: number) => [2 * idx, 2 * idx + 1] as [number, number], (idx: number) => [idx, idx + 4] as [number, number]]) {
    const keys = turned(pair);
    const way = turning(keys) as Turning;
    expect(way.pair(1)).toEqual(pair(1));
    expect(anglesOf(keys, way).map((x) => Number(x.toFixed(4)))).toEqual(pairs);
  }
  expect(turning([start, start, start])).toBe("still");
  expect(turning([start, start.map((x) => x + 0.1), start.map((x) => x * 2)])).toBe("moved");
  // The first two pairs of a part that is two fifths of the whole, as in phi2.
  const part = (turning(Array.from({ length: 12 }, (_, at) => {
    const key = Float32Array.from([...start, 0.7, -0.2]);
    [0, 1].forEach((idx) => {
      const [a, b] = [idx, idx + 2];
      [key[a], key[b]] = turn([key[a] as number, key[b] as number], (pairs[idx] as number) * at) as [number, number];
    });
    return key;
  })) as Turning);
  expect([part.n, part.pair(1)]).toEqual([2, [1, 3]]);
});

test("the letters that bytes are learned from have all of them, and no half of one", () => {
  expect(EVERY_BYTE.filter((letter) => /^[\ud800-\udfff]$/.test(letter))).toEqual([]);
  const bytes = new Set(EVERY_BYTE.flatMap((letter) => [...new TextEncoder().encode(letter)]));
  const missing = Array.from({ length: 128 }, (_, idx) => idx + 128).filter((byte) => !bytes.has(byte));
  expect(missing).toEqual([0xc0, 0xc1, ...Array.from({ length: 11 }, (_, idx) => 0xf5 + idx)]); // UTF-8 has none of them
});

test("the arithmetic of the figures", () => {
  expect([...softmax([1, 1])]).toEqual([0.5, 0.5]);
  expect([...softmax([1, 3, 2], 0)]).toEqual([0, 1, 0]);
  const probs = Float64Array.of(0.5, 0.3, 0.15, 0.05);
  expect(cut(probs, { topK: 2, topP: 1, minP: 0 }).map(({ p }) => p.toFixed(3))).toEqual(["0.625", "0.375"]);
  expect(cut(probs, { topK: 0, topP: 0.7, minP: 0 })).toHaveLength(2);
  expect(cut(probs, { topK: 0, topP: 1, minP: 0.2 })).toHaveLength(3);
  expect(divergence(probs, probs)).toBe(0);
  const masked = attend([[1, 0], [0, 1]], [[1, 0], [0, 1]], [[1, 2], [3, 4]], true, 1);
  expect(masked.weights[0]).toEqual([1, 0]);
  expect(masked.out[0]).toEqual([1, 2]);
  const places = pca([[0, 0, 1], [2, 0, 1], [4, 0, 1], [2, 1, 1]].map((row) => Float32Array.from(row)));
  expect(Math.abs((places[2]?.[0] ?? 0) - (places[0]?.[0] ?? 0))).toBeCloseTo(4, 1);
  // Two directions of nearly the same extent, turned by 30° against the axes, behind a larger one.
  const [cos30, sin30] = [Math.cos(Math.PI / 6), 0.5];
  const arms = [[3, 0, 0], [0, cos30, sin30], [0, -0.98 * sin30, 0.98 * cos30]];
  const close = pca(arms.flatMap((arm) => [1, -1].map((sign) => Float32Array.from(arm, (x) => sign * x))));
  expect(close.map(([x, y]) => [Math.abs(x).toFixed(3), Math.abs(y).toFixed(3)].join(" "))).toEqual(["3.000 0.000", "3.000 0.000", "0.000 1.000", "0.000 1.000", "0.000 0.000", "0.000 0.000"]);
  expect(best([1, 3, 3, 2], 3).map(({ token }) => token)).toEqual([1, 2, 3]);
  const many = Float64Array.from({ length: 500 }, (_, idx) => Math.sin(idx * idx));
  expect(best(many, 20)).toEqual(best(many, 100).slice(0, 20));
  expect([...quantize([1, -0.5, 0.26, 0], 3, 4)].map((x) => x.toFixed(3))).toEqual(["1.000", "-0.333", "0.333", "0.000"]);
  const errors = [2, 4, 8].map((bits) => rms(many.map((x, idx) => x - (quantize(many, bits, 32)[idx] as number))));
  expect(errors[0]).toBeGreaterThan((errors[1] as number) * 3);
  expect(errors[1]).toBeGreaterThan((errors[2] as number) * 10);
  expect(habitsOf([1, 0, 0, 0.75, 0.25, 0, 0, 1, 0], 3)).toMatchObject({ previous: 0.875, first: 0.375, self: 0.125 });
  expect(csv([["a", 'say "x"'], ["1,5", 2]])).toBe('a,"say ""x"""\r\n"1,5",2\r\n');
  const info = { parameters: 3e9, nEmbd: 0, nVocab: 0 } as Parameters<typeof secondsFor>[0]["info"];
  expect(secondsFor({ info }, 10)).toBe(10);
});

test("the address is written once for many changes of a moment, at once where it is needed, and not over another one", () => {
  vi.useFakeTimers();
  try {
    const written: string[] = [];
    let here = "#a";
    const address = new Address({ hash: () => here, replace: (hash) => void written.push((here = hash)) });
    for (let idx = 0; idx < 500; idx += 1) address.write(`#${idx}`);
    expect(written).toEqual([]);
    vi.advanceTimersByTime(300);
    expect(written).toEqual(["#499"]);
    address.write("#b");
    address.flush();
    vi.advanceTimersByTime(300);
    expect(written).toEqual(["#499", "#b"]);
    address.write("#c");
    here = "#elsewhere"; // a link was followed
    vi.advanceTimersByTime(300);
    expect([here, written.length]).toEqual(["#elsewhere", 2]);
    const refused = new Address({ hash: () => here, replace: () => { throw new Error("too long"); } });
    refused.write("#d");
    expect(() => refused.flush()).not.toThrow();
  } finally {
    vi.useRealTimers();
  }
});
