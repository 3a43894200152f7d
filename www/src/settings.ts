import type { GenerateOptions } from "pagelm";
import { copyFrom, need } from "./dom.js";
import { plural } from "./format.js";
import type { LinkState } from "./link.js";

type Slider = "temperature" | "topK" | "topP" | "length";

const shown: Record<Slider, (value: number) => string> = {
  temperature: (value) => value.toFixed(2),
  topK: (value) => (value === 0 ? "all" : String(value)),
  topP: (value) => (value >= 1 ? "all" : value.toFixed(2)),
  length: (value) => plural(value, "token"),
};

/** The sliders and the seed. */
export class Settings {
  readonly #form = need("settings", HTMLFormElement);
  readonly #seed = need("seed", HTMLInputElement);
  readonly #newSeed = need("new-seed", HTMLInputElement);
  readonly #everyToken = need("every-token", HTMLInputElement);
  readonly #sliders = Object.keys(shown).map((id) => need(id, HTMLInputElement));

  constructor() {
    this.#form.addEventListener("input", () => this.#show());
    this.#form.addEventListener("reset", () => queueMicrotask(() => this.#show()));
    this.#form.addEventListener("submit", (event) => event.preventDefault());
    this.#seed.addEventListener("input", () => (this.#newSeed.checked = this.#seed.value.trim() === ""));
    const copy = need("copy-seed", HTMLButtonElement);
    copy.addEventListener("click", () => void copyFrom(copy, this.#seed.value.trim()));
    this.#show();
  }

  /**
   * What the engine is to be asked for. Without a seed it draws one.
   *
   * # Errors
   * A text to show beside the seed, where that is not one.
   */
  read(): GenerateOptions {
    const [temperature, topK, topP, maxTokens] = this.#sliders.map((slider) => slider.valueAsNumber) as [number, number, number, number];
    const options: GenerateOptions = { temperature, topK, topP, maxTokens };
    const text = this.#seed.value.trim();
    if (this.#newSeed.checked || text === "") return options;
    const seed = Number(text);
    if (!/^\d+$/.test(text) || seed >>> 0 !== seed) {
      this.#seed.setAttribute("aria-invalid", "true");
      throw new SeedError(`“${text}” is not a seed: it takes a whole number from 0 to 4294967295.`);
    }
    return { ...options, seed };
  }

  /** Whether the text is shown no faster than a token a frame. */
  get everyToken(): boolean {
    return this.#everyToken.checked;
  }

  /** The seed that is in use. */
  showSeed(seed: number): void {
    this.#seed.value = String(seed);
    this.#seed.removeAttribute("aria-invalid");
  }

  /** The longest text that fits in the model's context. */
  limitLength(nCtx: number): void {
    const length = need("length", HTMLInputElement);
    length.max = String(Math.max(20, Math.floor(nCtx / 20) * 20));
    this.#show();
  }

  /** Takes over what a link holds. */
  apply(link: LinkState): void {
    for (const slider of this.#sliders) {
      const value = link[slider.id as Slider];
      if (value !== undefined) slider.value = String(value);
    }
    if (link.seed !== undefined) {
      this.showSeed(link.seed);
      this.#newSeed.checked = false;
    }
    this.#show();
  }

  /** What a link has to hold to bring these settings back. */
  get link(): LinkState {
    const link: LinkState = {};
    for (const slider of this.#sliders) link[slider.id as Slider] = slider.valueAsNumber;
    return link;
  }

  #show(): void {
    this.#seed.removeAttribute("aria-invalid");
    for (const slider of this.#sliders) {
      const text = shown[slider.id as Slider](slider.valueAsNumber);
      need(`${slider.id}-value`, HTMLOutputElement).value = text;
      slider.setAttribute("aria-valuetext", text);
      const [min, max] = [Number(slider.min), Number(slider.max)];
      slider.style.setProperty("--filled", `${((slider.valueAsNumber - min) / (max - min)) * 100}%`);
    }
  }
}

/** What was typed as a seed is none. */
export class SeedError extends Error {}
