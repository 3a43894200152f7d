import type { BuiltinShelf } from "./builtins.js";
import { make, need } from "./dom.js";
import type { Shelf } from "./library.js";

/** Ways to another model: this site's list, an address, a file, a file dropped on the page. */
export class Chooser {
  readonly #choose: (item: Shelf) => void;
  readonly #refuse: (message: string) => void;
  #builtins: readonly BuiltinShelf[] = [];

  constructor(choose: (item: Shelf) => void, refuse: (message: string) => void) {
    this.#choose = choose;
    this.#refuse = refuse;
    need("load-builtin", HTMLButtonElement).addEventListener("click", () => {
      const item = this.#builtins[need("builtin-model", HTMLSelectElement).selectedIndex];
      if (item) choose(item);
    });
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

  /** Offers this site's own models. */
  offer(builtins: readonly BuiltinShelf[]): void {
    this.#builtins = builtins;
    need("builtin", HTMLElement).hidden = builtins.length === 0;
    const options = builtins.map(({ builtin }) => make("option", builtin.name));
    need("builtin-model", HTMLSelectElement).replaceChildren(...options);
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
