import { need } from "./dom.js";

/** Where on the page something happened. */
export type Place = "composer" | "settings" | "model" | "chooser";

/** Something the reader can do about an error. */
export interface WayOut {
  label: string;
  act: () => void;
}

/** The page's one error message. It stands wherever the person who caused it is looking. */
export class Notices {
  readonly #error = need("error", HTMLElement);
  readonly #text = need("error-text", HTMLElement);
  readonly #action = need("error-action", HTMLButtonElement);
  #wayOut: WayOut | undefined;

  constructor() {
    need("error-close", HTMLButtonElement).addEventListener("click", () => this.clear());
    this.#action.addEventListener("click", () => {
      const wayOut = this.#wayOut;
      this.clear();
      wayOut?.act();
    });
  }

  /** Shows an error at a place, with a way out where the page itself has one. */
  show(place: Place, message: string, wayOut?: WayOut): void {
    this.#error.hidden = true;
    need(`${place}-notices`, HTMLElement).append(this.#error);
    this.#text.textContent = message;
    this.#wayOut = wayOut;
    this.#action.hidden = !wayOut;
    this.#action.textContent = wayOut?.label ?? "";
    this.#error.hidden = false;
    this.#error.scrollIntoView({ block: "nearest" });
  }

  clear(): void {
    this.#error.hidden = true;
    this.#text.textContent = "";
  }
}
