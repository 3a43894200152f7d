import { fileURLToPath } from "node:url";
import { mergeConfig, type Plugin } from "vite";
import real from "../vite.config.js";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** The page over an engine that is no engine: see pkg/test/fake-binding.ts. */
const fake: Plugin = {
  name: "fake-engine",
  enforce: "pre",
  resolveId: (id) =>
    /\/(simd128|relaxed)(-threads)?\/pagelm\.js$/.test(id)
      ? here("../../pkg/test/fake-binding.ts")
      : undefined,
};

export default mergeConfig(real, {
  root: here(".."),
  plugins: [fake],
  worker: { plugins: () => [fake] },
  build: {
    emptyOutDir: true,
    minify: false,
    rolldownOptions: { input: [here("plain.html")] }, // beside those of the real one
  },
  logLevel: "warn",
});
