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

/** How fast one kind of step is with each number of threads. */
interface Trial {
  /** Milliseconds a token, added up over this trial's steps, by number of threads: each has had as many steps. */
  spent: Map<number, number>;
  /** Steps of this trial so far; its first sets `tokens` and does not count. */
  steps: number;
  /** Tokens of its first step. Far shorter ones cost more a token, and are not compared with it. */
  tokens: number;
  /** How many shorter ones came since the last that was compared. */
  shorter: number;
  /** Milliseconds of steps, of any length, until the next trial begins; below 0, what this one has taken. */
  rest: number;
  /** How many times its length what it finds is kept. */
  kept: number;
  /** Undefined as long as nothing was found. */
  chosen?: number;
}

/** Steps with each number of threads in a trial, at least. */
const TRIES = 3;
/**
 * Milliseconds of a trial, at least: several times what a system leaves a thread its core at a time, so that a step in which
 * a busy machine had one waited for has its share.
 */
const TRIAL_MS = 60;
/**
 * How many times a trial's length what it found is kept, at first and at most, twice as long each time: in a page's first second
 * the browser still compiles on the other cores, and later the machine may become busy, or free.
 */
const KEPT_FOR = [2, 20] as const;
/** Shorter steps one after the other, after which it is they that are compared. */
const PATIENCE = 8;

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
  /** Whether the logits of the next step are there already, from the prompt. */
  #isFree = false;

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

  /**
   * To be called before a generation's first step, with how many of its prompt's tokens need no computing. Tokens that may be
   * guessed cost too differently to be compared.
   */
  begin(guesses: boolean, reusedTokens: number): void {
    this.#next = "prefill";
    this.#guesses = guesses;
    this.#done = reusedTokens;
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
    // Who was given logits chose by them, and who has them from the prompt as well: neither computed anything.
    const did = step.kind === "prefill" ? "prefill" : logits || this.#isFree ? undefined : "decode";
    this.#isFree = step.kind === "prefill";
    if (kind === did && this.#compares(kind)) this.#note(this.#trials[kind], n, ms, tokens);
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
    const candidates = candidatesOf(here);
    return this.#compares(kind) && trial.rest <= 0 ? (candidates[trial.steps % candidates.length] as number) : this.#chosen(kind);
  }

  /** What was found; of a text, where nothing was, what its prompt's trial has found; else all threads. */
  #chosen(kind: Kind): number {
    const { prefill, decode } = this.#trials;
    return (kind === "decode" ? decode.chosen : undefined) ?? prefill.chosen ?? this.#nThreads;
  }

  #compares(kind: Kind): boolean {
    return kind === "prefill" || !this.#guesses;
  }

  #note(trial: Trial, n: number, ms: number, tokens: number): void {
    if (trial.rest > 0) {
      trial.rest -= ms;
      return;
    }
    const short = 2 * tokens <= trial.tokens;
    if (short && ++trial.shorter < PATIENCE) return;
    trial.shorter = 0;
    if (short || tokens >= 2 * trial.tokens) {
      Object.assign(trial, { spent: new Map(), steps: 0, tokens, rest: 0 });
      return;
    }
    trial.steps += 1;
    trial.rest -= ms;
    trial.spent.set(n, ms / tokens + (trial.spent.get(n) ?? 0));
    const rounds = trial.steps / candidatesOf(this.#nThreads).length;
    if (trial.rest > -TRIAL_MS || rounds < TRIES || rounds % 1) return;
    const [chosen] = [...trial.spent].reduce((a, b) => (b[1] < a[1] ? b : a));
    Object.assign(trial, newTrial(), { chosen, rest: -trial.kept * trial.rest, kept: Math.min(2 * trial.kept, KEPT_FOR[1]) });
  }
}

function newTrial(): Trial {
  return { spent: new Map(), steps: 0, tokens: 0, shorter: 0, rest: 0, kept: KEPT_FOR[0] };
}

/** 1, 2, 4 … and all of them. */
function candidatesOf(n: number): number[] {
  const candidates = [];
  for (let count = 1; count < n; count *= 2) candidates.push(count);
  return [...candidates, n];
}
