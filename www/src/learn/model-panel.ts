import { type Model, type ModelInfo, PageLmError, type Progress } from "pagelm";
import { type BuiltinShelf, keyOf, listBuiltins } from "../builtins.js";
import { make } from "../dom.js";
import { formatBytes } from "../format.js";
import { Library, type Shelf } from "../library.js";
import type { Context } from "./lesson.js";
import type { State } from "./state.js";

/** From here on it is said before it is tried that a page may not get the memory. */
const BIG_BYTES = 1_500_000_000;

/** The one model of all lessons: how it comes, what it is, and the ways to another. */
export class ModelPanel {
  readonly #root: HTMLElement;
  readonly #changed: () => void;
  readonly #library: Library;
  readonly #status = make("p", "", { role: "status" });
  readonly #error = make("p", "", { role: "alert" });
  #builtins: readonly BuiltinShelf[] = [];
  #listed: Promise<void> | undefined;
  #info: ModelInfo | undefined;
  #t: Context["t"] | undefined;
  #state: State | undefined;

  constructor(root: HTMLElement, changed: () => void) {
    this.#root = root;
    this.#changed = changed;
    this.#status.dataset.testid = "model";
    this.#error.dataset.testid = "error";
    this.#library = new Library({
      onProgress: (item, progress) => this.#progress(item, progress),
      onChange: (info) => void (this.#info = info),
    });
  }

  /** Begins to load, by the address or the first of this site's. */
  start(): void {
    void this.model().then(
      () => this.#say(),
      (thrown) => this.fail(thrown),
    );
  }

  /** The model, once it is there. */
  async model(): Promise<Model> {
    if (!this.#library.ready && !this.#library.loading) {
      await (this.#listed ??= listBuiltins().then((list) => void (this.#builtins = list)));
      const wanted = this.#state?.text("model", "");
      const item = this.#builtins.find((one) => keyOf(one) === wanted) ?? this.#builtins[0];
      if (item && !this.#library.ready && !this.#library.loading) {
        await this.#library.open(item);
        this.#rebuild();
      }
    }
    return this.#library.get();
  }

  fail(thrown: unknown): void {
    if (thrown instanceof Error && thrown.name === "AbortError") return;
    this.#error.textContent = thrown instanceof Error ? thrown.message : String(thrown);
  }

  show(t: Context["t"], state: State): void {
    [this.#t, this.#state] = [t, state];
    this.#rebuild();
  }

  #rebuild(): void {
    const t = this.#t;
    if (!t) return;
    const part = make("div");
    const bar = make("div", "", { className: "switch", role: "group" });
    bar.setAttribute("aria-label", t("model.title"));
    for (const item of this.#builtins) {
      const button = make("button", item.builtin.label ?? item.builtin.name, { type: "button" });
      button.setAttribute("aria-pressed", String(this.#library.item === item));
      button.addEventListener("click", () => this.#choose(item, keyOf(item)));
      bar.append(button);
    }
    const file = make("input", "", { type: "file", accept: ".gguf", id: "own-file" });
    file.addEventListener("change", () => {
      const chosen = file.files?.[0];
      if (chosen) this.#ask({ source: chosen, label: chosen.name }, chosen.size);
    });
    const address = make("input", "", { type: "url", id: "own-address", placeholder: "https://…/model.gguf" });
    const load = make("button", t("model.load"), { type: "button" });
    load.addEventListener("click", () => {
      if (URL.canParse(address.value)) this.#ask({ source: new URL(address.value), label: address.value.split("/").pop() ?? "" }, 0);
    });
    const field = make("span", "", { className: "field" });
    field.append(address, load);
    part.append(
      make("h2", t("model.title")),
      this.#status,
      this.#error,
      bar,
      make("label", t("model.own"), { htmlFor: "own-file" }),
      file,
      make("label", t("model.address"), { htmlFor: "own-address" }),
      field,
      make("p", t("model.drop"), { className: "hint" }),
      make("p", t("model.limits", { tokens: 24 }), { className: "hint" }),
    );
    this.#root.replaceChildren(part);
    this.#say();
  }

  /** Says first where a file is likely to be too large. */
  #ask(item: Shelf, bytes: number): void {
    const memory = (navigator as { deviceMemory?: number }).deviceMemory ?? Infinity;
    if (!this.#t || bytes < Math.min(BIG_BYTES, memory * 4e8)) return this.#choose(item, undefined);
    this.#error.textContent = `${this.#t("model.big", { size: formatBytes(bytes) })} `;
    const anyway = make("button", this.#t("model.anyway"), { type: "button", className: "quiet" });
    anyway.addEventListener("click", () => this.#choose(item, undefined));
    this.#error.append(anyway);
  }

  #choose(item: Shelf, key: string | undefined): void {
    this.#error.textContent = "";
    this.#library.open(item).then(
      () => {
        this.#state?.set({ model: key });
        this.#changed();
      },
      (thrown) => {
        this.#say();
        this.fail(thrown instanceof PageLmError ? thrown : new Error(String(thrown)));
      },
    );
  }

  #progress(item: Shelf, { receivedBytes, totalBytes }: Progress): void {
    const share = totalBytes ? Math.floor((100 * receivedBytes) / totalBytes) : "…";
    this.#status.textContent = this.#t?.("model.loading", { name: item.label, percent: share }) ?? "";
  }

  #say(): void {
    const info = this.#info;
    if (!info || !this.#t) return;
    this.#status.textContent = this.#t("model.ready", {
      name: info.name || (this.#library.item?.label ?? ""),
      layers: info.nLayer,
      heads: info.nHead,
      width: info.nEmbd,
      vocabulary: info.nVocab,
    });
  }
}
