/**
 * A lesson's state as a link: everything a reader set is behind the #, which never reaches a server.
 * @module
 */

/** The languages of the lessons. */
export const LANGUAGES = ["en", "zh"] as const;
export type Language = (typeof LANGUAGES)[number];

/** What a reader set: the lesson, the language, and what the lesson itself keeps. */
export class State {
  readonly #params: URLSearchParams;
  readonly #write: (hash: string) => void;

  constructor(hash: string, write: (hash: string) => void) {
    this.#params = new URLSearchParams(hash.replace(/^#/, ""));
    this.#write = write;
  }

  text(name: string, otherwise: string): string {
    return this.#params.get(name) ?? otherwise;
  }

  /** A number from `least` to `most`; what is none, or is outside, becomes `otherwise`. */
  number(name: string, otherwise: number, least: number, most: number): number {
    const text = this.#params.get(name);
    const value = Number(text);
    return text?.trim() && value >= least && value <= most ? value : otherwise;
  }

  get language(): Language {
    const asked = this.#params.get("lang");
    const known = LANGUAGES.find((language) => language === asked);
    return known ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");
  }

  /** Keeps values in the address, without a new entry in the history. */
  set(values: Record<string, string | number | undefined>): void {
    for (const [name, value] of Object.entries(values)) {
      if (value === undefined) this.#params.delete(name);
      else this.#params.set(name, String(value));
    }
    this.#write(`#${this.#params}`);
  }

  /** The address of another lesson, or of the workbench, with the language, the model and the text that are here. */
  link(lesson?: string): string {
    const kept = new URLSearchParams();
    for (const name of ["lang", "model", "text"]) {
      const value = this.#params.get(name);
      if (value !== null) kept.set(name, value);
    }
    if (lesson !== undefined) kept.set("lesson", lesson);
    return `#${kept}`;
  }
}
