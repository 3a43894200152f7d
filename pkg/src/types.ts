import type { CacheType, Constraint, EngineInfo, EngineStop } from "./binding.js";
import type { Build } from "./features.js";

/** Where a model comes from: an address (relative to the page), or a file that the reader chose. */
export type Source = string | URL | Blob;

/** What a file's header tells of the model in it. */
export interface Estimate {
  name: string;
  architecture: string;
  parameters: number;
  /** How many files it is in, and how long they are together. */
  nFiles: number;
  fileBytes: number;
  /** The context that the memory is for, and the longest that the model was trained with. */
  nCtx: number;
  nCtxTrain: number;
  /** Memory for the weights, and for the context and all else; `totalBytes` is their sum. */
  weightBytes: number;
  sessionBytes: number;
  totalBytes: number;
  /** Whether that fits into WebAssembly's 4 GB. */
  fits: boolean;
}

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
  /**
   * A second, smaller model with the same vocabulary, which guesses what the first will say: see `speculative`. It is
   * downloaded before the model, and the progress counts both.
   */
  draft?: Source | readonly Source[];
  /** Insists on one build of the engine. Default: the fastest that this browser runs. The bits are the same. */
  build?: Build;
  /**
   * Insists on a number of threads, 1 to 16, where the page is cross-origin isolated; elsewhere there is one. Default: as
   * many as prove fastest, of at most 8, found out while texts are written. The bits are the same.
   */
  threads?: number;
}

/** What a loaded model is. */
export interface ModelInfo extends Omit<EngineInfo, "tensors"> {
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
  /** How far the temperature moves to either side, with the entropy of what may come. Default 0: not at all. */
  dynatempRange?: number;
  /** The power of the entropy by which it moves. Default 1. */
  dynatempExponent?: number;
  /** Only the k most likely tokens; 0 for all. Default 40. */
  topK?: number;
  /** Only the most likely tokens that together have this probability, 0 to 1. Default 0.95. */
  topP?: number;
  /** Only tokens at least this fraction as likely as the most likely one, 0 to 1. Default 0.05. */
  minP?: number;
  /** Only tokens of nearly the expected surprise, that together have this probability, 0 to 1. Default 1: all. */
  typicalP?: number;
  /** Only tokens whose score is at most this many standard deviations below the best. Default 0: all. */
  topNSigma?: number;
  /** How often all top choices but the last are left out, 0 to 1. Default 0: never. */
  xtcProbability?: number;
  /** From which probability on a token is a top choice. Default 0.1. */
  xtcThreshold?: number;
  /** Divides the score of tokens that occurred lately; 1 is off, which is the default. */
  repeatPenalty?: number;
  /** Taken from the score of a token that occurred lately, once. Default 0. */
  presencePenalty?: number;
  /** Taken from the score of a token for each time it occurred lately. Default 0. */
  frequencyPenalty?: number;
  /** How many tokens "lately" is. Default 64. */
  repeatLastN?: number;
  /** Taken from the score of a token that would lengthen a repetition beyond what is allowed. Default 0. */
  dryMultiplier?: number;
  /** Multiplies that for each further token that is repeated. Default 1.75. */
  dryBase?: number;
  /** How many tokens may be repeated. Default 2. */
  dryAllowedLength?: number;
  /** In how many of the last tokens repetitions are looked for. Default: all. */
  dryPenaltyLastN?: number;
  /** Strings at which a repetition ends: at any token that has one in it. Default: line break, `:`, `"` and `*`. */
  dryBreakers?: readonly string[];
  /** 2 keeps the surprise of the text near `mirostatTau`, in place of topK, topP and their like. Default 0: off. */
  mirostat?: 0 | 2;
  /** That surprise, in bits. Default 5. */
  mirostatTau?: number;
  /** How fast it is kept to, 0 to 1. Default 0.1. */
  mirostatEta?: number;
  /** Added to the scores of single tokens: pairs of a token and a number. */
  logitBias?: readonly (readonly [token: number, bias: number])[];
  /** Tokens that never come. */
  bannedTokens?: readonly number[];
  /** Strings that end the text. Neither they nor a part of them is in it, however they are cut into tokens. */
  stop?: string | readonly string[];
  /** Tokens that end the text, beside the model's own. They are not part of it. */
  stopTokens?: readonly number[];
  /** With how many of the most likely tokens, and their probabilities, each piece comes. Default 0. */
  logprobs?: number;
  /**
   * What happens where the context is full: `"stop"`, the default, or `"shift"`: half of what stands behind the first `nKeep`
   * tokens is forgotten, and the text goes on. Models with learned positions refuse that.
   */
  overflow?: "stop" | "shift";
  /** Default 0. */
  nKeep?: number;
  /**
   * A whole number, 0 to 4,294,967,295. The same model, prompt, options and seed give the same text on every
   * device. Default: drawn at random, and reported.
   */
  seed?: number;
  /** Whether special tokens that are spelled out in the prompt count as such. Default: no, they are plain text. */
  parseSpecial?: boolean;
  /**
   * `"lookup"` guesses the next tokens by what followed the last ones before, and computes several at once. The text stays
   * the same in every token; where it repeats itself, it may come faster, else it comes slower, most of all with a small
   * model. `"draft"` has the smaller model guess that was loaded as `draft`. Default: off.
   */
  speculative?: "lookup" | "draft";
}

/** Options of `model.generate`. */
export interface GenerateOptions extends SamplingOptions {
  /** Aborting it stops within one token, or within one chunk of at most 64 tokens of the prompt. */
  signal?: AbortSignal;
  /** Called as the prompt is worked through, `done` of `total` tokens. */
  onPrefill?: (prefill: { done: number; total: number }) => void;
  /**
   * Called before each token with its raw scores, one for each token of the vocabulary, and all tokens so far. It may change
   * the scores or return others; −Infinity bars a token. Each token then takes a round trip between worker and page, and two
   * copies of the scores.
   */
  logitsProcessor?: (logits: Float32Array<ArrayBuffer>, tokens: readonly number[]) => Float32Array<ArrayBuffer> | undefined | void;
  /**
   * The text is JSON that this schema describes; `true` for any JSON. This and the next two load a module of their own, once;
   * one of them can be given. A text that ends by `"eos"` is whole; one that ends otherwise may be cut.
   */
  json?: object | true;
  /** The text, from its first character to its last, is what this regular expression describes. */
  regex?: string | RegExp;
  /** The text is what this grammar in Lark's notation describes. */
  grammar?: string;
}

/** One message of a conversation. */
export interface Message {
  /** `"system"`, `"user"`, `"assistant"`, `"tool"`, or what else the model's template knows. */
  role: string;
  content?: string | readonly { type: string; text?: string }[] | null;
  /** What the assistant called. */
  tool_calls?: readonly ToolCall[];
  /** What a template may look at beside that: `name`, `tool_call_id`, `reasoning_content` … */
  [more: string]: unknown;
}

/** A call of a function that an answer asks for. */
export interface ToolCall {
  id?: string;
  type: "function";
  function: { name: string; arguments: unknown };
}

/** A function that the model may call. */
export interface Tool {
  type: "function";
  /** `parameters` is a JSON schema. */
  function: { name: string; description?: string; parameters?: object };
}

/** Options of `model.chat`. */
export interface ChatOptions extends GenerateOptions {
  /** Rendered into the prompt, where the template has a place for them. */
  tools?: readonly Tool[];
  /** A template in Jinja in place of the model's own. */
  template?: string;
  /** Further variables of the template: `enable_thinking`, `documents` … */
  variables?: Readonly<Record<string, unknown>>;
}

/** What is known when an answer has ended. */
export interface ChatReport extends Report {
  /** The answer, to be put behind the messages for the next turn. */
  message: Message;
  /** The calls that it asks for, which are in `message`, too. */
  toolCalls: ToolCall[];
}

/** One step of a generation. */
export interface Piece {
  /** Whole characters only: empty while a character is spread over several tokens. */
  text: string;
  /** The token's number in the model's vocabulary. */
  token: number;
  /** How likely the model itself found this token, before temperature and the other options; 0 to 1. */
  probability: number;
  /** With `logprobs`: the most likely tokens in its place, the best first. */
  alternatives?: Alternative[];
}

/** A token that might have come. */
export interface Alternative {
  token: number;
  /** The natural logarithm of its probability, as the model itself found it. */
  logprob: number;
}

/** What the model thinks of a text that is there. */
export interface Score {
  tokens: number[];
  /** The natural logarithm of each token's probability after those before it; the first token has none. */
  logprobs: number[];
  /** e to the power of minus their mean: of how many equally likely tokens each was one, so to speak. */
  perplexity: number;
}

/** Options of `model.embed`. */
export interface EmbedOptions {
  /** Whether the mean of the vectors of all tokens is taken, or the last one's. Default `"mean"`. */
  pooling?: "mean" | "last";
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

/**
 * Everything that an answer depends on, and the answer. As JSON, the native command makes it again:
 * `pagelm generate --model FILE --replay record.json`.
 */
export interface AnswerRecord {
  /** The hash of the model's file, and of its adapters with their scales, in hexadecimal. */
  model: string;
  /** What wrote it. */
  build: string;
  /** Seconds since 1970, UTC. */
  time: number;
  nCtx: number;
  cacheType: CacheType;
  /** The chat template that made the prompt, where one did. */
  template?: string;
  promptTokens: number[];
  /** What was not the default, and the seed. */
  sampler: Record<string, unknown>;
  dryBreakers?: readonly string[];
  maxTokens: number | null;
  stop: readonly string[];
  stopTokens: readonly number[];
  /** What the text had to be like, and within how many tokens. */
  constraint?: Constraint & { limit: number };
  /** How many tokens a shift keeps; `null`: no shift. */
  nKeep: number | null;
  tokens: number[];
  stopReason: string;
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
  /** Tokens to compute one by one after it. Default 64. The context needs room for both and one more. */
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
