import type { Binding } from "./binding.js";
import { toPageLmError, PageLmError } from "./errors.js";
import type { Build } from "./features.js";

// Written out one by one, so that every bundler can follow them and fetches only the one that is chosen.
const glue: Record<Build, () => Promise<Binding>> = {
  simd128: () => import("./simd128/pagelm.js"),
  relaxed: () => import("./relaxed/pagelm.js"),
};

/**
 * Fetches and instantiates one build of the engine. It compiles while it downloads.
 *
 * # Errors
 * `network` where its files do not arrive, `unsupported` where the browser or the page's policy refuses it, `memory`.
 */
export async function openBuild(build: Build): Promise<Binding> {
  try {
    const binding = await glue[build]();
    await binding.default();
    return binding;
  } catch (thrown) {
    const known = toPageLmError(thrown, "load");
    if (known.code !== "worker") throw known;
    // a failed import or fetch is a TypeError in every browser, each with its own words
    throw new PageLmError(
      "network",
      `The engine's own files did not arrive (${known.cause instanceof Error ? known.cause.message : build}). ` +
        "Check the connection and load again.",
      { cause: thrown },
    );
  }
}
