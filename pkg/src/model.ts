import { Answer, type Speaker } from "./answer.js";
import type { Measure, Vocabulary } from "./binding.js";
import { Connection } from "./connection.js";
import { abortError, BUSY, PageLmError } from "./errors.js";
import { Generation, type GenerationOwner } from "./generation.js";
import { type Prompt, toCacheType, toCount, toThreads, toTokenRanges, toTokens, wellFormed } from "./options.js";
import type { Response } from "./protocol.js";
import { toSourceRef } from "./source.js";
import { startHelpers, startWorker } from "./spawn.js";
import { type TensorInfo, toTensors } from "./tensors.js";
import { type BlockSteps, type TextbookBlock, toBlock, toSteps } from "./textbook.js";
import { type Intervening, type Intervention, toSelection, toTrace, toWireIntervention, type Trace, type TraceOptions } from "./trace.js";
import type {
  BenchmarkOptions,
  BenchmarkReport,
  ChatOptions,
  EmbedOptions,
  Estimate,
  GenerateOptions,
  LoadOptions,
  Message,
  ModelInfo,
  Report,
  Score,
  Source,
  TokenizeOptions,
  TokenRange,
} from "./types.js";

/** What the clones of one worker share: who writes, and whom the worker's requests are for. */
interface Shared {
  /** See {@link EngineInfo.tensors}. */
  tensors: string;
  active?: object | undefined;
  clone: number;
  vocabulary?: Promise<Vocabulary>;
}

/**
 * A language model in a worker of its own.
 *
 * ```ts
 * const model = await Model.load("models/story.gguf");
 * for await (const piece of model.generate("Once upon a time", { seed: 7 })) out.append(piece.text);
 * model.dispose();
 * ```
 *
 * It writes one text at a time: a second `generate` while one runs is refused with code `busy`. (It does not wait in
 * line, since a loop that waits for another inside of it would then wait forever.) Once the first was aborted or
 * left, the next may begin at once. `tokenize` and `detokenize` may be called at any time.
 *
 * After an error with code `memory` or `worker` the model is gone; load it again, into a fresh worker.
 */
export class Model {
  /** What this model is, and the build of the engine that runs it. */
  readonly info: ModelInfo;
  readonly #connection: Connection;
  readonly #owner: GenerationOwner;
  /** Which of the worker's clones this is. */
  readonly #clone: number;
  readonly #shared: Shared;
  #nAdapters = 0;
  #scales = new Float32Array();
  readonly #speaker: Speaker = {
    info: () => this.info,
    vocabulary: async () => {
      this.#shared.vocabulary ??= (async () => (await this.#connection.ask({ type: "vocabulary" }, "vocabulary")).vocabulary)();
      return this.#shared.vocabulary;
    },
    tokenize: async (text, plain) => {
      const how = { addSpecial: false, parseSpecial: true, ends: true, plain } as const;
      return toTokenRanges((await this.#connection.ask({ type: "tokenize", text, ...how }, "tokens")).tokens);
    },
    generate: (tokens, options, template) => new Generation(this.#owner, tokens, options, template),
    text: [],
  };
  /** What is installed, by those who installed it. */
  readonly #interventions = new Map<object, (Uint32Array | Float32Array)[]>();

  private constructor(connection: Connection, info: ModelInfo, shared: Shared, clone = 0) {
    this.#connection = connection;
    this.info = info;
    this.#clone = clone;
    this.#shared = shared;
    this.#owner = {
      begin: (generation) => this.#begin(generation),
      over: (generation) => this.#over(generation),
      info: () => this.info,
    };
  }

  /**
   * Starts a worker and loads a GGUF file into it: from an address, relative to the page, or a file that the reader
   * chose. The engine compiles while the file arrives. A model in several files (`…-00001-of-00003.gguf`) is named by the first
   * one's address, or by a list of them all.
   *
   * # Errors
   * Any code of {@link PageLmError} but `busy` and `disposed`. The worker is ended then, and the download with it.
   */
  static async load(source: Source | readonly Source[], options: LoadOptions = {}): Promise<Model> {
    const { onProgress, signal } = options;
    if (signal?.aborted) throw abortError(signal);
    const [ref, draft] = [toSourceRef(source), options.draft === undefined ? undefined : toSourceRef(options.draft)];
    const [nCtx, cacheType] = [toCount(options.nCtx, "nCtx"), toCacheType(options.cacheType)];
    const threads = toThreads(options.threads);
    const connection = new Connection(startWorker());
    const onAbort = () => connection.end(abortError(signal as AbortSignal));
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      const request = { type: "load", source: ref, draft, nCtx, cacheType, build: options.build, threads } as const;
      const { info: found } = await connection.ask(request, "loaded", (response: Response) => {
        if (response.type === "share") startHelpers(response.shared, response.n, (helper) => connection.keep(helper));
        if (response.type !== "progress") return;
        onProgress?.({ receivedBytes: response.receivedBytes, totalBytes: response.totalBytes });
      });
      const { tensors, ...info } = found;
      return new Model(connection, info, { tensors, clone: 0 });
    } catch (thrown) {
      connection.end(new PageLmError("worker", "Loading failed."));
      if (signal?.aborted) throw abortError(signal);
      throw thrown;
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /**
   * What a model would take, from its header alone: of an address no more than the first megabytes are fetched, by range where
   * the host gives ranges.
   *
   * # Errors
   * As {@link load}; `unsupported` and `format` for a model that cannot be run.
   */
  static async estimate(
    source: Source | readonly Source[],
    { nCtx, cacheType, signal }: Pick<LoadOptions, "nCtx" | "cacheType" | "signal"> = {},
  ): Promise<Estimate> {
    const { estimate } = await import("./estimate.js");
    return estimate(toSourceRef(source), { nCtx: toCount(nCtx, "nCtx"), cacheType: toCacheType(cacheType), signal });
  }

  /**
   * The next answer in a conversation, by the model's own chat template. See {@link Answer}: nothing happens before its loop
   * begins.
   *
   * # Errors
   * `argument` where the template refuses these messages, by its own words; then as a {@link Generation}.
   */
  chat(messages: readonly Message[], options: ChatOptions = {}): Answer {
    return new Answer(async () => {
      const { beginChat } = await import("./chat.js");
      return beginChat(this.#speaker, messages, options);
    });
  }

  /** Continues a text, or a list of tokens. See {@link Generation}: nothing happens before its loop begins. */
  generate(prompt: Prompt, options: GenerateOptions = {}): Generation {
    return new Generation(this.#owner, prompt, options);
  }

  /**
   * Goes on with the text that is there: that of the last generation, or one that was restored. What comes is what would have
   * come, with the same draws. (A loop that is left leaves up to 16 tokens behind that nobody saw: they are part of the text.
   * `maxTokens` ends one at a certain place.) A seed has no say where draws were begun already.
   *
   * # Errors
   * `argument` where there is no text.
   */
  resume(options: GenerateOptions = {}): Generation {
    return new Generation(this.#owner, undefined, options);
  }

  /**
   * `n` texts for one prompt, one after the other, with the seeds `seed`, `seed + 1` …: the prompt is worked through once, but
   * for its last token.
   *
   * # Errors
   * As a {@link Generation}.
   */
  async answers(prompt: Prompt, n: number, options: GenerateOptions = {}): Promise<Report[]> {
    const reports: Report[] = [];
    for (let idx = 0; idx < (toCount(n, "n") ?? 1); idx += 1) {
      const seed = reports[0]?.seed ?? options.seed;
      const own = seed === undefined ? options : { ...options, seed: (seed + idx) >>> 0 };
      reports.push(await this.generate(prompt, own).finish());
    }
    return reports;
  }

  /**
   * The text with all that is computed of it and the state of its draws, as bytes, for {@link restore}. They are about as many
   * as the cache takes for that many tokens.
   *
   * # Errors
   * `busy`
   */
  async save(): Promise<Uint8Array<ArrayBuffer>> {
    return this.#exclusively(async () => (await this.#connection.ask({ type: "save" }, "saved")).saved);
  }

  /**
   * Puts a saved text in place of this one, for {@link resume} or for a prompt that begins with it. Returns its tokens.
   *
   * # Errors
   * `format` where the bytes are no saved text or damaged, `argument` where they come from another model or another type of
   * cache, `limit` where the context is too short, `busy`. The old text then stays.
   */
  async restore(saved: Uint8Array): Promise<Uint32Array> {
    return this.#exclusively(async () => (await this.#connection.ask({ type: "restore", saved }, "tokens")).tokens);
  }

  /**
   * Another text over the same weights in the same worker, that begins as a copy of this one. Only one of them writes at a time.
   * Its `dispose` frees the copy; that of the model that was loaded ends them all.
   *
   * # Errors
   * `limit` where there is no memory for another cache, `busy`.
   */
  async clone(): Promise<Model> {
    return this.#exclusively(async () => {
      const { clone } = await this.#connection.ask({ type: "clone" }, "cloned");
      const model = new Model(this.#connection, this.info, this.#shared, clone);
      [model.#nAdapters, model.#scales] = [this.#nAdapters, this.#scales];
      return model;
    });
  }

  /**
   * Reads a LoRA adapter for this model from the bytes of a GGUF file, and returns the number that {@link setAdapters} knows it
   * by. It changes nothing yet.
   *
   * # Errors
   * `format` where the bytes are no adapter or do not fit this model, `unsupported`, `limit`, `busy`.
   */
  async loadAdapter(file: Uint8Array): Promise<number> {
    await this.#adapt(file, this.#scales);
    return this.#nAdapters++;
  }

  /**
   * Adds adapters to the model, each with a scale, in place of those that were in use; none gives back the model itself. Takes
   * effect with the next text; what was computed of the present one is forgotten.
   *
   * # Errors
   * `argument` for a number that no adapter has, or a scale that is no number, `busy`.
   */
  async setAdapters(scales: readonly (readonly [adapter: number, scale: number])[]): Promise<void> {
    const all = new Float32Array(this.#nAdapters);
    for (const [adapter, scale] of scales) {
      if (!(adapter in all) || !Number.isFinite(scale)) {
        throw new PageLmError("argument", `There is no adapter ${adapter}, or its scale ${scale} is no number.`);
      }
      all[adapter] = scale;
    }
    await this.#adapt(undefined, all);
    this.#scales = all;
  }

  async #adapt(file: Uint8Array | undefined, scales: Float32Array): Promise<void> {
    await this.#exclusively(() => this.#connection.ask({ type: "adapt", file, scales }, "adapted"));
  }

  /**
   * One vector for a text: what the model's last layer makes of it, pooled over its tokens, with length 1. Texts of like meaning
   * have vectors whose product is near 1, as far as the model was made for that. The text takes the place of what was there.
   *
   * # Shapes
   * nEmbd
   *
   * # Errors
   * `argument`, `limit` where it does not fit, `busy`.
   */
  async embed(text: Prompt, { pooling = "mean" }: EmbedOptions = {}): Promise<Float32Array> {
    if (pooling !== "mean" && pooling !== "last") {
      throw new PageLmError("argument", `pooling must be "mean" or "last", not ${String(pooling)}.`);
    }
    return this.#measure(await this.#tokensOf(text), pooling);
  }

  /**
   * How likely the model finds a text, token by token. The text takes the place of what was there.
   *
   * # Errors
   * `argument`, `limit` where it does not fit, `busy`.
   */
  async score(text: Prompt): Promise<Score> {
    const tokens = await this.#tokensOf(text);
    const logprobs = [...(await this.#measure(tokens, "score"))];
    const sum = logprobs.reduce((a, b) => a + b, 0);
    return { tokens: [...tokens], logprobs, perplexity: Math.exp(-sum / logprobs.length) };
  }

  async #tokensOf(text: Prompt): Promise<Uint32Array> {
    return typeof text === "string" ? this.tokenize(text) : toTokens(text);
  }

  async #measure(tokens: Uint32Array, what: Measure): Promise<Float32Array> {
    return this.#exclusively(async () => (await this.#connection.ask({ type: "measure", tokens, what }, "measured")).values);
  }

  /**
   * The tokens of a text: those that `generate` would begin with.
   *
   * # Errors
   * `argument` for lone surrogates.
   */
  async tokenize(text: string, options: TokenizeOptions = {}): Promise<Uint32Array> {
    return this.#tokenize(text, options, false);
  }

  /**
   * The tokens of a text, each with the bytes of the text, in UTF-8, that it stands for. They follow one upon the other and
   * cover the text; those of BOS and EOS are empty.
   *
   * # Errors
   * `argument` for lone surrogates.
   */
  async tokenRanges(text: string, options: TokenizeOptions = {}): Promise<TokenRange[]> {
    return toTokenRanges(await this.#tokenize(text, options, true));
  }

  async #tokenize(text: string, options: TokenizeOptions, ends: boolean): Promise<Uint32Array> {
    const { addSpecial = true, parseSpecial = false } = options;
    wellFormed(text, "text");
    return (await this.#connection.ask({ type: "tokenize", text, addSpecial, parseSpecial, ends }, "tokens")).tokens;
  }

  /**
   * The text of some tokens; bytes that are no whole character become U+FFFD.
   *
   * # Errors
   * `argument` where a token is not in the vocabulary.
   */
  async detokenize(tokens: Uint32Array | readonly number[]): Promise<string> {
    return (await this.#connection.ask({ type: "detokenize", tokens: toTokens(tokens) }, "text")).text;
  }

  /**
   * The model's raw scores for every next token after each of `tokens`: tokens.length × nVocab numbers, row by row.
   * Adds no BOS, and empties the cache.
   *
   * # Errors
   * `argument` where a token is not in the vocabulary, `limit` where they do not fit, `busy`.
   */
  async logits(tokens: Uint32Array | readonly number[]): Promise<Float32Array> {
    return this.#measure(toTokens(tokens), "logits");
  }

  /**
   * Records what the model computes of a text at named steps of its one forward pass, with the interventions that are
   * installed. Empties the cache.
   *
   * # Errors
   * `argument` for what the model does not have, `unsupported` for a site that it does not pass, `limit` for more than 64 Mi
   * values or a text that does not fit, `busy`.
   */
  async trace(text: Prompt, options: TraceOptions): Promise<Trace> {
    const tokens = await this.#tokensOf(text);
    const selection = toSelection(options, this.info, tokens.length);
    return this.#exclusively(async () => {
      const { arrays } = await this.#connection.ask({ type: "trace", tokens, ...selection }, "traced");
      return toTrace(tokens, selection, arrays);
    });
  }

  /**
   * The logits that the last norm and the output head make of residual streams, at most 64 at a time and no more than the
   * context holds: of `l_out` of a layer, what the model would say there (the logit lens). n × nEmbd numbers become n × nVocab.
   *
   * # Errors
   * `argument` for another length, `busy`.
   */
  async project(vectors: Float32Array): Promise<Float32Array> {
    return this.#exclusively(async () => (await this.#connection.ask({ type: "project", vectors }, "measured")).values);
  }

  /** The model's matrices, in the file's order. */
  get tensors(): TensorInfo[] {
    return toTensors(this.#shared.tensors);
  }

  /**
   * The floats that a matrix stands for, whatever its format, by its name in {@link tensors}: rows × columns, row after row.
   * {@link compareTensors} says what a format has lost of another's.
   *
   * # Errors
   * `argument` for a name that no matrix has, `limit` for more than 64 Mi values, `busy`.
   */
  async tensor(name: string): Promise<Float32Array> {
    return this.#exclusively(async () => (await this.#connection.ask({ type: "tensor", name }, "measured")).values);
  }

  /**
   * The embedding of each of these tokens, as the first layer gets it: tokens.length × nEmbd.
   *
   * # Errors
   * `argument` where a token is not in the vocabulary, `busy`.
   */
  async embeddings(tokens: Uint32Array | readonly number[]): Promise<Float32Array> {
    return this.#measure(toTokens(tokens), "embeddings");
  }

  /**
   * Installs changes in the forward pass, beside those that are there: everything that this model computes from now on has
   * them, until they are disposed of. They are made in the order in which they were installed.
   *
   * # Errors
   * `argument` for a place or value that the model does not have, `unsupported` for a site that it does not pass, `busy`.
   */
  async intervene(list: readonly Intervention[]): Promise<Intervening> {
    const [handle, wire] = [{}, list.flatMap((one) => toWireIntervention(one, this.info))];
    this.#interventions.set(handle, wire);
    try {
      await this.#sendInterventions();
    } catch (thrown) {
      this.#interventions.delete(handle);
      throw thrown;
    }
    return {
      dispose: async () => {
        if (!this.#interventions.delete(handle)) return;
        try {
          await this.#sendInterventions();
        } catch (thrown) {
          if (!this.#connection.ended) this.#interventions.set(handle, wire);
          throw thrown;
        }
      },
    };
  }

  /**
   * Computes a block of the first Transformer (multi-head attention, add & norm, feed-forward with ReLU, add & norm) of the
   * weights that are given, with every step of it, by the engine's kernels. It uses nothing of this model.
   *
   * # Errors
   * `argument` where the numbers do not fit each other, or for more than 64 tokens or 1024 columns.
   */
  async textbookBlock(block: TextbookBlock): Promise<BlockSteps> {
    const { values } = await this.#connection.ask({ type: "block", ...toBlock(block) }, "measured");
    return toSteps(block, values);
  }

  async #sendInterventions(): Promise<void> {
    const list = [...this.#interventions.values()].flat();
    await this.#exclusively(() => this.#connection.ask({ type: "intervene", list }, "done"));
  }

  /**
   * Measures what this device can do with this model. Empties the cache.
   *
   * # Errors
   * `argument` where both counts do not fit in the context, `busy`, `aborted`.
   */
  async benchmark(options: BenchmarkOptions = {}): Promise<BenchmarkReport> {
    const { signal } = options;
    if (signal?.aborted) throw abortError(signal);
    const promptTokens = toCount(options.promptTokens, "promptTokens") ?? 128;
    const genTokens = toCount(options.genTokens, "genTokens") ?? 64;
    return this.#exclusively(
      () =>
        new Promise((resolve, reject) => {
          const connection = this.#connection;
          const onAbort = () => connection.tell({ type: "cancel", id });
          const id = connection.open({ type: "benchmark", promptTokens, genTokens }, (response) => {
            connection.release(id);
            signal?.removeEventListener("abort", onAbort);
            if (response.type === "benchmarked") resolve(response.report);
            else if (response.type === "failed") reject(new PageLmError(response.error.code, response.error.message));
            else reject(abortError(signal as AbortSignal));
          });
          signal?.addEventListener("abort", onAbort, { once: true });
        }),
    );
  }

  /** Ends the worker and gives all of its memory back. What is running fails with code `disposed`. */
  dispose(): void {
    if (this.#clone > 0) return this.#connection.tell({ type: "drop", id: this.#clone });
    this.#connection.end(new PageLmError("disposed", "This model was given up by dispose(). Load it again to go on."));
  }

  #begin(activity: object): Connection {
    if (this.#connection.ended) throw this.#connection.ended;
    if (this.#shared.active) throw new PageLmError("busy", BUSY);
    this.#shared.active = activity;
    if (this.#shared.clone !== this.#clone) this.#connection.tell({ type: "use", id: this.#clone });
    this.#shared.clone = this.#clone;
    return this.#connection;
  }

  #over(activity: object): void {
    if (this.#shared.active === activity) this.#shared.active = undefined;
  }

  async #exclusively<T>(work: () => Promise<T>): Promise<T> {
    this.#begin(work);
    try {
      return await work();
    } finally {
      this.#over(work);
    }
  }
}
