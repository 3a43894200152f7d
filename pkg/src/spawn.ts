import type { WorkerLike } from "./connection.js";
import { PageLmError } from "./errors.js";
import type { Shared } from "./helper.js";

/**
 * Starts the package's module worker.
 *
 * # Errors
 * `worker` where the browser or the page's policy refuses it.
 */
export function startWorker(): WorkerLike {
  try {
    if (isForeign()) return startForeign("./worker.js", "pagelm") as WorkerLike;
    // bundlers look for exactly this expression
    return new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "pagelm" }) as WorkerLike;
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new PageLmError("worker", `The worker could not be started (${reason}).`, { cause: thrown });
  }
}

/** Starts `n` more threads over an engine's memory, fewer where the browser refuses, and gives each to `keep`. */
export function startHelpers(shared: Shared, n: number, keep: (helper: Worker) => void): void {
  try {
    for (let i = 0; i < n; i += 1) {
      const helper = isForeign()
        ? startForeign("./helper.js", "pagelm helper")
        : new Worker(new URL("./helper.js", import.meta.url), { type: "module", name: "pagelm helper" });
      helper.postMessage(shared);
      keep(helper);
    }
  } catch (thrown) {
    console.warn("pagelm computes with fewer threads:", thrown);
  }
}

/** Whether the package comes from another origin than the page, a CDN for example. */
function isForeign(): boolean {
  const { origin } = new URL(import.meta.url);
  return origin !== location.origin && origin !== "null";
}

/** The browser refuses a worker from another origin; one of the page's own that does nothing but import it will do. */
function startForeign(file: string, name: string): Worker {
  const code = `import ${JSON.stringify(new URL(/* @vite-ignore */ file, import.meta.url).href)};`;
  const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  // The address is not revoked: the worker may not have read it yet, and it is a few bytes.
  return new Worker(url, { type: "module", name });
}
