/**
 * What a run leaves behind, as JSON. Ratios are not in it: they are computed within each round by whoever reads it.
 * @module
 */

import type { Options } from "./options.js";

export const SCHEMA = 1;

/** What is measured, and in which unit. */
export type Measure = "decode" | "decode_repeating" | "prefill" | "load" | "ready_after_last_byte" | "first_token" | "peak_memory" | "peak_own_memory";
export type Unit = "tokens/s" | "ms" | "bytes";

/** One measurement. */
export interface Sample {
  engine: string;
  threads: number;
  model: string;
  measure: Measure;
  /** Tokens: of the prompt, or how many are to be decoded. */
  n?: number;
  /** How many decoded tokens were timed: fewer where an engine is slow, more where it is fast. */
  n_timed?: number;
  /** Tokens that were there before the decoded ones. */
  depth?: number;
  /** Of a text with or without guessing: which, whether tokens were guessed, how many, and how many of them came. */
  text?: string;
  speculative?: boolean;
  proposed?: number;
  accepted?: number;
  round: number;
  value: number;
  unit: Unit;
}

/** An engine that could not do what was asked, in its own words. */
export interface Failure {
  engine: string;
  threads: number;
  model: string;
  message: string;
}

export interface Machine {
  cpu: string;
  /** "family 25, model 17": what a virtual machine's name for its processor may leave out. */
  cpu_model?: string;
  /** The processor's features that matter to kernels. */
  flags: string[];
  cores: number;
  memory_bytes: number;
  os: string;
  /** The browser's name and version, under the name of the usual one. */
  chromium: string;
  node: string;
}

export interface EngineEntry {
  version: string;
  driven_by: string;
  /** Of the module that was run, by `gzip -9`; the largest where there are several. */
  wasm_gzip_bytes?: number;
}

/** Gigabytes per second that the machine reads from memory, by number of threads, sample by sample. */
export interface Roofline {
  wasm_read_gb_s: { [threads: string]: number[] };
  native_read_gb_s: { [threads: string]: number[] };
}

export interface Record {
  schema: typeof SCHEMA;
  date: string;
  machine: Machine;
  commit: string;
  options: Omit<Options, "models" | "engines" | "out" | "profile"> & { models: string; engines: string };
  roofline: Roofline;
  engines: { [id: string]: EngineEntry };
  models: { [id: string]: { file_bytes: number; bytes_per_token: number } };
  samples: Sample[];
  failures: Failure[];
}

/** The options as they can be written down. */
export function plain(options: Options): Record["options"] {
  const { models, engines, out: _, profile: __, ...rest } = options;
  return { ...rest, models: models.source, engines: engines.source };
}

/** The failures without repetitions: the rounds of a run fail alike. */
export function distinct(failures: Failure[]): Failure[] {
  return [...new Map(failures.map((failure) => [JSON.stringify(failure), failure])).values()];
}

/** `2026-03-01-amd-epyc-9b45-firefox`: what the name of a record's file begins with. */
export function baseName({ date, machine, options }: Pick<Record, "date" | "options"> & { machine: Pick<Machine, "cpu"> }): string {
  const words = machine.cpu
    .toLowerCase()
    .replace(/\((r|tm)\)|\bcpu\b|\bprocessor\b|@.*$|\d+-core/g, " ")
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "");
  const parts = [date.slice(0, 10), words || "unknown"];
  if (options.browser !== "chromium") parts.push(options.browser);
  if (options.busy_core) parts.push(BUSY_CORE);
  return parts.join("-");
}

const BUSY_CORE = "busy-core";

/** What is told of a record where others are chosen to go with a new one. */
export interface Made extends Pick<Record, "date" | "options"> {
  name: string;
  machine: Pick<Machine, "cpu" | "cpu_model">;
}

/** Of these records, the newest made beside a busy core, the newest made in Firefox, and the newest whole one of another machine. */
export function newestOfOtherRuns(records: Made[], here: Made["machine"]): string[] {
  const kinds: ((record: Made) => boolean)[] = [
    ({ options }) => options.busy_core,
    ({ options }) => options.browser === "firefox",
    ({ options, machine }) => isWhole(options) && (machine.cpu !== here.cpu || machine.cpu_model !== here.cpu_model),
  ];
  const byAge = records.toSorted((a, b) => Date.parse(a.date) - Date.parse(b.date));
  return kinds.flatMap((isOfKind) => byAge.findLast(isOfKind)?.name ?? []);
}

/** Whether a run measured everything, under no condition. */
export function isWhole({ quick, models, engines, chromium_flags, browser, busy_core }: Record["options"]): boolean {
  const isFiltered = [models, engines].some((source) => source !== new RegExp("").source);
  return !quick && !isFiltered && !busy_core && chromium_flags.length === 0 && browser === "chromium";
}

/** A file of that name which is not there yet, so that no run writes over another: `name.json`, `name-2.json` and so on. */
export function freePath(folder: string, name: string, exists: (path: string) => boolean): string {
  for (let n = 1; ; n++) {
    const path = `${folder}/${name}${n > 1 ? `-${n}` : ""}.json`;
    if (!exists(path)) return path;
  }
}
