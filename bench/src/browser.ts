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
  /** The same without the pages of files, which are the browser's program for the most part, looked at ten times a second. */
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
    const watch = await watchMemory(browser);
    const outcome = await runInPage(page, job, inWorker).catch((error: Error) => failed(error.message));
    return { ...explain(outcome, said), ...watch() };
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

/** The highest resident memory of a page's process, as far as Linux tells it. */
interface Peaks {
  peakBytes?: number;
  peakOwnBytes?: number;
}

/**
 * Watches how much memory the renderers hold; what is returned ends that and tells the most of the page's, which is the one that
 * holds the most in the end, with its model still there. Chromium on Linux only.
 */
async function watchMemory(browser: Browser): Promise<() => Peaks> {
  const pids = await renderers(browser).catch(() => []);
  const seen = new Map<number, { now: number; peak: number; own: number }>();
  const look = () => {
    for (const pid of pids) {
      try {
        const { now, peak, own } = residentBytes(pid);
        seen.set(pid, { now, peak, own: Math.max(own, seen.get(pid)?.own ?? 0) });
      } catch {
        seen.delete(pid); // it has ended
      }
    }
  };
  const timer = setInterval(look, 100);
  return () => {
    clearInterval(timer);
    look();
    const page = [...seen.values()].filter(({ peak }) => Number.isFinite(peak)).toSorted((a, b) => b.now - a.now)[0];
    return page ? { peakBytes: page.peak, peakOwnBytes: page.own } : {};
  };
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
