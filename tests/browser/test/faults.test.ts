import { readFileSync } from "node:fs";
import type { Page } from "puppeteer-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { byId, fill, generate, launch, openBlank, openPage, read, type Running, waitForText } from "../src/browser.js";
import * as gguf from "../src/gguf.js";
import { sharedModel, storyModel } from "../src/paths.js";
import * as server from "../src/server.js";

const tiny = () => gguf.llama(gguf.TINY, gguf.Q8_0, "tiny");
const good = gguf.toBytes(tiny());

/** The bytes of a tiny model with something changed. */
function broken(change: (file: gguf.File) => void): Uint8Array {
  const file = tiny();
  change(file);
  return gguf.toBytes(file);
}

/** Files and servers that do not give a model: what the error's code is, and what its text must name. */
const faults: [name: string, file: Uint8Array, behaviour: server.Behaviour, code: string, names: RegExp][] = [
  ["no such file", good, server.status(404), "http", /404.*check the address/is],
  ["a server at fault", good, server.status(503), "http", /503.*later/is],
  ["a page instead", good, server.pageInstead, "format", /web page/i],
  ["a connection that is cut", good, server.cut(0.6), "network", /cut|connection/i],
  ["a file that is cut", good, server.short(0.6), "format", /truncated|ends/i],
  ["a file that is cut in its header", good, server.short(0.001), "format", /truncated|ends/i],
  ["an empty file", new Uint8Array(), server.plain, "format", /empty|ends|0 bytes/i],
  ["another kind of file", broken((file) => void (file.magic = "PK\u0003\u0004")), server.plain, "format", /GGUF/],
  ["a version of the future", broken((file) => void (file.version = 99)), server.plain, "unsupported", /version.*99/is],
  ["absurdly many tensors", broken((file) => void (file.counts = { tensors: 1n << 60n })), server.plain, "format|limit", /tensors/],
  ["absurdly many keys", broken((file) => void (file.counts = { metadata: 1n << 60n })), server.plain, "format|limit", /\d/],
  [
    "a tensor beyond the file",
    broken((file) => void (file.offsets = new Map([["output.weight", 1n << 40n]]))),
    server.plain,
    "format",
    /output\.weight|truncated/,
  ],
  [
    "tensors that overlap",
    broken((file) => void (file.offsets = new Map([["output.weight", 0n]]))),
    server.plain,
    "format",
    /overlap/i,
  ],
  [
    "an unknown architecture",
    broken((file) => file.metadata.set("general.architecture", { str: "telepathy" })),
    server.plain,
    "unsupported",
    /telepathy/,
  ],
  [
    "a weight format without code",
    broken((file) => void (file.formatIds = new Map([["output.weight", 16]]))),
    server.plain,
    "unsupported|format",
    /output\.weight|IQ2_XXS/i,
  ],
  ["a missing key", broken((file) => file.metadata.delete("llama.block_count")), server.plain, "format", /llama\.block_count/],
  [
    "a key of the wrong type",
    broken((file) => file.metadata.set("llama.block_count", { str: "two" })),
    server.plain,
    "format",
    /llama\.block_count/,
  ],
  [
    "a missing tensor",
    broken((file) => void file.tensors.splice(3, 1)),
    server.plain,
    "format",
    /blk\.0\.attn_k\.weight/,
  ],
  [
    "a tensor of the wrong shape",
    broken((file) => void ((file.tensors[3] as gguf.TensorRow).shape = [256, 64])),
    server.plain,
    "format",
    /blk\.0\.attn_k\.weight/,
  ],
  [
    "a vocabulary that does not fit",
    broken((file) => file.metadata.set("tokenizer.ggml.tokens", { strs: ["<unk>", "<s>", "</s>"] })),
    server.plain,
    "format",
    /token/i,
  ],
];

let site: server.Server;
let running: Running;

beforeAll(async () => {
  site = await server.Server.start();
  running = await launch();
});
afterAll(async () => {
  await running?.close();
  site?.stop();
});

/** Loads in the page, by the package; what came of it, as plain data. */
async function load(page: Page, url: string): Promise<{ name: string } | { code: string; message: string; isOurs: boolean }> {
  return page.evaluate(async (url) => {
    try {
      const model = await window.pagelm.Model.load(url);
      const { name } = model.info;
      model.dispose();
      return { name };
    } catch (thrown) {
      const error = thrown as { code: string; message: string };
      return { code: error.code, message: error.message, isOurs: thrown instanceof window.pagelm.PageLmError };
    }
  }, url);
}

describe("the package", () => {
  let page: Page;
  beforeAll(async () => void (page = await openBlank(running.browser, site)));
  afterAll(() => page?.close());

  for (const [name, file, behaviour, code, names] of faults) {
    test(`${name}: a clear error, and the next load works`, async () => {
      const failed = await load(page, site.offer("bad.gguf", file, behaviour));
      expect(failed).toMatchObject({ code: expect.stringMatching(`^(${code})$`), isOurs: true });
      expect((failed as { message: string }).message).toMatch(names);
      expect(await load(page, site.offer("good.gguf", good))).toEqual({ name: "tiny" });
    });
  }

  const superpoint = sharedModel("superpoint.gguf");
  test.skipIf(!superpoint)("a real file that is no language model", async () => {
    const failed = await load(page, site.offer("superpoint.gguf", superpoint as string));
    expect(failed).toMatchObject({ code: "unsupported", message: expect.stringContaining("superpoint") });
  });

  test("hosts that compress, or that state no length, do not matter", async () => {
    for (const behaviour of [server.compressed, server.unsized, server.slow(5, 20)]) {
      expect(await load(page, site.offer("good.gguf", good, behaviour))).toEqual({ name: "tiny" });
    }
  });

  test("a file from the disk, and one that is cut", async () => {
    const url = site.offer("good.gguf", good);
    const results = await page.evaluate(async (url) => {
      const { Model } = window.pagelm;
      const blob = await (await fetch(url)).blob();
      const model = await Model.load(new File([blob], "good.gguf"));
      const failure = Model.load(blob.slice(0, blob.size - 1)).catch((error: Error) => error.message);
      return [model.info.name, await failure];
    }, url);
    expect(results).toEqual(["tiny", expect.stringMatching(/truncated/)]);
  });

  test("aborting a load stops the download", async () => {
    const url = site.offer("slow.gguf", good, server.slow(50, 100));
    const nAbandoned = site.nAbandoned;
    const code = await page.evaluate(async (url) => {
      const signal = AbortSignal.timeout(500);
      return window.pagelm.Model.load(url, { signal }).catch((error: { code: string }) => error.code);
    }, url);
    expect(code).toBe("aborted");
    await expect.poll(() => site.nAbandoned, { timeout: 5000 }).toBeGreaterThan(nAbandoned);
  });

  test("leaving the loop ends a generation; a second one meanwhile is refused; the model goes on", async () => {
    const url = site.offer("story.gguf", readFileSync(storyModel));
    const seen = await page.evaluate(async (url) => {
      const model = await window.pagelm.Model.load(url);
      const codeOf = (error: { code: string }) => error.code;
      const drain = async (prompt: string, options = {}) => {
        let text = "";
        for await (const piece of model.generate(prompt, options)) text += piece.text;
        return text;
      };
      let busy = "";
      let n = 0;
      const generation = model.generate("Once upon a time", { seed: 1 });
      for await (const _ of generation) {
        busy ||= await drain("Meanwhile").catch(codeOf);
        if (++n === 5) break;
      }
      const left = { n: generation.report?.tokens.length, why: generation.report?.stopReason };
      const signal = AbortSignal.timeout(50);
      const aborted = await drain("Once upon a time", { signal, seed: 1 }).catch(codeOf);
      const after = await drain("The cat", { seed: 1, maxTokens: 8, temperature: 0 });
      model.dispose();
      return { busy, left, aborted, after, disposed: await drain("x").catch(codeOf) };
    }, url);
    expect(seen.busy).toBe("busy");
    expect(seen.left.why).toBe("aborted");
    expect(seen.left.n).toBeLessThanOrEqual(6);
    expect(seen.aborted).toBe("aborted");
    expect(seen.after).not.toBe("");
    expect(seen.disposed).toBe("disposed");
  });

  test("prompts and options that cannot be used are refused, and the model goes on", async () => {
    const url = site.offer("good.gguf", good);
    const seen = await page.evaluate(async (url) => {
      const model = await window.pagelm.Model.load(url);
      const attempt = async (prompt: string | number[], options = {}) => {
        try {
          let n = 0;
          for await (const _ of model.generate(prompt, { maxTokens: 3, seed: 1, ...options })) n += 1;
          return `${n} tokens`;
        } catch (thrown) {
          const { code, message } = thrown as { code: string; message: string };
          return `${code}: ${message}`;
        }
      };
      const results = {
        surrogate: await attempt("a\ud83e"),
        tooLong: await attempt("word ".repeat(500)),
        outOfRange: await attempt([1, 320]),
        temperature: await attempt("x", { temperature: Number.NaN }),
        topP: await attempt("x", { topP: 2 }),
        seed: await attempt("x", { seed: -1 }),
        empty: await attempt(""),
        nul: await attempt("a\0b"),
      };
      model.dispose();
      return results;
    }, url);
    expect(seen).toMatchObject({
      surrogate: expect.stringMatching(/^argument: .*surrogate/i),
      tooLong: expect.stringMatching(/^limit: .*128/s),
      outOfRange: expect.stringMatching(/^argument: .*320/s),
      temperature: expect.stringMatching(/^argument: .*temperature/is),
      topP: expect.stringMatching(/^argument: .*top_?p/is),
      seed: expect.stringMatching(/^argument: .*seed/is),
      empty: expect.stringMatching(/tokens$/),
      nul: expect.stringMatching(/tokens$/),
    });
  });

  test("a context that no memory holds is an error, and the next load works", async () => {
    const shape = { ...gguf.TINY, nLayer: 40, nHeadKv: 4, nCtx: 1 << 20 };
    const url = site.offer("wide.gguf", gguf.toBytes(gguf.llama(shape, gguf.Q4_0, "wide")));
    const failed = await page.evaluate(async (url) => {
      return window.pagelm.Model.load(url, { nCtx: 1 << 20 }).then(String, (error: { code: string }) => error.code);
    }, url);
    expect(failed).toMatch(/^(memory|limit)$/);
    expect(await load(page, site.offer("good.gguf", good))).toEqual({ name: "tiny" });
  });

  test("a killed worker is an error while it writes, and the next load works", async () => {
    // A long text, which no chance ends early.
    const url = site.offer("long.gguf", gguf.toBytes(gguf.llama({ ...gguf.TINY, nCtx: 16_384 }, gguf.Q8_0)));
    const writing = page.evaluate(async (url) => {
      const model = await window.pagelm.Model.load(url, { nCtx: 16_384 });
      try {
        for await (const _ of model.generate("Once upon a time", { temperature: 0 })) document.title = "writing";
        return "ended";
      } catch (thrown) {
        return (thrown as { code: string }).code;
      }
    }, url);
    await page.waitForFunction(() => document.title === "writing");
    // Only this model's worker is left: those of earlier tests were disposed of.
    await Promise.all(page.workers().map((worker) => worker.close()));
    expect(await writing).toBe("worker");
    expect(await load(page, site.offer("good.gguf", good))).toEqual({ name: "tiny" });
  });

  test("the plain path writes into an element on the page's own thread", async () => {
    const url = site.offer("story.gguf", readFileSync(storyModel));
    const seen = await page.evaluate(async (url) => {
      const { MainThreadModel } = await window.openMainThread();
      const model = await MainThreadModel.load(url);
      const out = document.querySelector("#out") as HTMLElement;
      let [nTurns, writing] = [0, true];
      const turn = () => {
        nTurns += 1;
        if (writing) setTimeout(turn);
      };
      turn();
      const report = await model.generateInto(out, "Once upon a time", { seed: 5, maxTokens: 40 });
      writing = false;
      const text = out.textContent;
      model.dispose();
      return { text, nTurns, report };
    }, url);
    expect(seen.text).toBe(seen.report.text);
    expect(seen.report.tokens.length).toBe(40);
    expect(seen.nTurns, "the event loop had its turn between tokens").toBeGreaterThan(5);
  });
});

describe("the page", () => {
  let page: Page;
  let errors: string[];

  beforeAll(async () => {
    ({ page, errors } = await openPage(running.browser));
    await page.goto(site.demo);
    await waitForText(page, "status", /ready/i);
    await fill(page, "#length", "20");
  });
  afterAll(() => page?.close());

  const byAddress = async (url: string) => {
    await fill(page, "#address", url);
    await page.$eval("#by-address", (form) => (form as HTMLFormElement).requestSubmit());
  };

  const onPage = new Set(["no such file", "a connection that is cut", "a file that is cut", "another kind of file", "an unknown architecture"]);
  for (const [name, file, behaviour, , names] of faults.filter(([name]) => onPage.has(name))) {
    test(`${name}: said next to where it was asked for, and the model that was there goes on`, async () => {
      await byAddress(site.offer("bad.gguf", file, behaviour));
      const said = await waitForText(page, "error", names);
      expect(said.length).toBeGreaterThan(20);
      const place = await page.$eval(byId("error"), (error) => {
        const asked = document.querySelector("#by-address") as HTMLElement;
        return Math.abs(error.getBoundingClientRect().top - asked.getBoundingClientRect().bottom);
      });
      expect(place, "pixels from the question to the answer").toBeLessThan(300);
      await fill(page, byId("prompt"), "A dog");
      expect(await generate(page)).not.toBe("");
      expect(errors).toEqual([]);
    });
  }

  test("a prompt that is too long is said, and a shorter one works", async () => {
    await fill(page, byId("prompt"), "a word ".repeat(3000));
    await page.click(byId("generate"));
    await waitForText(page, "error", /\d+ tokens|context/i);
    await fill(page, byId("prompt"), "A dog");
    expect(await generate(page)).not.toBe("");
  });

  test("no prompt at all is a beginning too", async () => {
    await fill(page, byId("prompt"), "");
    expect(await generate(page)).not.toBe("");
  });

  test("the progress of a slow download is shown in bytes", async () => {
    await byAddress(site.offer("slow.gguf", readFileSync(storyModel), server.slow(30, 100)));
    await page.waitForSelector(byId("progress"), { visible: true });
    await page.waitForFunction(
      (progress) => {
        const { value, max } = document.querySelector(progress) as HTMLProgressElement;
        return value > 0 && value < max;
      },
      {},
      byId("progress"),
    );
    await page.waitForSelector(byId("progress"), { hidden: true });
    expect(await read(page, "status")).toMatch(/ready/i);
  });
});
