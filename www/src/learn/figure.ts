import { scaleLinear } from "d3-scale";
import { select, type Selection } from "d3-selection";
import { make } from "../dom.js";

/** What every figure has beside its picture. */
export interface Told {
  /** The picture in a sentence. */
  alt: string;
  head: readonly string[];
  rows: readonly (readonly (string | number)[])[];
}

/** A row of a bar chart. */
export interface Bar {
  label: string;
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
  /** From 0 to 1; `undefined`: there is nothing. */
  value: (row: number, column: number) => number | undefined;
  /** What stands in a cell, if anything. */
  text?: (row: number, column: number) => string;
}

type Svg = Selection<SVGSVGElement, unknown, null, undefined>;

const ROW = 28;

/** Short enough for an axis, with spaces that can be seen. */
export const shown = (piece: string) => (piece === "" ? "·" : piece.replaceAll(" ", "␣").replaceAll("\n", "⏎"));

/** A picture with a caption, a sentence that tells it, and the same as a table. */
export class Figure {
  readonly root = make("figure", "", { className: "fig" });
  readonly #svg: SVGSVGElement;
  readonly #table: HTMLTableElement;
  #draw: (() => void) | undefined;

  constructor(caption: string, tableLabel: string, id: string) {
    this.#svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    this.#svg.setAttribute("role", "group");
    this.#table = make("table");
    const scroll = make("div", "", { className: "scroll", tabIndex: 0, role: "region" });
    scroll.setAttribute("aria-label", caption);
    scroll.append(this.#table);
    const details = make("details");
    details.append(make("summary", tableLabel), scroll);
    const picture = make("div", "", { className: "picture", tabIndex: 0, role: "group" });
    picture.setAttribute("aria-label", caption);
    picture.append(this.#svg);
    this.root.dataset.testid = id;
    this.root.append(picture, make("figcaption", caption), details);
    new ResizeObserver(() => this.#draw?.()).observe(this.root);
  }

  bars(bars: readonly Bar[], told: Told, most = Math.max(...bars.map(({ value }) => value), 1e-9)): void {
    this.#show(told, (svg, width) => {
      const label = Math.min(150, width * 0.34);
      const x = scaleLinear([0, most], [0, Math.max(width - label - 86, 20)]);
      svg.attr("viewBox", `0 0 ${width} ${bars.length * ROW}`);
      bars.forEach((bar, idx) => {
        const g = svg.append("g").attr("transform", `translate(0 ${idx * ROW})`).attr("class", bar.out ? "bar out" : "bar");
        g.append("text").attr("x", label - 8).attr("y", 18).attr("text-anchor", "end").text(clip(bar.label, label));
        g.append("rect").attr("x", label).attr("y", 5).attr("height", ROW - 10).attr("width", Math.max(x(bar.value), 1));
        g.append("text").attr("class", "value").attr("x", label + x(bar.value) + 6).attr("y", 18).text(bar.note);
        button(svg, `translate(0 ${idx * ROW})`, `${bar.label} ${bar.note}`, [width, ROW], bar.act);
      });
    });
  }

  heat(heat: Heat, told: Told, act?: (row: number, column: number) => void): void {
    this.#show(told, (svg, room) => {
      const label = Math.min(96, room * 0.25);
      const size = Math.max(Math.min((room - label) / heat.columns.length, 44), heat.text ? 40 : 13);
      const width = Math.max(room, label + size * heat.columns.length);
      const top = 62;
      const height = Math.min(size, 30);
      svg.attr("viewBox", `0 0 ${width} ${top + heat.rows.length * height}`).style("min-width", `${label + size * heat.columns.length}px`);
      heat.columns.forEach((column, j) => {
        const at = `translate(${label + (j + 0.6) * size} ${top - 6}) rotate(-52)`;
        svg.append("text").attr("transform", at).text(clip(column, 76));
      });
      heat.rows.forEach((row, i) => {
        const y = top + i * height;
        svg.append("text").attr("x", label - 6).attr("y", y + height / 2 + 4).attr("text-anchor", "end").text(clip(row, label));
        heat.columns.forEach((column, j) => {
          const value = heat.value(i, j);
          if (value === undefined) return;
          const at = `translate(${label + j * size} ${y})`;
          const g = svg.append("g").attr("transform", at).attr("class", "cell");
          g.append("rect").attr("class", "frame").attr("width", size - 1).attr("height", height - 1);
          g.append("rect").attr("class", "ink").attr("width", size - 1).attr("height", height - 1).style("opacity", value);
          const text = heat.text?.(i, j);
          if (text !== undefined) g.append("text").attr("class", value > 0.55 ? "over" : "").attr("x", 4).attr("y", height / 2 + 4).text(clip(text, size + 10));
          g.append("title").text(`${row} → ${column}: ${value.toFixed(2)}`);
          button(svg, at, `${row}, ${column}: ${text ?? ""}`, [size, height], act && (() => act(i, j)));
        });
      });
    });
  }

  points(points: readonly { label: string; x: number; y: number; strong?: boolean }[], told: Told): void {
    this.#show(told, (svg, width) => {
      const height = Math.min(width * 0.75, 420);
      const range = (values: number[]) => [Math.min(...values), Math.max(...values)] as [number, number];
      const x = scaleLinear(range(points.map((one) => one.x)), [30, width - 70]);
      const y = scaleLinear(range(points.map((one) => one.y)), [height - 20, 20]);
      svg.attr("viewBox", `0 0 ${width} ${height}`);
      for (const { label, strong, ...at } of points) {
        const g = svg.append("g").attr("transform", `translate(${x(at.x)} ${y(at.y)})`).attr("class", strong ? "point strong" : "point");
        g.append("circle").attr("r", strong ? 5 : 3);
        g.append("text").attr("x", 7).attr("y", 4).text(label);
      }
    });
  }

  /** One or two curves over whole numbers. */
  curves(curves: readonly { label: string; values: readonly number[] }[], told: Told, mark?: number): void {
    this.#show(told, (svg, width) => {
      const height = 200;
      const all = curves.flatMap(({ values }) => values);
      const x = scaleLinear([0, Math.max(...curves.map(({ values }) => values.length)) - 1], [36, width - 8]);
      const y = scaleLinear([Math.min(0, ...all), Math.max(...all)], [height - 22, 12]).nice();
      svg.attr("viewBox", `0 0 ${width} ${height}`);
      for (const tick of y.ticks(4)) {
        svg.append("line").attr("class", "grid").attr("x1", 36).attr("x2", width).attr("y1", y(tick)).attr("y2", y(tick));
        svg.append("text").attr("x", 30).attr("y", y(tick) + 4).attr("text-anchor", "end").text(String(tick));
      }
      for (const tick of x.ticks(6)) svg.append("text").attr("x", x(tick)).attr("y", height - 4).attr("text-anchor", "middle").text(String(tick));
      curves.forEach(({ values }, idx) => {
        const path = values.map((value, at) => `${at ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("");
        svg.append("path").attr("class", `curve curve-${idx}`).attr("d", path);
        if (mark !== undefined && values[mark] !== undefined) {
          svg.append("circle").attr("class", "mark").attr("r", 5).attr("cx", x(mark)).attr("cy", y(values[mark] as number));
        }
      });
    });
  }

  #show(told: Told, draw: (svg: Svg, width: number) => void): void {
    this.#svg.setAttribute("aria-label", told.alt);
    const head = make("tr");
    head.append(...told.head.map((text) => make("th", text, { scope: "col" })));
    const body = told.rows.map((row) => {
      const tr = make("tr");
      tr.append(...row.map((cell, idx) => (idx === 0 ? make("th", String(cell), { scope: "row" }) : make("td", String(cell)))));
      return tr;
    });
    const [thead, tbody] = [make("thead"), make("tbody")];
    thead.append(head);
    tbody.append(...body);
    this.#table.replaceChildren(thead, tbody);
    this.#draw = () => {
      const buttons = () => [...this.#svg.querySelectorAll<SVGElement>("[tabindex]")];
      const had = buttons().indexOf(document.activeElement as SVGElement);
      this.#svg.replaceChildren();
      draw(select(this.#svg), Math.max(this.root.clientWidth, 240));
      if (had >= 0) buttons()[had]?.focus({ preventScroll: true });
    };
    this.#draw();
  }
}

/** Lays a button over a part of a picture. */
function button(svg: Svg, at: string, label: string, [width, height]: [number, number], act?: () => void): void {
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
function clip(text: string, width: number): string {
  let left = width / 7;
  let at = 0;
  for (const letter of text) {
    left -= letter > "\u2e80" ? 2 : 1;
    if (left < 1) return `${text.slice(0, at)}…`;
    at += letter.length;
  }
  return text;
}
