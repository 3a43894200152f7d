/**
 * Runs jobs in browsers, each in a page that nothing else has used.
 * @module
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import puppeteer, { type Browser, type Page } from "puppeteer-core";
import { launch, type Running } from "../../tests/browser/src/browser.js";
import { renderers, residentBytes } from "../../tests/browser/src/memory.js";
import type { Job, Outcome } from "../pages/measure.js";
import type { Options } from "./options.js";

/** What a page did, and how much memory its process held at most, where that can be told. */
export interface Ran extends Outcome {
  peakBytes?: number;
  /** The same without the pages of the browser's program, looked at ten times a second. */
  peakOwnBytes?: number;
}

const TIMEOUT_MS = 300_000;

declare global {
  interface Window {
    /** What the job under way came to, once it is over. */
    outcome?: Outcome;
  }
}

/** Starts the browser that the options name. */
export async function start({ browser, chromium_flags }: Options): Promise<Running> {
  return browser === "firefox" ? startFirefox() : launch(...chromium_flags);
}

async function startFirefox(): Promise<Running> {
  const userDataDir = mkdtempSync(join(tmpdir(), "pagelm-firefox-"));
  const executablePath = process.env["PAGELM_FIREFOX"] ?? "/usr/bin/firefox-esr";
  const browser = await puppeteer.launch({ browser: "firefox", executablePath, userDataDir, headless: true });
  const close = async () => {
    await browser.close();
    rmSync(userDataDir, { recursive: true, force: true, maxRetries: 3 });
  };
  return { browser, close };
}

/** How fast the browser reads memory, by number of threads. */
export async function wasmRoofline(browser: Browser, address: string, threads: number[]): Promise<{ [threads: string]: number[] }> {
  const page = await browser.newPage();
  try {
    await page.goto(address);
    return await page.evaluate(async (threads) => {
      const { measure } = await import("/roofline/roofline.mjs" as string);
      const rates: { [threads: string]: number[] } = {};
      for (const n of threads) rates[n] = (await measure({ threads: n })).gb_s;
      return rates;
    }, threads);
  } finally {
    await page.close();
  }
}

/** Runs a job in a page at `address`, and closes the page. */
export async function runJob(browser: Browser, address: string, job: Job, inWorker: boolean): Promise<Ran> {
  const context = await browser.createBrowserContext();
  try {
    const page = await context.newPage();
    const said: string[] = [];
    page.on("console", (message) => void (message.type() === "error" && said.push(message.text())));
    page.on("pageerror", (error) => said.push(String(error)));
    await page.goto(address);
    const watch = await watchOwn(browser);
    const outcome = await runInPage(page, job, inWorker).catch((error: Error) => failed(error.message));
    const peakOwnBytes = watch();
    const peakBytes = await peak(browser);
    const explained = explain(outcome, said);
    return peakBytes === undefined || peakOwnBytes === undefined ? explained : { ...explained, peakBytes, peakOwnBytes };
  } finally {
    await context.close();
  }
}

/** The job runs unwatched but for a glance four times a second, so that a slow one does not run into a time limit. */
async function runInPage(page: Page, job: Job, inWorker: boolean): Promise<Outcome> {
  await page.evaluate(
    (job, inWorker) => {
      void import("/bench/measure.js" as string)
        .then((bench) => (inWorker ? bench.measureInWorker(job) : bench.measure(job)))
        .catch((error: unknown) => ({ samples: [], tookMs: [], error: String(error) }))
        .then((outcome) => (window.outcome = outcome));
    },
    job,
    inWorker,
  );
  await page.waitForFunction(() => window.outcome !== undefined, { timeout: TIMEOUT_MS, polling: 250 }).catch((error: Error) => {
    throw error.name === "TimeoutError" ? new Error(`It was not done after ${TIMEOUT_MS / 1000} s.`) : error;
  });
  return (await page.evaluate(() => window.outcome)) ?? failed("nothing came back");
}

/** Watches how much memory of its own the largest renderer holds; what is returned ends that and tells the most. */
async function watchOwn(browser: Browser): Promise<() => number | undefined> {
  const pids = await renderers(browser).catch(() => []);
  let most = 0;
  const timer = setInterval(() => {
    for (const pid of pids) {
      try {
        most = Math.max(most, residentBytes(pid).own || 0);
      } catch {
        // it has ended
      }
    }
  }, 100);
  return () => {
    clearInterval(timer);
    return most || undefined;
  };
}

/** The highest resident memory of the page's process; Chromium on Linux only. */
async function peak(browser: Browser): Promise<number | undefined> {
  try {
    const peaks = (await renderers(browser)).map((pid) => residentBytes(pid).peak).filter(Number.isFinite);
    return peaks.length > 0 ? Math.max(...peaks) : undefined;
  } catch {
    return undefined;
  }
}

/** A trap says little by itself; what a program wrote before it is the reason. */
function explain(outcome: Outcome, said: string[]): Outcome {
  if (outcome.error === undefined || said.length === 0) return outcome;
  const reasons = said.map((text) => text.split("\n").slice(0, 2).join(" ").slice(0, 300)).slice(-2);
  return { ...outcome, error: [outcome.error, ...reasons].join(" | ") };
}

function failed(error: string): Outcome {
  return { samples: [], tookMs: [], error };
}
