import { Connection } from "./connection.js";
import { abortError, BUSY, PageLmError } from "./errors.js";
import { Generation, type GenerationOwner } from "./generation.js";
import { type Prompt, toCacheType, toCount, toThreads, toTokenRanges, toTokens, wellFormed } from "./options.js";
import type { Response } from "./protocol.js";
import { toSourceRef } from "./source.js";
import { startHelpers, startWorker } from "./spawn.js";
import type {
  BenchmarkOptions,
  BenchmarkReport,
  GenerateOptions,
  LoadOptions,
  ModelInfo,
  Source,
  TokenizeOptions,
  TokenRange,
} from "./types.js";

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
  #active: object | undefined;

  private constructor(connection: Connection, info: ModelInfo) {
    this.#connection = connection;
    this.info = info;
    this.#owner = {
      begin: (generation) => this.#begin(generation),
      over: (generation) => this.#over(generation),
    };
  }

  /**
   * Starts a worker and loads a GGUF file into it: from an address, relative to the page, or a file that the reader
   * chose. The engine compiles while the file arrives.
   *
   * # Errors
   * Any code of {@link PageLmError} but `busy` and `disposed`. The worker is ended then, and the download with it.
   */
  static async load(source: Source, options: LoadOptions = {}): Promise<Model> {
    const { onProgress, signal } = options;
    if (signal?.aborted) throw abortError(signal);
    const [ref, nCtx, cacheType] = [toSourceRef(source), toCount(options.nCtx, "nCtx"), toCacheType(options.cacheType)];
    const threads = toThreads(options.threads);
    const connection = new Connection(startWorker());
    const onAbort = () => connection.end(abortError(signal as AbortSignal));
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      const request = { type: "load", source: ref, nCtx, cacheType, build: options.build, threads } as const;
      const { info } = await connection.ask(request, "loaded", (response: Response) => {
        if (response.type === "share") startHelpers(response.shared, response.n, (helper) => connection.keep(helper));
        if (response.type !== "progress") return;
        onProgress?.({ receivedBytes: response.receivedBytes, totalBytes: response.totalBytes });
      });
      return new Model(connection, info);
    } catch (thrown) {
      connection.end(new PageLmError("worker", "Loading failed."));
      if (signal?.aborted) throw abortError(signal);
      throw thrown;
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /** Continues a text, or a list of tokens. See {@link Generation}: nothing happens before its loop begins. */
  generate(prompt: Prompt, options: GenerateOptions = {}): Generation {
    return new Generation(this.#owner, prompt, options);
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
    const request = { type: "logits", tokens: toTokens(tokens) } as const;
    return this.#exclusively(async () => (await this.#connection.ask(request, "logits")).logits);
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
    this.#connection.end(new PageLmError("disposed", "This model was given up by dispose(). Load it again to go on."));
  }

  #begin(activity: object): Connection {
    if (this.#connection.ended) throw this.#connection.ended;
    if (this.#active) throw new PageLmError("busy", BUSY);
    this.#active = activity;
    return this.#connection;
  }

  #over(activity: object): void {
    if (this.#active === activity) this.#active = undefined;
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
