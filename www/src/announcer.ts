const ENOUGH = 120;

/**
 * Cuts a text that arrives letter by letter into whole sentences for a screen reader. A live region that changes many
 * times a second is either not read at all, or never falls silent.
 */
export class Sentences {
  #waiting = "";

  /** Adds a piece; returns what is ready to be read, once that is a good mouthful and ends with a sentence. */
  push(piece: string): string | undefined {
    this.#waiting += piece;
    if (this.#waiting.length < ENOUGH) return undefined;
    let cut = 0;
    for (const end of this.#waiting.matchAll(/[.!?…。！？]["”’»)]*\s+/g)) cut = end.index + end[0].length;
    if (cut === 0) return undefined;
    const ready = this.#waiting.slice(0, cut);
    this.#waiting = this.#waiting.slice(cut);
    return ready.trim();
  }

  /** What is left at the end. */
  finish(): string {
    const rest = this.#waiting.trim();
    this.#waiting = "";
    return rest;
  }
}

/** Reads a growing text out, a few sentences at a time. */
export class Announcer {
  readonly #region: HTMLElement;
  #sentences = new Sentences();

  constructor(region: HTMLElement) {
    this.#region = region;
  }

  begin(): void {
    this.#sentences = new Sentences();
    this.#region.replaceChildren();
  }

  push(piece: string): void {
    const ready = this.#sentences.push(piece);
    if (ready) this.#say(ready);
  }

  finish(): void {
    const rest = this.#sentences.finish();
    if (rest) this.#say(rest);
  }

  #say(text: string): void {
    const line = document.createElement("p");
    line.textContent = text;
    this.#region.append(line);
    while (this.#region.childElementCount > 3) this.#region.firstElementChild?.remove();
  }
}
