import { setFlagsFromString } from "node:v8";
import { expect, test } from "vitest";
import { openFirst } from "../src/builds.js";
import { type Abilities, type Build, chooseBuilds, mostThreads, probes } from "../src/features.js";
import { fakeBinding } from "./fake-binding.js";

const on = (...builds: Build[]): Abilities => ({
  validates: (module) => builds.some((build) => probes[build] === module),
  shares: () => false,
});
const all: Abilities = { validates: () => true, shares: () => true };

test("the fastest build that validates comes first", () => {
  expect(chooseBuilds(undefined, 4, on("simd128", "relaxed"))).toEqual(["relaxed", "simd128"]);
  expect(chooseBuilds(undefined, 4, on("simd128"))).toEqual(["simd128"]);
});

test("threads come first where memory can be shared and more than one is wanted", () => {
  expect(chooseBuilds(undefined, 4, all)).toEqual(["relaxed-threads", "simd128-threads", "relaxed", "simd128"]);
  expect(chooseBuilds(undefined, 1, all)).toEqual(["relaxed", "simd128"]);
  expect(chooseBuilds(undefined, 4, { ...all, shares: () => false })).toEqual(["relaxed", "simd128"]);
});

test("a build that is asked for is insisted on", () => {
  expect(chooseBuilds("simd128", 4, on("simd128", "relaxed"))).toEqual(["simd128"]);
  expect(chooseBuilds("relaxed-threads", 1, all)).toEqual(["relaxed-threads"]);
  const refused = (message: RegExp) => expect.objectContaining({ code: "unsupported", message: expect.stringMatching(message) });
  expect(() => chooseBuilds("relaxed", 4, on("simd128"))).toThrowError(refused(/instructions/));
  const alone = { ...all, shares: () => false };
  expect(() => chooseBuilds("relaxed-threads", 4, alone)).toThrowError(refused(/cross-origin isolated/));
});

test("no SIMD at all is said with the browsers that have it", () => {
  expect(() => chooseBuilds(undefined, 1, on())).toThrowError(/Safari 16\.4/);
});

test("a build that does not exist is an argument error", () => {
  expect(() => chooseBuilds("avx" as "relaxed")).toThrowError(expect.objectContaining({ code: "argument" }));
});

test("the probes are real modules", () => {
  expect(WebAssembly.validate(probes.simd128)).toBe(true);
  setFlagsFromString("--experimental-wasm-relaxed-simd"); // known from Node 21 on without it
  expect(WebAssembly.validate(probes.relaxed)).toBe(true);
  expect(WebAssembly.validate(probes["simd128-threads"])).toBe(true);
  expect(WebAssembly.validate(probes["relaxed-threads"])).toBe(true);
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

test("a build with threads whose memory is not to be had gives way to the next", async () => {
  const open = async (build: Build) => {
    if (build !== "relaxed") throw new RangeError("could not allocate memory");
    return fakeBinding;
  };
  expect((await openFirst(["relaxed-threads", "relaxed"], open)).build).toBe("relaxed");
  await expect(openFirst(["relaxed-threads"], open)).rejects.toThrow("could not allocate");
  await expect(openFirst(["simd128", "relaxed"], open)).rejects.toThrow("could not allocate");
});

test("there may be as many threads as are asked for, else as many as there are cores, up to a limit", () => {
  expect(mostThreads(3)).toBe(3);
  expect(mostThreads(undefined, 2)).toBe(2);
  expect(mostThreads(undefined, 64)).toBe(8);
  expect(mostThreads(undefined, 0)).toBe(1);
});
