import { expect, test } from "vitest";
import { abortError, fromWire, isFatal, PageLmError, toPageLmError, toWire } from "../src/errors.js";

test("the engine's own errors keep their code and text", () => {
  const error = toPageLmError(Object.assign(new Error("no such tensor"), { code: "format" }), "load");
  expect(error).toMatchObject({ name: "PageLmError", code: "format", message: "no such tensor" });
});

test("a code that is not ours is not taken over", () => {
  expect(toPageLmError(Object.assign(new Error("x"), { code: "ENOENT" }), "load").code).toBe("worker");
});

test.each([
  [new WebAssembly.RuntimeError("unreachable"), "load", "memory"],
  [new WebAssembly.RuntimeError("unreachable"), "run", "worker"],
  [new WebAssembly.RuntimeError("memory access out of bounds"), "run", "worker"],
  [new RangeError("Array buffer allocation failed"), "run", "memory"],
  [new RangeError("WebAssembly.Memory.grow(): Maximum memory size exceeded"), "load", "memory"],
  [new WebAssembly.CompileError("bad"), "load", "unsupported"],
  [new TypeError("x is not a function"), "run", "worker"],
  ["a string", "run", "worker"],
] as const)("%s during %s is %s", (thrown, doing, code) => {
  expect(toPageLmError(thrown, doing).code).toBe(code);
});

test("a policy that forbids WebAssembly is named", () => {
  const thrown = new WebAssembly.CompileError("violates the following Content Security Policy directive");
  expect(toPageLmError(thrown, "load").message).toContain("'wasm-unsafe-eval'");
});

test("an abort is recognised by the usual name and keeps its reason", () => {
  const error = abortError(AbortSignal.abort("enough"));
  expect(error).toMatchObject({ name: "AbortError", code: "aborted", cause: "enough" });
  expect(error).toBeInstanceOf(PageLmError);
});

test("errors cross the wire as code and message", () => {
  const wire = structuredClone(toWire(new PageLmError("limit", "too long")));
  expect(wire).toEqual({ code: "limit", message: "too long" });
  expect(fromWire(wire)).toMatchObject({ code: "limit", message: "too long" });
});

test("only a broken engine is fatal", () => {
  const codes = ["format", "unsupported", "argument", "limit", "network", "http", "aborted", "busy", "disposed"] as const;
  expect(codes.some(isFatal)).toBe(false);
  expect([isFatal("memory"), isFatal("worker")]).toEqual([true, true]);
});
