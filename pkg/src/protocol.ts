/**
 * What page and worker say to each other. Every request has an `id` of its own; every response names the request
 * that it answers. Two lines never cross a generation's end: a `cancel` for an id that is no longer running is ignored.
 *
 * ```text
 * load       → share, progress … → loaded              (share: where other threads can compute too)
 * generate   → started → prefill … → token … → end     (or stopped, after a cancel)
 *   more     grants further tokens; without it the worker stops and waits
 *   choose   asks for the logits of the next token, with `editsLogits`; answered by `chosen`
 *   cancel   takes effect before the next step
 * benchmark  → benchmarked                              (or stopped, after a cancel)
 * tokenize   → tokens     detokenize → text     measure → measured     vocabulary → vocabulary
 * save       → saved      restore → tokens      clone → cloned     adapt → adapted
 * trace      → traced     project, tensor, block → measured     intervene → done
 *   use, drop  which of the clones all further requests are for; that one is no longer needed
 * any of them → failed
 * ```
 * @module
 */

import type { CacheType, EngineInfo, EngineOptions, EngineStop, Measure, Started, Vocabulary } from "./binding.js";
import type { WireError } from "./errors.js";
import type { Build } from "./features.js";
import type { Shared } from "./helper.js";
import type { SourceRef } from "./source.js";
import type { BenchmarkReport, ModelInfo, Report } from "./types.js";

/** How a model is to be loaded. */
export interface EngineChoices {
  nCtx?: number | undefined;
  cacheType?: CacheType | undefined;
  build?: Build | undefined;
  threads?: number | undefined;
  /** A second model, which guesses. */
  draft?: SourceRef | undefined;
}

/** What a generation took, and how its guesses went. */
export type Measured = Pick<Report, "prefillMs" | "decodeMs" | "proposedTokens" | "acceptedTokens">;

/** What is to be recorded, by numbers. */
export type Selected = Record<"sites" | "layers" | "heads" | "positions", Uint32Array>;

/** From the page to the worker. */
export type Request =
  | ({ type: "load"; id: number; source: SourceRef } & EngineChoices)
  | { type: "generate"; id: number; prompt: string | Uint32Array | undefined; options: EngineOptions; credit: number }
  | { type: "more"; id: number; credit: number }
  | { type: "cancel"; id: number }
  | { type: "benchmark"; id: number; promptTokens: number; genTokens: number }
  | { type: "tokenize"; id: number; text: string; addSpecial: boolean; parseSpecial: boolean; ends: boolean; plain?: Uint32Array }
  | { type: "detokenize"; id: number; tokens: Uint32Array }
  | { type: "chosen"; id: number; logits: Float32Array<ArrayBuffer> }
  | { type: "measure"; id: number; tokens: Uint32Array; what: Measure }
  | { type: "vocabulary"; id: number }
  | ({ type: "trace"; id: number; tokens: Uint32Array } & Selected)
  | { type: "project"; id: number; vectors: Float32Array }
  | { type: "tensor"; id: number; name: string }
  | { type: "block"; id: number; shape: Uint32Array; values: Float32Array }
  | { type: "intervene"; id: number; list: (Uint32Array | Float32Array)[] }
  | { type: "save"; id: number }
  | { type: "restore"; id: number; saved: Uint8Array }
  | { type: "clone"; id: number }
  | { type: "adapt"; id: number; file: Uint8Array | undefined; scales: Float32Array }
  | { type: "use"; id: number }
  | { type: "drop"; id: number };

/** From the worker to the page. */
export type Response =
  | { type: "progress"; id: number; receivedBytes: number; totalBytes: number | undefined }
  | { type: "share"; id: number; shared: Shared; n: number }
  | { type: "loaded"; id: number; info: ModelInfo & Pick<EngineInfo, "tensors"> }
  | ({ type: "started"; id: number } & Started)
  | { type: "prefill"; id: number; done: number; total: number }
  | { type: "choose"; id: number; logits: Float32Array<ArrayBuffer> }
  | { type: "token"; id: number; token: number; text: string; probability: number; alternatives: Float32Array }
  | ({ type: "end"; id: number; text: string; stopReason: EngineStop } & Measured)
  | ({ type: "stopped"; id: number } & Measured)
  | { type: "benchmarked"; id: number; report: BenchmarkReport }
  | { type: "tokens"; id: number; tokens: Uint32Array<ArrayBuffer> }
  | { type: "text"; id: number; text: string }
  | { type: "vocabulary"; id: number; vocabulary: Vocabulary }
  | { type: "measured"; id: number; values: Float32Array<ArrayBuffer> }
  | { type: "traced"; id: number; arrays: Float32Array<ArrayBuffer>[] }
  | { type: "done"; id: number }
  | { type: "saved"; id: number; saved: Uint8Array<ArrayBuffer> }
  | { type: "cloned"; id: number; clone: number }
  | { type: "adapted"; id: number }
  | { type: "failed"; id: number; error: WireError };

/** One kind of response. */
export type ResponseOf<T extends Response["type"]> = Extract<Response, { type: T }>;

/** `T` without its `id`, kind by kind. */
export type WithoutId<T> = T extends unknown ? Omit<T, "id"> : never;

/**
 * The first message of a worker, sent once it holds the lock `name` for as long as it lives. Who is granted the same
 * lock knows that the worker is gone: a browser that kills a worker for its memory sends no event.
 */
export type Alive = { type: "alive"; lock: string };

/**
 * How many tokens a worker may be ahead of the loop that reads them. Enough that neither waits for a message, few
 * enough that a loop that is slow, or left, does not have a text computed that nobody reads.
 */
export const AHEAD = 16;
