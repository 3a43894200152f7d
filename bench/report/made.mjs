/**
 * A record for the tests. None of its numbers was measured.
 * @typedef {import("./record.mjs").BenchRecord} BenchRecord
 */

/** A record of invented numbers: `values[engine]` are the speeds of decode(64) after 128, round by round. */
/** @param {Record<string, number[]>} values @param {Partial<BenchRecord>} [rest] @returns {BenchRecord} */
export function made(values, rest = {}) {
  const samples = Object.entries(values).flatMap(([engine, speeds]) =>
    speeds.map(
      (value, idx) =>
        /** @type {import("./record.mjs").Sample} */ ({
          ...{
            engine,
            threads: 1,
            model: "135M-Q4_0",
            measure: "decode",
            n: 64,
            depth: 128,
            round: idx + 1,
            value,
            unit: "tokens/s",
          },
        }),
    ),
  );
  return {
    schema: 1,
    date: "2000-01-02T03:04:05Z",
    machine: {
      cpu: "Made Up 1",
      flags: ["avx2"],
      cores: 2,
      memory_bytes: 8e9,
      os: "None",
      chromium: "Chrome/1",
      node: "v20",
    },
    commit: "abc",
    options: { browser: "chromium", chromium_flags: [] },
    roofline: { wasm_read_gb_s: { 1: [10, 12, 11] }, native_read_gb_s: { 1: [20] } },
    engines: Object.fromEntries(
      Object.keys(values).map((id) => [id, { version: "1", driven_by: "hand", wasm_gzip_bytes: 1000 }]),
    ),
    models: { "135M-Q4_0": { file_bytes: 90e6, bytes_per_token: 88e6 } },
    samples,
    failures: [],
    ...rest,
  };
}

/** Speeds of a few engines, in three rounds. */
export const speeds = {
  "pagelm-relaxed": [100, 110, 90],
  candle: [20, 30, 25],
  "wllama-2": [25, 22, 20],
  "llama.cpp": [100, 100, 100],
};
