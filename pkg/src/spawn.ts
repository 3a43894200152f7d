import type { WorkerLike } from "./connection.js";
import { PageLmError } from "./errors.js";

/**
 * Starts the package's module worker.
 *
 * Where the package comes from another origin than the page, a CDN for example, the browser refuses a worker from
 * there; then a worker of the page's own does nothing but import it.
 *
 * # Errors
 * `worker` where the browser or the page's policy refuses it.
 */
export function startWorker(): WorkerLike {
  try {
    const { origin } = new URL(import.meta.url);
    if (origin !== location.origin && origin !== "null") return startForeignWorker();
    // bundlers look for exactly this expression
    return new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "pagelm" }) as WorkerLike;
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new PageLmError("worker", `The worker could not be started (${reason}).`, { cause: thrown });
  }
}

function startForeignWorker(): WorkerLike {
  const name = "./worker.js"; // not a literal in place: a bundler would make a copy of the file
  const code = `import ${JSON.stringify(new URL(/* @vite-ignore */ name, import.meta.url).href)};`;
  const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  // The address is not revoked: the worker may not have read it yet, and it is a few bytes.
  return new Worker(url, { type: "module", name: "pagelm" }) as WorkerLike;
}
