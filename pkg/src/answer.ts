import type { Vocabulary } from "./binding.js";
import type { Generation } from "./generation.js";
import type { AnswerRecord, ChatReport, GenerateOptions, ModelInfo, Piece, Report, TokenRange } from "./types.js";

/** What a conversation needs of its model. */
export interface Speaker {
  info(): ModelInfo;
  vocabulary(): Promise<Vocabulary>;
  /** Control tokens that are spelled out count as such, but for those that begin at the bytes `plain`. */
  tokenize(text: string, plain: Uint32Array): Promise<TokenRange[]>;
  /** `template` is what made the tokens of messages. */
  generate(tokens: readonly number[], options: GenerateOptions, template: string): Generation;
  /** The tokens of the last conversation: its prompt and what came. */
  text: readonly number[];
}

/** An answer that has begun. */
export interface Begun {
  generation: Generation;
  /** What its report is worth as a message. */
  report(report: Report): ChatReport;
}

/**
 * An answer that is being written: loop over it with `for await`, as over a {@link Generation}. Its report has the answer as a
 * message too, with the calls of tools that are in it.
 */
export class Answer implements AsyncIterableIterator<Piece, undefined> {
  /** Resolves with the report when the loop is over, also when it was left or aborted; rejects when it failed. */
  readonly done: Promise<ChatReport>;
  readonly #begin: () => Promise<Begun>;
  #settle!: { resolve(report: ChatReport): void; reject(error: unknown): void };
  #begun: Promise<Begun> | undefined;
  #report: ChatReport | undefined;
  #generation: Generation | undefined;

  constructor(begin: () => Promise<Begun>) {
    this.#begin = begin;
    this.done = new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
    this.done.catch(() => {}); // the loop throws the same error: nobody has to listen here as well
  }

  /** What was done, once the loop is over. */
  get report(): ChatReport | undefined {
    return this.#report;
  }

  /** What made the answer, its chat template included; as a {@link Generation} has it. */
  get record(): AnswerRecord | undefined {
    return this.#generation?.record;
  }

  /** Runs to the end and returns the report, for those who do not want the pieces. */
  async finish(): Promise<ChatReport> {
    for await (const _ of this);
    return this.done;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The next piece. Called by `for await`. */
  async next(): Promise<IteratorResult<Piece, undefined>> {
    const { generation } = await this.#start();
    const result = await generation.next();
    // The report is there as soon as the loop is over, as with a generation.
    if (result.done) await this.done.catch(() => {});
    return result;
  }

  /** Stops. Called by `for await` when its loop is left. Resolves when the worker has stopped. */
  async return(): Promise<IteratorResult<Piece, undefined>> {
    const { generation } = await this.#start();
    const result = await generation.return();
    await this.done.catch(() => {});
    return result;
  }

  #start(): Promise<Begun> {
    this.#begun ??= this.#begin();
    const begun = this.#begun;
    begun.then(({ generation, report }) => {
      this.#generation = generation;
      generation.done.then((done) => this.#settle.resolve((this.#report ??= report(done)))).catch(this.#settle.reject);
    }, this.#settle.reject);
    return begun;
  }
}
