import type { BuiltinShelf } from "./builtins.js";
import { make, need } from "./dom.js";
import { formatBytes } from "./format.js";
import type { Shelf } from "./library.js";

/** Ways to another model: a switch between this site's own, an address, a file, a file dropped on the page. */
export class Chooser {
  readonly #choose: (item: Shelf) => void;
  readonly #refuse: (message: string) => void;
  readonly #switch = new Map<Shelf, HTMLButtonElement>();

  constructor(choose: (item: Shelf) => void, refuse: (message: string) => void) {
    this.#choose = choose;
    this.#refuse = refuse;
    need("by-address", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      this.#chooseAddress(need("address", HTMLInputElement).value);
    });
    const file = need("file", HTMLInputElement);
    file.addEventListener("change", () => {
      this.#chooseFile(file.files?.[0]);
      file.value = ""; // so that the same file can be chosen again
    });
    this.#takeDrops();
  }

  /** Offers this site's own models; there is a choice from two on. */
  offer(builtins: readonly BuiltinShelf[]): void {
    for (const item of builtins) this.#switch.set(item, this.#makeButton(item));
    const bar = need("switch", HTMLElement);
    bar.hidden = builtins.length < 2;
    bar.replaceChildren(...this.#switch.values());
  }

  /** Says on the switch which model is in use, and which is on its way. */
  mark(used: Shelf | undefined, coming?: Shelf): void {
    for (const [item, button] of this.#switch) {
      button.setAttribute("aria-pressed", String(item === used));
      button.classList.toggle("coming", item === coming);
    }
  }

  #makeButton(item: BuiltinShelf): HTMLButtonElement {
    const { label, name, bytes } = item.builtin;
    const button = make("button", label ?? name, { type: "button" });
    button.append(" ", make("small", formatBytes(bytes)));
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => this.#choose(item));
    return button;
  }

  #chooseAddress(text: string): void {
    const address = text.trim();
    if (address === "") return this.#refuse("Type or paste the address of a GGUF file first.");
    const url = URL.canParse(address, document.baseURI) ? new URL(address, document.baseURI) : undefined;
    if (!url || !/^(https?|blob):$/.test(url.protocol)) {
      return this.#refuse(`“${address}” is not an address that can be fetched: it should begin with https://`);
    }
    this.#choose({ source: url, label: decodeURIComponent(url.pathname.split("/").pop() || url.host) });
  }

  #chooseFile(file: File | undefined): void {
    if (file) this.#choose({ source: file, label: file.name });
  }

  #takeDrops(): void {
    const drop = need("drop", HTMLElement);
    let depth = 0; // enter and leave come for every element on the way
    const show = (by: number) => {
      depth = by === 0 ? 0 : Math.max(0, depth + by);
      drop.hidden = depth === 0;
    };
    const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
    addEventListener("dragenter", (event) => hasFiles(event) && show(1));
    addEventListener("dragleave", (event) => hasFiles(event) && show(-1));
    addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
    addEventListener("drop", (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      show(0);
      this.#chooseFile(event.dataTransfer?.files[0]);
    });
  }
}
