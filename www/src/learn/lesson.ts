import type { Model } from "pagelm";
import { make } from "../dom.js";
import { Figure } from "./figure.js";
import type { State } from "./state.js";
import type { StringKey } from "./strings/index.js";

/** What a lesson is made with. */
export interface Context {
  /** A string in the reader's language, with {names} filled in. */
  t: (key: StringKey, values?: Record<string, string | number>) => string;
  state: State;
  /**
   * Runs work with the model as soon as it is there. Of works that wait under one name only the last is done; each has the model
   * to itself. Failures are shown.
   */
  run: (name: string, work: (model: Model) => Promise<void>) => void;
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
export function textField(context: Context, name: string, label: string, otherwise: string, changed: () => void) {
  const field = make("textarea", "", { rows: 2, value: context.state.text(name, otherwise), spellcheck: false });
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
  return { root, get: () => Number(input.value), limit };
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

/** A figure of a lesson. */
export function figure({ t }: Context, caption: StringKey, id: string): Figure {
  return new Figure(t(caption), t("figure.table"), id);
}

/** The pieces of some tokens, as text. */
export async function piecesOf(model: Model, tokens: ArrayLike<number>): Promise<string[]> {
  return Promise.all(Array.from(tokens, (token) => model.detokenize([token])));
}

/** At most so many tokens of a text: what a figure has room for. */
export async function tokensOf(model: Model, text: string, most: number): Promise<Uint32Array> {
  return (await model.tokenize(text)).subarray(0, Math.min(most, model.info.nCtx));
}

export const percent = (p: number) => (p >= 0.0995 ? `${(100 * p).toFixed(0)} %` : `${(100 * p).toFixed(p >= 0.00095 ? 1 : 2)} %`);
