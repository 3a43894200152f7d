/**
 * pagelm runs a language model in a web page, whole: weights come from a static file, nothing leaves the page.
 * @module
 */

export { PageLmError, type PageLmErrorCode } from "./errors.js";
export type { Answer } from "./answer.js";
export type { Build } from "./features.js";
export type { Generation } from "./generation.js";
export { Model } from "./model.js";
export type { Prompt } from "./options.js";
export { compareTensors, type Loss, type TensorInfo } from "./tensors.js";
export type { BlockSteps, TextbookBlock } from "./textbook.js";
export { type Intervening, type Intervention, type Recording, type Site, SITES, type Trace, type TraceOptions } from "./trace.js";
export type {
  Alternative,
  AnswerRecord,
  BenchmarkOptions,
  BenchmarkReport,
  ChatOptions,
  ChatReport,
  EmbedOptions,
  Estimate,
  GenerateOptions,
  LoadOptions,
  Message,
  ModelInfo,
  Piece,
  Progress,
  Report,
  SamplingOptions,
  Score,
  Source,
  StopReason,
  TokenizeOptions,
  TokenRange,
  Tool,
  ToolCall,
} from "./types.js";
