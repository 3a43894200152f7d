/**
 * The native command `pagelm`, which is what the pages are compared with.
 * @module
 */

import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { root } from "./paths.js";

/** What `pagelm generate --json` prints. */
export interface NativeReport {
  prompt_tokens: number[];
  tokens: number[];
  text: string;
  seed: number;
  stop_reason: string;
}

/** Runs the command; `PAGELM_NATIVE` names it, else the one that cargo built last. */
export async function native(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(command(), args, { maxBuffer: 1 << 26 });
  return stdout;
}

function command(): string {
  const target = process.env["CARGO_TARGET_DIR"] ?? `${root}target`;
  const candidates = [process.env["PAGELM_NATIVE"], `${target}/debug/pagelm`, `${target}/release/pagelm`];
  const found = candidates.find((path) => path && existsSync(path));
  if (!found) throw new Error("The native command is not built: run `cargo build -p pagelm-cli` first.");
  return found;
}

/** Generates natively. */
export async function generate(model: string, prompt: string, ...args: string[]): Promise<NativeReport> {
  return JSON.parse(await native("generate", "--model", model, "--prompt", prompt, "--json", ...args)) as NativeReport;
}

/** The logits of every position, n_tokens × n_vocab, as their bits. */
export async function logitBits(model: string, tokens: readonly number[], ...args: string[]): Promise<Uint32Array> {
  const folder = mkdtempSync(join(tmpdir(), "pagelm-logits-"));
  try {
    await native("logits", "--model", model, "--tokens", tokens.join(","), "--out", join(folder, "logits"), ...args);
    const bytes = readFileSync(join(folder, "logits"));
    return new Uint32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
