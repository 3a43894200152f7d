import type { Binding } from "./binding.js";
import { PageLmError, toFetchError } from "./errors.js";
import { type Build, hasThreads } from "./features.js";
import type { Shared } from "./helper.js";

// Written out one by one, so that every bundler can follow them and fetches only the one that is chosen.
const glue: Record<Build, () => Promise<Binding>> = {
  simd128: () => import("./simd128/pagelm.js"),
  relaxed: () => import("./relaxed/pagelm.js"),
  "simd128-threads": () => import("./simd128-threads/pagelm.js"),
  "relaxed-threads": () => import("./relaxed-threads/pagelm.js"),
};

/**
 * Opens the first of `builds` that computes the right bits here. A browser may know an instruction and still get a
 * corner of it wrong; each build is asked to check itself before a model is given to it. A build with threads asks for
 * all the memory's addresses at once; where a device has not that many, the next one will do.
 *
 * # Errors
 * Those of {@link openBuild}, and `unsupported` where no build is right.
 */
export async function openFirst(
  builds: readonly Build[],
  open: (build: Build) => Promise<Binding> = openBuild,
): Promise<{ binding: Binding; build: Build }> {
  for (const [idx, build] of builds.entries()) {
    try {
      const binding = await open(build);
      if (binding.selfTest()) return { binding, build };
    } catch (thrown) {
      if (!hasThreads(build) || idx === builds.length - 1) throw thrown;
    }
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
    throw toFetchError(thrown, `The engine's own files (${build})`);
  }
}

/** Makes a helper's instance of a build, over memory that is there. */
export async function openHelper({ build, module, memory }: Shared): Promise<Binding> {
  const binding = await glue[build]();
  await binding.default({ module_or_path: module, memory, thread_stack_size: HELPER_STACK_BYTES });
  return binding;
}

// kernels keep their sums on it and little else; whole pages of wasm memory
const HELPER_STACK_BYTES = 1 << 18;

/** Opens a build to `nThreads` threads: what the helpers' instances are made of, or `undefined` for a build without threads. */
export function share(binding: Binding, build: Build, nThreads: number): Shared | undefined {
  const [module, memory] = binding.share?.(nThreads) ?? [];
  return module && memory && { build, module, memory };
}
