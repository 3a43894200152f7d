import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "puppeteer-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { launch, openBlank, type Running } from "../src/browser.js";
import * as gguf from "../src/gguf.js";
import * as native from "../src/native.js";
import { storyModel } from "../src/paths.js";
import { Server } from "../src/server.js";

const PROMPT = "One day, Tom and Mia found a strange, old box. Once";

describe("what a session remembers, in Chromium", () => {
  let server: Server;
  let running: Running;
  let page: Page;
  let url: string;
  const folder = mkdtempSync(join(tmpdir(), "pagelm-uses-"));

  beforeAll(async () => {
    server = await Server.start({ isolated: true });
    url = server.offer("story.gguf", readFileSync(storyModel));
    running = await launch();
    page = await openBlank(running.browser, server);
  });
  afterAll(async () => {
    await running?.close();
    server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const samplings = [
    [{ temperature: 1.1, topK: 0 }, ["--temperature", "1.1", "--top-k", "0"]],
    [{ mirostat: 2, mirostatTau: 4 }, ["--mirostat", "2", "--mirostat-tau", "4"]],
    [
      { typicalP: 0.7, topNSigma: 2.5, dynatempRange: 0.4, repeatPenalty: 1.1 },
      ["--typical-p", "0.7", "--top-n-sigma", "2.5", "--dynatemp-range", "0.4", "--repeat-penalty", "1.1"],
    ],
    [
      { xtcProbability: 0.5, dryMultiplier: 0.8, logitBias: [[17, -3.5]], bannedTokens: [30, 31] },
      ["--xtc-probability", "0.5", "--dry-multiplier", "0.8", "--logit-bias", "17=-3.5", "--ban", "30", "--ban", "31"],
    ],
  ] as const;

  test.each(samplings)("%o: interrupted in any way, the text is that of the native command", async (sampling, args) => {
    const seen = await page.evaluate(
      async (url, prompt, sampling) => {
        const { Model } = window.pagelm;
        const model = await Model.load(url, { threads: 2 });
        await window.threadsAtWork(model);
        const with_ = (maxTokens: number) => ({ ...(sampling as object), maxTokens, seed: 77 });
        const generation = model.generate(prompt, with_(25));
        const first = await generation.finish();
        const record = JSON.stringify(generation.record);
        const saved = await model.save();
        const copy = await model.clone();
        const resumed = await model.resume(with_(35)).finish();
        const cloned = await copy.resume(with_(35)).finish();
        copy.dispose();
        const answers = await model.answers(prompt, 2, with_(60));
        const guessed = await model.generate(prompt, { ...with_(60), speculative: "lookup" }).finish();
        model.dispose();
        const other = await Model.load(url, { build: "simd128" });
        const empty = await other.resume().finish().catch((e) => e.code);
        await other.restore(saved);
        const restored = await other.resume(with_(35)).finish();
        const damaged = await other.restore(saved.map((byte, idx) => (idx === 1000 ? byte ^ 1 : byte))).catch((e) => e.code);
        other.dispose();
        return {
          first: first.tokens,
          rests: [resumed, cloned, restored].map((report) => report.tokens),
          reused: answers.map((report) => report.reusedTokens - report.promptTokens.length),
          answers: answers.map((report) => report.tokens),
          guessed: guessed.tokens,
          damaged,
          empty,
          record,
        };
      },
      url,
      PROMPT,
      sampling,
    );
    // the native command makes the page's answer again by its record
    const file = join(folder, "record.json");
    writeFileSync(file, seen.record);
    const replayed = JSON.parse(await native.native("generate", "--model", storyModel, "--replay", file, "--json"));
    expect(replayed.tokens).toEqual(seen.first);
    const [whole, next] = await Promise.all(
      ["77", "78"].map((seed) => native.generate(storyModel, PROMPT, "--n-predict", "60", "--seed", seed, ...args)),
    );
    const tokens = whole?.tokens as number[];
    expect(seen.first).toEqual(tokens.slice(0, 25));
    for (const rest of seen.rests) expect(rest).toEqual(tokens.slice(25));
    expect(seen.answers).toEqual([tokens, next?.tokens]);
    expect(seen.reused).toEqual([-1, -1]);
    expect(seen.guessed).toEqual(tokens);
    expect([seen.damaged, seen.empty]).toEqual(["format", "argument"]);
  });

  test("adapters give the text of the native command, and leave nothing behind", async () => {
    const tensors: { name: string; shape: number[] }[] = JSON.parse(await native.native("inspect", storyModel, "--json")).tensors;
    const adapter = (part: string, seed: number) => {
      const [columns, rows] = tensors.find(({ name }) => name === part)?.shape as [number, number];
      const halves = [[columns, 4], [4, rows]].map((shape, idx) => ({ name: `${part}.lora_${"ab"[idx]}`, shape, format: gguf.F32 }));
      const metadata = new Map<string, gguf.Value>([
        ["general.architecture", { str: "llama" }],
        ["adapter.type", { str: "lora" }],
        ["adapter.lora.alpha", { f32: 256 }],
      ]);
      return gguf.toBytes({ magic: "GGUF", version: 3, metadata, tensors: halves }, seed);
    };
    const adapters = [adapter("blk.0.attn_q.weight", 1), adapter("blk.1.ffn_down.weight", 2)];
    const files = adapters.map((bytes, idx) => {
      writeFileSync(join(folder, `${idx}.gguf`), bytes);
      return server.offer(`${idx}.gguf`, bytes);
    });
    const seen = await page.evaluate(
      async (url, prompt, files) => {
        const model = await window.pagelm.Model.load(url, { threads: 2 });
        await window.threadsAtWork(model);
        const write = async () => (await model.generate(prompt, { maxTokens: 40, seed: 3 }).finish()).tokens;
        const before = await write();
        for (const file of files) await model.loadAdapter(new Uint8Array(await (await fetch(file)).arrayBuffer()));
        const loaded = await write();
        await model.setAdapters([[0, 0.5], [1, -2]]);
        const both = await write();
        const saved = await model.save();
        await model.setAdapters([[1, 1]]);
        const foreign = await model.restore(saved).catch((e) => e.code);
        const one = await write();
        await model.setAdapters([]);
        const after = await write();
        const wrong = await model.loadAdapter(new Uint8Array(99)).catch((e) => e.code);
        model.dispose();
        return { before, loaded, both, one, after, foreign, wrong };
      },
      url,
      PROMPT,
      files,
    );
    const args = ["--n-predict", "40", "--seed", "3"];
    const [plain, both, one] = await Promise.all(
      [[], ["0.gguf=0.5", "1.gguf=-2"], ["1.gguf=1"]].map((loras) =>
        native.generate(storyModel, PROMPT, ...args, ...loras.flatMap((lora) => ["--lora", join(folder, lora)])),
      ),
    );
    expect([seen.before, seen.loaded, seen.after]).toEqual([plain?.tokens, plain?.tokens, plain?.tokens]);
    expect([seen.both, seen.one]).toEqual([both?.tokens, one?.tokens]);
    expect(seen.both).not.toEqual(seen.before);
    expect(seen.one).not.toEqual(seen.both);
    expect([seen.foreign, seen.wrong]).toEqual(["argument", "format"]);
  });

  test("a text that shifts, scores, vectors, stop strings and edited logits", async () => {
    const seen = await page.evaluate(async (url, prompt) => {
      const { Model } = window.pagelm;
      const model = await Model.load(url, { nCtx: 64 });
      const shifting = { maxTokens: 200, seed: 5, overflow: "shift", nKeep: 4, bannedTokens: [2] } as const;
      const shifted = await model.generate(prompt, shifting).finish();
      const score = await model.score("Once upon a time there was a little dog.");
      const [mean, last] = [await model.embed("a dog"), await model.embed("a dog", { pooling: "last" })];
      const plain = await model.generate(prompt, { maxTokens: 30, seed: 5 }).finish();
      const stop = plain.text.slice(20, 25);
      const stopped = await model.generate(prompt, { maxTokens: 30, seed: 5, stop }).finish();
      const edited = await model
        .generate(prompt, { maxTokens: 5, logitsProcessor: (logits, tokens) => logits.fill(-Infinity).fill(1, tokens.length, tokens.length + 1) })
        .finish();
      const alternatives: number[] = [];
      for await (const piece of model.generate(prompt, { maxTokens: 3, temperature: 0, logprobs: 2 })) {
        const [best] = piece.alternatives ?? [];
        alternatives.push(Number(best?.token === piece.token && Math.abs(Math.exp(best.logprob) - piece.probability) < 1e-5));
      }
      model.dispose();
      const lengths = [mean, last].map((vector) => vector.reduce((sum, x) => sum + x * x, 0));
      return { shifted: shifted.tokens, score, lengths, text: plain.text, stop, stopped, edited, alternatives };
    }, url, PROMPT);
    const args = ["--ctx-size", "64", "--n-predict", "200", "--seed", "5", "--shift", "--keep", "4", "--ban", "2"];
    expect(seen.shifted).toEqual((await native.generate(storyModel, PROMPT, ...args)).tokens);
    expect(seen.score.perplexity).toBeGreaterThan(1);
    expect(seen.score.logprobs).toHaveLength(seen.score.tokens.length - 1);
    for (const length of seen.lengths) expect(length).toBeCloseTo(1, 5);
    expect([seen.stopped.stopReason, seen.stopped.text]).toEqual(["stop", seen.text.slice(0, seen.text.indexOf(seen.stop))]);
    const n = seen.edited.promptTokens.length;
    expect(seen.edited.tokens).toEqual([n, n + 1, n + 2, n + 3, n + 4]);
    expect(seen.alternatives).toEqual([1, 1, 1]);
  });
});
