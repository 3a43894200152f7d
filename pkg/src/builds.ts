import type { Binding } from "./binding.js";
import { toPageLmError, PageLmError } from "./errors.js";
import type { Build } from "./features.js";

// Written out one by one, so that every bundler can follow them and fetches only the one that is chosen.
const glue: Record<Build, () => Promise<Binding>> = {
  simd128: () => import("./simd128/pagelm.js"),
  relaxed: () => import("./relaxed/pagelm.js"),
};

/**
 * Opens the first of `builds` that computes the right bits here. A browser may know an instruction and still get a
 * corner of it wrong; each build is asked to check itself before a model is given to it.
 *
 * # Errors
 * Those of {@link openBuild}, and `unsupported` where no build is right.
 */
export async function openFirst(
  builds: readonly Build[],
  open: (build: Build) => Promise<Binding> = openBuild,
): Promise<{ binding: Binding; build: Build }> {
  for (const build of builds) {
    const binding = await open(build);
    if (binding.selfTest()) return { binding, build };
  }
  throw new PageLmError(
    "unsupported",
    `This browser computes wrong results with the engine's ${builds.join(" and ")} build. Please use another one.`,
  );
}

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
