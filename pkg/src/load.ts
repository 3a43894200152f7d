import type { Binding, Engine, Loader } from "./binding.js";
import { openBuild, openFirst, share } from "./builds.js";
import { type ChunkReader, readChunks } from "./chunks.js";
import { abortError, PageLmError, toPageLmError } from "./errors.js";
import { type Build, chooseBuilds, mostThreads } from "./features.js";
import type { Shared } from "./helper.js";
import type { EngineChoices } from "./protocol.js";
import { checkFirstBytes, openSource, type OpenSource, partOf, type SourceRef } from "./source.js";
import type { Progress } from "./types.js";

/** Options of {@link loadEngine}. */
export interface EngineLoadOptions extends EngineChoices {
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: Progress) => void) | undefined;
  /** Starts that many helpers, which come when they come. Without it there is one thread. */
  startHelpers?: (shared: Shared, n: number) => void;
}

/** An engine and the build that it is. */
export interface LoadedEngine {
  engine: Engine;
  build: Build;
  binding: Binding;
  /** How many threads there may be; some may still be on their way. */
  threads: number;
}

const PROGRESS_EVERY_MS = 50;

/**
 * The load path, the same in the worker and on the main thread: the engine compiles while the model's download runs,
 * and each chunk goes straight into the engine's memory. At no time are there two copies of the file.
 *
 * # Errors
 * Any code of `PageLmError` but `busy` and `disposed`. The download is stopped in every case.
 */
export async function loadEngine(
  source: SourceRef,
  options: EngineLoadOptions,
  open: (build: Build) => Promise<Binding> = openBuild,
): Promise<LoadedEngine> {
  const nThreads = mostThreads(options.threads);
  const builds = chooseBuilds(options.build, nThreads);
  const opening = openSource(source, options.signal);
  try {
    const [{ binding, build }, opened] = await Promise.all([openFirst(builds, open), opening]);
    const shared = options.startHelpers && nThreads > 1 && share(binding, build, nThreads);
    if (shared) options.startHelpers?.(shared, nThreads - 1);
    const threads = shared ? nThreads : 1;
    return { engine: await fill(binding, opened, source, options), build, binding, threads };
  } catch (thrown) {
    opening.then(({ chunks }) => chunks.cancel()).catch(() => {}); // a stream that is being read is cancelled by its reader
    throw toPageLmError(thrown, "load");
  }
}

/** Makes an engine of the stream, and before that one of the draft model, if there is one. */
async function fill(
  binding: Binding,
  opened: OpenSource,
  source: SourceRef,
  options: EngineLoadOptions,
): Promise<Engine> {
  const { draft: draftSource, signal, onProgress } = options;
  if (!draftSource) return pour(binding, opened, source, options);
  let draft: Engine | undefined;
  let engine: Engine | undefined;
  let draftBytes = 0;
  try {
    draft = await pour(binding, await openSource(draftSource, signal), draftSource, {
      nCtx: 1,
      signal,
      onProgress: ({ receivedBytes }) => onProgress?.({ receivedBytes: (draftBytes = receivedBytes), totalBytes: undefined }),
    });
    engine = await pour(binding, opened, source, {
      ...options,
      onProgress: ({ receivedBytes, totalBytes }) =>
        onProgress?.({ receivedBytes: draftBytes + receivedBytes, totalBytes: totalBytes && draftBytes + totalBytes }),
    });
    const guesser = draft;
    draft = undefined; // from here on it belongs to the engine, whether that takes it or not
    engine.setDraft(guesser);
    return engine;
  } catch (thrown) {
    if (!(thrown instanceof WebAssembly.RuntimeError)) for (const made of [draft, engine]) made?.free();
    throw thrown;
  }
}

/** Reads the stream to its end into a loader and makes an engine of it. */
async function pour(
  binding: Binding,
  { chunks, fileBytes }: OpenSource,
  source: SourceRef,
  { nCtx, cacheType, signal, onProgress }: EngineLoadOptions,
): Promise<Engine> {
  let [reader, n] = [readChunks(chunks), 1];
  const loader = new binding.Loader(fileBytes);
  let finished = false;
  try {
    let reported = -Infinity;
    let first = true;
    for (;;) {
      const chunk = await read(reader, loader, source, signal);
      if (chunk && first) checkFirstBytes(chunk, source);
      if (chunk) {
        first = false;
        loader.push(chunk);
      }
      const now = performance.now();
      if (!chunk || now - reported >= PROGRESS_EVERY_MS) {
        reported = now;
        onProgress?.({ receivedBytes: loader.receivedBytes, totalBytes: loader.totalBytes ?? fileBytes });
      }
      if (chunk) continue;
      const nFiles = loader.nFiles ?? 1;
      if (n >= nFiles) break;
      const next = await openSource(partOf(source, n, nFiles), signal);
      [reader, n, first] = [readChunks(next.chunks), n + 1, true];
      loader.nextPart(next.fileBytes);
    }
    finished = true; // from here on the loader belongs to the engine, whether that succeeds or not
    return loader.finish(nCtx, cacheType);
  } catch (thrown) {
    reader.cancel(thrown).catch(() => {});
    if (!finished && !(thrown instanceof WebAssembly.RuntimeError)) loader.free();
    throw thrown;
  }
}

async function read(
  reader: ChunkReader,
  loader: Loader,
  source: SourceRef,
  signal: AbortSignal | undefined,
): Promise<Uint8Array | undefined> {
  try {
    const chunk = await reader.next();
    if (signal?.aborted) throw abortError(signal);
    return chunk;
  } catch (thrown) {
    if (signal?.aborted) throw abortError(signal);
    throw cut(thrown, loader.receivedBytes, source);
  }
}

function cut(thrown: unknown, receivedBytes: number, source: SourceRef): PageLmError {
  const after = `after ${(receivedBytes / 1e6).toFixed(1)} MB`;
  const message =
    source.kind === "url"
      ? `The connection to ${new URL(source.url).host || source.url} was cut ${after}. Check the connection and try again.`
      : `The file could not be read any further ${after}. It may have been changed, moved or removed: choose it again.`;
  return new PageLmError("network", message, { cause: thrown });
}
