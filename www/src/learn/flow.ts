import { button, type Svg } from "./drawings.js";
import { STEPS, type Step } from "./textbook.js";

/** Where the boxes stand: rows from top to bottom. */
const ROWS: readonly (readonly ("x" | Step)[])[] = [
  ["x"],
  ["q", "k", "v"],
  ["scores"],
  ["weights"],
  ["heads"],
  ["attn"],
  ["sum1"],
  ["norm1"],
  ["linear1"],
  ["hidden"],
  ["ffn"],
  ["sum2"],
  ["out"],
];
/** Past what the stream flows by itself: from a row to a sum. */
const PAST: readonly (readonly [from: number, to: number])[] = [
  [0, 6],
  [7, 11],
];
const NAMES: Record<"x" | Step, string> = {
  x: "x",
  q: "q",
  k: "k",
  v: "v",
  scores: "q · kᵀ / √Dh",
  weights: "softmax",
  heads: "· v",
  attn: "Wo",
  sum1: "+ x",
  norm1: "LayerNorm",
  linear1: "W₁",
  hidden: "ReLU",
  ffn: "W₂",
  sum2: "+",
  out: "LayerNorm",
};
const [ROW, HEIGHT, SIDE] = [36, 26, 30];

/** The block as boxes from top to bottom; the one that is looked at is filled, and each can be chosen. */
export function drawFlow(svg: Svg, room: number, current: Step, choose: (step: Step) => void): void {
  const width = Math.min(room, 260);
  const wide = width - SIDE - 4;
  svg.attr("viewBox", `0 0 ${width} ${ROWS.length * ROW}`).style("max-width", `${width}px`);
  const y = (row: number) => row * ROW + 4;
  for (const [from, to] of PAST) {
    const path = `M${SIDE} ${y(from) + HEIGHT / 2}H10V${y(to) + HEIGHT / 2}H${SIDE - 2}`;
    svg.append("path").attr("class", "flow-line").attr("d", path);
  }
  ROWS.forEach((row, idx) => {
    const each = (wide - (row.length - 1) * 6) / row.length;
    row.forEach((step, column) => {
      const x = SIDE + column * (each + 6);
      if (idx + 1 < ROWS.length) svg.append("path").attr("class", "flow-line").attr("d", `M${x + each / 2} ${y(idx) + HEIGHT}v${ROW - HEIGHT}`);
      const g = svg.append("g").attr("transform", `translate(${x} ${y(idx)})`).attr("class", step === current ? "flow now" : "flow");
      g.append("rect").attr("width", each).attr("height", HEIGHT).attr("rx", 3);
      g.append("text").attr("x", each / 2).attr("y", 18).attr("text-anchor", "middle").text(NAMES[step]);
      if (step === "x") return;
      const label = `${STEPS.indexOf(step) + 1} ${NAMES[step]}`;
      button(svg, `translate(${x} ${y(idx)})`, label, [each, HEIGHT], () => choose(step));
    });
  });
}
