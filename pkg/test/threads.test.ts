import { expect, test } from "vitest";
import type { Step } from "../src/binding.js";
import { Threads } from "../src/threads.js";

/** An engine whose steps take as long as `ms` says, by a clock of its own, and what it was told. */
function engine(here: number, ms: (n: number, kind: Step["kind"], tokens: number) => number) {
  let [time, n, prompt, total] = [0, 0, 0, 0];
  const used: number[] = [];
  const count = { nThreads: () => here, setThreads: (to: number) => void (n = to) };
  const step = (): Step => {
    used.push(n);
    const [kind, tokens] = prompt > 0 ? (["prefill", Math.min(64, prompt)] as const) : (["token", 1] as const);
    time += ms(n, kind, tokens);
    if (kind === "token") return { kind, token: 1, text: "", probability: 1, alternatives: new Float32Array() };
    prompt -= tokens;
    return { kind, done: total - prompt, total };
  };
  const ask = (tokens = 256, reused = 0) => {
    prompt = tokens;
    total = reused + tokens;
  };
  return { count, step, used, clock: () => time, prompt: ask, come: (n: number) => void (here = n) };
}

function run(threads: Threads, made: ReturnType<typeof engine>, steps: number): number[] {
  const from = made.used.length;
  for (let i = 0; i < steps; i += 1) threads.step(made);
  return made.used.slice(from);
}

test("each number is tried, then the fastest is taken, and looked at again later, ever more seldom", () => {
  const made = engine(4, (n) => ({ 1: 10, 2: 6, 4: 8 })[n] as number);
  const threads = new Threads(made.count, undefined, made.clock);
  threads.begin(false, 0);
  threads.step(made); // the first could have been a prompt's
  expect(run(threads, made, 20).slice(-10)).toEqual(Array(10).fill(2));
  expect(threads.inUse).toBe(2);
  const tries = () => run(threads, made, 250).filter((n) => n === 4).length;
  expect([tries(), tries(), tries()]).toEqual([9, 3, 3]);
});

test("what was found while the page was still being compiled does not stay", () => {
  const made = engine(2, (n) => (made.clock() < 300 ? 1 : 1 / n));
  const threads = new Threads(made.count, undefined, made.clock);
  threads.begin(false, 0);
  run(threads, made, 600);
  expect(threads.inUse).toBe(2);
});

test("more threads are never kept where they are slower", () => {
  const made = engine(2, (n) => (n === 1 ? 10 : 30));
  const threads = new Threads(made.count, undefined, made.clock);
  threads.begin(false, 0);
  expect(run(threads, made, 30).slice(-20)).toEqual(Array(20).fill(1));
});

test("a helper that is waited for now and then is not worth what its best steps promise", () => {
  let step = 0;
  const made = engine(2, (n) => (n === 1 ? 1 : (step += 1) % 10 ? 0.6 : 8));
  const threads = new Threads(made.count, undefined, made.clock);
  threads.begin(false, 0);
  expect(run(threads, made, 100).slice(-10)).toEqual(Array(10).fill(1));
});

test("a trial takes a small part of the time, however short the steps are", () => {
  for (const ms of [0.1, 1, 10, 100]) {
    const made = engine(2, (n) => ms * n);
    const threads = new Threads(made.count, undefined, made.clock);
    threads.begin(false, 0);
    const used = run(threads, made, 30_000);
    expect(used.filter((n) => n === 2).length / used.length).toBeLessThan(0.05);
    expect(used.slice(15_000)).toContain(2);
  }
});

test("prompts of all lengths, as a chat has them, end a trial", () => {
  for (const faster of [1, 2]) {
    const made = engine(2, (n, _, tokens) => tokens * (n === faster ? 6 : 10));
    const threads = new Threads(made.count, undefined, made.clock);
    for (let i = 0; i < 20; i += 1) {
      made.prompt(5 + ((i * 37) % 56));
      threads.begin(false, 0);
      run(threads, made, 1);
    }
    expect(made.used.slice(10, 20)).toEqual(Array(10).fill(faster));
  }
});

test("a longer step, which begins a trial anew, does not count for a number whose turn it was not", () => {
  const made = engine(2, (n, _, tokens) => (tokens * 10) / (n === 1 ? 1 : 1.5));
  const threads = new Threads(made.count, undefined, made.clock);
  for (const tokens of [20, 20, ...Array(8).fill(64)]) {
    made.prompt(tokens);
    threads.begin(false, 0);
    run(threads, made, 1);
  }
  expect(made.used).toEqual([1, 1, 2, 1, 2, 1, 2, 1, 2, 2]);
});

test("where logits are edited, the steps that compute them are compared", () => {
  let [time, n] = [0, 1];
  const count = { nThreads: () => 2, setThreads: (to: number) => void (n = to) };
  const threads = new Threads(count, undefined, () => time);
  const step = (logits?: Float32Array): Step => {
    if (logits) return { kind: "token", token: 1, text: "", probability: 1, alternatives: new Float32Array() };
    time += 10 * n;
    return { kind: "logits", logits: new Float32Array(1) };
  };
  threads.begin(false, 0);
  for (let i = 0; i < 12; i += 1) {
    threads.step({ step });
    threads.step({ step }, new Float32Array(1));
  }
  expect(threads.inUse).toBe(1);
});

test("the first token of a text, which the prompt has computed, counts for no number", () => {
  for (const [slower, nTokens] of [[1.8, 4], [1.8, 3], [5, 8]] as const) {
    let isFirst = true;
    const made = engine(2, (n, kind, tokens) => {
      const isFree = kind === "token" && isFirst;
      isFirst = kind === "prefill";
      return isFree ? 0 : tokens * (n === 1 ? 1 : slower);
    });
    const threads = new Threads(made.count, undefined, made.clock);
    const found = new Set<number>();
    for (let text = 0; text < 200; text += 1) {
      made.prompt(8);
      threads.begin(false, 0);
      run(threads, made, 1 + nTokens);
      if (text > 30) found.add(threads.inUse);
    }
    expect([...found], `${slower} times as slow with two, ${nTokens} tokens`).toEqual([1]);
  }
});

test("what short prompts have found holds for long ones, until it is looked at again", () => {
  const made = engine(2, (n, _, tokens) => (tokens * 10) / n);
  const threads = new Threads(made.count, undefined, made.clock);
  for (const tokens of [...Array(7).fill(32), 128]) {
    made.prompt(tokens);
    threads.begin(false, 0);
    run(threads, made, Math.ceil(tokens / 64));
  }
  expect(made.used).toEqual([1, 1, 2, 1, 2, 1, 2, 2, 2]);
});

test("what the cache has of a prompt costs nothing, and does not count", () => {
  const made = engine(2, (n, _, tokens) => (tokens * 10) / n);
  const threads = new Threads(made.count, undefined, made.clock);
  for (let reused = 0; reused < 640; reused += 64) {
    made.prompt(64, reused);
    threads.begin(false, reused);
    run(threads, made, 1);
  }
  made.prompt(128, 640);
  threads.begin(false, 640);
  expect(run(threads, made, 2)).toEqual([2, 2]);
});

test("prompt and text have a choice each", () => {
  const made = engine(2, (n, kind) => (kind === "prefill" ? 100 / n : 10 * n));
  const threads = new Threads(made.count, undefined, made.clock);
  for (let text = 0; text < 3; text += 1) {
    made.prompt();
    threads.begin(false, 0);
    run(threads, made, 12);
  }
  made.prompt();
  threads.begin(false, 0);
  expect(run(threads, made, 8)).toEqual([2, 2, 2, 2, 1, 1, 1, 1]);
});

test("what is left of a prompt after its full chunks costs more a token, and does not decide", () => {
  const made = engine(2, (n, _, tokens) => (tokens < 64 ? 40 : 100) / n);
  const threads = new Threads(made.count, undefined, made.clock);
  for (let text = 0; text < 8; text += 1) {
    made.prompt(70);
    threads.begin(false, 0);
    run(threads, made, 2);
  }
  made.prompt(70);
  threads.begin(false, 0);
  expect(run(threads, made, 2)).toEqual([2, 2]);
});

test("where prompts stay shorter than an unfinished trial's, it begins again with theirs", () => {
  const made = engine(2, (n, _, tokens) => (tokens * 10) / n);
  const threads = new Threads(made.count, undefined, made.clock);
  for (const tokens of [64, 64, ...Array(20).fill(20)]) {
    made.prompt(tokens);
    threads.begin(false, 0);
    run(threads, made, 1);
  }
  made.prompt(20);
  threads.begin(false, 0);
  expect(run(threads, made, 1)).toEqual([2]);
});

test("tokens that are guessed are computed as the prompt was, by what was found for that", () => {
  const made = engine(2, (n) => (n === 1 ? 10 : 30) * 64);
  const threads = new Threads(made.count, undefined, made.clock);
  made.prompt(7 * 64);
  threads.begin(true, 0);
  expect(run(threads, made, 7 + 5)).toEqual([1, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1]);
});

test("a number that is insisted on stays; guessed tokens try nothing; no threads, nothing to choose", () => {
  const made = engine(4, () => 10);
  const fixed = new Threads(made.count, 3, made.clock);
  fixed.begin(false, 0);
  expect(run(fixed, made, 5)).toEqual([3, 3, 3, 3, 3]);
  const guessing = new Threads(made.count, undefined, made.clock);
  guessing.begin(true, 0);
  guessing.step(made); // could have been a prompt's
  expect(run(guessing, made, 5)).toEqual([4, 4, 4, 4, 4]);
  const alone = new Threads();
  expect([alone.inUse, run(alone, engine(4, () => 10), 2)]).toEqual([1, [0, 0]]);
});

test("threads that come late are tried", () => {
  const made = engine(1, (n) => 10 / n);
  const threads = new Threads(made.count, undefined, made.clock);
  threads.begin(false, 0);
  run(threads, made, 20);
  made.come(2);
  expect(run(threads, made, 30).at(-1)).toBe(2);
});
