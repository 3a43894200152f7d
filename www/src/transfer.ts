import type { Progress } from "pagelm";
import { need } from "./dom.js";
import { formatTransfer } from "./format.js";
import type { Place } from "./notices.js";

/** The bar that shows a download, where the person who began it is looking. */
export class Transfer {
  readonly #box = need("transfer", HTMLElement);
  readonly #bar = need("progress", HTMLProgressElement);
  readonly #bytes = need("transfer-bytes", HTMLElement);

  constructor(cancel: () => void) {
    need("cancel-transfer", HTMLButtonElement).addEventListener("click", cancel);
  }

  begin(place: Place, label: string): void {
    need(`${place}-notices`, HTMLElement).append(this.#box);
    need("transfer-label", HTMLElement).textContent = place === "composer" ? "" : label; // the status stands beside it
    this.#bytes.textContent = "";
    this.#bar.removeAttribute("value");
    this.#box.hidden = false;
  }

  show({ receivedBytes, totalBytes }: Progress): void {
    this.#bytes.textContent = formatTransfer(receivedBytes, totalBytes);
    if (!totalBytes) return;
    this.#bar.max = totalBytes;
    this.#bar.value = receivedBytes;
  }

  end(): void {
    this.#box.hidden = true;
  }
}
