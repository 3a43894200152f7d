import { cpSync, existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";
import { cards } from "./cards.js";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** The models are static files beside the pages, not part of the program. */
function models(): Plugin {
  let out = "";
  return {
    name: "models",
    apply: "build",
    configResolved: (config) => void (out = config.build.outDir),
    closeBundle() {
      if (existsSync(here("models"))) cpSync(here("models"), `${here(out)}/models`, { recursive: true });
    },
  };
}

/**
 * Makes the page readable from file://, where `crossorigin` keeps even the stylesheet away, and lifts the policy
 * against inline styles for the development server, which adds its own.
 */
function page(): Plugin {
  return {
    name: "page",
    transformIndexHtml: {
      order: "post",
      handler: (html, { server }) =>
        server
          ? html.replace(/<meta\s+http-equiv="Content-Security-Policy"[^>]*>/, "")
          : html.replace(/ crossorigin(?=[ >])/g, ""),
    },
  };
}

export default defineConfig({
  base: "./", // any sub-path of any host
  plugins: [models(), cards(), page()],
  build: {
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    rolldownOptions: { input: [here("index.html"), here("learn/index.html"), here("workbench/index.html")] },
  },
  worker: { format: "es" }, // the worker loads one of two engines
});
