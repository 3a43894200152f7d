import { abortError, PageLmError } from "./errors.js";
import type { Source } from "./types.js";

/** A source that can cross to a worker: the address is absolute. */
export type SourceRef = ({ kind: "url"; url: string } | { kind: "blob"; blob: Blob }) & {
  /** The model's other files, where it is in several and they are named. */
  rest?: SourceRef[];
};

/** A source that has been opened. */
export interface OpenSource {
  /** The file's bytes, decoded by the browser where the host compressed them. */
  chunks: ReadableStream<Uint8Array>;
  /** The exact length, only where it is certain: of a file on this device. */
  fileBytes: number | undefined;
  /** Whether these are only the bytes that were asked for. */
  isPart?: boolean;
}

/**
 * Resolves a source against the page's address.
 *
 * # Errors
 * `argument` where it is none of the three kinds, or not an address.
 */
export function toSourceRef(source: Source | readonly Source[], base: string | undefined = baseUrl()): SourceRef {
  if (Array.isArray(source)) {
    const [first, ...rest] = (source as readonly Source[]).map((source) => toSourceRef(source, base));
    if (first) return { ...first, rest };
  }
  if (source instanceof Blob) return { kind: "blob", blob: source };
  if (typeof source !== "string" && !(source instanceof URL)) {
    throw new PageLmError("argument", "A model is loaded from an address (string or URL) or from a Blob or File.");
  }
  const address = String(source).trim();
  if (address === "") throw new PageLmError("argument", "The model's address is empty.");
  try {
    return { kind: "url", url: new URL(address, base).href };
  } catch {
    throw new PageLmError("argument", `“${address}” is not an address.`);
  }
}

/**
 * Where file `idx` of `n` of a model in several is: the one that was named, else the one whose address differs from the first
 * one's in its number, `…-00001-of-00003.gguf`.
 *
 * # Errors
 * `argument` where neither tells.
 */
export function partOf(source: SourceRef, idx: number, n: number): SourceRef {
  const named = source.rest?.[idx - 1];
  if (named) return named;
  const digits = (n: number) => String(n).padStart(5, "0");
  if (source.kind === "url" && !source.rest) {
    const url = source.url.replace(`-${digits(1)}-of-${digits(n)}.gguf`, `-${digits(idx + 1)}-of-${digits(n)}.gguf`);
    if (url !== source.url) return { kind: "url", url };
  }
  throw new PageLmError("argument", `This model is in ${n} files: load them all, as a list in their order.`);
}

function baseUrl(): string | undefined {
  return globalThis.document?.baseURI ?? globalThis.location?.href;
}

/**
 * Begins to read a source.
 *
 * # Errors
 * `http` for a status other than 200, `network` where no answer came, `format` where a web page or a pointer came in
 * place of the file, `aborted`.
 */
export async function openSource(source: SourceRef, signal?: AbortSignal, range?: string): Promise<OpenSource> {
  if (signal?.aborted) throw abortError(signal);
  if (source.kind === "blob") return { chunks: source.blob.stream(), fileBytes: source.blob.size };
  const response = await request(source.url, signal, range);
  const isPart = response.status === 206;
  if (!response.ok || (isPart && !range)) throw httpError(source.url, response);
  if (!response.body) throw new PageLmError("network", `The answer from ${source.url} has no content.`);
  return { chunks: response.body, fileBytes: undefined, isPart };
}

async function request(url: string, signal: AbortSignal | undefined, range: string | undefined): Promise<Response> {
  try {
    return await fetch(url, { ...(signal && { signal }), ...(range && { headers: { Range: range } }) });
  } catch (thrown) {
    if (signal?.aborted) throw abortError(signal);
    throw new PageLmError("network", unreachable(url), { cause: thrown });
  }
}

function unreachable(address: string): string {
  const url = new URL(address);
  if (url.protocol === "file:") {
    return `A page cannot fetch ${address}: browsers do not let pages read files by address. Choose the file instead.`;
  }
  if (url.origin === globalThis.location?.origin) {
    return `No answer from ${address}. Check the connection and try again.`;
  }
  return (
    `No answer from ${address}. Either the connection failed, or ${url.host} does not let other sites read its ` +
    "files (CORS). Try again, or download the file and choose it from this device."
  );
}

function httpError(url: string, response: Response): PageLmError {
  const status = `${response.status} ${response.statusText}`.trim();
  return new PageLmError("http", `${url} answered ${status}. ${wayOut(response.status)}`);
}

function wayOut(status: number): string {
  if (status === 404 || status === 410) return "There is no such file: check the address.";
  if (status === 401 || status === 403) {
    return "The file is not public: download it where you are signed in and choose it from this device.";
  }
  if (status === 429) return "The host has had too many requests: wait a while and try again.";
  if (status >= 500) return "The host has a fault: try again later.";
  return "That is not the file: check the address.";
}

/**
 * Looks at a download's first bytes for what people most often get instead of a model.
 *
 * # Errors
 * `format` for a web page (hosts answer a wrong address with one, and status 200) and for a Git LFS pointer.
 */
export function checkFirstBytes(chunk: Uint8Array, source: SourceRef): void {
  const where = source.kind === "url" ? source.url : "This file";
  const start = new TextDecoder("latin1").decode(chunk.subarray(0, 64)).replace(/^ï»¿/, "").trimStart();
  if (/^<(!doctype|html|head|body|\?xml|!--)/i.test(start)) {
    const blob = /\/blob\//.test(where) ? ", and take the link with /resolve/ where this one has /blob/" : "";
    throw new PageLmError("format", `${where} is a web page, not a model. Use the address of the file itself${blob}.`);
  }
  if (start.startsWith("version https://git-lfs")) {
    throw new PageLmError(
      "format",
      `${where} is a Git LFS pointer, a note that stands in for the file. Run “git lfs pull” where it is hosted, or ` +
        "use the address of the file itself.",
    );
  }
}
