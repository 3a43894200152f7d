import { setFlagsFromString } from "node:v8";
import { expect, test } from "vitest";
import { openFirst } from "../src/builds.js";
import { chooseBuilds, probes } from "../src/features.js";
import { fakeBinding } from "./fake-binding.js";

const on = (...builds: (keyof typeof probes)[]) => (module: BufferSource) => builds.some((build) => probes[build] === module);

test("the fastest build that validates comes first", () => {
  expect(chooseBuilds(undefined, on("simd128", "relaxed"))).toEqual(["relaxed", "simd128"]);
  expect(chooseBuilds(undefined, on("simd128"))).toEqual(["simd128"]);
});

test("a build that is asked for is insisted on", () => {
  expect(chooseBuilds("simd128", on("simd128", "relaxed"))).toEqual(["simd128"]);
  expect(() => chooseBuilds("relaxed", on("simd128"))).toThrowError(expect.objectContaining({ code: "unsupported" }));
});

test("no SIMD at all is said with the browsers that have it", () => {
  expect(() => chooseBuilds(undefined, on())).toThrowError(/Safari 16\.4/);
});

test("a build that does not exist is an argument error", () => {
  expect(() => chooseBuilds("avx" as "relaxed")).toThrowError(expect.objectContaining({ code: "argument" }));
});

test("the probes are real modules", () => {
  expect(WebAssembly.validate(probes.simd128)).toBe(true);
  setFlagsFromString("--experimental-wasm-relaxed-simd"); // known from Node 21 on without it
  expect(WebAssembly.validate(probes.relaxed)).toBe(true);
  const broken = probes.relaxed.slice();
  broken[broken.length - 3] = 0xff; // another opcode
  expect(WebAssembly.validate(broken)).toBe(false);
});

test("a build that computes wrong bits here gives way to the next; if none is right, that is said", async () => {
  const open = (...right: string[]) => async (build: string) => ({ ...fakeBinding, selfTest: () => right.includes(build) });
  const builds = ["relaxed", "simd128"] as const;
  expect((await openFirst(builds, open("relaxed", "simd128"))).build).toBe("relaxed");
  expect((await openFirst(builds, open("simd128"))).build).toBe("simd128");
  await expect(openFirst(builds, open())).rejects.toMatchObject({ code: "unsupported", message: /relaxed and simd128/ });
});
