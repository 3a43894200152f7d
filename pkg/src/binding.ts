/**
 * The engine as wasm-bindgen exposes it: the types of `dist/<build>/pagelm.js`.
 *
 * Every throw is an `Error` with a string property `code`: `format`, `unsupported`, `argument` or `limit`.
 * @module
 */

/** What a build's glue module exports. */
export interface Binding {
  /** Fetches and instantiates the `.wasm` beside the glue; compiles while it downloads. */
  default(options?: { module_or_path?: unknown; memory?: WebAssembly.Memory; thread_stack_size?: number }): Promise<unknown>;
  Loader: new (fileBytes?: number) => Loader;
  Header: new () => Header;
  /** Whether this build computes the right bits in this browser. */
  selfTest(): boolean;
  /** Builds with threads: opens the instance to that many, and gives what a helper's instance is made of. */
  share?(nThreads: number): [WebAssembly.Module, WebAssembly.Memory];
  /** Builds with threads: computes what the engine hands out, and never returns. */
  help?(): void;
  /** Builds with threads: how many have come, the engine's own counted. */
  nThreads?(): number;
  /** Builds with threads: lets at most `n` of them compute. */
  setThreads?(n: number): void;
}

/** Takes a file's first bytes until its header is whole. */
export interface Header {
  /** True once the header is whole. */
  push(chunk: Uint8Array): boolean;
  /** Of a model in several files, all but the first: `isMore`, and only what files have each. */
  estimate(nCtx: number | undefined, cacheType: CacheType | undefined, isMore: boolean): HeaderEstimate;
  free(): void;
}

/** What a header tells. */
export interface HeaderEstimate {
  fileBytes: number;
  parameters: number;
  weightBytes: number;
  nFiles: number;
  nCtx: number;
  nCtxTrain: number;
  sessionBytes: number;
  architecture: string;
  name: string;
}

/** Takes a file's bytes in the order in which they arrive, and becomes an engine. */
export interface Loader {
  /** Copies the bytes into the engine's memory and packs every tensor that is complete. */
  push(chunk: Uint8Array): void;
  /** The file's length as its header has it; known once the header is read. */
  readonly totalBytes: number | undefined;
  readonly receivedBytes: number;
  /** How many files the model is in; known once the first one's header is read. */
  readonly nFiles: number | undefined;
  /** Says that this file is at its end and the model's next one follows. */
  nextPart(fileBytes?: number): void;
  /** Consumes the loader. */
  finish(nCtx?: number, cacheType?: CacheType): Engine;
  free(): void;
}

/** A loaded model with its session. */
export interface Engine {
  info(): EngineInfo;
  /**
   * With `ends`, as many numbers more behind the tokens: where in the text each of them ends, in bytes of UTF-8. No control
   * token begins at a byte that `plain` names.
   */
  tokenize(
    text: string,
    addSpecial: boolean,
    parseSpecial: boolean,
    ends: boolean,
    plain?: Uint32Array,
  ): Uint32Array<ArrayBuffer>;
  vocabulary(): Vocabulary;
  detokenize(tokens: Uint32Array): string;
  /** Begins a generation in place of the one before; without a prompt, of the text that is there. Computes nothing yet. */
  start(prompt: string | Uint32Array | undefined, options: EngineOptions): Started;
  /**
   * One prefill chunk, one token, or the end. After a step of kind `logits`, the token is chosen by those that are given. With
   * `allowed` there is no such step: the token is one of those whose bit is set. Text goes into the element, if there is one.
   */
  step(logits?: Float32Array, element?: Element, allowed?: Uint32Array): Step;
  /** Forgets the running generation; the cache stays for the next prompt with the same beginning. */
  cancel(): void;
  /** Of the last generation that ended: how many tokens were guessed, and how many of them came. */
  drafted(): Uint32Array;
  /** Has the other one's model guess, with `speculative: "draft"`. Consumes the other one. */
  setDraft(other: Engine): void;
  /** Adds a LoRA adapter, if one is given; then the i-th that was added counts `scales[i]` times, and others not at all. */
  adapt(file: Uint8Array | undefined, scales: Float32Array): void;
  /** What the model makes of tokens, from an empty cache. */
  measure(tokens: Uint32Array, what: Measure): Float32Array<ArrayBuffer>;
  /** Records sites, by their numbers, of a text, each into an array of its own. */
  trace(
    tokens: Uint32Array,
    sites: Uint32Array,
    layers: Uint32Array,
    heads: Uint32Array,
    positions: Uint32Array,
  ): Float32Array<ArrayBuffer>[];
  /** What the output head makes of residual streams: n × nEmbd to n × nVocab. */
  project(vectors: Float32Array): Float32Array<ArrayBuffer>;
  /** The floats of a matrix, row after row. */
  tensor(name: string): Float32Array<ArrayBuffer>;
  /** Puts interventions in place of those that there are: 8 numbers and values of each, one behind the other. */
  intervene(list: readonly (Uint32Array | Float32Array)[]): void;
  /** Every step of a textbook's block, one behind the other. */
  textbookBlock(shape: Uint32Array, values: Float32Array): Float32Array<ArrayBuffer>;
  /** The text with its keys and values and its sampler's state. Ends what is running. */
  save(): Uint8Array<ArrayBuffer>;
  /** Puts a saved text in place of this one; its tokens. */
  restore(saved: Uint8Array): Uint32Array<ArrayBuffer>;
  /** Another engine over the same model, with a copy of the text and of what is computed of it. */
  fork(): Engine;
  free(): void;
}

/**
 * `logits`: n_tokens × n_vocab; `score`: ln p of each token after those before it, from the second on; `mean` and `last`: one
 * vector of length 1, pooled in that way; `embeddings`: n_tokens × n_embd.
 */
export type Measure = "logits" | "score" | "mean" | "last" | "embeddings";

/** Every token of a model. */
export interface Vocabulary {
  /** Their bytes, one token behind the other; control tokens as they are spelled. */
  bytes: Uint8Array<ArrayBuffer>;
  /** Where in the bytes each token ends. */
  ends: number[];
  control: number[];
  /** BOS, EOS, EOT, each 2³² − 1 where there is none; 1 if BOS stands before texts. */
  special: [bos: number, eos: number, eot: number, addsBos: number];
  /** The tokens that end a text. */
  endTokens: number[];
}

/** How the engine keeps keys and values. */
export type CacheType = "f32" | "f16" | "q8_0";

/** What the engine knows about a loaded model. Counts are plain numbers, sizes are in bytes. */
export interface EngineInfo {
  name: string;
  architecture: string;
  parameters: number;
  fileBytes: number;
  /** The most frequent weight format, `"Q8_0"` for example. */
  quantization: string;
  license?: string;
  description?: string;
  author?: string;
  url?: string;
  /** How a conversation is written down: a template in Jinja. */
  chatTemplate?: string;
  /** The tokenizer's kind, as the file names it. */
  tokenizer: string;
  /** Tokens that fit in this session. */
  nCtx: number;
  /** Tokens that the model was trained on at a time. */
  nCtxTrain: number;
  nVocab: number;
  nLayer: number;
  nEmbd: number;
  nHead: number;
  nHeadKv: number;
  headDim: number;
  nFf: number;
  weightBytes: number;
  /** How keys and values are kept. */
  cacheType: CacheType;
  cacheBytes: number;
  /** A line for each matrix: its name, its format, how many columns and how many rows it has. */
  tensors: string;
}

/** Options of `start`; what is left out takes the engine's default. */
export interface EngineOptions {
  maxTokens?: number;
  parseSpecial?: boolean;
  speculative?: "lookup" | "draft";
  temperature?: number;
  dynatempRange?: number;
  dynatempExponent?: number;
  topK?: number;
  topP?: number;
  minP?: number;
  typicalP?: number;
  topNSigma?: number;
  xtcProbability?: number;
  xtcThreshold?: number;
  repeatPenalty?: number;
  presencePenalty?: number;
  frequencyPenalty?: number;
  repeatLastN?: number;
  dryMultiplier?: number;
  dryBase?: number;
  dryAllowedLength?: number;
  dryPenaltyLastN?: number;
  dryBreakers?: readonly string[];
  mirostat?: number;
  mirostatTau?: number;
  mirostatEta?: number;
  /** Token, bias, token, bias … */
  logitBias?: readonly number[];
  bannedTokens?: readonly number[];
  seed?: number;
  stop?: readonly string[];
  /** How many alternatives each token comes with. */
  logprobs?: number;
  overflow?: "stop" | "shift";
  nKeep?: number;
  stopTokens?: readonly number[];
  /** Whether there is a step of kind `logits` before each token; `"mask"`: for masks alone, and the page sees none. */
  editsLogits?: boolean | "mask";
  /** What the text has to be like; the worker's part, not the engine's. */
  constraint?: Constraint;
}

/** A JSON schema as text, a regular expression, or a grammar in Lark's notation. */
export interface Constraint {
  kind: "json" | "regex" | "lark";
  text: string;
}

/** What `start` found out. */
export interface Started {
  promptTokens: number[];
  /** How many of the prompt's tokens are still in the cache and need no computing. */
  reusedTokens: number;
  seed: number;
  /** The hash of the model's file, and of its adapters with their scales: its upper and its lower half. */
  model: number[];
}

/** Why the engine ended a generation by itself. */
export type EngineStop = "eos" | "maxTokens" | "contextFull" | "stop";

/** What one call of `step` did. */
export type Step =
  | { kind: "prefill"; done: number; total: number }
  /** What the next token will be chosen by. */
  | { kind: "logits"; logits: Float32Array<ArrayBuffer> }
  /** `alternatives`: token, ln p, token, ln p … */
  | { kind: "token"; token: number; text: string; probability: number; alternatives: Float32Array }
  /** `text` is what was left of a character that never became whole. */
  | { kind: "end"; text: string; stopReason: EngineStop };
