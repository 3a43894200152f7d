import { make } from "../dom.js";
import { type Context, percent, press } from "../learn/lesson.js";

/** The tokens of a text in a row: one is chosen, and a reader steps to the next and back. */
export class Strip {
  readonly root = make("div", "", { className: "strip" });
  readonly #list = make("div", "", { className: "pieces", role: "toolbar" });
  readonly #changed: () => void;
  readonly #state: Context["state"];
  #n = 0;
  #at = 0;

  constructor({ t, state }: Context, changed: () => void) {
    [this.#changed, this.#state] = [changed, state];
    this.#list.setAttribute("aria-label", t("bench.tokens"));
    this.#list.dataset.testid = "strip";
    const back = press(`← ${t("bench.back")}`, "back", () => this.move(this.#at - 1));
    const forward = press(`${t("bench.forward")} →`, "forward", () => this.move(this.#at + 1));
    const buttons = make("div", "", { className: "switch" });
    buttons.append(back, forward);
    this.root.append(this.#list, buttons);
    this.#list.addEventListener("keydown", (event) => {
      const to = { ArrowLeft: this.#at - 1, ArrowRight: this.#at + 1, Home: 0, End: this.#n - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      this.move(to);
      (this.#list.children[this.#at] as HTMLElement | undefined)?.focus();
    });
  }

  /** The token that is chosen, counted from 0. */
  get at(): number {
    return this.#at;
  }

  /** Shows a text; `chances` are how likely each token was after those before it. Without a place in the address, the last is chosen. */
  show(pieces: readonly string[], chances: readonly (number | undefined)[]): void {
    this.#n = pieces.length;
    this.#at = this.#state.number("at", pieces.length, 1, pieces.length) - 1;
    this.#list.replaceChildren(
      ...pieces.map((piece, idx) => {
        const button = make("button", piece, { type: "button" });
        const chance = chances[idx];
        button.append(make("small", chance === undefined ? "·" : percent(chance)));
        button.addEventListener("click", () => this.move(idx));
        return button;
      }),
    );
    this.#mark();
  }

  /** Chooses a token. */
  move(to: number): void {
    const at = Math.max(0, Math.min(to, this.#n - 1));
    if (at === this.#at) return;
    this.#at = at;
    this.#state.set({ at: at === this.#n - 1 ? undefined : at + 1 });
    this.#mark();
    this.#changed();
  }

  #mark(): void {
    [...this.#list.children].forEach((button, idx) => {
      button.setAttribute("aria-pressed", String(idx === this.#at));
      (button as HTMLElement).tabIndex = idx === this.#at ? 0 : -1;
    });
  }
}
