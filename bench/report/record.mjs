/**
 * The records that `cargo xtask bench` leaves, as they are read here.
 *
 * @typedef {"decode" | "decode_repeating" | "prefill" | "load" | "ready_after_last_byte" | "first_token" |
 *   "peak_memory" | "peak_own_memory"} Measure
 *
 * @typedef {object} Sample
 * @property {string} engine
 * @property {number} threads
 * @property {string} model
 * @property {Measure} measure
 * @property {number} [n] tokens: of the prompt, or how many were decoded
 * @property {number} [depth] tokens before the decoded ones
 * @property {string} [text] of decode_repeating: which text
 * @property {boolean} [speculative] of decode_repeating: whether tokens were guessed
 * @property {number} [proposed] tokens guessed in one text
 * @property {number} [accepted] those of them that came
 * @property {number} round
 * @property {number} value
 * @property {"tokens/s" | "ms" | "bytes"} unit
 *
 * @typedef {object} Failure
 * @property {string} engine
 * @property {number} [threads]
 * @property {string} model
 * @property {string} message
 *
 * @typedef {object} Machine
 * @property {string} cpu
 * @property {string} [cpu_model]
 * @property {string[]} flags
 * @property {number} cores
 * @property {number} memory_bytes
 * @property {string} os
 * @property {string} chromium the browser's name and version
 * @property {string} node
 *
 * @typedef {object} BenchRecord
 * @property {1} schema
 * @property {string} date
 * @property {Machine} machine
 * @property {string} commit
 * @property {{ browser?: string, chromium_flags?: string[], busy_core?: boolean, rounds?: number, quick?: boolean } &
 *   Record<string, unknown>} options
 * @property {{ wasm_read_gb_s?: Record<string, number[]>, native_read_gb_s?: Record<string, number[]> }} [roofline]
 * @property {Record<string, { version: string, driven_by: string, wasm_gzip_bytes?: number }>} engines
 * @property {Record<string, { file_bytes: number, bytes_per_token: number }>} models
 * @property {Sample[]} samples
 * @property {Failure[]} failures
 *
 * @typedef {object} Query which samples are meant
 * @property {string} engine
 * @property {number} threads
 * @property {string} model
 * @property {Measure} measure
 * @property {number} [n]
 * @property {number} [depth]
 * @property {string} [text]
 * @property {boolean} [speculative]
 *
 * @typedef {object} Spread
 * @property {number} median
 * @property {number} min
 * @property {number} max
 */

import { readFileSync } from "node:fs";

/** The engine of this project that a browser with relaxed SIMD picks; the one that the targets are about. */
export const OURS = "pagelm-relaxed";
export const OURS_THREADS = "pagelm-relaxed-threads";
export const OURS_AUTOMATIC = "pagelm-automatic";
export const OURS_PLAIN = "pagelm-simd128";
export const NATIVE = "llama.cpp";

/** @param {string} engine */
export const isOurs = (engine) => engine.startsWith("pagelm-");

/** The other engines that run in a page. @param {BenchRecord} record */
export const peersOf = (record) => Object.keys(record.engines).filter((engine) => !isOurs(engine) && engine !== NATIVE);

/**
 * Reads a record.
 *
 * @param {string} path
 * @returns {BenchRecord}
 */
export function readRecord(path) {
  const record = JSON.parse(readFileSync(path, "utf8"));
  if (record.schema !== 1) throw new Error(`${path} has schema ${record.schema}: this report reads schema 1.`);
  return record;
}

/**
 * A query's value in each round: the median, where a round has several. Samples without the field are left out.
 *
 * @param {BenchRecord} record
 * @param {Query} query
 * @param {"value" | "proposed" | "accepted"} [field]
 * @returns {Map<number, number>}
 */
export function byRound(record, query, field = "value") {
  /** @type {Map<number, number[]>} */
  const rounds = new Map();
  for (const sample of record.samples) {
    const value = sample[field];
    if (value === undefined || !matches(sample, query)) continue;
    rounds.set(sample.round, [...(rounds.get(sample.round) ?? []), value]);
  }
  return new Map([...rounds].map(([round, values]) => [round, median(values)]));
}

/**
 * @param {Sample} sample
 * @param {Query} query
 */
function matches(sample, query) {
  return (
    sample.engine === query.engine &&
    sample.threads === query.threads &&
    sample.model === query.model &&
    sample.measure === query.measure &&
    (query.n === undefined || sample.n === query.n) &&
    (query.depth === undefined || sample.depth === query.depth) &&
    (query.text === undefined || sample.text === query.text) &&
    (query.speculative === undefined || sample.speculative === query.speculative)
  );
}

/** @param {number[]} values */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * Median and extremes, or `undefined` of nothing.
 *
 * @param {Iterable<number>} values
 * @returns {Spread | undefined}
 */
export function spread(values) {
  const list = [...values];
  if (list.length === 0) return undefined;
  return { median: median(list), min: Math.min(...list), max: Math.max(...list) };
}

/**
 * Ratios within the rounds that both have.
 *
 * @param {Map<number, number>} numerator
 * @param {Map<number, number>} denominator
 * @returns {Map<number, number>}
 */
export function ratios(numerator, denominator) {
  const both = [...numerator].filter(([round]) => denominator.has(round));
  return new Map(both.map(([round, value]) => [round, value / /** @type {number} */ (denominator.get(round))]));
}

/**
 * The fastest of several engines: who has the highest median, and, in each round that this one ran in, the highest value
 * of any of them. A slow step is not repeated, so other rounds may lack the very engine that is to be beaten.
 *
 * @param {BenchRecord} record
 * @param {string[]} engines
 * @param {Omit<Query, "engine">} query
 * @returns {{ rounds: Map<number, number>, engine: string | undefined }}
 */
export function best(record, engines, query) {
  /** @type {Map<number, number>} */
  const rounds = new Map();
  /** @type {{ engine: string | undefined, median: number }} */
  let leader = { engine: undefined, median: -Infinity };
  for (const engine of engines) {
    const values = byRound(record, { ...query, engine });
    for (const [round, value] of values) rounds.set(round, Math.max(value, rounds.get(round) ?? -Infinity));
    const middle = spread(values.values())?.median ?? -Infinity;
    if (middle > leader.median) leader = { engine, median: middle };
  }
  const ran = leader.engine === undefined ? new Map() : byRound(record, { ...query, engine: leader.engine });
  return { rounds: new Map([...rounds].filter(([round]) => ran.has(round))), engine: leader.engine };
}

/** What makes a record another than the usual run, in words; empty for the usual one. @param {BenchRecord} record */
export function condition({ options }) {
  const words = [];
  if (options.browser !== undefined && options.browser !== "chromium") words.push(`in ${capital(options.browser)}`);
  for (const flag of options.chromium_flags ?? []) words.push(`with \`${flag}\``);
  if (options.busy_core) words.push("while another process keeps one core busy");
  return words.join(", ");
}

/** @param {string} word */
const capital = (word) => word.slice(0, 1).toUpperCase() + word.slice(1);
