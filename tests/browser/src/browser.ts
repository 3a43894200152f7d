/**
 * Chromium, and how the tests see its pages.
 * @module
 */

import { accessSync, constants, mkdtempSync, rmSync } from "node:fs";
import { delimiter, join } from "node:path";
import { tmpdir } from "node:os";
import type * as Pagelm from "pagelm";
import type * as MainThread from "pagelm/main-thread";
import puppeteer, { type Browser, type Page } from "puppeteer-core";
import type { Binding } from "../../../pkg/src/binding.js";
import type * as Grammar from "../../../pkg/src/grammar/pagelm_grammar.js";
import type { Server } from "./server.js";
import { threadsAtWork } from "./threads.js";

declare global {
  interface Window {
    /** The package, on the blank page. */
    pagelm: typeof Pagelm;
    /** The grammars' module without the package around it. */
    openGrammar(): Promise<typeof Grammar>;
    /** The package's other entry. */
    openMainThread(): Promise<typeof MainThread>;
    /** One build of the engine without the package around it. */
    openBuild(build: string): Promise<Binding>;
  }
}

/** The builds of the engine, by name. */
export const builds = ["simd128", "relaxed", "simd128-threads", "relaxed-threads"] as const;

/** As Chromium wants to be started in a container without a network. */
const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** A browser with a profile of its own, and the way to end both. */
export interface Running {
  browser: Browser;
  close(): Promise<void>;
}

/** Starts Chromium: the program in `PAGELM_CHROMIUM`, else the one on the search path. */
export async function launch(...more: string[]): Promise<Running> {
  const userDataDir = mkdtempSync(join(tmpdir(), "pagelm-chromium-"));
  const browser = await puppeteer.launch({ executablePath: chromium(), userDataDir, args: [...FLAGS, ...more] });
  const close = async () => {
    await browser.close();
    rmSync(userDataDir, { recursive: true, force: true, maxRetries: 3 });
  };
  return { browser, close };
}

/** Starts Firefox, headless: the program in `PAGELM_FIREFOX`, else the one on the search path. */
export async function launchFirefox(): Promise<Running> {
  const executablePath = program("Firefox", "PAGELM_FIREFOX", ["firefox", "firefox-esr"]);
  const browser = await puppeteer.launch({ browser: "firefox", executablePath, headless: true });
  return { browser, close: () => browser.close() };
}

function chromium(): string {
  const names = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
  return program("Chromium", "PAGELM_CHROMIUM", names);
}

function program(browser: string, variable: string, names: string[]): string {
  const named = process.env[variable];
  if (named) return named;
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  const found = names.flatMap((name) => folders.map((folder) => join(folder, name))).find(isProgram);
  if (!found) throw new Error(`${browser} is missing: install it, or name its program in ${variable}.`);
  return found;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * A fresh page that fails the test by `errors` if a script in it throws and nobody catches that. In it,
 * `window.threadsAtWork` is {@link threadsAtWork}.
 */
export async function openPage(browser: Browser): Promise<{ page: Page; errors: string[] }> {
  const page = await browser.newPage();
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.evaluateOnNewDocument(`window.threadsAtWork = ${threadsAtWork}`);
  return { page, errors };
}

/** A page with the package in it. */
export async function openBlank(browser: Browser, server: Server): Promise<Page> {
  const { page } = await openPage(browser);
  await page.goto(server.blank);
  await page.waitForFunction(() => "pagelm" in window);
  return page;
}

/** The element with this test id. */
export const byId = (id: string) => `[data-testid="${id}"]`;

/** What is to be read in an element: its text, or a field's value. */
export async function read(page: Page, id: string): Promise<string> {
  return page.$eval(byId(id), (element) =>
    element instanceof HTMLInputElement || element instanceof HTMLTextAreaElement
      ? element.value
      : (element as HTMLElement).innerText,
  );
}

/** Waits until an element's text matches, and returns it. */
export async function waitForText(page: Page, id: string, pattern: RegExp, timeout = 30_000): Promise<string> {
  await page.waitForFunction(
    (selector, source, flags) => {
      const element = document.querySelector<HTMLElement>(selector);
      return new RegExp(source, flags).test(element?.innerText ?? "");
    },
    { timeout, polling: 50 },
    byId(id),
    pattern.source,
    pattern.flags,
  );
  return read(page, id);
}

/** Puts text into a field as typing would, but at once. */
export async function fill(page: Page, selector: string, text: string): Promise<void> {
  await page.$eval(
    selector,
    (field, value) => {
      (field as HTMLInputElement).value = value;
      field.dispatchEvent(new Event("input", { bubbles: true }));
      field.dispatchEvent(new Event("change", { bubbles: true }));
    },
    text,
  );
}

/** Presses Generate, waits until all is written, and returns the text. */
export async function generate(page: Page): Promise<string> {
  // Not by the mouse: the page may be scrolling, or moving to make room for a message.
  await page.$eval(byId("generate"), (button) => (button as HTMLButtonElement).click());
  // Stop can be pressed exactly while something is being written, from the click on.
  await page.waitForSelector(`${byId("stop")}[disabled]`);
  await waitForText(page, "status", /done/i);
  return page.$eval(byId("output"), (output) => output.textContent ?? "");
}
