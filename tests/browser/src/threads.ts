/**
 * What the tests ask of threads: that they are there before anything is compared.
 * @module
 */

import type { Model } from "pagelm";

declare global {
  interface Window {
    threadsAtWork: typeof threadsAtWork;
  }
}

/**
 * Waits, in a page, until as many threads may compute as the model was loaded with. Helpers come when their workers have
 * started, and a short text may be over by then: without this, a test of two threads is mostly one of a single thread.
 *
 * A model that was loaded without a number of threads may rightly settle for fewer, and does not belong here.
 *
 * # Errors
 * Where threads have not come after all tries, each a quarter of a second of work.
 */
export async function threadsAtWork(model: Model): Promise<void> {
  const wanted = model.info.threads;
  let found = 1;
  for (let tries = 0; found < wanted && tries < 40; tries += 1) {
    found = (await model.benchmark({ promptTokens: 4, genTokens: 4 })).threads;
  }
  if (found !== wanted) throw new Error(`${wanted} threads were asked for, and ${found} came`);
}
