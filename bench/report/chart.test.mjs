import assert from "node:assert/strict";
import { test } from "node:test";
import { made, speeds } from "./made.mjs";

// vega is installed by `cargo xtask bench` alone: no other test has to wait for it.
const module = await import("./chart.mjs").catch((error) => {
  if (error.code !== "ERR_MODULE_NOT_FOUND") throw error;
});

test(
  "the chart is an SVG with a bar for each engine beside native",
  { skip: !module && "vega is not installed" },
  async () => {
    const { bars, chart } = /** @type {typeof import("./chart.mjs")} */ (module);
    const record = made(speeds);
    assert.deepEqual(
      bars(record).map(({ engine, median }) => [engine, median]),
      [
        ["pagelm-relaxed", 1],
        ["candle", 0.25],
        ["wllama-2", 0.22],
      ],
    );
    const svg = await chart(record);
    assert.match(svg, /^<svg .*candle.*<\/svg>\n$/s);
    assert.doesNotMatch(svg, /NaN|undefined/);
  },
);
