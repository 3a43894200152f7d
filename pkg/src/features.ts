import { PageLmError } from "./errors.js";

/**
 * A build of the engine. Both compute the same bits; `relaxed` uses one instruction more and is faster.
 *
 * A WebAssembly module with an unknown instruction does not validate as a whole, so each variant is its own module
 * and one is chosen before it is fetched.
 */
export type Build = "simd128" | "relaxed";

// (module (func (result v128)  i32.const 0  i8x16.splat  i8x16.popcnt))
const SIMD128 = [
  0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0, // magic, version 1
  1, 5, 1, 0x60, 0, 1, 0x7b, //          type 0: () → v128
  3, 2, 1, 0, //                         function 0 has type 0
  10, 10, 1, 8, 0, //                    its body: 8 bytes, no locals
  0x41, 0, 0xfd, 0x0f, 0xfd, 0x62, 0x0b,
];

// (module (func (result v128)  three times { i32.const 0  i8x16.splat }  i32x4.relaxed_dot_i8x16_i7x16_add_s))
const RELAXED = [
  0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
  1, 5, 1, 0x60, 0, 1, 0x7b,
  3, 2, 1, 0,
  10, 19, 1, 17, 0,
  0x41, 0, 0xfd, 0x0f, 0x41, 0, 0xfd, 0x0f, 0x41, 0, 0xfd, 0x0f, 0xfd, 0x93, 0x02, 0x0b,
];

/** A tiny module for each build that validates exactly where the build does. */
export const probes: Readonly<Record<Build, Uint8Array<ArrayBuffer>>> = {
  simd128: Uint8Array.from(SIMD128),
  relaxed: Uint8Array.from(RELAXED),
};

/**
 * The builds that run here, the fastest first, or `wanted` alone where it runs.
 *
 * # Errors
 * `unsupported` where the browser has no WebAssembly, no SIMD, or not the wanted build's instructions.
 */
export function chooseBuilds(wanted?: Build, validates: (module: BufferSource) => boolean = canRun): Build[] {
  const builds = (wanted ? [wanted] : (["relaxed", "simd128"] as const)).filter((build) => {
    const probe = probes[build];
    if (!probe) throw new PageLmError("argument", `There is no build “${build}”. Builds: simd128, relaxed.`);
    return validates(probe);
  });
  if (builds.length > 0) return builds;
  throw new PageLmError(
    "unsupported",
    wanted === "relaxed"
      ? "This browser does not know relaxed SIMD. Leave `build` out to take the fastest build that it does know."
      : "This browser has no WebAssembly SIMD. Use Chrome or Edge 96, Firefox 114, Safari 16.4, or a later version.",
  );
}

function canRun(module: BufferSource): boolean {
  return typeof WebAssembly === "object" && WebAssembly.validate(module);
}
