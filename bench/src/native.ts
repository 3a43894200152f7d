/**
 * Native llama.cpp, by its own `llama-bench`.
 * @module
 */

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Measured, Outcome, Step } from "../pages/measure.js";
import { paths } from "./paths.js";

const run = promisify(execFile);
const script = `${paths.bench}/native.py`;

/** Measures the steps one after the other. */
export async function runNative(path: string, threads: number, steps: Step[]): Promise<Outcome> {
  const outcome: Outcome = { samples: [], tookMs: [] };
  for (const { prefill, depth, decode } of steps) {
    const begun = performance.now();
    const args = [path, "--threads", `${threads}`, "--prefill", `${prefill}`, "--decode", `${decode}@${depth}`];
    try {
      const { stdout } = await run("python3", [script, "run", ...args]);
      outcome.samples.push(...readMeasured(stdout));
    } catch (error) {
      return { ...outcome, error: lastLine(error) };
    }
    outcome.tookMs.push(performance.now() - begun);
  }
  return outcome;
}

/** How fast this machine reads memory natively, by number of threads. */
export async function nativeRoofline(threads: number[]): Promise<{ [threads: string]: number[] }> {
  const { stdout } = await run("python3", [script, "roofline", ...threads.flatMap((n) => ["--threads", `${n}`])]);
  return JSON.parse(stdout) as { [threads: string]: number[] };
}

/** The list that native.py prints: a prefill has no depth. */
export function readMeasured(json: string): Measured[] {
  const list = JSON.parse(json) as (Measured & { depth: number })[];
  return list.map(({ measure, n, depth, value, unit }) => {
    const sample = { measure, value, unit, ...(n !== undefined && { n }) };
    return measure === "decode" ? { ...sample, depth } : sample;
  });
}

function lastLine(error: unknown): string {
  const text = String((error as { stderr?: string }).stderr || error).trim();
  return text.split("\n").at(-1) ?? text;
}
