import type { Model } from "pagelm";
import type { Figure } from "./figure.js";
import type { Context } from "./lesson.js";
import type { Habits } from "./numbers.js";

/** What a head may be in the habit of, in the order in which it is offered. */
export const HABITS = ["previous", "first", "self", "spread"] as const satisfies readonly (keyof Habits)[];

/** How a map of heads is drawn. */
export interface HeadMap {
  /** The value that has the full colour. */
  most: number;
  /** The map in a sentence. */
  alt: string;
  act?: (layer: number, head: number) => void;
  chosen?: (layer: number, head: number) => boolean;
  /** What is crossed out. */
  off?: (layer: number, head: number) => boolean;
  /** Further columns behind the heads, of `more[column].values[layer]`; `text` stands for numbers that say nothing. */
  more?: readonly { name: string; values: readonly number[]; text?: string | undefined }[];
  digits?: number;
}

/** A map of layers by heads: one value for each, layer by layer. */
export function headMap({ t }: Context, map: Figure, { info }: Pick<Model, "info">, values: readonly (number | undefined)[], how: HeadMap): void {
  const { nLayer, nHead } = info;
  const { more = [], digits = 2 } = how;
  const rows = Array.from({ length: nLayer }, (_, layer) => `${t("layer")} ${layer + 1}`);
  const columns = [...Array.from({ length: nHead }, (_, head) => String(head + 1)), ...more.map(({ name }) => name)];
  const value = (i: number, j: number) => (j < nHead ? values[i * nHead + j] : more[j - nHead]?.values[i]);
  const text = (i: number, j: number) => (how.off?.(i, j) ? "×" : (more[j - nHead]?.text ?? value(i, j)?.toFixed(digits) ?? ""));
  const { act, chosen } = how;
  map.heat(
    {
      rows,
      columns,
      value: (i, j) => {
        const own = value(i, j);
        return own === undefined ? undefined : Math.max(-1, Math.min(own / (how.most || 1), 1));
      },
      text,
      ...(chosen && { chosen }),
    },
    {
      alt: how.alt,
      head: [t("layer"), ...columns.map((name, j) => (j < nHead ? `${t("head")} ${name}` : name))],
      rows: rows.map((row, i) => [row, ...columns.map((_, j) => more[j - nHead]?.text ?? value(i, j)?.toFixed(digits + 1) ?? "")]),
    },
    act,
  );
}
