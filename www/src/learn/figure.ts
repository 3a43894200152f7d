import { select } from "d3-selection";
import { make } from "../dom.js";
import { type Arrow, type Bar, type Curve, drawArrows, drawBars, drawCurves, drawHeat, drawPoints, type Heat, type Mark, type Point, type Svg } from "./drawings.js";
import { toCsv, toPng, toSvg } from "./export.js";

export { shown } from "./drawings.js";

/** What every figure has beside its picture. */
export interface Told {
  /** The picture in a sentence. */
  alt: string;
  head: readonly string[];
  rows: readonly (readonly (string | number)[])[];
}

/** What stands on a figure in the reader's language. */
export interface Labels {
  caption: string;
  table: string;
  /** Before the buttons that save it. */
  save: string;
}

/** A picture with a caption, a sentence that tells it, and the same as a table; each of them can be saved as a file. */
export class Figure {
  readonly root = make("figure", "", { className: "fig" });
  readonly #id: string;
  readonly #caption: HTMLElement;
  readonly #svg: SVGSVGElement;
  readonly #table: HTMLTableElement;
  #draw: (() => void) | undefined;
  #told: Told | undefined;
  #width = 0;

  constructor({ caption, table, save }: Labels, id: string) {
    this.#id = id;
    this.#svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    this.#svg.setAttribute("role", "group");
    this.#table = make("table");
    const scroll = make("div", "", { className: "scroll", tabIndex: 0, role: "region" });
    scroll.setAttribute("aria-label", caption);
    scroll.append(this.#table);
    const details = make("details");
    details.append(make("summary", table), scroll, this.#saving(save));
    const picture = make("div", "", { className: "picture", tabIndex: 0, role: "group" });
    picture.setAttribute("aria-label", caption);
    picture.append(this.#svg);
    picture.addEventListener("scroll", () => this.#stick(), { passive: true });
    this.#caption = make("figcaption", caption);
    this.root.dataset.testid = id;
    this.root.append(picture, this.#caption, details);
    new ResizeObserver(() => {
      if (this.root.clientWidth !== this.#width) this.#draw?.();
    }).observe(this.root);
  }

  /** Another caption, where what is shown depends on the reader. */
  set caption(text: string) {
    this.#caption.textContent = text;
  }

  bars(bars: readonly Bar[], told: Told, most = Math.max(...bars.map(({ value }) => Math.abs(value)), 1e-9)): void {
    this.#show(told, (svg, width) => drawBars(svg, width, bars, most));
  }

  heat(heat: Heat, told: Told, act?: (row: number, column: number) => void): void {
    this.#show(told, (svg, room) => drawHeat(svg, room, heat, act));
    this.#reveal();
  }

  points(points: readonly Point[], told: Told): void {
    this.#show(told, (svg, width) => drawPoints(svg, width, points));
  }

  curves(curves: readonly Curve[], told: Told, mark?: Mark): void {
    this.#show(told, (svg, width) => drawCurves(svg, width, curves, mark));
  }

  arrows(arrows: readonly Arrow[], told: Told): void {
    this.#show(told, (svg, width) => drawArrows(svg, width, arrows));
  }

  /** Anything else. */
  draw(told: Told, picture: (svg: Svg, width: number) => void): void {
    this.#show(told, picture);
  }

  /** Scrolls a picture that is too wide to what is chosen in it. */
  #reveal(): void {
    const picture = this.#svg.parentElement as HTMLElement;
    const chosen = [...this.#svg.querySelectorAll(".chosen")].at(-1);
    if (!chosen || picture.scrollWidth <= picture.clientWidth) return;
    const [cell, frame] = [chosen.getBoundingClientRect(), picture.getBoundingClientRect()];
    const left = frame.left + (this.#svg.querySelector(".row-names")?.getBoundingClientRect().width ?? 0);
    if (cell.right > frame.right) picture.scrollLeft += cell.right - frame.right + 8;
    else if (cell.left < left) picture.scrollLeft -= left - cell.left + 8;
    this.#stick();
  }

  /** Keeps the names of rows in sight. */
  #stick(): void {
    const names = this.#svg.querySelector<SVGElement>(".row-names");
    const scale = this.#svg.clientWidth / this.#svg.viewBox.baseVal.width || 1;
    if (names) names.style.transform = `translateX(${(this.#svg.parentElement?.scrollLeft ?? 0) / scale}px)`;
  }

  #saving(label: string): HTMLElement {
    const line = make("p", `${label} `, { className: "saving" });
    const kinds: readonly (readonly [string, () => Promise<Blob> | Blob])[] = [
      ["SVG", () => toSvg(this.#svg)],
      ["PNG", () => toPng(this.#svg)],
      ["CSV", () => toCsv([this.#told?.head ?? [], ...(this.#told?.rows ?? [])])],
      ["JSON", () => this.#json()],
    ];
    for (const [kind, save] of kinds) {
      const button = make("button", kind, { type: "button", className: "quiet" });
      button.setAttribute("aria-label", `${label} ${kind}`);
      button.addEventListener("click", async () => {
        const link = make("a", "", { href: URL.createObjectURL(await save()), download: `${this.#id}.${kind.toLowerCase()}` });
        link.click();
        setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
      });
      line.append(button, " ");
    }
    return line;
  }

  #json(): Blob {
    const { alt, head, rows } = this.#told ?? { alt: "", head: [], rows: [] };
    return new Blob([JSON.stringify({ caption: this.#caption.textContent, alt, head, rows }, undefined, 1)], { type: "application/json" });
  }

  #show(told: Told, draw: (svg: Svg, width: number) => void): void {
    this.#told = told;
    this.#svg.setAttribute("aria-label", told.alt);
    const head = make("tr");
    head.append(...told.head.map((text) => (text === "" ? make("td") : make("th", text, { scope: "col" }))));
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
      this.#width = this.root.clientWidth;
      this.#svg.replaceChildren();
      this.#svg.style.removeProperty("min-width");
      draw(select(this.#svg), Math.max(this.#width, 240));
      this.#stick();
      if (had >= 0) buttons()[had]?.focus({ preventScroll: true });
    };
    this.#draw();
  }
}
