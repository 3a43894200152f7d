import type { Page } from "puppeteer-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { builds, launch, launchFirefox, openBlank, type Running } from "../src/browser.js";
import * as gguf from "../src/gguf.js";
import { Server } from "../src/server.js";

const N_CTX = 4096;
const EOS = 2;

/** So small that what loading leaves free is less than any waste of some bytes a token would take. */
const small = gguf.toBytes(gguf.llama({ ...gguf.TINY, nLayer: 1, nEmbd: 32, nHead: 4, nHeadKv: 2, nFf: 32, nCtx: N_CTX }, gguf.Q8_0, "small"));
/** Large enough for two threads to share its products. */
const shared = gguf.toBytes(gguf.llama({ ...gguf.TINY, nLayer: 1, nCtx: N_CTX }, gguf.Q4_0, "shared"));

let server: Server;

beforeAll(async () => void (server = await Server.start({ isolated: true })));
afterAll(() => server?.stop());

describe.each([["Chromium", launch], ["Firefox", launchFirefox]] as const)("a text to the end of a context of 4,096 tokens in %s", (_, start) => {
  let running: Running;
  let page: Page;

  beforeAll(async () => {
    running = await start();
    page = await openBlank(running.browser, server);
  });
  afterAll(() => running?.close());

  test.each(builds)("%s: the engine's memory stays as large as it was after two tokens", async (build) => {
    for (const [cacheType, options] of [
      ["f32", { repeatPenalty: 1.1, seed: 3 }],
      ["q8_0", { temperature: 0, speculative: "lookup" }],
    ] as const) {
      const seen = await page.evaluate(
        async (build, url, nCtx, eos, cacheType, options) => {
          const binding = await window.openBuild(build);
          const { memory } = (await binding.default()) as { memory?: WebAssembly.Memory };
          const size = () => (memory ?? binding.share?.(1)[1])?.buffer.byteLength;
          const file = new Uint8Array(await (await fetch(url)).arrayBuffer());
          const loader = new binding.Loader(file.length);
          loader.push(file);
          const engine = loader.finish(nCtx, cacheType);
          engine.start(Uint32Array.from([1, 5, 9]), { ...options, bannedTokens: [eos] });
          let tokens = 0;
          let after2: number | undefined;
          let step = engine.step();
          for (; step.kind !== "end"; step = engine.step()) {
            if (step.kind === "token") tokens += 1;
            if (tokens === 2) after2 ??= size();
          }
          const atEnd = size();
          engine.free();
          return { tokens, stopReason: step.stopReason, after2, atEnd };
        },
        build,
        server.offer("small.gguf", small),
        N_CTX,
        EOS,
        cacheType,
        options,
      );
      expect(seen.after2).toBeGreaterThan(65_536);
      const { after2 } = seen;
      expect({ cacheType, ...seen }).toEqual({ cacheType, tokens: N_CTX - 3, stopReason: "contextFull", after2, atEnd: after2 });
    }
  });

  test("in a worker and on two threads too", async () => {
    const seen = await page.evaluate(
      async (url, nCtx, eos) => {
        const post = Worker.prototype.postMessage;
        let memory: WebAssembly.Memory | undefined;
        // What a helper is sent is the one place where the page meets the engine's memory.
        Worker.prototype.postMessage = function (this: Worker, message: { memory?: WebAssembly.Memory }, options?: Transferable[] | StructuredSerializeOptions) {
          memory ??= message.memory;
          post.call(this, message, options as StructuredSerializeOptions);
        };
        try {
          const model = await window.pagelm.Model.load(url, { threads: 2, nCtx });
          await window.threadsAtWork(model);
          const generation = model.generate([1, 5, 9], { maxTokens: 5000, seed: 3, bannedTokens: [eos] });
          let tokens = 0;
          let after2: number | undefined;
          for await (const _ of generation) {
            tokens += 1;
            if (tokens === 2) after2 = memory?.buffer.byteLength;
          }
          const atEnd = memory?.buffer.byteLength;
          model.dispose();
          return { tokens, stopReason: generation.report?.stopReason, after2, atEnd };
        } finally {
          Worker.prototype.postMessage = post;
        }
      },
      server.offer("shared.gguf", shared),
      N_CTX,
      EOS,
    );
    expect(seen.after2).toBeGreaterThan(65_536);
    const { after2 } = seen;
    expect(seen).toEqual({ tokens: N_CTX - 3, stopReason: "contextFull", after2, atEnd: after2 });
  });
});
