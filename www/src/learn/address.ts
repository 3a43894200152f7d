/**
 * The page's address, written no oftener than browsers let a page do it.
 * @module
 */

/**
 * WebKit throws from the 101st change in ten seconds on, Chromium leaves out what comes after the 200th: a slider that is drawn
 * along does more. So of what changes within this time only the last is written.
 */
const PAUSE_MS = 250;

/** What is needed of `history` and `location`. */
export interface Place {
  hash: () => string;
  replace: (hash: string) => void;
}

/** Writes the part behind the # a little later, unless the reader is elsewhere by then. */
export class Address {
  readonly #place: Place;
  #pending: { hash: string; from: string } | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(place: Place) {
    this.#place = place;
  }

  write(hash: string): void {
    this.#pending = { hash, from: this.#place.hash() };
    this.#timer ??= setTimeout(() => this.flush(), PAUSE_MS);
  }

  /** Forgets what waits: the reader has gone elsewhere. */
  forget(): void {
    this.#pending = undefined;
  }

  /** Writes what waits, at once: before a link is followed or copied, and before the page is left. */
  flush(): void {
    clearTimeout(this.#timer);
    const pending = this.#pending;
    this.#pending = this.#timer = undefined;
    if (!pending || pending.from !== this.#place.hash()) return;
    try {
      this.#place.replace(pending.hash);
    } catch {
      // A text that is too long for an address: it is on the page alone.
    }
  }
}
