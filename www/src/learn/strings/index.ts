import type { Language } from "../state.js";
import { benchEn } from "./bench-en.js";
import { benchZh } from "./bench-zh.js";
import { en } from "./en.js";
import { zh } from "./zh.js";

/** The name of a string: those that the English files have. */
export type StringKey = keyof typeof en | keyof typeof benchEn;
/** All strings of one language. */
export type Strings = Record<StringKey, string>;

/** The strings of each language. */
export const strings: Record<Language, Strings> = { en: { ...en, ...benchEn }, zh: { ...zh, ...benchZh } };

/** The string of this name with {names} filled in. */
export function fill(text: string, values: Record<string, string | number> = {}): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}
