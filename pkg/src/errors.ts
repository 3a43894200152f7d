/**
 * What went wrong, as a word that a program can decide by.
 *
 * | code | meaning | the way out |
 * | --- | --- | --- |
 * | `format` | the file is not a readable GGUF file | another file, or the same one downloaded whole |
 * | `unsupported` | a valid file, or a browser, that this version has no code for | see the message, which names it |
 * | `argument` | a value that was passed in cannot be used | pass another |
 * | `limit` | a stated limit would be passed, the context for example | ask for less |
 * | `network` | the connection failed, was cut, or the host does not allow other sites to read it | try again, or another host |
 * | `http` | the server answered, but not with the file | look at the status and the address in the message |
 * | `aborted` | an `AbortSignal` or a left loop ended it | nothing to mend |
 * | `memory` | not enough memory; this model is gone | a smaller model or a smaller `nCtx`, then load again |
 * | `worker` | the worker or the engine in it stopped; this model is gone | load again |
 * | `busy` | this model is generating already | end that first, or load a second model |
 * | `disposed` | this model was given up by `dispose()` | load again |
 */
export type PageLmErrorCode =
  | "format"
  | "unsupported"
  | "argument"
  | "limit"
  | "network"
  | "http"
  | "aborted"
  | "memory"
  | "worker"
  | "busy"
  | "disposed";

const codes: ReadonlySet<string> = new Set<PageLmErrorCode>([
  "format",
  "unsupported",
  "argument",
  "limit",
  "network",
  "http",
  "aborted",
  "memory",
  "worker",
  "busy",
  "disposed",
]);

/**
 * The one error type of this package.
 *
 * `message` names the thing and the way out and can be shown to a reader; `code` is stable. Its `name` is
 * `"AbortError"` where the code is `aborted`, so that the usual check for an abort works, else `"PageLmError"`.
 */
export class PageLmError extends Error {
  readonly code: PageLmErrorCode;

  constructor(code: PageLmErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = code === "aborted" ? "AbortError" : "PageLmError";
    this.code = code;
  }
}

/** An error as it crosses between worker and page. */
export interface WireError {
  code: PageLmErrorCode;
  message: string;
}

/** The error that an `AbortSignal` stands for; the signal's own reason is kept as `cause`. */
export function abortError(signal: AbortSignal): PageLmError {
  return new PageLmError("aborted", "This was stopped before it was done.", { cause: signal.reason });
}

/** Whether the model that this error came from can no longer be used. */
export function isFatal(code: PageLmErrorCode): boolean {
  return code === "memory" || code === "worker";
}

/**
 * Makes a `PageLmError` of anything that was thrown while `doing` something.
 *
 * The engine's own errors carry a code and pass through. A trap has no message of its own: while a file is being
 * loaded its cause is a failed allocation, since everything else there is checked; later it is a defect.
 */
export function toPageLmError(thrown: unknown, doing: "load" | "run"): PageLmError {
  if (thrown instanceof PageLmError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const options = { cause: thrown };
  if (hasCode(thrown)) return new PageLmError(thrown.code, message, options);
  if (thrown instanceof WebAssembly.CompileError || thrown instanceof WebAssembly.LinkError) {
    return new PageLmError("unsupported", engineRefused(message), options);
  }
  if (isOutOfMemory(thrown, message) || (thrown instanceof WebAssembly.RuntimeError && doing === "load")) {
    return new PageLmError(
      "memory",
      `There is not enough memory for this model here (${message}). ` +
        "Close other pages, choose a smaller model, or load it with a smaller nCtx.",
      options,
    );
  }
  if (thrown instanceof WebAssembly.RuntimeError) {
    return new PageLmError("worker", `The engine stopped (${message}). Load the model again to go on.`, options);
  }
  if (thrown instanceof Error && thrown.name === "AbortError") return new PageLmError("aborted", message, options);
  return new PageLmError("worker", `Something failed that should not have (${message}). Load the model again.`, options);
}

/**
 * The same for files of this package that did not arrive: a failed import or fetch is a TypeError in every browser, each with
 * its own words.
 */
export function toFetchError(thrown: unknown, what: string): PageLmError {
  const known = toPageLmError(thrown, "load");
  if (known.code !== "worker") return known;
  return new PageLmError(
    "network",
    `${what} did not arrive (${known.cause instanceof Error ? known.cause.message : thrown}). Check the connection and try again.`,
    { cause: thrown },
  );
}

/** The error as plain data, for `postMessage`. */
export function toWire(error: PageLmError): WireError {
  return { code: error.code, message: error.message };
}

/** The opposite of {@link toWire}. */
export function fromWire(error: WireError): PageLmError {
  return new PageLmError(error.code, error.message);
}

/** What a second generation is told. */
export const BUSY =
  "This model is generating already. Wait for that to end, abort it, or leave its loop; a second text at the same " +
  "time needs a second Model.";

function hasCode(thrown: unknown): thrown is { code: PageLmErrorCode } {
  return thrown instanceof Error && "code" in thrown && typeof thrown.code === "string" && codes.has(thrown.code);
}

function isOutOfMemory(thrown: unknown, message: string): boolean {
  const hostLimit = thrown instanceof RangeError || (thrown instanceof Error && thrown.name === "InternalError");
  return /out of memory/i.test(message) || (hostLimit && /memory|alloc|array (buffer )?length|too large/i.test(message));
}

function engineRefused(message: string): string {
  const byPolicy = /content security policy|disallowed by embedder|unsafe-eval/i.test(message);
  return byPolicy
    ? "This page's Content-Security-Policy does not allow WebAssembly. Add 'wasm-unsafe-eval' to its script-src."
    : `This browser does not accept the engine (${message}). Use a current version of it.`;
}
