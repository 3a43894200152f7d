/**
 * The rounds: for each model, for each round, each engine in turn. Engines that are compared are measured within
 * minutes of each other, so that a machine that slows down slows all of them.
 * @module
 */

import type { Browser } from "puppeteer-core";
import type { Outcome, Step } from "../pages/measure.js";
import type { Repeating } from "../pages/repeating.js";
import { type Ran, runJob } from "./browser.js";
import { type Engine, fileFor } from "./engines.js";
import type { Model } from "./models.js";
import { runNative } from "./native.js";
import type { Failure, Sample } from "./record.js";
import type { Server } from "./server.js";

/** What the rounds need. */
export interface Course {
  browser: Browser;
  /** As any host serves, and with the headers that threads need. */
  servers: { plain: Server; isolated: Server };
  rounds: number;
  quick: boolean;
}

/** What the rounds came to. */
export interface Results {
  samples: Sample[];
  failures: Failure[];
}

const SHORT: Step = { prefill: 128, depth: 128, decode: 64 };
const LONG: Step = { prefill: 512, depth: 1024, decode: 64 };

/** What a page measures: a step, or texts with and without guessing. */
interface Context {
  step?: Step;
  repeating?: Repeating[];
  nCtx: number;
}

/** The contexts of the two, each in a page of its own, so that the short one's memory is not the long one's. */
const CONTEXTS: [Context, Context] = [
  { step: SHORT, nCtx: 512 },
  { step: LONG, nCtx: 1152 },
];

/** The engines that are measured with guesses: those that a browser with relaxed SIMD picks. */
const GUESSING = ["pagelm-relaxed", "pagelm-relaxed-threads"];

/** The engines that the target for long texts is about. */
const TARGET = ["pagelm-relaxed", "llama.cpp"];

/** A peer whose step took longer than this is left out of the rounds after it, unless it leads. */
const SLOW_MS = 10_000;

/** An engine with one number of threads in one context. */
interface Cell extends Context {
  engine: Engine;
  threads: number;
  tookMs: number;
  failed: boolean;
}

/** Runs all rounds of one model. */
export async function measureModel(model: Model, engines: Engine[], course: Course): Promise<Results> {
  const results: Results = { samples: [], failures: [] };
  let cells: Cell[] = engines.flatMap((engine) =>
    engine.threads.flatMap((threads) =>
      contextsOf(engine, threads, model, course.quick).map((context) => ({ engine, threads, ...context, tookMs: 0, failed: false })),
    ),
  );
  for (let round = 1; round <= course.rounds; round++) {
    for (const cell of cells) {
      const { engine, threads, step } = cell;
      const outcome = await runCell(engine, threads, model, cell, course);
      const about = { engine: engine.id, threads, model: model.id };
      results.samples.push(...toSamples(outcome, step === SHORT).map((sample) => ({ ...about, ...sample, round })));
      if (outcome.error !== undefined) results.failures.push({ ...about, message: outcome.error });
      cell.tookMs = outcome.tookMs[0] ?? 0;
      cell.failed = outcome.error !== undefined;
      console.error(`  ${round}  ${engine.id} ×${threads}  ${step?.depth ?? "repeating"}: ${summary(outcome)}`);
    }
    const leading = leaders(results.samples, engines.filter(isPeer));
    cells = cells.filter((cell) => goesOn(cell, leading));
  }
  return results;
}

/** Whether a cell is measured again: what failed is not, nor the slow peers, other than those that ratios are taken to. */
function goesOn({ engine, threads, step, tookMs, failed }: Cell, leading: Set<string>): boolean {
  if (failed || !isPeer(engine)) return !failed;
  return threads === 1 && (tookMs <= SLOW_MS || (step === SHORT && leading.has(engine.id)));
}

/** The peers that are fastest with one thread at what the targets are about, each in the best of its rounds. */
export function leaders(samples: Sample[], peers: { id: string }[]): Set<string> {
  const ids = peers.map(({ id }) => id);
  const measured = samples.filter(({ engine, threads }) => threads === 1 && ids.includes(engine));
  const fastest = [
    measured.filter(({ measure, depth }) => measure === "decode" && depth === SHORT.depth),
    measured.filter(({ measure, n }) => measure === "prefill" && n === SHORT.prefill),
  ].map((those) => those.toSorted((a, b) => b.value - a.value)[0]?.engine);
  return new Set(fastest.filter((id) => id !== undefined));
}

/** What is measured of an engine, in which context. The long text and peers with two threads are left to a full run. */
function contextsOf(engine: Engine, threads: number, model: Model, quick: boolean): Context[] {
  if (model.onlyRepeating) return GUESSING.includes(engine.id) ? [{ repeating: model.repeating, nCtx: 512 }] : [];
  if (isPeer(engine) && threads > 1) return model.small && !quick ? [CONTEXTS[0]] : [];
  if (engine.choosesThreads) return model.long === "target" ? [] : [CONTEXTS[0]];
  const steps = isLong(engine, threads, model) && !quick ? CONTEXTS : [CONTEXTS[0]];
  const { repeating } = model;
  return repeating.length > 0 && GUESSING.includes(engine.id) ? [...steps, { repeating, nCtx: 512 }] : steps;
}

/** Whether an engine is measured with the long text: the larger the model, the fewer are. */
function isLong(engine: Engine, threads: number, { long }: Model): boolean {
  if (isPeer(engine)) return long === "all";
  return long === "target" ? threads === 1 && TARGET.includes(engine.id) : long !== "none";
}

/** Peers are many and slow: an hour has no room for all of them in all rounds. */
const isPeer = ({ adapter, build }: Engine) => adapter !== undefined && build === undefined;

async function runCell(
  engine: Engine,
  threads: number,
  model: Model,
  { step, repeating = [], nCtx }: Context,
  { browser, servers }: Course,
): Promise<Ran> {
  const { adapter, build, choosesThreads, inWorker = false } = engine;
  const steps = step ? [step] : [];
  if (!adapter) return runNative(model.path, threads, steps);
  const file = fileFor(engine, model);
  if (typeof file !== "string") return { samples: [], tookMs: [], error: file.none };
  const { origin } = threads > 1 ? servers.isolated : servers.plain;
  const { n_vocab: nVocab, words } = model;
  const job = { adapter, build, choosesThreads, url: origin + file, threads, nCtx, nVocab, words, steps, repeating };
  return runJob(browser, `${origin}/`, job, inWorker);
}

/** Load times and memory are those of the short context. */
export function toSamples(ran: Ran, isShort: boolean): Omit<Sample, "engine" | "threads" | "model" | "round">[] {
  const { samples, peakBytes, peakOwnBytes, error } = ran;
  if (!isShort) return samples.filter(({ unit }) => unit === "tokens/s");
  if (peakBytes === undefined || error !== undefined) return samples;
  const own = peakOwnBytes === undefined ? [] : [{ measure: "peak_own_memory", value: peakOwnBytes, unit: "bytes" } as const];
  return [...samples, { measure: "peak_memory", value: peakBytes, unit: "bytes" }, ...own];
}

function summary({ samples, error }: Outcome): string {
  const speeds = samples.filter(({ unit }) => unit === "tokens/s");
  const words = speeds.map(({ measure, value }) => `${measure} ${value.toFixed(1)}`);
  return [...words, ...(error === undefined ? [] : [`failed: ${error}`])].join(", ");
}
