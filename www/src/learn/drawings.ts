import { scaleLinear } from "d3-scale";
import type { Selection } from "d3-selection";

/** A row of a bar chart. */
export interface Bar {
  label: string;
  /** Where some are below 0, bars begin in the middle. */
  value: number;
  /** What is written behind the bar. */
  note: string;
  /** Drawn pale: it is out. */
  out?: boolean;
  /** Called by a click or the keyboard, where the bar is a button. */
  act?: (() => void) | undefined;
}

/** A table of values as colours. */
export interface Heat {
  rows: readonly string[];
  columns: readonly string[];
  /** From −1 to 1, below 0 in another colour; `undefined`: there is nothing. */
  value: (row: number, column: number) => number | undefined;
  /** What stands in a cell, if anything. */
  text?: (row: number, column: number) => string;
  /** Whether a cell is framed: what is chosen. */
  chosen?: (row: number, column: number) => boolean;
}

/** A point of a map. */
export interface Point {
  label: string;
  x: number;
  y: number;
  strong?: boolean;
}

/** A curve over whole numbers, from 0 on. */
export interface Curve {
  label: string;
  values: readonly number[];
}

/** An arrow in the unit circle, or of any length: the circle is made to fit. */
export interface Arrow {
  label: string;
  x: number;
  y: number;
}

export type Svg = Selection<SVGSVGElement, unknown, null, undefined>;

const ROW = 28;

/** Short enough for an axis, with spaces that can be seen. */
export const shown = (piece: string) => (piece === "" ? "·" : piece.replaceAll(" ", "␣").replaceAll("\n", "⏎"));

/** A bar for each row; `most` is the length of the longest possible. */
export function drawBars(svg: Svg, width: number, bars: readonly Bar[], most: number): void {
  const label = Math.min(150, width * 0.34);
  const isSigned = bars.some(({ value }) => value < 0);
  const room = Math.max(width - label - 86, 40);
  const x = scaleLinear([isSigned ? -most : 0, most], [label, label + room]);
  svg.attr("viewBox", `0 0 ${width} ${bars.length * ROW}`);
  if (isSigned) svg.append("line").attr("class", "grid").attr("x1", x(0)).attr("x2", x(0)).attr("y1", 0).attr("y2", bars.length * ROW);
  bars.forEach((bar, idx) => {
    const kind = `bar${bar.out ? " out" : ""}${bar.value < 0 ? " less" : ""}`;
    const g = svg.append("g").attr("transform", `translate(0 ${idx * ROW})`).attr("class", kind);
    const [from, to] = [Math.min(x(0), x(bar.value)), Math.max(x(0), x(bar.value))];
    g.append("text").attr("x", label - 8).attr("y", 18).attr("text-anchor", "end").text(clip(bar.label, label));
    g.append("rect").attr("x", from).attr("y", 5).attr("height", ROW - 10).attr("width", Math.max(to - from, 1));
    g.append("text").attr("class", "value").attr("x", to + 6).attr("y", 18).text(bar.note);
    button(svg, `translate(0 ${idx * ROW})`, `${bar.label} ${bar.note}`, [width, ROW], bar.act);
  });
}

/** Cells, as wide as there is room, and as their texts need: where they need more, the picture scrolls. */
export function drawHeat(svg: Svg, room: number, heat: Heat, act?: (row: number, column: number) => void): void {
  const label = Math.min(96, room * 0.25, Math.max(...heat.rows.map(widthOf)) + 12);
  // What the last name leans over its column.
  const last = heat.columns.at(-1) ?? "";
  const lean = isShort(last) ? 2 : 0.62 * Math.min(widthOf(last), MOST_HEAD) + 4;
  const size = Math.max(Math.min((room - label - lean) / heat.columns.length, 44), heat.text ? 44 : 13);
  const [top, height] = [headHeight(heat.columns), Math.min(size, 30)];
  const full = label + size * heat.columns.length + lean;
  const width = Math.max(room, full);
  svg.attr("viewBox", `0 0 ${width} ${top + heat.rows.length * height}`).style("min-width", full > room ? `${full}px` : "");
  const every = heat.columns.every(isShort) ? Math.ceil((Math.max(...heat.columns.map(widthOf)) + 3) / size) : 1;
  heat.columns.forEach((column, j) => {
    if (j % every !== 0) return;
    const leans = !isShort(column);
    const at = `translate(${label + (j + (leans ? 0.6 : 0.5)) * size} ${top - 6})${leans ? " rotate(-52)" : ""}`;
    svg.append("text").attr("transform", at).attr("text-anchor", leans ? "start" : "middle").text(clip(column, MOST_HEAD));
  });
  heat.rows.forEach((row, i) => {
    heat.columns.forEach((column, j) => {
      const value = heat.value(i, j);
      if (value === undefined) return;
      const at = `translate(${label + j * size} ${top + i * height})`;
      const g = svg.append("g").attr("transform", at).attr("class", heat.chosen?.(i, j) ? "cell chosen" : "cell");
      g.append("rect").attr("class", "frame").attr("width", size - 1).attr("height", height - 1);
      const ink = g.append("rect").attr("class", value < 0 ? "ink less" : "ink").attr("width", size - 1).attr("height", height - 1);
      ink.style("opacity", Math.min(Math.abs(value), 1));
      const text = heat.text?.(i, j);
      if (text !== undefined) g.append("text").attr("class", shadeOf(value)).attr("x", 4).attr("y", height / 2 + 4).text(clip(text, size + 6));
      g.append("title").text(`${row} → ${column}: ${text ?? value.toFixed(2)}`);
      button(svg, at, `${row}, ${column}: ${text ?? value.toFixed(2)}`, [size, height], act && (() => act(i, j)));
    });
  });
  // Last, and on paper of their own: they stay when what is beside them scrolls.
  const names = svg.append("g").attr("class", "row-names");
  names.append("rect").attr("x", -4).attr("width", label + 3).attr("height", top + heat.rows.length * height);
  heat.rows.forEach((row, i) => {
    names.append("text").attr("x", label - 6).attr("y", top + (i + 0.5) * height + 4).attr("text-anchor", "end").text(clip(row, label));
  });
}

/** How full a cell's colour is, for the text on it: what can be read on a middle shade differs between light and dark. */
const shadeOf = (value: number) => (value > 0.765 || value < -0.8 ? "over" : Math.abs(value) > 0.595 ? "middle" : "");

/** Numbers stand upright above their columns, words lean. */
const isShort = (name: string) => /^\d{1,3}$/.test(name);
/** As much of a leaning name as is drawn, in px along it. */
const MOST_HEAD = 100;
const headHeight = (columns: readonly string[]) =>
  columns.every(isShort) ? 22 : Math.max(62, 14 + 0.8 * Math.min(MOST_HEAD, Math.max(...columns.map(widthOf))));
/** About how wide a text is, in px. */
const widthOf = (text: string) => [...text].reduce((sum, letter) => sum + (letter > "\u2e80" ? 14 : 7.5), 0);

/** A map of points, as wide as high in its units. */
export function drawPoints(svg: Svg, width: number, points: readonly Point[]): void {
  const height = Math.min(width * 0.75, 420);
  const range = (values: number[]) => [Math.min(...values), Math.max(...values)] as [number, number];
  const x = scaleLinear(range(points.map((one) => one.x)), [30, width - 70]);
  const y = scaleLinear(range(points.map((one) => one.y)), [height - 20, 20]);
  svg.attr("viewBox", `0 0 ${width} ${height}`);
  const taken: Box[] = points.map((at) => ({ x: x(at.x) - 3, y: y(at.y) - 3, width: 6, height: 6 }));
  for (const { label, strong, ...at } of points) {
    const g = svg.append("g").attr("transform", `translate(${x(at.x)} ${y(at.y)})`).attr("class", strong ? "point strong" : "point");
    g.append("circle").attr("r", strong ? 5 : 3);
    g.append("title").text(label);
    // Beside its point, below or above it, wherever no other stands; where all is full, the table has it.
    const wide = widthOf(label);
    const free = [[7, 4], [-wide - 7, 4], [-wide / 2, 18], [-wide / 2, -8]].find(([dx = 0, dy = 0]) => {
      const box = { x: x(at.x) + dx, y: y(at.y) + dy - 11, width: wide, height: 14 };
      const isFree = box.x >= 0 && box.x + wide <= width && !taken.some((other) => meet(box, other));
      if (isFree) taken.push(box);
      return isFree;
    });
    if (free) g.append("text").attr("x", free[0] as number).attr("y", free[1] as number).text(label);
  }
}

interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

const meet = (a: Box, b: Box) => a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;

/** Where on curves a mark is, counted in values, and how much one step from value to value is on the axis: 1 by default. */
export interface Mark {
  at: number;
  unit?: number;
}

/** Curves from 0 on, and a mark on each. */
export function drawCurves(svg: Svg, width: number, curves: readonly Curve[], mark?: Mark): void {
  const height = 200;
  const all = curves.flatMap(({ values }) => values);
  const unit = mark?.unit ?? 1;
  const x = scaleLinear([0, (Math.max(...curves.map(({ values }) => values.length)) - 1) * unit], [44, width - 8]);
  const y = scaleLinear([Math.min(0, ...all), Math.max(...all)], [height - 22, 12]).nice();
  svg.attr("viewBox", `0 0 ${width} ${height}`);
  for (const tick of y.ticks(4)) {
    svg.append("line").attr("class", "grid").attr("x1", 44).attr("x2", width).attr("y1", y(tick)).attr("y2", y(tick));
    svg.append("text").attr("x", 38).attr("y", y(tick) + 4).attr("text-anchor", "end").text(y.tickFormat(4)(tick));
  }
  for (const tick of x.ticks(6)) svg.append("text").attr("x", x(tick)).attr("y", height - 4).attr("text-anchor", "middle").text(String(tick));
  curves.forEach(({ values }, idx) => {
    const path = values.map((value, at) => `${at ? "L" : "M"}${x(at * unit).toFixed(1)} ${y(value).toFixed(1)}`).join("");
    svg.append("path").attr("class", `curve curve-${idx}`).attr("d", path);
    const value = mark && values[Math.round(mark.at)];
    if (value !== undefined) svg.append("circle").attr("class", "mark").attr("r", 5).attr("cx", x((mark?.at ?? 0) * unit)).attr("cy", y(value));
  });
}

/** Arrows from the middle of a circle. */
export function drawArrows(svg: Svg, width: number, arrows: readonly Arrow[]): void {
  const size = Math.min(width, 300);
  const most = Math.max(...arrows.map(({ x, y }) => Math.hypot(x, y)), 1e-9);
  const [middle, unit] = [size / 2, (size / 2 - 34) / most];
  svg.attr("viewBox", `0 0 ${Math.max(width, size)} ${size}`);
  const g = svg.append("g").attr("transform", `translate(${(Math.max(width, size) - size) / 2} 0)`);
  g.append("circle").attr("class", "ring").attr("cx", middle).attr("cy", middle).attr("r", most * unit);
  arrows.forEach(({ label, x, y }, idx) => {
    const [toX, toY] = [middle + x * unit, middle - y * unit];
    g.append("line").attr("class", `curve curve-${idx}`).attr("x1", middle).attr("y1", middle).attr("x2", toX).attr("y2", toY);
    g.append("circle").attr("class", idx ? "mark other" : "mark").attr("r", 5).attr("cx", toX).attr("cy", toY);
    g.append("text").attr("x", toX + (x < 0 ? -9 : 9)).attr("y", toY + (y < 0 ? 15 : -7)).attr("text-anchor", x < 0 ? "end" : "start").text(label);
  });
}

/** Lays a button over a part of a picture. */
export function button(svg: Svg, at: string, label: string, [width, height]: [number, number], act?: () => void): void {
  if (!act) return;
  const g = svg.append("g").attr("transform", at);
  g.append("rect").attr("class", "hit").attr("width", width).attr("height", height);
  g.attr("role", "button").attr("tabindex", 0).attr("aria-label", label).on("click", act);
  g.on("keydown", (event: KeyboardEvent) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    act();
  });
}

/** As much of a text as has room, at about 7 px a letter, and 14 where letters are wide. */
export function clip(text: string, width: number): string {
  let left = width / 7;
  let at = 0;
  for (const letter of text) {
    left -= letter > "\u2e80" ? 2 : 1;
    if (left < 1) return `${text.slice(0, at)}…`;
    at += letter.length;
  }
  return text;
}
