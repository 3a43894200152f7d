/**
 * The command line of the benchmark.
 * @module
 */

import { parseArgs } from "node:util";

/** What is to be run. */
export interface Options {
  /** One round of fewer models, for a first look. */
  quick: boolean;
  models: RegExp;
  engines: RegExp;
  rounds: number;
  chromium_flags: string[];
  browser: "chromium" | "firefox";
  /** Whether another process keeps one core busy meanwhile. */
  busy_core: boolean;
  /** Whether to show where the time goes, function by function, instead of measuring. */
  profile: boolean;
  out: string | undefined;
}

/** What `--quick` measures, unless other models are asked for. */
const QUICK_MODELS = "^(story|15M-Q8_0|135M-Q8_0|135M-Q4_0)$";
const ROUNDS = 3;

/** Reads the arguments. Throws where one is unknown or makes no sense. */
export function parseOptions(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      quick: { type: "boolean", default: false },
      models: { type: "string" },
      engines: { type: "string", default: "" },
      rounds: { type: "string" },
      "chromium-flags": { type: "string", default: "" },
      browser: { type: "string", default: "chromium" },
      "busy-core": { type: "boolean", default: false },
      profile: { type: "boolean", default: false },
      out: { type: "string" },
    },
  });
  const rounds = Number(values.rounds ?? (values.quick ? 1 : ROUNDS));
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds is a number from 1 on, not ${values.rounds}`);
  const { browser } = values;
  if (browser !== "chromium" && browser !== "firefox") throw new Error(`--browser is chromium or firefox, not ${browser}`);
  if (values.profile && browser === "firefox") throw new Error("--profile is for Chromium: Firefox does not tell where a worker's time goes");
  return {
    quick: values.quick,
    models: new RegExp(values.models ?? (values.quick ? QUICK_MODELS : "")),
    engines: new RegExp(values.engines),
    rounds,
    chromium_flags: words(values["chromium-flags"]),
    browser,
    busy_core: values["busy-core"],
    profile: values.profile,
    out: values.out,
  };
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}
