/**
 * How fast this browser reads memory: the most that any engine can reach where weights are read once a token.
 *
 * Each thread is a worker with a memory of its own, so two threads need no cross-origin isolation.
 */

const BUFFER_BYTES = 256 * 2 ** 20;
const SAMPLE_MS = 300;

/**
 * Measures `samples` times, one after the other.
 *
 * @param {{ threads?: number, samples?: number }} [options]
 * @returns {Promise<{ gb_s: number[] }>} gigabytes (10⁹ bytes) per second, of all threads together
 */
export async function measure({ threads = 1, samples = 5 } = {}) {
  const workers = Array.from(
    { length: threads },
    () => new Worker(new URL("./worker.mjs", import.meta.url), { type: "module" }),
  );
  try {
    await Promise.all(workers.map((worker) => answer(worker, { bytes: BUFFER_BYTES })));
    const gb_s = [];
    for (let sample = 0; sample < samples; sample += 1) {
      const rates = await Promise.all(workers.map((worker) => answer(worker, { ms: SAMPLE_MS })));
      gb_s.push(rates.reduce((sum, { gbPerS }) => sum + gbPerS, 0));
    }
    return { gb_s };
  } finally {
    for (const worker of workers) worker.terminate();
  }
}

/** Sends a worker a message and waits for what it says to it. */
function answer(worker, message) {
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = (event) => reject(new Error(event.message));
    worker.postMessage(message);
  });
}
