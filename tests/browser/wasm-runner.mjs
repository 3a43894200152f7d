// Runs a wasm32-wasip1 program, such as cargo's test harness, in Chromium: `node wasm-runner.mjs program.wasm args…`.
// So the engine's unit tests meet the very compiler that the pages' readers have. Chromium's own flags, in
// `PAGELM_CHROMIUM_FLAGS`, can take processor features away: --js-flags=--no-enable-avx-vnni.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import puppeteer from "puppeteer-core";
import sirv from "sirv";

const [program, ...args] = process.argv.slice(2);
const shim = sirv(dirname(fileURLToPath(import.meta.resolve("@bjorn3/browser_wasi_shim"))), { dev: true });
const server = createServer((request, response) => {
  if (request.url === "/program.wasm") {
    response.setHeader("content-type", "application/wasm").end(readFileSync(program));
  } else {
    shim(request, response, () => response.setHeader("content-type", "text/html").end("<!doctype html>"));
  }
});
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));

const userDataDir = mkdtempSync(join(tmpdir(), "pagelm-chromium-"));
const browser = await puppeteer.launch({
  executablePath: process.env.PAGELM_CHROMIUM ?? "/usr/bin/chromium",
  userDataDir,
  protocolTimeout: 0,
  args: [
    ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
    ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
    ...(process.env.PAGELM_CHROMIUM_FLAGS?.split(" ") ?? []),
  ],
});
try {
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  const { code, output, trap } = await page.evaluate(run, ["test", ...args]);
  process.stdout.write(output);
  if (trap) process.stderr.write(`${trap}\n`);
  process.exitCode = code;
} finally {
  await browser.close();
  server.close();
  rmSync(userDataDir, { recursive: true, force: true, maxRetries: 3 });
}

/** In the page: runs the program to its end, and returns what it wrote. */
async function run(args) {
  const { ConsoleStdout, WASI } = await import("/index.js");
  let output = "";
  const decoder = new TextDecoder();
  const sink = new ConsoleStdout((bytes) => (output += decoder.decode(bytes, { stream: true })));
  const wasi = new WASI(args, [], [sink, sink, sink]);
  const module = await WebAssembly.compileStreaming(fetch("/program.wasm"));
  const imports = { wasi_snapshot_preview1: wasi.wasiImport };
  // The bindings to the page are linked in, but tests do not call them.
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    imports[from] ??= {};
    imports[from][name] ??= () => {
      throw new Error(`${name} of ${from} is not there in tests`);
    };
  }
  try {
    return { code: wasi.start(await WebAssembly.instantiate(module, imports)), output };
  } catch (error) {
    // A failed assertion aborts the program.
    return { code: 101, output, trap: String(error) };
  }
}
