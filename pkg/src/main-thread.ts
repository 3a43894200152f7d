/**
 * The plain path, for teaching pages that are one file: the engine runs on the page's own thread and writes straight
 * into an element. The page stays usable, since the event loop gets its turn between tokens; still, prefer the worker
 * of the package's main entry for anything larger than a few million parameters.
 * @module
 */

import type { Engine } from "./binding.js";
import { abortError, BUSY, isFatal, PageLmError, toPageLmError } from "./errors.js";
import { loadEngine } from "./load.js";
import { toCacheType, toCount, toEngineOptions, toTokenRanges, toTokens, wellFormed } from "./options.js";
import { toSourceRef } from "./source.js";
import { Turns } from "./turns.js";
import type {
  GenerateOptions,
  LoadOptions,
  ModelInfo,
  Report,
  SamplingOptions,
  Source,
  TokenizeOptions,
  TokenRange,
} from "./types.js";

export { PageLmError, type PageLmErrorCode } from "./errors.js";
export type { LoadOptions, ModelInfo, Report, SamplingOptions, Source, TokenizeOptions, TokenRange } from "./types.js";

/** Options of `generateInto`. */
export type GenerateIntoOptions = SamplingOptions & Pick<GenerateOptions, "signal" | "logitsProcessor">;

/** Pulls a text out of the engine, which puts it into the element. */
async function writeInto(
  engine: Engine,
  turns: Turns,
  element: Element,
  prompt: string,
  options: GenerateIntoOptions,
): Promise<Report> {
  const engineOptions = toEngineOptions(options);
  if (engineOptions.constraint) throw new PageLmError("unsupported", "Texts of a given form need the worker: use Model.");
  const started = engine.start(prompt, engineOptions);
  const [context, tokens, texts] = [[...started.promptTokens], [] as number[], [] as string[]];
  const measured = { prefillMs: 0, decodeMs: 0 };
  let logits: Float32Array | undefined;
  for (;;) {
    await turns.next();
    if (options.signal?.aborted) {
      engine.cancel();
      throw abortError(options.signal);
    }
    const at = performance.now();
    const step = engine.step(logits, element);
    measured[step.kind === "prefill" ? "prefillMs" : "decodeMs"] += performance.now() - at;
    logits = step.kind === "logits" ? (options.logitsProcessor?.(step.logits, context) ?? step.logits) : undefined;
    if (step.kind === "token") {
      tokens.push(step.token);
      context.push(step.token);
    }
    if (step.kind === "token" || step.kind === "end") texts.push(step.text);
    if (step.kind !== "end") continue;
    const [proposedTokens = 0, acceptedTokens = 0] = engine.drafted();
    const { stopReason } = step;
    const { promptTokens, reusedTokens, seed } = started;
    const done = { text: texts.join(""), tokens, promptTokens, reusedTokens, seed, stopReason };
    return { ...done, ...measured, proposedTokens, acceptedTokens };
  }
}

/**
 * A language model on this thread.
 *
 * ```ts
 * const model = await MainThreadModel.load("models/story.gguf");
 * await model.generateInto(document.querySelector("#story"), "Once upon a time", { seed: 7 });
 * ```
 *
 * All of a page's main-thread models of one build share one WebAssembly memory, which never shrinks. After an error
 * with code `memory` or `worker` that memory is of no use any more: the page has to be loaded again.
 */
export class MainThreadModel {
  /** What this model is, and the build of the engine that runs it. */
  readonly info: ModelInfo;
  readonly #turns = new Turns();
  #engine: Engine | undefined;
  #running = false;
  #ended = new PageLmError("disposed", "This model was given up by dispose(). Load it again to go on.");

  private constructor(engine: Engine, info: ModelInfo) {
    this.#engine = engine;
    this.info = info;
  }

  /**
   * Loads a GGUF file: from an address, relative to the page, or a file that the reader chose.
   *
   * # Errors
   * Any code of {@link PageLmError} but `busy` and `disposed`.
   */
  static async load(source: Source, options: LoadOptions = {}): Promise<MainThreadModel> {
    const nCtx = toCount(options.nCtx, "nCtx");
    toCacheType(options.cacheType);
    const draft = options.draft === undefined ? undefined : toSourceRef(options.draft);
    // One thread: a page's own thread may not wait for others.
    const { engine, build, threads } = await loadEngine(toSourceRef(source), { ...options, draft, nCtx, threads: 1 });
    const { tensors: _, ...info } = engine.info();
    return new MainThreadModel(engine, { ...info, build, threads });
  }

  /**
   * Continues a text and appends each piece to `element` as it comes.
   *
   * # Errors
   * `argument`, `limit`, `busy` while another text is being written, `aborted`, `disposed`, `memory`, `worker`.
   */
  async generateInto(element: Element, prompt: string, options: GenerateIntoOptions = {}): Promise<Report> {
    const { signal } = options;
    if (signal?.aborted) throw abortError(signal);
    const [engine, text] = [this.#idle(), wellFormed(prompt, "prompt")];
    this.#running = true;
    try {
      return await writeInto(engine, this.#turns, element, text, options);
    } catch (thrown) {
      throw signal?.aborted ? abortError(signal) : this.#broken(thrown);
    } finally {
      this.#running = false;
    }
  }

  /**
   * The tokens of a text: those that `generateInto` would begin with.
   *
   * # Errors
   * `argument` for lone surrogates, `busy` while a text is being written, `disposed`.
   */
  tokenize(text: string, { addSpecial = true, parseSpecial = false }: TokenizeOptions = {}): Uint32Array {
    const engine = this.#idle();
    return this.#checked(() => engine.tokenize(wellFormed(text, "text"), addSpecial, parseSpecial, false));
  }

  /**
   * The tokens of a text, each with the bytes of the text, in UTF-8, that it stands for. They follow one upon the other and
   * cover the text; those of BOS and EOS are empty.
   *
   * # Errors
   * `argument` for lone surrogates, `busy` while a text is being written, `disposed`.
   */
  tokenRanges(text: string, { addSpecial = true, parseSpecial = false }: TokenizeOptions = {}): TokenRange[] {
    const engine = this.#idle();
    return toTokenRanges(this.#checked(() => engine.tokenize(wellFormed(text, "text"), addSpecial, parseSpecial, true)));
  }

  /**
   * The text of some tokens; bytes that are no whole character become U+FFFD.
   *
   * # Errors
   * `argument` where a token is not in the vocabulary, `busy` while a text is being written, `disposed`.
   */
  detokenize(tokens: Uint32Array | readonly number[]): string {
    const engine = this.#idle();
    return this.#checked(() => engine.detokenize(toTokens(tokens)));
  }

  /**
   * Frees the model's memory for the next one on this page.
   *
   * # Errors
   * `busy` while a text is being written: abort that first.
   */
  dispose(): void {
    if (this.#running) throw new PageLmError("busy", BUSY);
    this.#engine?.free();
    this.#engine = undefined;
  }

  #idle(): Engine {
    if (this.#running) throw new PageLmError("busy", BUSY);
    if (this.#engine) return this.#engine;
    throw this.#ended;
  }

  #checked<T>(work: () => T): T {
    try {
      return work();
    } catch (thrown) {
      throw this.#broken(thrown);
    }
  }

  #broken(thrown: unknown): PageLmError {
    const error = toPageLmError(thrown, "run");
    if (!isFatal(error.code)) return error;
    this.#engine = undefined;
    return (this.#ended = new PageLmError(error.code, `${error.message} Reload the page first.`, { cause: thrown }));
  }
}
