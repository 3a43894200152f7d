/**
 * One engine, kept busy with one thing at a time, so that a profile shows that and nothing else.
 * @module
 */

import type { Engine, Load } from "./engine.js";
import { type Job, Prompts, warmUp } from "./measure.js";

/** What is done while somebody looks on. */
export interface Phase {
  /** New tokens of prompts, or one token after the other. */
  doing: "prefill" | "decode";
  /** How many tokens the prompt has. */
  depth: number;
  ms: number;
}

const DECODED = 32;

let opened: { engine: Engine; prompts: Prompts; prompt: number[] } | undefined;

/** Loads the engine and warms it up. */
export async function open(job: Job): Promise<void> {
  const { load } = (await import(`/bench/${job.adapter}.js`)) as { load: Load };
  opened = { engine: await load(job), prompts: new Prompts(job.nVocab), prompt: [] };
  await warmUp(opened.engine, opened.prompts);
}

/** Computes what a phase goes on with, which is no part of it. */
export async function prepare({ doing, depth }: Phase): Promise<void> {
  const state = needed();
  state.prompt = state.prompts.next(depth);
  if (doing === "decode") await state.engine.generate(state.prompt, 0);
}

/** Does the same again and again; returns how many tokens a second that came to. */
export async function keepBusy({ doing, depth, ms }: Phase): Promise<number> {
  const { engine, prompts, prompt } = needed();
  let [n, took] = [0, 0];
  for (const begun = performance.now(); performance.now() - begun < ms; ) {
    const timed = doing === "decode" ? await engine.generate(prompt, DECODED) : await engine.generate(prompts.next(depth), 0);
    n += doing === "decode" ? timed.nDecoded : timed.nPrefilled;
    took += doing === "decode" ? timed.decodeMs : timed.prefillMs;
  }
  return (n / took) * 1000;
}

function needed() {
  if (!opened) throw new Error("nothing has been opened");
  return opened;
}
