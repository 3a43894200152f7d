import type { EngineOptions, Started } from "./binding.js";
import { roomFor, samplerNumbers } from "./options.js";
import type { AnswerRecord, ModelInfo, Report } from "./types.js";

/** The options that are the sampler's own. */
const samplerOptions = [...samplerNumbers, "bannedTokens"] as const satisfies readonly (keyof EngineOptions)[];

/** What made an answer, and the answer. An answer that was aborted is recorded as one of so many tokens. */
export function toRecord(
  info: ModelInfo,
  options: EngineOptions,
  started: Started,
  report: Report,
  template: string | undefined,
): AnswerRecord {
  const sampler: AnswerRecord["sampler"] = { seed: report.seed };
  for (const name of samplerOptions) if (options[name] !== undefined) sampler[name] = options[name];
  const biases = options.logitBias ?? [];
  if (biases.length > 0) sampler.logitBias = biases.flatMap((token, idx) => (idx % 2 ? [] : [[token, biases[idx + 1] as number]]));
  const aborted = report.stopReason === "aborted";
  return {
    model: started.model.map((half) => half.toString(16).padStart(8, "0")).join(""),
    build: `pagelm ${info.build}`,
    time: Math.floor(Date.now() / 1000),
    nCtx: info.nCtx,
    cacheType: info.cacheType,
    ...(template !== undefined && { template }),
    promptTokens: started.promptTokens,
    sampler,
    ...(options.dryBreakers && { dryBreakers: options.dryBreakers }),
    maxTokens: aborted ? report.tokens.length : (options.maxTokens ?? null),
    stop: options.stop ?? [],
    stopTokens: options.stopTokens ?? [],
    ...(options.constraint && {
      constraint: { ...options.constraint, limit: roomFor(options, info.nCtx, started.promptTokens.length) },
    }),
    nKeep: options.overflow === "shift" ? (options.nKeep ?? 0) : null,
    tokens: report.tokens,
    stopReason: aborted ? "maxTokens" : report.stopReason,
  };
}
