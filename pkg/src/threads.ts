import type { Engine, Step } from "./binding.js";

/** The threads of a build that has some. */
export interface ThreadCount {
  /** How many threads have come, the engine's own counted. */
  nThreads(): number;
  /** Lets at most `n` of them compute. */
  setThreads(n: number): void;
}

/** Prompt and text differ in what more threads bring: each has its own choice. */
type Kind = "prefill" | "decode";

/** How fast one kind of step was with each number of threads. */
interface Trial {
  /** Milliseconds a token, the best of this trial's steps, by number of threads. */
  best: Map<number, number>;
  /** Steps of this trial so far, then steps since. */
  steps: number;
  /** Tokens of such a step: shorter ones cost more a token, and are not compared with it. */
  tokens: number;
  /** How many shorter ones came since the last of them. */
  shorter: number;
  /** Undefined as long as nothing was measured. */
  chosen?: number;
}

/** Steps with each number of threads in a trial: the fastest counts, since whatever disturbs one only makes it slower. */
const TRIES = 3;
/** Shorter steps one after the other, after which it is they that are compared. */
const PATIENCE = 8;
/** Steps until what was found is looked at again: the machine may have become busy, or free. */
const RENEW_AFTER = 200;
/** A step for nothing can be as short as the clock is coarse. */
const LEAST_MS = 0.05;

/**
 * Takes an engine's steps with as many threads as make them fast, found out by trying: how many cores there are says
 * little of how many are fast or free. The bits do not depend on it.
 */
export class Threads {
  readonly #count: ThreadCount | undefined;
  readonly #fixed: number | undefined;
  readonly #now: () => number;
  #nThreads = 1;
  #set = 0;
  #trials: Record<Kind, Trial> = { prefill: newTrial(), decode: newTrial() };
  #next: Kind = "decode";
  #guesses = false;
  #done = 0;

  /** `count` is undefined for a build without threads; `fixed` is a number that somebody insists on. */
  constructor(count?: ThreadCount, fixed?: number, now = () => performance.now()) {
    this.#count = count;
    this.#fixed = fixed;
    this.#now = now;
  }

  /** How many threads the next token will be computed by. */
  get inUse(): number {
    if (!this.#count) return 1;
    return Math.min(this.#fixed ?? this.#chosen("decode"), this.#count.nThreads());
  }

  /** To be called before a generation's first step. Tokens that may be guessed cost too differently to be compared. */
  begin(guesses: boolean): void {
    this.#next = "prefill";
    this.#guesses = guesses;
    this.#done = 0;
  }

  /** One step of the engine. */
  step(engine: Pick<Engine, "step">, logits?: Float32Array, allowed?: Uint32Array): Step {
    if (!this.#count) return engine.step(logits, undefined, allowed);
    const kind = this.#next;
    const n = this.#fixed ?? this.#choose(kind);
    if (n !== this.#set) this.#count.setThreads(n);
    this.#set = n;
    const at = this.#now();
    const step = engine.step(logits, undefined, allowed);
    const ms = this.#now() - at;
    if (step.kind === "end") return step;
    const tokens = step.kind === "prefill" ? step.done - this.#done : 1;
    if (step.kind === "prefill") this.#done = step.done;
    this.#next = step.kind === "prefill" && step.done < step.total ? "prefill" : "decode";
    if (kind === (step.kind === "token" ? "decode" : "prefill") && this.#compares(kind)) this.#note(this.#trials[kind], n, ms, tokens);
    return step;
  }

  #choose(kind: Kind): number {
    const here = (this.#count as ThreadCount).nThreads();
    if (here !== this.#nThreads) {
      // Someone came: what was found without them says nothing.
      this.#nThreads = here;
      this.#trials = { prefill: newTrial(), decode: newTrial() };
    }
    const trial = this.#trials[kind];
    if (trial.steps >= RENEW_AFTER) Object.assign(trial, { best: new Map(), steps: 0 });
    const candidates = candidatesOf(here);
    const untried = candidates[trial.steps % candidates.length] as number;
    return this.#compares(kind) && trial.steps < TRIES * candidates.length ? untried : this.#chosen(kind);
  }

  /** What was found; of a text, where nothing was, what its prompt's trial has found; else all threads. */
  #chosen(kind: Kind): number {
    const { prefill, decode } = this.#trials;
    return (kind === "decode" ? decode.chosen : undefined) ?? prefill.chosen ?? this.#nThreads;
  }

  #compares(kind: Kind): boolean {
    return kind === "prefill" || !this.#guesses;
  }

  #note(trial: Trial, n: number, stepMs: number, tokens: number): void {
    const ms = stepMs / tokens;
    if (ms < LEAST_MS || (tokens < trial.tokens && ++trial.shorter < PATIENCE)) return;
    if (tokens !== trial.tokens) Object.assign(trial, { best: new Map(), steps: 0, tokens });
    trial.shorter = 0;
    trial.steps += 1;
    trial.best.set(n, Math.min(ms, trial.best.get(n) ?? Infinity));
    if (trial.steps > TRIES * candidatesOf(this.#nThreads).length) return;
    trial.chosen = [...trial.best].reduce((a, b) => (b[1] < a[1] ? b : a))[0];
  }
}

function newTrial(): Trial {
  return { best: new Map(), steps: 0, tokens: 0, shorter: 0 };
}

/** 1, 2, 4 … and all of them. */
function candidatesOf(n: number): number[] {
  const candidates = [];
  for (let count = 1; count < n; count *= 2) candidates.push(count);
  return [...candidates, n];
}
