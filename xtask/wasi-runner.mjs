// Runs a wasm32-wasip1 program, such as cargo's test harness, in Node's V8: `node wasi-runner.mjs program.wasm args…`.
import { readFile } from "node:fs/promises";
import process from "node:process";
import { WASI } from "node:wasi";

const [program, ...args] = process.argv.slice(2);
const wasi = new WASI({
  version: "preview1",
  args: [program, ...args],
  env: process.env,
  // The folder that cargo starts a test in, so that a test finds the data beside it.
  preopens: { ".": process.cwd(), "..": `${process.cwd()}/..` },
});
const module = await WebAssembly.compile(await readFile(program));
const instance = await WebAssembly.instantiate(module, wasi.getImportObject());
process.exitCode = wasi.start(instance);
