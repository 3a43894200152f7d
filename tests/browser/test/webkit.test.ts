import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as native from "../src/native.js";
import { storyModel } from "../src/paths.js";
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
const PRESS = "document.querySelector(`[data-testid='${arguments[0]}']`).click()";
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

  // Without relaxed SIMD, threads and files of its own: what Chromium and Firefox write with all of these, it writes too.
  test("the demo page writes the native command's text", async () => {
    const prompt = "Once upon a time there was a little fox";
    await webkit.goto(server.demo);
    await webkit.waitFor(`${TOLD.replace("return ", "const now = ")}; return /ready/i.test(now)`, 60_000, "status");
    expect(await webkit.evaluate("return [typeof SharedArrayBuffer, typeof navigator.storage]")).toEqual(["undefined", "undefined"]);
    await webkit.evaluate("const box = document.querySelector('#new-seed'); if (box.checked) box.click()");
    for (const [field, value] of [["prompt", prompt], ["seed", "7"]] as const) await webkit.evaluate(SET, field, value);
    await webkit.evaluate("const field = document.querySelector('#length'); field.value = 60; field.dispatchEvent(new Event('change', { bubbles: true })); field.dispatchEvent(new Event('input', { bubbles: true }))");
    await webkit.evaluate(PRESS, "generate");
    await webkit.waitFor(`${TOLD.replace("return ", "const now = ")}; return /done/i.test(now)`, 60_000, "status");
    const text = await webkit.evaluate<string>("return document.querySelector(`[data-testid='output']`).textContent");
    const report = await native.generate(storyModel, prompt, "--seed", "7", "--n-predict", "60");
    expect(text).toBe(report.text);
  }, 150_000);

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
