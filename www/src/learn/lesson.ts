import type { Model } from "pagelm";
import { make } from "../dom.js";
import { Figure } from "./figure.js";
import { learnParts } from "./names.js";
import type { State } from "./state.js";
import type { StringKey } from "./strings/index.js";
import type { Work } from "./turns.js";

export { canFollow, namesOf, piecesOf } from "./names.js";

/** What a lesson is made with. */
export interface Context {
  /** A string in the reader's language, with {names} filled in. */
  t: (key: StringKey, values?: Record<string, string | number>) => string;
  state: State;
  /**
   * Runs work with the model as soon as it is there. Of works that wait under one name only the last is done; each has the model
   * to itself. Failures are shown.
   */
  run: (name: string, work: Work) => void;
}

/** One page. */
export interface Lesson {
  /** Its name in addresses and strings. */
  key: string;
  build: (root: HTMLElement, context: Context) => void;
}

/** A paragraph whose **strong** words are so. */
export function paragraph(text: string, className = ""): HTMLParagraphElement {
  const p = make("p", "", { className });
  p.append(...text.split("**").map((part, idx) => (idx % 2 ? make("strong", part) : part)));
  return p;
}

/** What a figure says in words and numbers; read out when it changes. */
export function told(id: string): HTMLParagraphElement {
  const p = make("p", "", { className: "told", role: "status" });
  p.dataset.testid = id;
  return p;
}

/** A group of controls. */
export function controls(...parts: HTMLElement[]): HTMLElement {
  const div = make("div", "", { className: "controls" });
  div.append(...parts);
  return div;
}

let lastId = 0;

function labelled(label: string, field: HTMLElement, ...more: HTMLElement[]): HTMLElement {
  field.id = `field-${(lastId += 1)}`;
  const div = make("div", "", { className: "control" });
  div.append(make("label", label, { htmlFor: field.id }), ...more, field);
  return div;
}

/** A text that is kept in the address under `name`. */
export function textField(context: Context, name: string, label: string, otherwise: string, changed: () => void, rows = 2) {
  const field = make("textarea", "", { rows, value: context.state.text(name, otherwise), spellcheck: false });
  field.dataset.testid = name;
  field.addEventListener("input", () => {
    context.state.set({ [name]: field.value });
    changed();
  });
  const root = labelled(label, field);
  root.classList.add("wide");
  return { root, get: () => field.value };
}

/** A number on a slider, kept in the address. */
export function slider(context: Context, name: string, label: string, [least, most, step, otherwise]: [number, number, number, number], changed: () => void) {
  const input = make("input", "", { type: "range", min: String(least), max: String(most), step: String(step) });
  const value = make("output");
  const show = () => {
    value.textContent = String(Number(input.value));
    input.style.setProperty("--filled", `${(100 * (input.valueAsNumber - least)) / (Number(input.max) - least || 1)}%`);
  };
  input.value = String(context.state.number(name, otherwise, least, most));
  input.dataset.testid = name;
  input.addEventListener("input", () => {
    context.state.set({ [name]: input.value });
    show();
    changed();
  });
  show();
  const root = labelled(label, input, value);
  const limit = (max: number) => {
    input.max = String(max);
    show();
  };
  const set = (to: number) => {
    input.value = String(to);
    context.state.set({ [name]: input.value });
    show();
  };
  return { root, get: () => Number(input.value), limit, set };
}

/** A tick, kept in the address. */
export function check(context: Context, name: string, label: string, otherwise: boolean, changed: () => void) {
  const input = make("input", "", { type: "checkbox", checked: context.state.number(name, Number(otherwise), 0, 1) === 1 });
  input.dataset.testid = name;
  input.addEventListener("change", () => {
    context.state.set({ [name]: Number(input.checked) });
    changed();
  });
  const root = make("label", "", { className: "check" });
  root.append(input, ` ${label}`);
  return { root, get: () => input.checked };
}

/** One of a few, kept in the address. */
export function choose<T extends string>(context: Context, name: string, label: string, options: readonly (readonly [T, string])[], changed: () => void) {
  const field = make("select");
  field.append(...options.map(([value, text]) => make("option", text, { value })));
  const [first] = options[0] as readonly [T, string];
  const asked = context.state.text(name, first);
  field.value = options.some(([value]) => value === asked) ? asked : first;
  field.dataset.testid = name;
  field.addEventListener("change", () => {
    context.state.set({ [name]: field.value });
    changed();
  });
  const set = (to: T) => {
    field.value = to;
    context.state.set({ [name]: to });
  };
  /** Puts others in place of the options; what was chosen or stands in the address stays, if it is among them. */
  const offer = (others: readonly (readonly [string, string])[]) => {
    const wanted = context.state.text(name, field.value);
    field.replaceChildren(...others.map(([value, text]) => make("option", text, { value })));
    field.value = others.some(([value]) => value === wanted) ? wanted : (others[0]?.[0] ?? "");
  };
  return { root: labelled(label, field), get: () => field.value as T, set, offer };
}

/** A button that does something, with its label. */
export function press(label: string, id: string, act: () => void, className = ""): HTMLButtonElement {
  const button = make("button", label, { type: "button", className });
  button.dataset.testid = id;
  button.addEventListener("click", act);
  return button;
}

/** The largest number that a table takes: products of larger ones are soon none at all. */
const MOST = 1000;
const within = (value: number) => (Number.isFinite(value) ? Math.max(-MOST, Math.min(value, MOST)) : 0);

/** A small table of numbers that can be changed, kept in the address as rows between semicolons. */
export function numberTable(context: Context, name: string, title: string, otherwise: string, cell: (row: number, column: number) => string, changed: () => void) {
  const parse = (text: string) => text.split(";").map((row) => row.split(",").map(Number));
  const [asked, own] = [parse(context.state.text(name, otherwise)), parse(otherwise)];
  const sound = asked.length === own.length && asked.every((row, i) => row.length === own[i]?.length && row.every(Number.isFinite));
  const values = sound ? asked.map((row) => row.map(within)) : own;
  const root = make("table", "", { className: "numbers" });
  root.append(make("caption", title));
  values.forEach((row, i) => {
    const tr = make("tr");
    row.forEach((value, j) => {
      const input = make("input", "", { type: "number", step: "0.5", min: String(-MOST), max: String(MOST), value: String(value) });
      input.setAttribute("aria-label", cell(i + 1, j + 1));
      input.dataset.testid = `${name}-${i}-${j}`;
      input.addEventListener("input", () => {
        row[j] = within(input.valueAsNumber);
        context.state.set({ [name]: values.map((one) => one.join(",")).join(";") });
        changed();
      });
      const td = make("td");
      td.append(input);
      tr.append(td);
    });
    root.append(tr);
  });
  return { root, values };
}

/** A figure of a lesson. */
export function figure({ t }: Context, caption: StringKey, id: string): Figure {
  return new Figure({ caption: t(caption), table: t("figure.table"), save: t("figure.save") }, id);
}

/** What a reader is told in place of a figure. */
export class Notice extends Error {
  constructor(readonly key: StringKey) {
    super(key);
  }
}

/**
 * The tokens of a text.
 *
 * # Errors
 * A notice, where the vocabulary has no piece of it.
 */
async function allTokensOf(model: Model, text: string): Promise<Uint32Array> {
  const tokens = await model.tokenize(text);
  if (tokens.length === 0 && text !== "") throw new Notice("model.noPieces");
  await learnParts(model, text);
  return tokens;
}

/** At most so many tokens of a text: what a figure has room for. */
export async function tokensOf(model: Model, text: string, most: number): Promise<Uint32Array> {
  return (await allTokensOf(model, text)).subarray(0, Math.min(most, model.info.nCtx));
}

/** The end of a text, so that `room` tokens can follow, or as many as half of a short context has. */
export async function promptOf(model: Model, text: string, room: number): Promise<Uint32Array> {
  const { nCtx } = model.info;
  return (await allTokensOf(model, text)).slice(-(nCtx - Math.min(room, nCtx >> 1)));
}

/**
 * The first token of a word within a text, and whether it is the whole word. Not as the word alone would be read: many
 * vocabularies put a space before a text.
 */
export async function pieceOf(model: Model, word: string): Promise<{ token: number; isWhole: boolean } | undefined> {
  const [text, from] = word.startsWith(" ") ? [`a${word}`, 1] : [word, 0];
  const own = (await model.tokenRanges(text, { addSpecial: false })).filter(({ start, end }) => start >= from && end > from);
  return own[0] && { token: own[0].token, isWhole: own.length === 1 };
}

export const percent = (p: number) => (p >= 0.0995 ? `${(100 * p).toFixed(0)} %` : `${(100 * p).toFixed(p >= 0.00095 ? 1 : 2)} %`);
