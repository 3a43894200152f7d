import type { Report } from "pagelm";
import { Announcer } from "./announcer.js";
import { need } from "./dom.js";
import { formatSpeed, plural } from "./format.js";

const endings: Record<Report["stopReason"], string> = {
  eos: "it came to its end",
  stop: "it came to a text that ends it",
  maxTokens: "cut at the length that is set",
  contextFull: "the model’s context is full",
  aborted: "you stopped it",
};

/** What kind of text comes onto the sheet. */
export interface SheetOptions {
  /** The text is held back so that every token is seen, and its speed is known only at the end. */
  paced?: boolean;
  /** What stands above the text. */
  heading?: string;
  /** The text is code, or a table: letters of one width, and lines that are not broken. */
  code?: boolean;
}

/** The reading area: the beginning, what the model adds to it piece by piece, and a line about both. */
export class Sheet {
  readonly #sheet = need("sheet", HTMLElement);
  readonly #heading = need("asked", HTMLElement);
  readonly #text = need("text", HTMLElement);
  readonly #beginning = need("beginning", HTMLElement);
  readonly #output = need("output", HTMLElement);
  readonly #colophon = need("colophon", HTMLElement);
  readonly #ending = need("ending", HTMLElement);
  readonly #speed = need("speed", HTMLElement);
  readonly #announcer = new Announcer(need("announcer", HTMLElement));
  #tail = document.createTextNode("");
  #count = 0;
  #firstAt = 0;
  #shownAt = 0;
  #paced = false;

  /** Everything on the sheet, for the clipboard. */
  get content(): string {
    return (this.#beginning.textContent ?? "") + (this.#output.textContent ?? "");
  }

  /**
   * Clears the sheet for another text.
   *
   * @param beginning what the model goes on with; nothing where it answers
   */
  begin(beginning: string, { paced = false, heading = "", code = false }: SheetOptions = {}): void {
    this.#paced = paced;
    this.#heading.textContent = heading;
    this.#heading.hidden = heading === "";
    this.#text.classList.toggle("code", code);
    if (code) this.#text.tabIndex = 0; // it scrolls sideways, so keys have to reach it
    else this.#text.removeAttribute("tabindex");
    need("blank", HTMLElement).hidden = true;
    this.#tail = document.createTextNode("");
    [this.#count, this.#firstAt, this.#shownAt] = [0, 0, 0];
    this.#beginning.textContent = beginning;
    this.#output.replaceChildren(this.#tail);
    this.#text.hidden = false;
    this.#text.classList.add("growing");
    this.#sheet.setAttribute("aria-busy", "true");
    this.#colophon.hidden = true;
    this.#speed.textContent = "";
    this.#announcer.begin();
  }

  /** One token's text goes straight in. */
  add(piece: string): void {
    const now = performance.now();
    const follow = now - this.#shownAt > 200 && this.#endIsInView();
    this.#tail.appendData(piece);
    this.#announcer.push(piece);
    this.#count += 1;
    if (this.#count === 1) this.#firstAt = now;
    if (now - this.#shownAt <= 200) return;
    this.#shownAt = now;
    this.#speed.textContent = this.#paced ? "" : formatSpeed(this.#count - 1, now - this.#firstAt);
    this.#colophon.hidden = !this.#paced && this.#speed.textContent === "";
    this.#ending.textContent = plural(this.#count, "token");
    if (follow) this.#colophon.scrollIntoView({ block: "nearest" });
  }

  /** How it ended; `undefined` where it failed and there is nothing to report. */
  end(report: Report | undefined): void {
    this.#text.classList.remove("growing");
    this.#sheet.setAttribute("aria-busy", "false");
    this.#announcer.finish();
    this.#colophon.hidden = this.#count === 0 && !report;
    if (!report) return;
    const written = this.#output.textContent ?? "";
    if (report.text.length > written.length) this.#tail.appendData(report.text.slice(written.length));
    this.#ending.textContent = `${plural(report.tokens.length, "token")}, ${endings[report.stopReason]}`;
    this.#speed.textContent = formatSpeed(report.tokens.length, report.decodeMs);
  }

  /** Whoever scrolled away to read is left alone. */
  #endIsInView(): boolean {
    const { bottom } = this.#text.getBoundingClientRect();
    return bottom > 0 && bottom < innerHeight;
  }
}
