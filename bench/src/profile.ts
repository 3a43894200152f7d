/**
 * Where the time goes: V8 looks every tenth of a millisecond which function each thread is in. Chromium only.
 * @module
 */

import type { Browser, Page } from "puppeteer-core";
import type { Job } from "../pages/measure.js";
import type { Phase } from "../pages/profile.js";
import { type Engine, fileFor } from "./engines.js";
import type { Model } from "./models.js";
import type { Server } from "./server.js";

/** What is looked at, on each model. */
const PHASES: Phase[] = [
  { doing: "prefill", depth: 128, ms: 2500 },
  { doing: "decode", depth: 128, ms: 2500 },
  { doing: "decode", depth: 1024, ms: 2500 },
];
const N_CTX = 1152;
/** What takes less is not shown by itself. */
const MIN_SHARE = 0.01;

/** How the time of one thread is divided between functions: shares, the largest first. */
export interface Shares {
  thread: string;
  functions: [name: string, share: number][];
}

/** The events of a trace that matter here; V8 sends each profile in pieces. */
export interface TraceEvent {
  name: string;
  id?: string;
  args: {
    data?: {
      cpuProfile?: { nodes?: ProfileNode[]; samples?: number[] };
      timeDeltas?: number[];
    };
  };
}

interface ProfileNode {
  id: number;
  callFrame: { functionName: string; url?: string };
}

/** Prints where the time of each engine goes on a model, phase by phase. */
export async function profileModel(browser: Browser, servers: { plain: Server; isolated: Server }, model: Model, engines: Engine[]) {
  for (const engine of engines) {
    const [threads] = engine.threads as [number];
    const { origin } = threads > 1 ? servers.isolated : servers.plain;
    const page = await browser.newPage();
    try {
      await page.goto(`${origin}/`);
      const { adapter = "", build, choosesThreads } = engine;
      const { n_vocab: nVocab, words } = model;
      const job = { adapter, build, choosesThreads, url: `${origin}${fileFor(engine, model)}`, threads, nVocab, words };
      await inPage(page, "open", { ...job, nCtx: N_CTX, steps: [], repeating: [] });
      for (const phase of PHASES) {
        await inPage(page, "prepare", phase);
        const speed = { tokens: 0 };
        const events = await traced(page, async () => void (speed.tokens = Number(await inPage(page, "keepBusy", phase))));
        const what = phase.doing === "prefill" ? `prefill of ${phase.depth}` : `decode after ${phase.depth}`;
        console.log(`\n${model.id}, ${engine.id} ×${threads}, ${what}: ${speed.tokens.toFixed(1)} tokens/s`);
        for (const { thread, functions } of sharesByThread(events)) {
          console.log(`  ${thread}`);
          for (const [name, share] of functions) console.log(`    ${(100 * share).toFixed(1).padStart(5)} %  ${name}`);
        }
      }
    } finally {
      await page.close();
    }
  }
}

function inPage(page: Page, name: "open" | "prepare" | "keepBusy", argument: Job | Phase): Promise<unknown> {
  return page.evaluate(async (name, argument) => (await import("/bench/profile.js" as string))[name](argument), name, argument);
}

async function traced(page: Page, work: () => Promise<void>): Promise<TraceEvent[]> {
  const categories = ["disabled-by-default-v8.cpu_profiler", "disabled-by-default-v8.cpu_profiler.hires"];
  await page.tracing.start({ categories });
  await work();
  const trace = await page.tracing.stop();
  return (JSON.parse(new TextDecoder().decode(trace)) as { traceEvents: TraceEvent[] }).traceEvents;
}

/** Of the threads that computed with the engine, which one owns the work and which helped. */
export function sharesByThread(events: TraceEvent[]): Shares[] {
  const profiles = new Map<string, { names: Map<number, string>; times: Map<number, number> }>();
  for (const { name, id = "", args } of events) {
    const data = name === "ProfileChunk" ? args.data : undefined;
    if (!data) continue;
    const { names, times } = profiles.get(id) ?? { names: new Map<number, string>(), times: new Map<number, number>() };
    profiles.set(id, { names, times });
    for (const node of data.cpuProfile?.nodes ?? []) names.set(node.id, readable(node.callFrame.functionName));
    const samples = data.cpuProfile?.samples ?? [];
    // Each delta is the time since the sample before.
    samples.forEach((node, i) => times.set(node, (times.get(node) ?? 0) + (data.timeDeltas?.[i] ?? 0)));
  }
  return [...profiles.values()].flatMap(({ names, times }) => {
    const all = [...names.values()];
    if (!all.some((name) => name.includes("kernels::"))) return [];
    const byName = new Map<string, number>();
    for (const [node, time] of times) {
      const name = names.get(node) ?? "(unknown)";
      byName.set(name, (byName.get(name) ?? 0) + Math.max(0, time));
    }
    const total = [...byName.values()].reduce((sum, time) => sum + time, 0);
    const functions = [...byName].map(([name, time]): [string, number] => [name, time / total]).toSorted((a, b) => b[1] - a[1]);
    const shown = functions.filter(([, share]) => share >= MIN_SHARE);
    const rest = functions.slice(shown.length).reduce((sum, [, share]) => sum + share, 0);
    const thread = all.some((name) => /(^|::)help$/.test(name)) ? "helper" : "owner";
    return [{ thread, functions: [...shown, ["everything else", rest] as [string, number]] }];
  });
}

/** The path in a symbol name of rustc's, as far as it can be read without its types; other names as they are. */
export function readable(name: string): string {
  if (!name.startsWith("_R")) return name;
  const path: string[] = [];
  for (let rest = name.slice(2); rest !== ""; ) {
    const counted = /^(\d+)_?/.exec(rest);
    if (counted) {
      const from = counted[0].length;
      path.push(rest.slice(from, from + Number(counted[1])));
      rest = rest.slice(from + Number(counted[1]));
    } else {
      // A number that tells namesakes apart, or one that points back to what was named before.
      rest = rest.replace(/^([sB][0-9a-zA-Z]*_|.)/, "");
    }
  }
  return path
    .filter((part) => part !== "")
    .join("::")
    .replace(/^pagelm_/, "");
}
