import { type GenerateOptions, type Generation, type Model, type ModelInfo, PageLmError } from "pagelm";
import { listBuiltins } from "./builtins.js";
import { Chooser } from "./chooser.js";
import { Composer } from "./composer.js";
import { copyFrom, need } from "./dom.js";
import { formatBytes } from "./format.js";
import { Library, type Shelf } from "./library.js";
import { readLink, writeLink } from "./link.js";
import { announceModel, showModel } from "./model-card.js";
import { Notices, type Place } from "./notices.js";
import { nextFrame } from "./pace.js";
import { SeedError, Settings } from "./settings.js";
import { Sheet } from "./sheet.js";
import { Transfer } from "./transfer.js";

/** The page: what happens when. How each part looks and works is its own concern. */
export class App {
  readonly #notices = new Notices();
  readonly #settings = new Settings();
  readonly #sheet = new Sheet();
  readonly #status = need("status", HTMLElement);
  readonly #composer = new Composer({ generate: (prompt) => void this.#write(prompt), stop: () => this.#abort?.abort() });
  readonly #transfer = new Transfer(() => this.#library.cancel());
  readonly #chooser = new Chooser(
    (item) => void this.#load(item, "chooser"),
    (message) => this.#notices.show("chooser", message),
  );
  readonly #library = new Library({
    onProgress: (_, progress) => this.#transfer.show(progress),
    onChange: (info, item) => this.#showModel(info, item),
  });
  #abort: AbortController | undefined;
  #writing = false;
  #modelName = "";
  /** Prompt, seed and settings of the text on the sheet. */
  #written = "";

  /** Fills in what the link holds, and fetches this site's first model. */
  async start(): Promise<void> {
    this.#takeLink();
    addEventListener("hashchange", () => this.#takeLink());
    const [text, link] = ["copy-text", "copy-link"].map((id) => need(id, HTMLButtonElement)) as [HTMLButtonElement, HTMLButtonElement];
    text.addEventListener("click", () => void copyFrom(text, this.#sheet.content));
    link.addEventListener("click", () => void copyFrom(link, new URL(this.#written, location.href).href));
    try {
      const builtins = await listBuiltins();
      this.#chooser.offer(builtins);
      const [first] = builtins;
      if (!first) throw new Error("This site offers no model.");
      if (this.#library.ready || this.#library.loading) return; // the reader was faster
      announceModel(first);
      if (!savesData()) return void (await this.#load(first, "composer"));
      this.#notices.show("composer", `Your browser is set to save data, so the model was not fetched yet.`, {
        label: `Load it, ${formatBytes(first.builtin.bytes)}`,
        act: () => void this.#load(first, "composer"),
      });
    } catch (thrown) {
      this.#say("");
      this.#notices.show("composer", `${messageOf(thrown)} Choose one under “Another model”.`);
    }
  }

  async #load(item: Shelf, place: Place): Promise<Model | undefined> {
    this.#notices.clear();
    this.#transfer.begin(place, `Loading ${item.label}`);
    this.#say(`Loading ${item.label}`);
    const loading = this.#library.open(item);
    try {
      return await loading;
    } catch (thrown) {
      if (isAbort(thrown)) this.#sayReady();
      else this.#showLoadError(thrown, item, place);
      return undefined;
    } finally {
      if (!this.#library.loading) this.#transfer.end();
    }
  }

  #showLoadError(thrown: unknown, item: Shelf, place: Place): void {
    const again = { label: "Try again", act: () => void this.#load(item, place) };
    const memory = thrown instanceof PageLmError && thrown.code === "memory" && this.#library.ready;
    const room = { label: "Give up the model that is here, and try again", act: () => this.#makeRoomFor(item, place) };
    const passing = thrown instanceof PageLmError && /^(network|http|worker|memory)$/.test(thrown.code);
    this.#sayReady();
    this.#notices.show(place, messageOf(thrown), memory ? room : passing ? again : undefined);
  }

  #makeRoomFor(item: Shelf, place: Place): void {
    this.#library.close();
    void this.#load(item, place);
  }

  /** Generates from the beginning that is given; waits for the model if it is still on its way. */
  async #write(prompt: string): Promise<void> {
    const controller = new AbortController();
    this.#abort = controller;
    this.#composer.setWriting(true);
    this.#notices.clear();
    try {
      const options = this.#settings.read();
      if (!this.#library.ready) this.#say("The model is still coming; the text begins when it is here.");
      const model = await untilAborted(this.#ready(), controller.signal);
      await this.#library.use(model, () => this.#stream(model, prompt, { ...options, signal: controller.signal }));
    } catch (thrown) {
      this.#sayReady();
      if (thrown instanceof SeedError) this.#notices.show("settings", thrown.message);
      else if (!isAbort(thrown)) this.#notices.show("composer", messageOf(thrown));
    } finally {
      this.#abort = undefined;
      this.#composer.setWriting(false);
    }
  }

  /** The model, shown loading where it has to be fetched again. */
  async #ready(): Promise<Model> {
    if (this.#library.ready || this.#library.loading) return this.#library.get();
    this.#transfer.begin("composer", "Loading the model again");
    try {
      return await this.#library.get();
    } finally {
      if (!this.#library.loading) this.#transfer.end();
    }
  }

  async #stream(model: Model, prompt: string, options: GenerateOptions): Promise<void> {
    let first = true;
    this.#writing = true;
    const generation = model.generate(prompt, {
      ...options,
      onPrefill: ({ done, total }) => this.#say(total > 64 ? `Reading the beginning, ${done} of ${total} tokens` : "Reading the beginning"),
    });
    this.#sheet.begin(prompt, this.#settings.everyToken);
    this.#say("Reading the beginning");
    try {
      for await (const piece of generation) {
        if (first) this.#begun(prompt, generation);
        first = false;
        this.#sheet.add(piece.text);
        if (this.#settings.everyToken && piece.text) await nextFrame();
      }
    } catch (thrown) {
      if (!isAbort(thrown)) throw thrown; // what was stopped is on the sheet, and said below
    } finally {
      this.#writing = false;
      this.#sheet.end(generation.report);
      if (generation.report) this.#say(generation.report.stopReason === "aborted" ? "Stopped" : "Done");
    }
  }

  #begun(prompt: string, { seed = 0 }: Generation): void {
    this.#say("Writing");
    this.#settings.showSeed(seed);
    this.#written = writeLink({ prompt, seed, ...this.#settings.link });
    history.replaceState(null, "", this.#written);
  }

  #takeLink(): void {
    const link = readLink(location.hash);
    if (link.prompt !== undefined) this.#composer.setPrompt(link.prompt);
    this.#settings.apply(link);
  }

  #showModel(info: ModelInfo | undefined, item: Shelf | undefined): void {
    showModel(info, item);
    this.#modelName = info ? info.name || (item?.label ?? "a model") : "";
    if (info) this.#settings.limitLength(info.nCtx);
    this.#sayReady();
  }

  #say(text: string): void {
    if (this.#status.textContent !== text) this.#status.textContent = text;
  }

  #sayReady(): void {
    if (!this.#writing) this.#say(this.#modelName ? `Ready: ${this.#modelName}` : "");
  }
}

function isAbort(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.name === "AbortError";
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

function savesData(): boolean {
  return (navigator as { connection?: { saveData?: boolean } }).connection?.saveData ?? false;
}

/** `promise`, unless the signal comes first. */
function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(new PageLmError("aborted", "Stopped before the model was here."));
    signal.addEventListener("abort", stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
