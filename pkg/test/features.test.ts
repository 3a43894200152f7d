import { setFlagsFromString } from "node:v8";
import { expect, test } from "vitest";
import { chooseBuild, probes } from "../src/features.js";

const on = (...builds: (keyof typeof probes)[]) => (module: BufferSource) => builds.some((build) => probes[build] === module);

test("the fastest build that validates is chosen", () => {
  expect(chooseBuild(undefined, on("simd128", "relaxed"))).toBe("relaxed");
  expect(chooseBuild(undefined, on("simd128"))).toBe("simd128");
});

test("a build that is asked for is insisted on", () => {
  expect(chooseBuild("simd128", on("simd128", "relaxed"))).toBe("simd128");
  expect(() => chooseBuild("relaxed", on("simd128"))).toThrowError(expect.objectContaining({ code: "unsupported" }));
});

test("no SIMD at all is said with the browsers that have it", () => {
  expect(() => chooseBuild(undefined, on())).toThrowError(/Safari 16\.4/);
});

test("a build that does not exist is an argument error", () => {
  expect(() => chooseBuild("avx" as "relaxed")).toThrowError(expect.objectContaining({ code: "argument" }));
});

test("the probes are real modules", () => {
  expect(WebAssembly.validate(probes.simd128)).toBe(true);
  setFlagsFromString("--experimental-wasm-relaxed-simd"); // known from Node 21 on without it
  expect(WebAssembly.validate(probes.relaxed)).toBe(true);
  const broken = probes.relaxed.slice();
  broken[broken.length - 3] = 0xff; // another opcode
  expect(WebAssembly.validate(broken)).toBe(false);
});
