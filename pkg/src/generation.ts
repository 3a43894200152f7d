import type { EngineOptions } from "./binding.js";
import type { Connection } from "./connection.js";
import { abortError, fromWire, PageLmError } from "./errors.js";
import { type Prompt, toAlternatives, toEngineOptions, toEnginePrompt } from "./options.js";
import { AHEAD, type Measured, type Response, type ResponseOf } from "./protocol.js";
import { toRecord } from "./record.js";
import type { AnswerRecord, GenerateOptions, ModelInfo, Piece, Report } from "./types.js";

/** What a generation needs of its model. */
export interface GenerationOwner {
  /** The connection to the worker, if this generation may begin; throws `busy` or `disposed` if not. */
  begin(generation: Generation): Connection;
  /** What the model is. */
  info(): ModelInfo;
  /** The worker is free again for another. */
  over(generation: Generation): void;
}

function toPiece({ text, token, probability, alternatives }: ResponseOf<"token">): Piece {
  const piece: Piece = { text, token, probability };
  if (alternatives.length > 0) piece.alternatives = toAlternatives(alternatives);
  return piece;
}

interface Waiter {
  resolve(result: IteratorResult<Piece, undefined>): void;
  reject(error: Error): void;
}

type State = "new" | "running" | "stopping" | "over";

/**
 * A text that is being written: loop over it with `for await`.
 *
 * It begins with the first turn of the loop, not before. The worker is never more than a few tokens ahead of the
 * loop. Leaving the loop, or aborting the signal, stops it within one token or one chunk of the prompt; after an
 * abort the loop throws a `PageLmError` with code `aborted`. However it ended, `report` then says what was done.
 */
export class Generation implements AsyncIterableIterator<Piece, undefined> {
  /** Resolves with the report when the loop is over, also when it was left or aborted; rejects when it failed. */
  readonly done: Promise<Report>;
  readonly #owner: GenerationOwner;
  readonly #prompt: Prompt | undefined;
  readonly #options: GenerateOptions;
  /** What made the prompt of messages, if anything did. */
  readonly #template: string | undefined;
  readonly #pieces: Piece[] = [];
  readonly #waiters: Waiter[] = [];
  readonly #tokens: number[] = [];
  /** The prompt's tokens and all that came, read or not. */
  readonly #context: number[] = [];
  readonly #onAbort = () => this.#stop(abortError(this.#options.signal as AbortSignal));
  #settle!: { resolve(report: Report): void; reject(error: Error): void };
  #state: State = "new";
  #connection: Connection | undefined;
  #engineOptions: EngineOptions = {};
  #id = 0;
  #text = "";
  #consumed = 0;
  #started: ResponseOf<"started"> | undefined;
  #ending: ResponseOf<"end"> | undefined;
  #error: Error | undefined;
  #report: Report | undefined;

  constructor(owner: GenerationOwner, prompt: Prompt | undefined, options: GenerateOptions, template?: string) {
    this.#owner = owner;
    this.#prompt = prompt;
    this.#options = options;
    this.#template = template;
    this.done = new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
    this.done.catch(() => {}); // the loop throws the same error: nobody has to listen here as well
  }

  /** The seed in use, known with the first piece at the latest; give it again for the same text. */
  get seed(): number | undefined {
    return this.#started?.seed ?? this.#options.seed;
  }

  /**
   * What made the answer, once the loop is over, so that it can be made again. None where that is not all there is to it: where
   * a text was gone on with, or a `logitsProcessor` had a say.
   */
  get record(): AnswerRecord | undefined {
    if (!this.#report || !this.#started || this.#prompt === undefined || this.#options.logitsProcessor) return undefined;
    return toRecord(this.#owner.info(), this.#engineOptions, this.#started, this.#report, this.#template);
  }

  /** What was done, once the loop is over. */
  get report(): Report | undefined {
    return this.#report;
  }

  /** Runs to the end and returns the report, for those who do not want the pieces. */
  async finish(): Promise<Report> {
    for await (const _ of this);
    return this.done;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The next piece. Called by `for await`. */
  async next(): Promise<IteratorResult<Piece, undefined>> {
    if (this.#state === "new") this.#begin();
    const piece = this.#pieces.shift();
    if (piece) return { done: false, value: this.#deliver(piece) };
    if (this.#ending && this.#state === "running") this.#complete(this.#ending);
    if (this.#state !== "over") return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
    const error = this.#error;
    this.#error = undefined; // thrown once, then over, as a generator's
    if (error) throw error;
    return { done: true, value: undefined };
  }

  /** Stops. Called by `for await` when its loop is left. Resolves when the worker has stopped. */
  async return(): Promise<IteratorResult<Piece, undefined>> {
    this.#stop(undefined);
    if (this.#state === "stopping") await this.done.catch(() => {});
    this.#error = undefined;
    return { done: true, value: undefined };
  }

  #begin(): void {
    const { signal } = this.#options;
    try {
      if (signal?.aborted) throw abortError(signal);
      const prompt = this.#prompt === undefined ? undefined : toEnginePrompt(this.#prompt);
      const options = (this.#engineOptions = toEngineOptions(this.#options));
      this.#connection = this.#owner.begin(this);
      this.#state = "running";
      this.#id = this.#connection.open({ type: "generate", prompt, options, credit: AHEAD }, (r) => this.#receive(r));
      signal?.addEventListener("abort", this.#onAbort, { once: true });
    } catch (thrown) {
      this.#fail(thrown as Error);
    }
  }

  #receive(response: Response): void {
    switch (response.type) {
      case "started":
        this.#started = response;
        for (const token of response.promptTokens) this.#context.push(token);
        return;
      case "prefill":
        return this.#onPrefill(response);
      case "token":
        if (this.#state !== "running") return;
        this.#context.push(response.token);
        this.#pieces.push(toPiece(response));
        return this.#feed();
      case "choose":
        return this.#choose(response.logits);
      case "end":
        this.#owner.over(this);
        if (this.#state === "stopping") return this.#finishAborted(response);
        this.#ending = response;
        if (this.#waiters.length > 0) this.#complete(response);
        return;
      case "stopped":
        return this.#finishAborted(response);
      case "failed":
        return this.#fail(fromWire(response.error));
      default:
        throw new PageLmError("worker", `A generation was answered with “${response.type}”.`);
    }
  }

  /** Lets the caller see the logits of the next token, and change them. */
  #choose(raw: Float32Array<ArrayBuffer>): void {
    if (this.#state !== "running") return;
    try {
      const logits = this.#options.logitsProcessor?.(raw, this.#context) ?? raw;
      this.#connection?.tell({ type: "chosen", id: this.#id, logits });
    } catch (thrown) {
      this.#stop(thrown as Error);
    }
  }

  #onPrefill({ done, total }: ResponseOf<"prefill">): void {
    if (this.#state !== "running") return;
    try {
      this.#options.onPrefill?.({ done, total });
    } catch (thrown) {
      this.#stop(thrown as Error);
    }
  }

  #feed(): void {
    const waiter = this.#waiters.shift();
    const piece = waiter && this.#pieces.shift();
    if (piece) waiter.resolve({ done: false, value: this.#deliver(piece) });
  }

  /** Counts a piece as read and, every so often, lets the worker go on by as many. */
  #deliver(piece: Piece): Piece {
    this.#tokens.push(piece.token);
    this.#text += piece.text;
    this.#consumed += 1;
    if (this.#consumed >= AHEAD / 2 && this.#state === "running") {
      this.#connection?.tell({ type: "more", id: this.#id, credit: this.#consumed });
      this.#consumed = 0;
    }
    return piece;
  }

  /** Stops what is running. `error` is what the loop throws then, if anything. */
  #stop(error: Error | undefined): void {
    if (this.#state === "new") return this.#fail(error ?? new PageLmError("aborted", "This was never begun."));
    if (this.#state !== "running") return;
    this.#state = "stopping";
    this.#error = error;
    this.#pieces.length = 0;
    if (this.#ending) return this.#finishAborted(this.#ending);
    this.#connection?.tell({ type: "cancel", id: this.#id });
    this.#owner.over(this); // the worker sees the cancellation before anything that is sent from now on
  }

  #complete(end: ResponseOf<"end">): void {
    this.#finish(this.#makeReport(end.text, end.stopReason, end));
  }

  #finishAborted(measured: Measured): void {
    this.#finish(this.#makeReport("", "aborted", measured));
  }

  #makeReport(rest: string, stopReason: Report["stopReason"], measured: Measured): Report {
    const { prefillMs, decodeMs, proposedTokens, acceptedTokens } = measured;
    // What is stopped while its grammar is on the way has not started.
    const { promptTokens, reusedTokens, seed } = this.#started ?? { promptTokens: [], reusedTokens: 0, seed: this.#options.seed ?? 0 };
    const [text, tokens] = [this.#text + rest, this.#tokens];
    const done = { text, tokens, promptTokens, reusedTokens, seed, stopReason };
    return { ...done, prefillMs, decodeMs, proposedTokens, acceptedTokens };
  }

  #finish(report: Report): void {
    this.#report = report;
    this.#close();
    this.#settle.resolve(report);
    this.#answerWaiters();
  }

  #fail(error: Error): void {
    if (this.#state === "over") return;
    this.#error = error;
    this.#close();
    this.#settle.reject(error);
    this.#answerWaiters();
  }

  #close(): void {
    this.#state = "over";
    this.#pieces.length = 0;
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
    this.#connection?.release(this.#id);
    this.#owner.over(this);
  }

  #answerWaiters(): void {
    for (const waiter of this.#waiters.splice(0)) {
      const error = this.#error;
      this.#error = undefined;
      if (error) waiter.reject(error);
      else waiter.resolve({ done: true, value: undefined });
    }
  }
}
