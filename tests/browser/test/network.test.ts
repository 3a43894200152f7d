import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CDPSession } from "puppeteer-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { byId, fill, generate, launch, openPage, type Running, waitForText } from "../src/browser.js";
import { readNetLog } from "../src/netlog.js";
import { Server } from "../src/server.js";

const folder = mkdtempSync(join(tmpdir(), "pagelm-netlog-"));
const netLog = join(folder, "log.json");

let server: Server;
let running: Running;

beforeAll(async () => {
  server = await Server.start();
  running = await launch(`--log-net-log=${netLog}`);
});
afterAll(() => {
  server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** The addresses that a page and its workers ask for, from now on, as DevTools' network panel would list them. */
async function listenTo(session: CDPSession, urls: string[]): Promise<void> {
  session.on("Network.requestWillBeSent", ({ request }) => urls.push(request.url));
  session.on("Network.webSocketCreated", ({ url }) => urls.push(url));
  await session.send("Network.enable");
}

test("once the model is loaded, generating asks the network for nothing", async () => {
  const { page } = await openPage(running.browser);
  const urls: string[] = [];
  await listenTo(await page.createCDPSession(), urls);
  page.on("workercreated", (worker) => void listenTo(worker.client, urls));
  await page.goto(server.demo);
  await waitForText(page, "status", /ready/i);
  expect(urls.some((url) => url.endsWith("models/story.gguf")) || server.requests.some((p) => p.endsWith(".gguf"))).toBe(true);

  // The page is at rest: what is asked for from here on, generating asks for.
  await new Promise((later) => setTimeout(later, 1000));
  const [nUrls, nRequests, loaded] = [urls.length, server.requests.length, Date.now()];
  for (const prompt of ["A dragon", "A dragon and a mouse https://example.com/?q=1"]) {
    await fill(page, byId("prompt"), prompt);
    await fill(page, "#length", "100");
    expect(await generate(page)).not.toBe("");
  }
  const generated = Date.now();
  expect(urls.slice(nUrls)).toEqual([]);
  expect(server.requests.slice(nRequests)).toEqual([]);

  await running.close();
  const logged = readNetLog(netLog);
  expect(logged.map(({ url }) => url), "the log has what was loaded").toContainEqual(expect.stringMatching(/\.gguf$/));
  expect(logged.filter(({ time }) => time > loaded && time <= generated)).toEqual([]);
});
