import type { Binding, CacheType, HeaderEstimate } from "./binding.js";
import { openFirst } from "./builds.js";
import { readChunks } from "./chunks.js";
import { toPageLmError } from "./errors.js";
import { chooseBuilds } from "./features.js";
import { checkFirstBytes, openSource, partOf, type SourceRef } from "./source.js";
import type { Estimate } from "./types.js";

/** What is asked for at a time: the vocabulary is in the header, and most are shorter than this. */
const PIECE_BYTES = 2 << 20;
/** What WebAssembly can address. */
const MOST_BYTES = 2 ** 32;

/**
 * Reads a model's header and no more, and says what the model would take.
 *
 * # Errors
 * As `Model.load`.
 */
export async function estimate(
  source: SourceRef,
  { nCtx, cacheType, signal }: { nCtx?: number | undefined; cacheType?: CacheType | undefined; signal?: AbortSignal | undefined },
  open: () => Promise<{ binding: Binding }> = () => openFirst(chooseBuilds(undefined, 1)),
): Promise<Estimate> {
  try {
    const { binding } = await open();
    const read = (source: SourceRef, isMore: boolean) => readHeader(binding, source, isMore, nCtx, cacheType, signal);
    const told = await read(source, false);
    for (let idx = 1; idx < told.nFiles; idx += 1) {
      const more = await read(partOf(source, idx, told.nFiles), true);
      for (const key of ["fileBytes", "parameters", "weightBytes"] as const) told[key] += more[key];
    }
    const totalBytes = told.weightBytes + told.sessionBytes;
    return { ...told, totalBytes, fits: totalBytes < MOST_BYTES };
  } catch (thrown) {
    throw toPageLmError(thrown, "load");
  }
}

async function readHeader(
  binding: Binding,
  source: SourceRef,
  isMore: boolean,
  nCtx: number | undefined,
  cacheType: CacheType | undefined,
  signal: AbortSignal | undefined,
): Promise<HeaderEstimate> {
  const header = new binding.Header();
  try {
    for (let start = 0; ; ) {
      const { chunks, isAll } = await openPiece(source, start, signal);
      const reader = readChunks(chunks);
      const before = start;
      for (let chunk = await reader.next(); chunk; chunk = await reader.next()) {
        if (start === 0) checkFirstBytes(chunk, source);
        start += chunk.length;
        if (!header.push(chunk)) continue;
        await reader.cancel("the header is whole");
        return header.estimate(nCtx, cacheType, isMore);
      }
      if (isAll || start === before) return header.estimate(nCtx, cacheType, isMore); // which says that it is not whole
    }
  } finally {
    header.free();
  }
}

/** The bytes from `start` on: of a file, or of an address whose host gives parts of it, some; else all. */
async function openPiece(
  source: SourceRef,
  start: number,
  signal: AbortSignal | undefined,
): Promise<{ chunks: ReadableStream<Uint8Array>; isAll: boolean }> {
  const end = start + PIECE_BYTES;
  if (source.kind === "blob") return { chunks: source.blob.slice(start, end).stream(), isAll: end >= source.blob.size };
  const { chunks, isPart } = await openSource(source, signal, `bytes=${start}-${end - 1}`);
  return { chunks, isAll: !isPart };
}
