import { type Estimate, Model, type ModelInfo, PageLmError, type Progress } from "pagelm";
import { type BuiltinShelf, keyOf, listBuiltins } from "../builtins.js";
import { make } from "../dom.js";
import { formatBytes } from "../format.js";
import { Library, type Shelf } from "../library.js";
import { type Context, Notice } from "./lesson.js";
import type { State } from "./state.js";
import type { StringKey } from "./strings/index.js";

/** From here on it is said before it is tried that a page may not get the memory. */
export const BIG_BYTES = 1_500_000_000;
/** Parameters from which on figures are slow enough to say so. */
const MANY = 200_000_000;

/** The one model of all lessons: how it comes, what it is, and the ways to another. */
export class ModelPanel {
  readonly #root: HTMLElement;
  readonly #notice: HTMLElement;
  readonly #changed: () => void;
  readonly #library: Library;
  readonly #status = make("p", "", { role: "status" });
  readonly #error = make("p", "", { role: "alert" });
  readonly #coming = make("p", "");
  readonly #bar = make("progress");
  #builtins: readonly BuiltinShelf[] = [];
  #listed: Promise<void> | undefined;
  #info: ModelInfo | undefined;
  #t: Context["t"] | undefined;
  #state: State | undefined;
  /** The figure that could not be drawn, where that is what is told. */
  #failed: string | undefined;

  /** `notice` is where loading and errors are told, wherever the reader is. */
  constructor(root: HTMLElement, notice: HTMLElement, changed: () => void) {
    [this.#root, this.#notice, this.#changed] = [root, notice, changed];
    this.#status.dataset.testid = "model";
    this.#error.dataset.testid = "error";
    notice.append(this.#coming, this.#bar, this.#error);
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
        await this.#library.open(item).finally(() => this.#arrived());
        this.#rebuild();
      }
    }
    return this.#library.get();
  }

  /** Tells an error; one of a figure stays until that figure can be drawn. */
  fail(thrown: unknown, figure?: string): void {
    // Without a network the browser itself says what is missing, in its own language.
    const code = thrown instanceof PageLmError ? thrown.code : navigator.onLine ? undefined : "network";
    // A model is given up only when another has taken its place, and then all is drawn anew.
    if (code === "aborted" || code === "disposed") return;
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    if (thrown instanceof Notice) this.#tell(this.#t?.(thrown.key));
    else this.#tell(code && this.#t ? this.#t(`error.${code}`, { message }) : message);
    this.#failed = figure;
  }

  /** A figure could be drawn: what kept it from that is over. */
  mended(figure: string): void {
    if (this.#failed === figure) this.#tell();
  }

  show(t: Context["t"], state: State): void {
    [this.#t, this.#state] = [t, state];
    this.#tell();
    this.#rebuild();
    this.#follow(state);
  }

  /** Takes the model that a link asks for; the reader's own stays, and the address says what is here. */
  #follow(state: State): void {
    const here = this.#builtins.find((item) => item === this.#library.item);
    if (!this.#library.ready || this.#library.loading) return;
    const wanted = this.#builtins.find((item) => keyOf(item) === state.text("model", ""));
    if (wanted && here && wanted !== here) void this.#choose(wanted, keyOf(wanted));
    else if (state.text("model", "") !== (here && here !== this.#builtins[0] ? keyOf(here) : "")) state.set({ model: here && keyOf(here) });
  }

  #rebuild(): void {
    const t = this.#t;
    if (!t) return;
    const part = make("div");
    const bar = make("div", "", { className: "switch", role: "group" });
    bar.setAttribute("aria-label", t("model.title"));
    for (const item of this.#builtins) {
      const button = make("button", this.#nameOf(item), { type: "button" });
      button.setAttribute("aria-pressed", String(this.#library.item === item));
      button.addEventListener("click", () => void this.#choose(item, keyOf(item)));
      bar.append(button);
    }
    const file = make("input", "", { type: "file", accept: ".gguf", id: "own-file" });
    file.addEventListener("change", () => {
      const chosen = file.files?.[0];
      if (chosen) void this.#ask({ source: chosen, label: chosen.name });
    });
    const address = make("input", "", { type: "url", id: "own-address", placeholder: "https://…/model.gguf" });
    const load = make("button", t("model.load"), { type: "button" });
    load.addEventListener("click", () => {
      const isAddress = URL.canParse(address.value);
      address.setAttribute("aria-invalid", String(!isAddress));
      if (isAddress) void this.#ask({ source: new URL(address.value), label: address.value.split("/").pop() ?? "" });
    });
    const field = make("span", "", { className: "field" });
    field.append(address, load);
    part.append(
      make("h2", t("model.title")),
      this.#status,
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

  /** What a model of this site is for, in the reader's language where the page knows it. */
  #nameOf(item: BuiltinShelf): string {
    const key = { story: "builtin.story", tasks: "builtin.tasks" }[keyOf(item)] as StringKey | undefined;
    return (key && this.#t?.(key)) ?? item.builtin.label ?? item.builtin.name;
  }

  /** Reads the header first, and says what is too big for what before anything is tried. */
  async #ask(item: Shelf): Promise<void> {
    const t = this.#t;
    if (!t) return;
    this.#tell(t("model.header", { name: item.label }));
    let estimate: Estimate;
    try {
      estimate = await Model.estimate(item.source);
    } catch (thrown) {
      return this.fail(thrown);
    }
    const values = { name: item.label, size: formatBytes(estimate.totalBytes), parameters: `${(estimate.parameters / 1e6).toFixed(0)} M` };
    if (!estimate.fits) return this.#tell(t("model.unfit", values));
    const memory = (navigator as { deviceMemory?: number }).deviceMemory ?? Infinity;
    const isBig = estimate.totalBytes > Math.min(BIG_BYTES, memory * 4e8);
    if (!isBig && estimate.parameters < MANY) return this.#choose(item, undefined);
    this.#tell(t(isBig ? "model.big" : "model.slow", values), [t("model.anyway"), () => void this.#choose(item, undefined)]);
  }

  async #choose(item: Shelf, key: string | undefined): Promise<void> {
    this.#tell();
    try {
      await this.#library.open(item);
      this.#state?.set({ model: key });
      this.#arrived();
      this.#changed();
    } catch (thrown) {
      this.#arrived();
      this.#say();
      this.fail(thrown);
    }
  }

  /** Says something where it cannot be missed, with a way to go on if there is one; without a text, takes it away. */
  #tell(text = "", act?: [string, () => void]): void {
    this.#error.textContent = text;
    this.#failed = undefined;
    if (act) {
      const button = make("button", act[0], { type: "button", className: "quiet" });
      button.addEventListener("click", act[1]);
      this.#error.append(" ", button);
    }
    this.#notice.hidden = text === "" && this.#coming.textContent === "";
    this.#bar.hidden = this.#coming.textContent === "";
  }

  #progress(item: Shelf, { receivedBytes, totalBytes }: Progress): void {
    const share = totalBytes ? Math.floor((100 * receivedBytes) / totalBytes) : "…";
    this.#coming.textContent = this.#t?.("model.loading", { name: item.label, percent: share }) ?? "";
    this.#bar.setAttribute("aria-label", this.#coming.textContent);
    if (totalBytes) this.#bar.value = receivedBytes / totalBytes;
    this.#notice.hidden = this.#bar.hidden = false;
  }

  #arrived(): void {
    this.#coming.textContent = "";
    this.#tell();
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
