/**
 * `docs/performance.svg`: decode and prefill of every engine as a multiple of native llama.cpp, by model, one thread.
 * @typedef {import("./record.mjs").BenchRecord} BenchRecord
 */

import { compile } from "vega-lite";
import { parse, View } from "vega";
import * as rec from "./record.mjs";
import { DECODE, PREFILL } from "./targets.mjs";

// From Okabe and Ito's palette, which colour-blind readers can tell apart; ours in the two strongest.
const COLOURS = ["#0072b2", "#56b4e9"];
const PEER_COLOUR = "#b0b0b0";
const ROOM_FOR_LABELS = 1.12;

/**
 * The bars: an engine's ratio to native llama.cpp within the rounds.
 *
 * @param {BenchRecord} record
 */
export function bars(record) {
  const engines = [rec.OURS, rec.OURS_PLAIN, ...rec.peersOf(record)];
  return Object.keys(record.models).flatMap((model) =>
    [DECODE, PREFILL].flatMap((speed) => {
      const query = { ...speed, model, threads: 1 };
      const native = rec.byRound(record, { ...query, engine: rec.NATIVE });
      return engines.flatMap((engine) => {
        const spread = rec.spread(rec.ratios(rec.byRound(record, { ...query, engine }), native).values());
        return spread ? [{ model, measure: LABELS[speed.measure], engine, ...spread }] : [];
      });
    }),
  );
}

const LABELS = { decode: "decode, 64 tokens after 128", prefill: "prefill, 128 tokens" };

/** @param {BenchRecord} record @returns {import("vega-lite").TopLevelSpec} */
function specification(record) {
  const values = bars(record);
  const engines = [rec.OURS, rec.OURS_PLAIN, ...rec.peersOf(record)].filter((engine) =>
    values.some((bar) => bar.engine === engine),
  );
  const highest = Math.max(1, ...values.map(({ max }) => max));
  const y = /** @type {const} */ ({
    field: "engine",
    type: "nominal",
    sort: engines,
    title: null,
    axis: { ticks: false, domain: false },
  });
  return {
    title: {
      text: "Speed as a multiple of native llama.cpp (= 1), one thread",
      subtitle: subtitle(record),
      anchor: "start",
    },
    data: { values },
    facet: {
      row: {
        field: "model",
        type: "nominal",
        sort: Object.keys(record.models),
        title: null,
        header: { labelAngle: 0, labelAlign: "left", labelFontWeight: "bold" },
      },
      column: { field: "measure", type: "nominal", title: null, header: { labelFontWeight: "bold" } },
    },
    spec: {
      width: 300,
      height: { step: 13 },
      layer: [
        {
          mark: { type: "bar", height: 9 },
          encoding: {
            x: {
              field: "median",
              type: "quantitative",
              title: "× native llama.cpp",
              scale: { domain: [0, highest * ROOM_FOR_LABELS] },
            },
            y,
            color: {
              field: "engine",
              type: "nominal",
              legend: null,
              scale: { domain: engines, range: engines.map((_, idx) => COLOURS[idx] ?? PEER_COLOUR) },
            },
          },
        },
        {
          mark: { type: "rule", color: "#222222" },
          encoding: { x: { field: "min", type: "quantitative" }, x2: { field: "max" }, y },
        },
        { mark: { type: "rule", strokeDash: [3, 3], color: "#d55e00" }, encoding: { x: { datum: 1 } } },
        {
          mark: { type: "text", align: "left", dx: 4, fontSize: 9 },
          encoding: { x: { field: "max", type: "quantitative" }, y, text: { field: "median", format: ".2f" } },
        },
      ],
    },
    // In an <img>, which is how Markdown shows it, nobody hears the marks' labels: the page has the numbers.
    config: { aria: false, background: "white", font: "sans-serif", view: { stroke: "#dddddd" } },
  };
}

/** @param {BenchRecord} record */
const subtitle = ({ machine, date }) =>
  `${machine.cpu}, ${machine.chromium}, ${date.slice(0, 10)}; thin lines: lowest to highest round`;

/** The chart as SVG. @param {BenchRecord} record @returns {Promise<string>} */
export async function chart(record) {
  const view = new View(parse(compile(specification(record)).spec), { renderer: "none" });
  return `${await view.toSVG()}\n`;
}
