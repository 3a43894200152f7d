import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { Page } from "puppeteer-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { builds, launch, openBlank, type Running } from "../src/browser.js";
import { Server } from "../src/server.js";

/** The folder where `cargo xtask conformance` has put models, and what the native command computed with them. */
const folder = process.env["PAGELM_CONFORMANCE"];

interface Row {
  case: string;
  format: string;
  tokens: number[];
}

const rows: Row[] = folder ? (JSON.parse(readFileSync(join(folder, "results.json"), "utf8")) as Row[]) : [];

describe.skipIf(!folder)("models of every architecture in Chromium", () => {
  let server: Server;
  let running: Running;
  let page: Page;
  const equal: string[] = [];

  beforeAll(async () => {
    server = await Server.start({ isolated: true });
    running = await launch();
    page = await openBlank(running.browser, server);
  });
  afterAll(async () => {
    await running?.close();
    server?.stop();
    if (folder) writeFileSync(join(folder, "chromium.json"), `${JSON.stringify(equal)}\n`);
  });

  test.each(rows.map((row) => [`${row.case}-${row.format}`, row] as const))("%s: the native command's bits", async (name, row) => {
    const stem = join(folder as string, name);
    const native = readFileSync(`${stem}.f32`);
    const url = server.offer(basename(`${stem}.gguf`), readFileSync(`${stem}.gguf`));
    for (const build of builds) {
      const base64 = await page.evaluate(
        async (build, url, tokens) => {
          const model = await window.pagelm.Model.load(url, { build, threads: 2 });
          await window.threadsAtWork(model);
          const logits = await model.logits(tokens);
          model.dispose();
          let binary = "";
          for (const byte of new Uint8Array(logits.buffer, logits.byteOffset, logits.byteLength)) binary += String.fromCharCode(byte);
          return btoa(binary);
        },
        build,
        url,
        row.tokens,
      );
      expect({ build, equal: Buffer.from(base64, "base64").equals(native) }).toEqual({ build, equal: true });
    }
    equal.push(name);
  });
});
