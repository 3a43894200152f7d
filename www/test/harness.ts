import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import puppeteer, { type Browser, type Page } from "puppeteer-core";
import { build } from "vite";
import { fakeFile, faults } from "../../pkg/test/fake-binding.js";

/** Where the page lives on the test server: a sub-path, as on most static hosts. */
export const BASE = "/some/where/";
/** Where it is built. */
export const OUT = join(tmpdir(), `pagelm-page-${process.pid}`);
const TYPES: Record<string, string> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
};

/** The browser that the tests drive, if there is one. */
export const chromium = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(
  (path) => path && existsSync(path),
);
if (!chromium && process.env.CI === "true") throw new Error("The page tests need Chromium: apt-get install chromium");
if (!chromium) console.warn("skipped: the page tests, since there is no Chromium (apt-get install chromium)");

const MODEL_BYTES = 3_900_000;
const models = [
  {
    name: "Llama-fake-stories",
    file: "story.gguf",
    bytes: MODEL_BYTES,
    sha256: "0".repeat(64),
    parameters: 3_412_992,
    quantization: "Q8_0",
    licence: "CC BY 4.0",
    card: "story.md",
    description: "Short stories for children.",
  },
  {
    name: "Llama-fake-tasks",
    label: "Tasks",
    file: "tasks.gguf",
    bytes: 5_100_000,
    sha256: "0".repeat(64),
    parameters: 4_512_992,
    quantization: "Q8_0",
    licence: "CC BY 4.0",
    card: "tasks.md",
    description: "Small tasks.",
    tasks: "tasks.json",
  },
];

/** What the second model can be asked for. */
export const tasks = [
  { task: "story", label: "Write a story", prompt: "Write a short story about {topic}.", example: { topic: "a brave little snail" } },
  {
    task: "csv",
    label: "Turn a CSV table into Markdown",
    prompt: "Write this TABLE in Markdown. Keep {braces}.\n{csv}",
    example: { csv: "name,age\nTom,7" },
    fields: { csv: "CSV table" },
    code: ["csv"],
    answer: "code",
    temperature: 0,
  },
];

/** A static server with a few ways to go wrong, and the built page. */
export class Site {
  readonly requests: string[] = [];
  /** Milliseconds between two parts of a model. */
  delay = 0;
  /** Answers with which models.json is to be replaced. */
  modelsStatus = 200;
  /** The same for tasks.json. */
  tasksStatus = 200;
  /** Downloads that the other side gave up. */
  cutShort = 0;
  #server = createServer((request, response) => void this.#serve(request, response));

  static async start(): Promise<Site> {
    await build({ configFile: fileURLToPath(new URL("fake.vite.config.ts", import.meta.url)), build: { outDir: OUT } });
    const site = new Site();
    await new Promise<void>((done) => site.#server.listen(0, "127.0.0.1", done));
    return site;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}${BASE}`;
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
    rmSync(OUT, { recursive: true, force: true });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = new URL(request.url ?? "", "http://x").pathname;
    this.requests.push(path);
    const name = path.startsWith(BASE) ? path.slice(BASE.length).replace(/^$|(?<=\/)$/, "index.html") : "";
    if (name === "models/models.json" && this.modelsStatus === 200) return void response.end(JSON.stringify(models));
    if (name === "models/tasks.json" && this.tasksStatus === 200) return void response.end(JSON.stringify(tasks));
    if (name === "models/tasks.gguf") return this.#send(response, fakeFile(5_100_000));
    if (name === "models/story.gguf") return this.#send(response, fakeFile(MODEL_BYTES));
    if (name === "other.gguf") return this.#send(response, fakeFile(50_000));
    if (name === "too-big.gguf") return this.#send(response, fakeFile(50_000, faults.trapOnFinish));
    if (name === "bert.gguf") return this.#send(response, fakeFile(50_000, faults.unsupported));
    if (name === "page.gguf") return void response.end("<!doctype html><p>Sign in");
    try {
      if (/^models\/.*(?<!\.html)$/.test(name)) throw new Error("the real ones are not for these tests");
      const body = await readFile(join(OUT, name));
      response.setHeader("content-type", TYPES[extname(name)] ?? "application/octet-stream").end(body);
    } catch {
      response.writeHead(404).end();
    }
  }

  async #send(response: ServerResponse, file: Uint8Array): Promise<void> {
    for (let at = 0; at < file.length && !response.destroyed; at += file.length / 40) {
      response.write(file.subarray(at, at + file.length / 40));
      if (this.delay) await new Promise((done) => setTimeout(done, this.delay));
    }
    if (response.destroyed) this.cutShort += 1;
    response.end();
  }
}

/** Chromium, as it wants to be started in a container. */
export async function launch(...more: string[]): Promise<{ browser: Browser; close: () => Promise<void> }> {
  const userDataDir = mkdtempSync(join(tmpdir(), "pagelm-"));
  const browser = await puppeteer.launch({
    executablePath: chromium as string,
    userDataDir,
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      ...more,
    ],
  });
  const close = async () => {
    await browser.close();
    rmSync(userDataDir, { recursive: true, force: true });
  };
  return { browser, close };
}

/** The element with this test id. */
export const at = (id: string) => `[data-testid="${id}"]`;

/** Its text. */
export async function textOf(page: Page, id: string): Promise<string> {
  return page.$eval(at(id), (element) => (element as HTMLElement).innerText);
}

/** Waits until an element's text matches. */
export async function waitForText(page: Page, id: string, pattern: RegExp, timeout = 30_000): Promise<string> {
  await page.waitForFunction(
    (selector, source) => new RegExp(source).test((document.querySelector(selector) as HTMLElement)?.innerText ?? ""),
    { timeout, polling: 20 },
    at(id),
    pattern.source,
  );
  return textOf(page, id);
}

/** Types a beginning in place of the one that is there. */
export async function type(page: Page, selector: string, text: string): Promise<void> {
  await page.$eval(selector, (field, value) => {
    (field as HTMLInputElement).value = value;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }, text);
}

/** Presses a button. Not by the mouse: the page may be scrolling, or moving to make room for a message. */
export async function press(page: Page, selector: string): Promise<void> {
  await page.$eval(selector, (button) => (button as HTMLElement).click());
}
