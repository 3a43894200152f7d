/**
 * How much memory the browser's renderers hold, by Linux's own account.
 * @module
 */

import { readFileSync, writeFileSync } from "node:fs";
import type { Browser } from "puppeteer-core";

/** Process ids of the browser's renderers: one of them has the page, with all of its workers. */
export async function renderers(browser: Browser): Promise<number[]> {
  const session = await browser.target().createCDPSession();
  try {
    const { processInfo } = await session.send("SystemInfo.getProcessInfo");
    return processInfo.filter(({ type }) => type === "renderer").map(({ id }) => id);
  } finally {
    await session.detach();
  }
}

/**
 * Resident memory now and at its highest since `resetPeak`, in bytes; and what of it now is the process's own: without the pages
 * of files, which are the browser's program for the most part and are there once for all of its processes.
 */
export function residentBytes(pid: number): { now: number; peak: number; own: number } {
  const text = readFileSync(`/proc/${pid}/status`, "utf8");
  const bytesOf = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? Number.NaN) * 1024;
  return { now: bytesOf("VmRSS"), peak: bytesOf("VmHWM"), own: bytesOf("RssAnon") + bytesOf("RssShmem") };
}

/** Lets the peak begin anew from what is resident now. */
export function resetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, "5");
}
