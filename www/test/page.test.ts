import { pathToFileURL } from "node:url";
import { readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "puppeteer-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { fakeFile } from "../../pkg/test/fake-binding.js";
import { at, chromium, launch, OUT, press, Site, textOf, type, waitForText } from "./harness.js";

describe.skipIf(!chromium)("the page in Chromium", () => {
  let site: Site;
  let browser: Browser;
  let close: () => Promise<void>;
  let page: Page;
  let complaints: string[];

  beforeAll(async () => {
    site = await Site.start();
    ({ browser, close } = await launch());
  }, 60_000);

  afterAll(async () => {
    await close();
    site.stop();
  });

  beforeEach(async () => {
    [site.delay, site.modelsStatus] = [0, 200];
    page = await browser.newPage();
    complaints = [];
    page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(String(error)));
  });

  afterEach(async () => {
    await page.close();
  });

  const open = async (hash = "") => {
    await page.goto(site.url + hash);
    await waitForText(page, "status", /Ready/);
  };
  const generate = async (prompt: string) => {
    await type(page, "#prompt", prompt);
    await press(page, at("generate"));
  };
  const byAddress = async (address: string) => {
    await type(page, "#address", address);
    await page.$eval("#by-address", (form) => (form as HTMLFormElement).requestSubmit());
  };
  const placeOfError = () => page.$eval(at("error"), (error) => error.parentElement?.id);

  test("a text grows in many steps, Stop ends it, speed and seed are shown, nothing is requested", async () => {
    await open();
    await page.evaluate(() => {
      const lengths = new Set<number>();
      const output = document.querySelector("#output") as HTMLElement;
      new MutationObserver(() => lengths.add(output.textContent?.length ?? 0)).observe(output, { subtree: true, childList: true, characterData: true });
      Object.assign(window, { lengths });
    });
    const before = site.requests.length;
    await generate("LONG SLOW");
    await page.waitForFunction(() => (window as never as { lengths: Set<number> }).lengths.size > 12);
    await page.click(at("stop"));
    await waitForText(page, "status", /Stopped/);
    const text = await textOf(page, "output");
    expect(text).toMatch(/^ ?w0 w1 w2/);
    expect(await textOf(page, "speed")).toMatch(/^\d+ tokens\/s$/);
    expect(await page.$eval(at("seed"), (field) => (field as HTMLInputElement).value)).toMatch(/^\d+$/);
    await new Promise((done) => setTimeout(done, 100));
    expect(await textOf(page, "output")).toBe(text);
    expect(site.requests.length).toBe(before);
    expect(complaints).toEqual([]);
  });

  test("the link brings the text back after a reload", async () => {
    await open();
    await generate("There was a fox who");
    await waitForText(page, "status", /Done/);
    const first = await textOf(page, "output");
    await page.reload();
    await waitForText(page, "status", /Ready/);
    expect(await page.$eval(at("prompt"), (field) => (field as HTMLTextAreaElement).value)).toBe("There was a fox who");
    await page.click(at("generate"));
    await waitForText(page, "status", /Done/);
    expect(await textOf(page, "output")).toBe(first);
  });

  test("a new seed each time, unless one is set", async () => {
    await open();
    const seed = () => page.$eval(at("seed"), (field) => (field as HTMLInputElement).value);
    await generate("a");
    await waitForText(page, "status", /Done/);
    const first = await seed();
    await generate("b");
    await waitForText(page, "status", /Done/);
    expect(await seed()).not.toBe(first);
    await type(page, "#seed", "7");
    await generate("c");
    await waitForText(page, "status", /Done/);
    expect(await seed()).toBe("7");
    await type(page, "#seed", "seven");
    await generate("d");
    expect(await waitForText(page, "error", /seven/)).toContain("whole number");
    expect(await placeOfError()).toBe("settings-notices");
  });

  /** Presses the meter's button, and does something else before anything can be measured. */
  const measure = (then?: "press" | "Esc" | "generate") =>
    page.evaluate((then) => {
      const button = (id: string) => document.getElementById(id) as HTMLButtonElement;
      button("measure").focus();
      button("measure").click();
      const shown = [button("measure").innerText, document.getElementById("measured")?.innerText];
      if (then === "press") button("measure").click();
      if (then === "Esc") dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" }));
      if (then === "generate") button("generate").click();
      return shown;
    }, then);

  test("the device is measured: two speeds and the build, without a request, and the focus stays", async () => {
    await open();
    const before = site.requests.length;
    expect(await measure()).toEqual(["Stop measuring", "Measuring. This takes a few seconds."]);
    expect(await waitForText(page, "measured", /Writes/)).toMatch(
      // The engine that is none may take no time at all.
      /^Reads\s+(.+ tokens\/s|too quick to tell)\s+Writes\s+[\d,.]+ tokens\/s\s+Engine\s+[\w-]+ build, \d+ threads?\s+With this model, just now: 128 /,
    );
    expect(await textOf(page, "measure")).toBe("How fast is this device?");
    expect(await page.evaluate(() => document.activeElement?.id)).toBe("measure");
    expect(site.requests.length).toBe(before);
    expect(complaints).toEqual([]);
  });

  test.each(["press", "Esc"] as const)("a measurement is stopped by %s, and a text can be written", async (stop) => {
    await open();
    await measure(stop);
    await waitForText(page, "measured", /^Stopped/);
    expect(await textOf(page, "measure")).toBe("How fast is this device?");
    await generate("There was");
    await waitForText(page, "status", /Done/);
    expect(complaints).toEqual([]);
  });

  test("a text goes before a measurement, and another model's numbers are not kept", async () => {
    await open();
    await type(page, "#prompt", "LONG SLOW");
    await measure("generate");
    await waitForText(page, "status", /Writing/);
    await press(page, "#measure");
    expect(await textOf(page, "measured")).toBe("Stopped.");
    expect(await page.$eval("#measure", (button) => button.ariaDisabled)).toBe("true");
    await page.click(at("stop"));
    await page.waitForSelector("#measure[aria-disabled=false]");
    await press(page, "#measure");
    await waitForText(page, "measured", /Writes/);
    await byAddress("other.gguf");
    await waitForText(page, "measured", /^$/);
  });

  test("a download shows its bytes; Generate meanwhile waits for it; Cancel stops it", async () => {
    site.delay = 30;
    await page.goto(site.url, { waitUntil: "domcontentloaded" });
    await page.waitForFunction(() => (document.querySelector("progress")?.value ?? 0) > 100_000);
    expect(await page.$eval("#transfer-bytes", (element) => element.textContent)).toMatch(/^\d.*B of 3\.9 MB$/);
    await generate("There was");
    await waitForText(page, "status", /still coming/);
    await page.click("#cancel-transfer");
    await waitForText(page, "status", /^$/);
    expect(await page.$eval(at("stop"), (button) => (button as HTMLButtonElement).disabled)).toBe(true);
    site.delay = 5;
    await page.click(at("generate"));
    await waitForText(page, "status", /Done/);
    expect(await textOf(page, "output")).not.toBe("");
  });

  test.each([
    ["missing.gguf", /answered 404/],
    ["page.gguf", /is a web page/],
    ["bert.gguf", /“bert” is not supported/],
    ["http://127.0.0.1:1/x.gguf", /No answer from/],
    ["ftp://x/y.gguf", /should begin with https/],
    ["", /address of a GGUF file first/],
  ])("another model that fails, %s, leaves the one that is here", async (address, message) => {
    await open();
    await byAddress(address);
    await waitForText(page, "error", message);
    expect(await placeOfError()).toBe("chooser-notices");
    await generate("There was");
    await waitForText(page, "status", /Done/);
  });

  test("another model by address takes the place of the first", async () => {
    await open();
    await byAddress("other.gguf");
    await page.waitForFunction(() => document.querySelector("#model-facts")?.textContent?.includes("50 kB"));
    await generate("There was");
    await waitForText(page, "status", /Done/);
    expect(page.workers()).toHaveLength(1);
  });

  test("a model from this device, chosen or dropped", async () => {
    const path = join(tmpdir(), "pagelm-chosen.gguf");
    await writeFile(path, fakeFile(70_000));
    await open();
    await ((await page.$("#file")) as never as { uploadFile(path: string): Promise<void> }).uploadFile(path);
    await page.waitForFunction(() => document.querySelector("#model-facts")?.textContent?.includes("70 kB"));
    await page.evaluate((bytes) => {
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File([Uint8Array.from(bytes)], "dropped.gguf"));
      for (const kind of ["dragenter", "drop"]) dispatchEvent(new DragEvent(kind, { dataTransfer, cancelable: true }));
    }, [...fakeFile(900)]);
    await page.waitForFunction(() => document.querySelector("#model-facts")?.textContent?.includes("900 bytes"));
    await generate("There was");
    await waitForText(page, "status", /Done/);
  });

  test("not enough memory beside the model that is here: the page offers to give that up", async () => {
    await open();
    await byAddress("too-big.gguf");
    await waitForText(page, "error", /not enough memory/);
    expect(await page.$eval("#error-action", (button) => button.textContent)).toMatch(/Give up the model that is here/);
    await press(page, "#error-action");
    await waitForText(page, "error", /not enough memory/);
    expect(await page.$eval("#model-name", (element) => element.textContent)).toBe("none now");
  });

  test("a trap is said, and Generate loads the model again", async () => {
    await open();
    await generate("TRAP");
    await waitForText(page, "error", /The engine stopped/);
    expect(await placeOfError()).toBe("composer-notices");
    await generate("There was");
    await waitForText(page, "status", /Done/);
    expect(await page.$eval(at("error"), (error) => (error as HTMLElement).hidden)).toBe(true);
  });

  test("a killed worker is noticed while it writes, and Generate goes on with a fresh one", async () => {
    await open();
    await generate("LONG SLOW");
    await page.waitForFunction(() => (document.querySelector("#output")?.textContent?.length ?? 0) > 10);
    await page.workers()[0]?.evaluate(() => close());
    await waitForText(page, "error", /browser ended the worker/);
    await generate("There was");
    await waitForText(page, "status", /Done/);
  });

  test("without a list of models the page says so and can be used", async () => {
    site.modelsStatus = 404;
    await page.goto(site.url);
    await waitForText(page, "error", /models\.json.*404.*Another model/);
    await byAddress("other.gguf");
    await waitForText(page, "status", /Ready/);
    await generate("There was");
    await waitForText(page, "status", /Done/);
  });

  test("keys: from the beginning on by Tab alone, Ctrl Enter and Escape", async () => {
    await open();
    await page.focus("#prompt");
    const order: string[] = [];
    for (let idx = 0; idx < 8; idx += 1) {
      await page.keyboard.press("Tab");
      order.push(await page.evaluate(() => document.activeElement?.id || (document.activeElement?.textContent ?? "")));
    }
    expect(order.slice(4)).toEqual(["generate", "Defaults", "temperature", "topK"]);
    await type(page, "#prompt", "LONG SLOW");
    await page.focus("#prompt");
    await page.keyboard.down("Control");
    await page.keyboard.press("Enter");
    await page.keyboard.up("Control");
    await waitForText(page, "status", /Writing/);
    await page.keyboard.press("Escape");
    await waitForText(page, "status", /Stopped/);
  });

  test("axe finds nothing, light and dark, before, while and after", { timeout: 60_000 }, async () => {
    const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
    const check = async () => {
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => (window as never as { axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> } }).axe.run());
      expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`)).toEqual([]);
    };
    for (const value of ["light", "dark"]) {
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value }]);
      await open();
      await check();
      await generate("LONG SLOW");
      await waitForText(page, "status", /Writing/);
      await check();
      await page.click(at("stop"));
      await waitForText(page, "status", /Stopped/);
      await byAddress("bert.gguf");
      await waitForText(page, "error", /bert/);
      await check();
    }
  });

  test("opened from a disk, it says what to do, in its own style", async () => {
    await page.goto(pathToFileURL(join(OUT, "index.html")).href);
    const note = await page.$eval("#unserved", (element) => (element as HTMLElement).innerText);
    expect(note).toContain("cargo xtask demo");
    expect(await page.$eval("#app", (element) => (element as HTMLElement).hidden)).toBe(true);
    expect(await page.$eval("#unserved pre", (element) => getComputedStyle(element).borderStyle)).toBe("solid");
  });
});
