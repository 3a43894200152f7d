import { PageLmError } from "./errors.js";

/**
 * A build of the engine. All compute the same bits; `relaxed` uses one instruction more and is faster, and those with
 * `threads` can use several cores where the page is cross-origin isolated.
 *
 * A WebAssembly module with an unknown instruction does not validate as a whole, so each variant is its own module
 * and one is chosen before it is fetched.
 */
export type Build = "simd128" | "relaxed" | "simd128-threads" | "relaxed-threads";

/** Every build, the fastest first. */
const BUILDS = ["relaxed-threads", "simd128-threads", "relaxed", "simd128"] as const satisfies readonly Build[];

// (module (func (result v128) …))
const HEAD = [
  0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0, // magic, version 1
  1, 5, 1, 0x60, 0, 1, 0x7b, //          type 0: () → v128
  3, 2, 1, 0, //                         function 0 has type 0
];
// (memory 1 1 shared)
const SHARED_MEMORY = [5, 4, 1, 3, 1, 1];
// i32.const 0  i8x16.splat  i8x16.popcnt
const SIMD128 = [10, 10, 1, 8, 0, 0x41, 0, 0xfd, 0x0f, 0xfd, 0x62, 0x0b];
// three times { i32.const 0  i8x16.splat }  i32x4.relaxed_dot_i8x16_i7x16_add_s
const RELAXED = [10, 19, 1, 17, 0, 0x41, 0, 0xfd, 0x0f, 0x41, 0, 0xfd, 0x0f, 0x41, 0, 0xfd, 0x0f, 0xfd, 0x93, 0x02, 0x0b];

/** A tiny module for each build that validates exactly where the build does. */
export const probes: Readonly<Record<Build, Uint8Array<ArrayBuffer>>> = {
  simd128: Uint8Array.from([...HEAD, ...SIMD128]),
  relaxed: Uint8Array.from([...HEAD, ...RELAXED]),
  "simd128-threads": Uint8Array.from([...HEAD, ...SHARED_MEMORY, ...SIMD128]),
  "relaxed-threads": Uint8Array.from([...HEAD, ...SHARED_MEMORY, ...RELAXED]),
};

/** Whether a build can use several threads. */
export function hasThreads(build: Build): boolean {
  return build.endsWith("-threads");
}

/** What a browser, or a page in it, can do. */
export interface Abilities {
  validates(module: BufferSource): boolean;
  /** Whether memory can be shared between workers: only where the page is cross-origin isolated. */
  shares(): boolean;
}

/**
 * The builds that run here, the fastest first, or `wanted` alone where it runs; for one thread, those that have no more.
 *
 * # Errors
 * `unsupported` where the browser has no WebAssembly, no SIMD, or not the wanted build's instructions; or where that
 * build has threads and the page is not isolated.
 */
export function chooseBuilds(wanted?: Build, nThreads = Infinity, can: Abilities = here): Build[] {
  if (wanted !== undefined && !probes[wanted]) {
    throw new PageLmError("argument", `There is no build “${wanted}”. Builds: ${[...BUILDS].reverse().join(", ")}.`);
  }
  const runs = (build: Build) => can.validates(probes[build]) && (!hasThreads(build) || can.shares());
  const builds = (wanted ? [wanted] : BUILDS.filter((build) => nThreads > 1 || !hasThreads(build))).filter(runs);
  if (builds.length > 0) return builds;
  throw new PageLmError("unsupported", wanted && can.validates(probes.simd128) ? refusal(wanted, can) : NO_SIMD);
}

const NO_SIMD =
  "This browser has no WebAssembly SIMD. Use Chrome or Edge 96, Firefox 114, Safari 16.4, or a later version.";

function refusal(build: Build, can: Abilities): string {
  const instead = "Leave `build` out to take the fastest build that runs here.";
  return can.validates(probes[build])
    ? `The build “${build}” needs a page that is cross-origin isolated, and this one is not. ${instead}`
    : `This browser does not know all instructions of the build “${build}”. ${instead}`;
}

const here: Abilities = {
  validates: (module) => typeof WebAssembly === "object" && WebAssembly.validate(module),
  shares: () => globalThis.crossOriginIsolated === true && typeof Worker === "function",
};

/** More threads than this share the memory's bandwidth without being faster. */
const MOST_THREADS = 8;

/** How many threads there may be: as many as are `wanted`, else as there are cores. */
export function mostThreads(wanted?: number, cores = globalThis.navigator?.hardwareConcurrency): number {
  return wanted ?? Math.min(cores || 1, MOST_THREADS);
}
