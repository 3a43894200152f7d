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
 * Measures a prefill of `promptTokens` tokens, then `genTokens` steps of one token each, with the steps that any
 * generation takes.
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
 * `argument` where both do not fit in the context.
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
  if (promptTokens + genTokens > nCtx) {
    throw new PageLmError(
      "argument",
      `${promptTokens} + ${genTokens} tokens do not fit in this session's context of ${nCtx}: ask for fewer.`,
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
  let generated = 0;
  while (generated < genTokens) {
    const first = generated === 0;
    const { reusedTokens } = engine.start(Uint32Array.from(tokens), { maxTokens: genTokens - generated, temperature: 0 });
    threads.begin(false, reusedTokens);
    for (let ended = false; !ended; ) {
      if (!(await mayGoOn())) return undefined;
      const at = performance.now();
      const step = threads.step(engine);
      const ms = performance.now() - at;
      if (step.kind === "prefill" && first) clock.prefillMs += ms;
      else clock.decodeMs += ms;
      if (step.kind === "token") {
        generated += 1;
        tokens.push(step.token);
      }
      ended = step.kind === "end";
    }
    if (generated < genTokens) {
      generated += 1;
      tokens.push((tokens.length * STRIDE) % nVocab);
    }
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
