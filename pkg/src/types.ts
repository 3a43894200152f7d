import type { CacheType, EngineInfo, EngineStop } from "./binding.js";
import type { Build } from "./features.js";

/** Where a model comes from: an address (relative to the page), or a file that the reader chose. */
export type Source = string | URL | Blob;

/** How far a download is. */
export interface Progress {
  /** Bytes of the file that have arrived, after any decompression on the way. */
  receivedBytes: number;
  /**
   * The file's length, by the file's own header, or `undefined` until that is read. A server's Content-Length is
   * never used: a host that compresses in transit states another number.
   */
  totalBytes: number | undefined;
}

/** Options of `Model.load`. */
export interface LoadOptions {
  /** Called as bytes arrive, at most about 20 times a second, and once at the end. */
  onProgress?: (progress: Progress) => void;
  /** Aborting it stops the download at once. */
  signal?: AbortSignal;
  /** Tokens of context, 1 up to what the model was trained with. Default: that, but at most 2,048. */
  nCtx?: number;
  /**
   * How the context's keys and values are kept. Default `"f32"`. `"f16"` takes half the memory, `"q8_0"` little more than
   * a quarter; both round, so that the text is another one, though the same on every device.
   */
  cacheType?: CacheType;
  /** Insists on one build of the engine. Default: the fastest that this browser runs. The bits are the same. */
  build?: Build;
  /**
   * Insists on a number of threads, 1 to 16, where the page is cross-origin isolated; elsewhere there is one. Default: as
   * many as prove fastest, of at most 8, found out while texts are written. The bits are the same.
   */
  threads?: number;
}

/** What a loaded model is. */
export interface ModelInfo extends EngineInfo {
  /** The build of the engine that was chosen. */
  build: Build;
  /** The most threads that compute: 1 where the page is not cross-origin isolated. */
  threads: number;
}

/** How to choose each next token. What is left out takes the default, which is llama.cpp's. */
export interface SamplingOptions {
  /** At most this many tokens. Default: until the model ends the text or the context is full. */
  maxTokens?: number;
  /** 0 always takes the most likely token; above 1 is wilder. Default 0.8. */
  temperature?: number;
  /** Only the k most likely tokens; 0 for all. Default 40. */
  topK?: number;
  /** Only the most likely tokens that together have this probability, 0 to 1. Default 0.95. */
  topP?: number;
  /** Only tokens at least this fraction as likely as the most likely one, 0 to 1. Default 0.05. */
  minP?: number;
  /** Divides the score of tokens that occurred lately; 1 is off, which is the default. */
  repeatPenalty?: number;
  /** Taken from the score of a token that occurred lately, once. Default 0. */
  presencePenalty?: number;
  /** Taken from the score of a token for each time it occurred lately. Default 0. */
  frequencyPenalty?: number;
  /** How many tokens "lately" is. Default 64. */
  repeatLastN?: number;
  /**
   * A whole number, 0 to 4,294,967,295. The same model, prompt, options and seed give the same text on every
   * device. Default: drawn at random, and reported.
   */
  seed?: number;
  /** Whether special tokens that are spelled out in the prompt count as such. Default: no, they are plain text. */
  parseSpecial?: boolean;
  /**
   * `"lookup"` guesses the next tokens by what followed the last ones before, and computes several at once. The text stays
   * the same in every token; where it repeats itself, it comes faster. Default: off. (A second model as the guesser is to
   * be had in Rust and on the command line, not here.)
   */
  speculative?: "lookup";
}

/** Options of `model.generate`. */
export interface GenerateOptions extends SamplingOptions {
  /** Aborting it stops within one token, or within one chunk of at most 64 tokens of the prompt. */
  signal?: AbortSignal;
  /** Called as the prompt is worked through, `done` of `total` tokens. */
  onPrefill?: (prefill: { done: number; total: number }) => void;
}

/** One step of a generation. */
export interface Piece {
  /** Whole characters only: empty while a character is spread over several tokens. */
  text: string;
  /** The token's number in the model's vocabulary. */
  token: number;
  /** How likely the model itself found this token, before temperature and the other options; 0 to 1. */
  probability: number;
}

/** Why a generation ended. `aborted` stands for a signal as well as for a loop that was left. */
export type StopReason = EngineStop | "aborted";

/** What is known when a generation has ended. */
export interface Report {
  /** All the text, and U+FFFD at its end where the last character was cut in its middle. */
  text: string;
  /** The tokens that were delivered. */
  tokens: number[];
  promptTokens: number[];
  /** How many of the prompt's tokens did not have to be computed, since the prompt before began with them. */
  reusedTokens: number;
  seed: number;
  stopReason: StopReason;
  /** Milliseconds spent on the prompt, measured where the work is done. */
  prefillMs: number;
  /** Milliseconds spent on the tokens: `tokens.length / decodeMs * 1000` is the speed. */
  decodeMs: number;
  /** With `speculative`: how many tokens were guessed, and how many of them came. Else 0. */
  proposedTokens: number;
  acceptedTokens: number;
}

/** A token of a text. `text` in UTF-8 has the bytes `start` to `end` where it stands; part of a character may be one. */
export interface TokenRange {
  token: number;
  start: number;
  end: number;
}

/** Options of `model.tokenize` and `model.tokenRanges`. */
export interface TokenizeOptions {
  /** Adds what the model wants before a text, BOS for most. Default: yes, as `generate` does. */
  addSpecial?: boolean;
  /** Whether special tokens that are spelled out count as such. Default: no. */
  parseSpecial?: boolean;
}

/** Options of `model.benchmark`. */
export interface BenchmarkOptions {
  /** Tokens of prompt. Default 128. */
  promptTokens?: number;
  /** Tokens to generate after it. Default 64. */
  genTokens?: number;
  signal?: AbortSignal;
}

/** What this device can do with this model. */
export interface BenchmarkReport {
  promptTokens: number;
  genTokens: number;
  prefillMs: number;
  decodeMs: number;
  prefillTokensPerS: number;
  decodeTokensPerS: number;
  build: Build;
  /** How many threads computed the tokens in the end. */
  threads: number;
}
