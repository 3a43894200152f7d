/**
 * The module worker of one more thread: the engine's module once more, over the memory that all share. It computes what
 * the engine hands out, and ends with the worker that started it.
 * @module
 */

import { openHelper } from "./builds.js";
import type { Build } from "./features.js";

/** What a helper is sent, once. */
export interface Shared {
  build: Build;
  module: WebAssembly.Module;
  memory: WebAssembly.Memory;
}

const scope = globalThis as unknown as { onmessage: ((event: MessageEvent<Shared>) => void) | null; postMessage(lost: string): void };

// A helper that cannot start is one thread less, and nothing else. One that traps leaves its part undone, and the engine waiting.
scope.onmessage = ({ data }) =>
  void openHelper(data).then((binding) => {
    try {
      binding.help?.();
    } catch (thrown) {
      scope.postMessage(String(thrown));
    }
  }, console.warn);
