import type { Engine } from "./binding.js";
import { PageLmError } from "./errors.js";
import type { Threads } from "./threads.js";
import type { BenchmarkReport } from "./types.js";

/** Where the milliseconds go. */
interface Clock {
  prefillMs: number;
  decodeMs: number;
}

/**
 * Measures a prefill of `promptTokens` tokens, then `genTokens` forward passes of one token each, with the steps that any
 * generation takes. The first token of a text comes from its prompt's logits: choosing it is no pass, and not counted.
 *
 * Some work that is not counted comes first: browsers compile a module twice, at first quickly and then well, and the
 * second only once it was used.
 *
 * A model that ends its text early is started again at the same place with one more token. That token's forward pass
 * is the same work as decoding it, and is counted as such.
 *
 * Returns `undefined` once `mayGoOn` says no.
 *
 * # Errors
 * `argument` where both, and the token after them, do not fit in the context.
 */
export async function benchmark(
  engine: Engine,
  threads: Threads,
  promptTokens: number,
  genTokens: number,
  clock: Clock,
  mayGoOn: () => Promise<boolean>,
): Promise<Omit<BenchmarkReport, "build" | "threads"> | undefined> {
  const { nCtx, nVocab } = engine.info();
  if (promptTokens + genTokens >= nCtx) {
    throw new PageLmError(
      "argument",
      `${promptTokens} + ${genTokens} tokens and one after them do not fit in this session's context of ${nCtx}: ask for fewer.`,
    );
  }
  const begun = performance.now();
  while (performance.now() - begun < WARM_UP_MS) {
    const { reusedTokens } = engine.start(Uint32Array.from(spread(Math.min(promptTokens, 64), nVocab)), { maxTokens: 4, temperature: 0 });
    threads.begin(false, reusedTokens);
    do {
      if (!(await mayGoOn())) return undefined;
    } while (threads.step(engine).kind !== "end");
  }
  const tokens = spread(promptTokens, nVocab);
  let passes = 0;
  for (let isFirst = true; passes < genTokens; isFirst = false) {
    const maxTokens = genTokens - passes + (isFirst ? 1 : 0);
    const { reusedTokens } = engine.start(Uint32Array.from(tokens), { maxTokens, temperature: 0 });
    threads.begin(false, reusedTokens);
    for (let nWritten = 0, ended = false; !ended; ) {
      if (!(await mayGoOn())) return undefined;
      const at = performance.now();
      const step = threads.step(engine);
      const ms = performance.now() - at;
      ended = step.kind === "end";
      if (step.kind === "prefill" && isFirst) {
        clock.prefillMs += ms;
      } else if (step.kind === "prefill" || (step.kind === "token" && nWritten > 0)) {
        clock.decodeMs += ms;
        passes += 1;
      }
      if (step.kind === "token") {
        nWritten += 1;
        tokens.push(step.token);
      }
    }
    if (passes < genTokens) tokens.push((tokens.length * STRIDE) % nVocab);
  }
  return {
    promptTokens,
    genTokens,
    prefillMs: clock.prefillMs,
    decodeMs: clock.decodeMs,
    prefillTokensPerS: (promptTokens / clock.prefillMs) * 1000,
    decodeTokensPerS: (genTokens / clock.decodeMs) * 1000,
  };
}

const WARM_UP_MS = 250;
// a prime, so that the tokens differ from each other
const STRIDE = 7919;
let offset = 0;

/** Tokens all over the vocabulary, and others each time: a prompt that begins like the last would find it cached. */
function spread(count: number, nVocab: number): number[] {
  offset += 1;
  return Array.from({ length: count }, (_, idx) => ((idx + 1) * STRIDE + offset) % nVocab);
}
