import { fileURLToPath } from "node:url";
import { mergeConfig, type Plugin } from "vite";
import real from "../vite.config.js";

/** The page over an engine that is no engine: see pkg/test/fake-binding.ts. */
const fake: Plugin = {
  name: "fake-engine",
  enforce: "pre",
  resolveId: (id) =>
    /\/(simd128|relaxed)\/pagelm\.js$/.test(id)
      ? fileURLToPath(new URL("../../pkg/test/fake-binding.ts", import.meta.url))
      : undefined,
};

export default mergeConfig(real, {
  root: fileURLToPath(new URL("..", import.meta.url)),
  plugins: [fake],
  worker: { plugins: () => [fake] },
  build: {
    outDir: fileURLToPath(new URL("../node_modules/.cache/fake", import.meta.url)),
    emptyOutDir: true,
    minify: false,
  },
  logLevel: "warn",
});
