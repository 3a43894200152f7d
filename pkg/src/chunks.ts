/** How many bytes are read at a time, at most, where the reader may say so. */
const CHUNK_BYTES = 256 * 1024;

/** Reads a stream to its end. A chunk is valid until the next one is asked for. */
export interface ChunkReader {
  /** The next bytes, or `undefined` at the end. */
  next(): Promise<Uint8Array | undefined>;
  cancel(reason: unknown): Promise<void>;
}

/**
 * A reader that reads into one buffer over and over. Without that, every chunk is a buffer of its own that waits for
 * the garbage collector: for a file of 100 MB they were seen to pile up to 50 MB. Streams that cannot be read into a
 * buffer, as in older browsers, are read chunk by chunk.
 */
export function readChunks(stream: ReadableStream<Uint8Array>): ChunkReader {
  return byteReader(stream) ?? defaultReader(stream);
}

function byteReader(stream: ReadableStream<Uint8Array>): ChunkReader | undefined {
  let reader: ReadableStreamBYOBReader;
  try {
    reader = stream.getReader({ mode: "byob" });
  } catch {
    return undefined; // not a stream of bytes
  }
  let buffer = new ArrayBuffer(CHUNK_BYTES);
  return {
    async next() {
      // the buffer is lent to the stream and comes back under the bytes
      const { done, value } = await reader.read(new Uint8Array(buffer));
      if (value) buffer = value.buffer;
      return done ? undefined : value;
    },
    cancel: (reason) => reader.cancel(reason),
  };
}

function defaultReader(stream: ReadableStream<Uint8Array>): ChunkReader {
  const reader = stream.getReader();
  return {
    async next() {
      return (await reader.read()).value;
    },
    cancel: (reason) => reader.cancel(reason),
  };
}
