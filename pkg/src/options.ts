import type { CacheType, Constraint, EngineOptions } from "./binding.js";
import { PageLmError } from "./errors.js";
import type { Alternative, GenerateOptions, SamplingOptions, TokenRange } from "./types.js";

/** A prompt as text, or as tokens that are taken as they are. */
export type Prompt = string | Uint32Array | readonly number[];

/** The options that are the sampler's own, and numbers. */
export const samplerNumbers = [
  "temperature",
  "dynatempRange",
  "dynatempExponent",
  "topK",
  "topP",
  "minP",
  "typicalP",
  "topNSigma",
  "xtcProbability",
  "xtcThreshold",
  "repeatPenalty",
  "presencePenalty",
  "frequencyPenalty",
  "repeatLastN",
  "dryMultiplier",
  "dryBase",
  "dryAllowedLength",
  "dryPenaltyLastN",
  "mirostat",
  "mirostatTau",
  "mirostatEta",
] as const satisfies readonly (keyof SamplingOptions)[];

const numbers = ["maxTokens", ...samplerNumbers, "logprobs", "nKeep", "seed"] as const;

const counts: readonly string[] = [
  "maxTokens",
  "topK",
  "repeatLastN",
  "dryAllowedLength",
  "dryPenaltyLastN",
  "mirostat",
  "logprobs",
  "nKeep",
  "seed",
];
const lists = ["stop", "stopTokens", "dryBreakers", "bannedTokens", "logitBias"];
const constraints = ["json", "regex", "grammar"] as const;
const others = [
  ...lists,
  ...constraints,
  "overflow",
  "parseSpecial",
  "speculative",
  "signal",
  "onPrefill",
  "logitsProcessor",
];

/**
 * The options that the engine takes, without those that are undefined. Ranges are the engine's to judge; what is
 * judged here is what would be lost on the way to it: a misspelt name, and a value that is no number. Without a seed one is
 * drawn.
 *
 * # Errors
 * `argument`
 */
export function toEngineOptions(options: GenerateOptions): EngineOptions {
  for (const name of Object.keys(options)) {
    if (!others.includes(name) && !(numbers as readonly string[]).includes(name)) {
      const known = [...numbers, ...others].join(", ");
      throw new PageLmError("argument", `There is no option “${name}”. The options are ${known}.`);
    }
  }
  const taken: EngineOptions = {};
  for (const name of numbers) {
    const value = options[name];
    if (value === undefined) continue;
    if (typeof value !== "number" || !Number.isFinite(value)) {
      throw new PageLmError("argument", `${name} must be a finite number, not ${String(value)}.`);
    }
    if (counts.includes(name) && value >>> 0 !== value) {
      throw new PageLmError("argument", `${name} must be a whole number from 0 to 4294967295, not ${value}.`);
    }
    taken[name] = value;
  }
  const { speculative, overflow, parseSpecial, bannedTokens, logitBias, stop, dryBreakers } = options;
  if (speculative !== undefined) taken.speculative = oneOf(speculative, "speculative", ["lookup", "draft"]);
  if (overflow !== undefined) taken.overflow = oneOf(overflow, "overflow", ["stop", "shift"]);
  if (parseSpecial !== undefined) taken.parseSpecial = parseSpecial;
  const constraint = toConstraint(options);
  if (constraint) Object.assign(taken, { constraint, editsLogits: "mask" });
  if (options.logitsProcessor !== undefined) taken.editsLogits = true;
  if (stop !== undefined) taken.stop = toStrings(typeof stop === "string" ? [stop] : stop, "stop");
  if (dryBreakers !== undefined) taken.dryBreakers = toStrings(dryBreakers, "dryBreakers");
  if (options.stopTokens !== undefined) taken.stopTokens = [...toTokens(options.stopTokens)];
  if (bannedTokens !== undefined) taken.bannedTokens = [...toTokens(bannedTokens)];
  if (logitBias !== undefined) {
    toTokens(logitBias.map(([token]) => token));
    if (!logitBias.every(([, bias]) => Number.isFinite(bias))) {
      throw new PageLmError("argument", "logitBias must be pairs of a token and a finite number.");
    }
    taken.logitBias = logitBias.flat();
  }
  return taken;
}

/** What the text has to be like, as the worker takes it. */
function toConstraint({ json, regex, grammar }: GenerateOptions): Constraint | undefined {
  if ([json, regex, grammar].filter((option) => option !== undefined).length > 1) {
    throw new PageLmError("argument", "Only one of json, regex and grammar can be given.");
  }
  if (regex !== undefined) return { kind: "regex", text: toPattern(regex) };
  if (grammar !== undefined) return { kind: "lark", text: wellFormed(grammar, "grammar") };
  if (json === undefined) return undefined;
  if (json === true) return { kind: "json", text: "{}" };
  if (typeof json !== "object" || json === null) throw new PageLmError("argument", "json must be a JSON schema, or true.");
  return { kind: "json", text: JSON.stringify(json) };
}

/** How many tokens a text may have: as many as are asked for, or as fit. */
export function roomFor({ maxTokens = 2 ** 32 - 1, overflow }: EngineOptions, nCtx: number, nPrompt: number): number {
  return overflow === "shift" ? maxTokens : Math.min(maxTokens, nCtx - nPrompt);
}

function toPattern(regex: string | RegExp): string {
  if (!(regex instanceof RegExp)) return wellFormed(regex, "regex");
  const unknown = regex.flags.replace(/[dguvy]/g, "");
  if (/[^ims]/.test(unknown)) throw new PageLmError("argument", `The flags “${unknown}” of a regex are not known.`);
  // The whole text is meant in any case; where they stand first and last, the grammars' module takes these off itself.
  return unknown ? `(?${unknown}:${regex.source.replace(/^\^/, "").replace(/(?<!\\)\$$/, "")})` : regex.source;
}

function oneOf<T extends string>(value: T, what: string, words: readonly T[]): T {
  if (words.includes(value)) return value;
  throw new PageLmError("argument", `${what} must be ${words.map((word) => `"${word}"`).join(" or ")}, not ${String(value)}.`);
}

function toStrings(strings: readonly string[], what: string): string[] {
  if (!Array.isArray(strings)) throw new PageLmError("argument", `${what} must be a list of strings.`);
  return strings.map((text) => wellFormed(text, what));
}

/** Pairs that the engine wrote one behind the other. */
export function toAlternatives(pairs: Float32Array): Alternative[] {
  return Array.from({ length: pairs.length / 2 }, (_, idx) => ({
    token: pairs[2 * idx] as number,
    logprob: pairs[2 * idx + 1] as number,
  }));
}

/**
 * The prompt as it crosses to the engine.
 *
 * # Errors
 * `argument` for lone surrogates and for tokens that are not whole numbers.
 */
export function toEnginePrompt(prompt: Prompt): string | Uint32Array<ArrayBuffer> {
  if (typeof prompt === "string") return wellFormed(prompt, "prompt");
  return toTokens(prompt);
}

/**
 * Tokens as a typed array of their own.
 *
 * # Errors
 * `argument` where one is not a whole number from 0 to 2³² − 1.
 */
export function toTokens(tokens: Uint32Array | readonly number[]): Uint32Array<ArrayBuffer> {
  if (!(tokens instanceof Uint32Array) && !Array.isArray(tokens)) {
    throw new PageLmError("argument", "Expected a text, or tokens as an array or a Uint32Array.");
  }
  for (const token of tokens) {
    if (token >>> 0 !== token) throw new PageLmError("argument", `${String(token)} is not a token.`);
  }
  return Uint32Array.from(tokens);
}

/**
 * The text itself.
 *
 * # Errors
 * `argument` for half a surrogate pair: it is no character, and UTF-8 has no bytes for it.
 */
export function wellFormed(text: string, what: string): string {
  if (typeof text !== "string") throw new PageLmError("argument", `The ${what} must be a string, not ${typeof text}.`);
  const at = text.search(/\p{Surrogate}/u);
  if (at >= 0) {
    throw new PageLmError(
      "argument",
      `The ${what} has half a character (a lone surrogate) at position ${at}: it was cut inside an emoji or a rare ` +
        "letter. Cut between whole characters, or clean it with toWellFormed().",
    );
  }
  return text;
}

/**
 * How keys and values are to be kept, if it is said.
 *
 * # Errors
 * `argument` for anything but the names of the types.
 */
export function toCacheType(value: CacheType | undefined): CacheType | undefined {
  if (value !== undefined && !["f32", "f16", "q8_0"].includes(value)) {
    throw new PageLmError("argument", `cacheType must be "f32", "f16" or "q8_0", not ${String(value)}.`);
  }
  return value;
}

/**
 * A count that may be left out.
 *
 * # Errors
 * `argument` where it is not a whole number of at least 1.
 */
export function toCount(value: number | undefined, what: string): number | undefined {
  if (value !== undefined && (!Number.isSafeInteger(value) || value < 1 || value > 0xffff_ffff)) {
    throw new PageLmError("argument", `${what} must be a whole number of at least 1, not ${String(value)}.`);
  }
  return value;
}

/** The most threads that a build can be opened to. */
const MAX_THREADS = 16;

/**
 * A number of threads, if it is said.
 *
 * # Errors
 * `argument` where it is not a whole number from 1 to 16.
 */
export function toThreads(value: number | undefined): number | undefined {
  if (toCount(value, "threads") !== undefined && (value as number) > MAX_THREADS) {
    throw new PageLmError("argument", `threads must be at most ${MAX_THREADS}, not ${value}.`);
  }
  return value;
}

/** What the engine says of tokens and, behind them, of where each ends. */
export function toTokenRanges(numbers: Uint32Array): TokenRange[] {
  const nTokens = numbers.length / 2;
  const [tokens, ends] = [numbers.subarray(0, nTokens), numbers.subarray(nTokens)];
  return Array.from(tokens, (token, idx) => ({ token, start: ends[idx - 1] ?? 0, end: ends[idx] as number }));
}
