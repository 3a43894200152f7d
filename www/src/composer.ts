import { make, need } from "./dom.js";

/** Beginnings to pick: unfinished, so that the model has something to finish. */
const BEGINNINGS = [
  "Once upon a time, there was a little fox who",
  "One rainy morning, Lily found a tiny door behind",
  "The old robot had never seen the sea. One day",
  "“Where is my red hat?” asked Tom.",
];

/** What the composer asks for. */
export interface ComposerEvents {
  generate(): void;
  stop(): void;
}

/** The field for the beginning, the beginnings to pick, and the two buttons, which it shares with the tasks. */
export class Composer {
  readonly #prompt = need("prompt", HTMLTextAreaElement);
  readonly #generate = need("generate", HTMLButtonElement);
  readonly #stop = need("stop", HTMLButtonElement);
  #writing = false;

  constructor(events: ComposerEvents) {
    const generate = () => {
      if (!this.#writing) events.generate();
    };
    const form = need("composer", HTMLFormElement);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      generate();
    });
    this.#stop.addEventListener("click", () => events.stop());
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.isComposing) return;
      event.preventDefault();
      generate();
    });
    addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.#writing) events.stop();
    });
    this.#prompt.addEventListener("input", () => this.#fit());
    addEventListener("resize", () => this.#fit());
    need("picks", HTMLElement).append(...BEGINNINGS.map((beginning) => this.#makePick(beginning)));
    this.setPrompt(BEGINNINGS[0] as string);
  }

  get prompt(): string {
    return this.#prompt.value;
  }

  setPrompt(prompt: string): void {
    this.#prompt.value = prompt;
    this.#fit();
  }

  /** Which of the two buttons has something to do. The focus is not left on one that has not. */
  setWriting(writing: boolean): void {
    this.#writing = writing;
    const stopHadFocus = document.activeElement === this.#stop;
    this.#stop.disabled = !writing;
    // not `disabled`: that would take the focus from someone who has just pressed it
    this.#generate.setAttribute("aria-disabled", String(writing));
    if (!writing && stopHadFocus) this.#generate.focus();
  }

  #makePick(beginning: string): HTMLButtonElement {
    const pick = make("button", `${beginning} …`, { type: "button", className: "pick" });
    pick.addEventListener("click", () => {
      this.setPrompt(beginning);
      this.#prompt.focus();
      this.#prompt.setSelectionRange(beginning.length, beginning.length);
    });
    return pick;
  }

  /** As high as its text, where the style sheet cannot do that by itself. */
  #fit(): void {
    if (CSS.supports("field-sizing", "content")) return;
    this.#prompt.style.height = "auto";
    this.#prompt.style.height = `${this.#prompt.scrollHeight + 2}px`;
  }
}
