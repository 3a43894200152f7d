/**
 * What the benchmark runs on.
 * @module
 */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, release, totalmem, type as systemName } from "node:os";
import type { Machine } from "./record.js";
import { paths } from "./paths.js";

/** The features that kernels here or in a peer make use of. */
const RELEVANT = [
  ...["ssse3", "sse4_1", "avx", "avx2", "fma", "f16c", "bmi2", "avx_vnni", "avx_vnni_int8"],
  ...["avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16", "amx_int8"],
  // ARM
  ...["asimd", "asimddp", "i8mm", "sve"],
];

/** This machine. */
export function machine(browser: string): Machine {
  const cpuinfo = readable("/proc/cpuinfo");
  return {
    cpu: (cpus()[0]?.model ?? "").trim() || "unknown",
    ...modelOf(cpuinfo),
    flags: relevantFlags(cpuinfo),
    cores: cpus().length,
    memory_bytes: totalmem(),
    os: system(),
    chromium: browser,
    node: process.version,
  };
}

/** Of a /proc/cpuinfo, which model the processor is, where it says so in numbers. */
export function modelOf(cpuinfo: string): Pick<Machine, "cpu_model"> {
  const number = (name: string) => new RegExp(`^${name}\\s*:\\s*(\\d+)$`, "m").exec(cpuinfo)?.[1];
  const [family, model] = [number("cpu family"), number("model")];
  return family && model ? { cpu_model: `family ${family}, model ${model}` } : {};
}

/** Of a /proc/cpuinfo, the features that matter, in a fixed order. */
export function relevantFlags(cpuinfo: string): string[] {
  const line = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(cpuinfo)?.[1] ?? "";
  const has = new Set(line.split(/\s+/));
  return RELEVANT.filter((flag) => has.has(flag));
}

/** The commit that is measured, marked where there are changes beside it. */
export function commit(): string {
  try {
    return execFileSync("git", ["describe", "--always", "--abbrev=12", "--dirty", "--exclude=*"], {
      cwd: paths.root,
      encoding: "utf8",
    }).trim();
  } catch {
    return "unknown";
  }
}

function system(): string {
  const name = /^PRETTY_NAME="?([^"\n]*)/m.exec(readable("/etc/os-release"))?.[1];
  return [name, systemName(), release()].filter(Boolean).join(", ");
}

function readable(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
