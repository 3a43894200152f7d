/**
 * One cell of the benchmark: one engine, one model, in a page or a worker that nothing else has used.
 * @module
 */

import type { Engine, Load, LoadJob, Timed } from "./engine.js";
import { measureRepeating, type Repeating } from "./repeating.js";

/** A prompt of `prefill` new tokens is timed; where `depth` is more, the text is filled up to it before decoding. */
export interface Step {
  prefill: number;
  depth: number;
  /** At most this many tokens are decoded. */
  decode: number;
}

/** What is to be measured. */
export interface Job extends LoadJob {
  /** The module of pages/ that drives the engine. */
  adapter: string;
  nVocab: number;
  steps: Step[];
  /** Texts to be written with and without guessing, after the steps. */
  repeating: Repeating[];
}

/** One number, and the unit that it is in. */
export interface Measured {
  measure: "decode" | "decode_repeating" | "prefill" | "load" | "ready_after_last_byte" | "first_token";
  n?: number;
  /** Of a decode: how many tokens were timed, where it was cut short or repeated. */
  n_timed?: number;
  depth?: number;
  /** Of a text with or without guessing: which, whether tokens were guessed, how many, and how many of them came. */
  text?: string;
  speculative?: boolean;
  proposed?: number;
  accepted?: number;
  value: number;
  unit: "tokens/s" | "ms";
}

/** All that was measured, and what went wrong after it, if anything did. `tookMs` is the time of each step. */
export interface Outcome {
  samples: Measured[];
  tookMs: number[];
  error?: string;
}

/** The prompt whose first token is waited for, and those of the warm-up. */
const FIRST_PROMPT = 16;
const WARM_UP = { prompt: 32, decode: 8, ms: 1500 };
/** Decoding is cut short where it would take longer than this. */
const DECODE_MS = 4000;
const MIN_DECODED = 16;
/** What is over sooner is done again, at most so often, and counted together. */
const ENOUGH_MS = 200;
const MAX_REPEATS = 10;

/** Runs a job to its end, or to where it fails. */
export async function measure(job: Job): Promise<Outcome> {
  const outcome: Outcome = { samples: [], tookMs: [] };
  try {
    const { load } = (await import(`/bench/${job.adapter}.js`)) as { load: Load };
    const prompts = new Prompts(job.nVocab);
    const engine = await start(load, job, prompts, outcome.samples);
    const warm = await warmUp(engine, prompts);
    for (const step of job.steps) {
      const begun = performance.now();
      outcome.samples.push(...(await run(engine, step, prompts, warm)));
      outcome.tookMs.push(performance.now() - begun);
    }
    const random = (length: number) => prompts.next(length);
    for (const text of job.repeating) outcome.samples.push(...(await measureRepeating(engine, text, random)));
  } catch (thrown) {
    outcome.error = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
  }
  return outcome;
}

async function start(load: Load, job: Job, prompts: Prompts, samples: Measured[]): Promise<Engine> {
  const begun = performance.now();
  const engine = await load(job);
  samples.push({ measure: "load", value: performance.now() - begun, unit: "ms" });
  const ready = engine.readyAfterLastByteMs;
  if (ready !== undefined) samples.push({ measure: "ready_after_last_byte", value: ready, unit: "ms" });
  await engine.generate(prompts.next(FIRST_PROMPT), 0);
  samples.push({ measure: "first_token", n: FIRST_PROMPT, value: performance.now() - begun, unit: "ms" });
  return engine;
}

/**
 * Browsers compile a module twice, quickly and then well, and the second only once it was used, on a core that a second thread
 * would have: engines become faster for a second. Returns the last.
 */
export async function warmUp(engine: Engine, prompts: Prompts): Promise<Timed> {
  const begun = performance.now();
  for (;;) {
    const timed = await engine.generate(prompts.next(WARM_UP.prompt), WARM_UP.decode);
    if (performance.now() - begun > WARM_UP.ms) return timed;
  }
}

async function run(engine: Engine, step: Step, prompts: Prompts, warm: Timed): Promise<Measured[]> {
  const tokensPerMs = warm.nDecoded / warm.decodeMs || 0;
  const nDecode = Math.min(step.decode, Math.max(MIN_DECODED, Math.round(tokensPerMs * DECODE_MS)));
  const total = { prefillMs: 0, nPrefilled: 0, decodeMs: 0, nDecoded: 0 };
  for (let n = 0; n < MAX_REPEATS && total.prefillMs + total.decodeMs < ENOUGH_MS; n++) {
    const prompt = prompts.next(step.depth);
    let timed = await engine.generate(prompt.slice(0, step.prefill), step.depth === step.prefill ? nDecode : 0);
    total.prefillMs += timed.prefillMs;
    total.nPrefilled += timed.nPrefilled;
    if (step.depth !== step.prefill) timed = await engine.generate(prompt, nDecode);
    total.decodeMs += timed.decodeMs;
    total.nDecoded += timed.nDecoded;
  }
  const prefill = (total.nPrefilled / total.prefillMs) * 1000;
  const samples: Measured[] = [{ measure: "prefill", n: step.prefill, value: prefill, unit: "tokens/s" }];
  if (total.nDecoded > 0) {
    const value = (total.nDecoded / total.decodeMs) * 1000;
    const { decode: n, depth } = step;
    samples.push({ measure: "decode", n, n_timed: total.nDecoded, depth, value, unit: "tokens/s" });
  }
  return samples;
}

/** Prompts all over the vocabulary's middle, no two of which begin alike: no engine finds one in its cache. */
export class Prompts {
  #seed = 1;
  readonly #nVocab: number;

  constructor(nVocab: number) {
    this.#nVocab = nVocab;
  }

  next(length: number): number[] {
    const first = Math.floor(this.#nVocab / 8);
    const span = Math.floor((this.#nVocab * 3) / 4);
    return Array.from({ length }, () => {
      // Numerical Recipes' generator: the same prompts in every engine.
      this.#seed = (Math.imul(this.#seed, 1664525) + 1013904223) >>> 0;
      return first + Math.floor((this.#seed / 2 ** 32) * span);
    });
  }
}

/** As `measure`, in a worker: for engines that bring none of their own. */
export function measureInWorker(job: Job): Promise<Outcome> {
  return new Promise((resolve) => {
    const worker = new Worker("/bench/worker.js", { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<Outcome>) => resolve(data);
    worker.onerror = ({ message }) => resolve({ samples: [], tookMs: [], error: message });
    worker.postMessage(job);
  });
}
