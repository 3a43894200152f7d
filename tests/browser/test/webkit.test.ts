import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Server } from "../src/server.js";
import { hasWebkit, Webkit } from "../src/webkit.js";

/** What each lesson tells when its figures are drawn, and a control that moves one of them. */
const lessons = [
  ["tokens", "tokens-told", "text", "Hello"],
  ["vectors", "vectors-told", "word", " mom"],
  ["positions", "own-told", "far", "12"],
  ["attention", "attention-told", "layer", "2"],
  ["block", "step-told", "step", "9"],
  ["choice", "choice-told", "temperature", "0.4"],
  ["lens", "credit-told", "target", " dog"],
  ["who", "patch-told", "patchLayer", "4"],
  ["speed", "bits-told", "bits", "2"],
  ["limits", "bias-told", "people", "king, queen"],
] as const;

const TOLD = "return document.querySelector(`[data-testid='${arguments[0]}']`)?.innerText || ''";
const REST = "return !document.documentElement.hasAttribute('data-busy')";
const SET = `const field = document.querySelector(\`[data-testid='\${arguments[0]}']\`);
  field.value = arguments[1];
  for (const kind of ["input", "change"]) field.dispatchEvent(new Event(kind, { bubbles: true }));`;

describe.skipIf(!hasWebkit)("WebKit", () => {
  let server: Server;
  let webkit: Webkit;
  beforeAll(async () => {
    server = await Server.start();
    webkit = await Webkit.launch();
  }, 60_000);
  afterAll(async () => {
    await webkit?.close();
    server?.stop();
  });

  test.each(lessons)("%s: %s is told, and %s = %s moves it", async (lesson, told, control, value) => {
    await webkit.goto("about:blank");
    await webkit.goto(`${server.demo}learn/index.html#lang=en&lesson=${lesson}`);
    const before = await webkit.waitFor<string>(TOLD, 60_000, told);
    await webkit.waitFor(REST, 60_000);
    await webkit.evaluate(SET, control, value);
    await webkit.waitFor(`${TOLD.replace("return ", "const now = ")}; return now !== "" && now !== arguments[1] && now`, 60_000, told, before);
    expect(await webkit.evaluate(TOLD, "error")).toBe("");
  }, 150_000);

  test("the workbench draws its map, and shows what is chosen", async () => {
    await webkit.goto(`${server.demo}workbench/index.html#lang=en`);
    await webkit.waitFor(TOLD, 60_000, "cell-told");
    await webkit.waitFor(REST, 60_000);
    await webkit.evaluate("[...document.querySelectorAll(`[data-testid='bench-map'] g[role=button]`)].at(-1).dispatchEvent(new MouseEvent('click'))");
    await webkit.waitFor(`${TOLD.replace("return ", "const now = ")}; return /Behind layer/.test(now)`, 60_000, "cell-told");
    expect(await webkit.evaluate(TOLD, "error")).toBe("");
  }, 150_000);
});
