import { type BenchmarkReport, type GenerateOptions, type Generation, type Model, type ModelInfo, PageLmError } from "pagelm";
import { type BuiltinShelf, isBuiltin, keyOf, listBuiltins } from "./builtins.js";
import { Chooser } from "./chooser.js";
import { Composer } from "./composer.js";
import { copyFrom, make, need } from "./dom.js";
import { formatBytes } from "./format.js";
import { Library, type Shelf } from "./library.js";
import { type LinkState, readLink, writeLink } from "./link.js";
import { amounts, Meter } from "./meter.js";
import { announceModel, showModel } from "./model-card.js";
import { Notices, type Place } from "./notices.js";
import { nextFrame } from "./pace.js";
import { TaskPicker } from "./picker.js";
import { SeedError, Settings } from "./settings.js";
import { Sheet } from "./sheet.js";
import { listTasks, type Task } from "./tasks.js";
import { Transfer } from "./transfer.js";
import { encodeTurn } from "./turn.js";

/** What is asked of a model: to go on with a beginning, or to do a task. */
interface Order {
  asked: string;
  task: Task | undefined;
  /** What brings it back, but for seed and settings. */
  link: LinkState;
}

/** The page: what happens when. How each part looks and works is its own concern. */
export class App {
  readonly #notices = new Notices();
  readonly #settings = new Settings();
  readonly #sheet = new Sheet();
  readonly #status = need("status", HTMLElement);
  readonly #composer = new Composer({ generate: () => void this.#write(), stop: () => this.#abort?.abort() });
  readonly #meter = new Meter({
    measure: (signal) => this.#measure(signal),
    failed: (thrown) => this.#notices.show("model", messageOf(thrown)),
  });
  readonly #picker = new TaskPicker({
    pick: ({ temperature = 0.8 }) => this.#settings.apply({ temperature }),
    encode: async (asked) => (this.#library.ready ? encodeTurn(await this.#library.get(), asked) : undefined),
    nCtx: () => this.#nCtx,
  });
  readonly #transfer = new Transfer(() => this.#library.cancel());
  readonly #chooser = new Chooser(
    (item) => void this.#choose(item),
    (message) => this.#notices.show("chooser", message),
  );
  readonly #library = new Library({
    onProgress: (_, progress) => this.#transfer.show(progress),
    onChange: (info, item) => void this.#showModel(info, item),
  });
  #builtins: readonly BuiltinShelf[] = [];
  #abort: AbortController | undefined;
  #writing = false;
  #modelName = "";
  #nCtx: number | undefined;
  /** What the page shows the way to use. */
  #shown: Shelf | undefined;
  /** Settings from a link whose model is not here yet. */
  #linked: LinkState = {};
  /** How stories are written, kept while the page does tasks. */
  #storySettings: LinkState | undefined;
  /** Counts the changes between stories and tasks, so that only the last one counts. */
  #turns = 0;
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
      this.#builtins = await listBuiltins();
      this.#chooser.offer(this.#builtins);
      const first = this.#wantedBy(readLink(location.hash)) ?? this.#builtins[0];
      if (!first) throw new Error("This site offers no model.");
      if (this.#library.ready || this.#library.loading) return; // the reader was faster
      announceModel(first);
      await this.#turnTo(first);
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

  /** Loads what was chosen; this site's own are chosen above the composer, others in the margin. */
  #choose(item: Shelf): void {
    if (this.#library.ready && !this.#library.loading && item === this.#library.item) return;
    void this.#load(item, isBuiltin(item) ? "composer" : "chooser");
  }

  async #load(item: Shelf, place: Place): Promise<Model | undefined> {
    this.#notices.clear();
    this.#transfer.begin(place, `Loading ${item.label}`);
    this.#say(`Loading ${item.label}`);
    if (isBuiltin(item)) listTasks(item).catch(() => {}); // asked for now, said later if it fails
    const loading = this.#library.open(item);
    this.#chooser.mark(this.#library.ready ? this.#library.item : undefined, item);
    try {
      return await loading;
    } catch (thrown) {
      if (isAbort(thrown)) this.#sayReady();
      else this.#showLoadError(thrown, item, place);
      return undefined;
    } finally {
      if (!this.#library.loading) {
        this.#transfer.end();
        this.#chooser.mark(this.#library.ready ? this.#library.item : undefined);
      }
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

  /** What stands on the page to be asked. */
  #order(): Order {
    const { task, asked } = this.#picker;
    const item = this.#shown;
    const model: LinkState = isBuiltin(item) && item !== this.#builtins[0] ? { model: keyOf(item) } : {};
    if (task) return { asked, task, link: { ...model, ...this.#picker.link } };
    return { asked: this.#composer.prompt, task, link: { ...model, prompt: this.#composer.prompt } };
  }

  /** Generates what is asked for; waits for the model if it is still on its way. */
  async #write(): Promise<void> {
    const controller = new AbortController();
    this.#abort = controller;
    this.#composer.setWriting(true);
    this.#meter.setWriting(true);
    this.#notices.clear();
    try {
      await this.#meter.stop();
      const order = this.#order();
      const options = this.#settings.read();
      if (!this.#library.ready) this.#say("The model is still coming; the text begins when it is here.");
      const model = await untilAborted(this.#ready(), controller.signal);
      await this.#library.use(model, () => this.#stream(model, order, { ...options, signal: controller.signal }));
    } catch (thrown) {
      this.#sayReady();
      if (thrown instanceof SeedError) this.#notices.show("settings", thrown.message);
      else if (!isAbort(thrown)) this.#notices.show("composer", messageOf(thrown));
    } finally {
      this.#abort = undefined;
      this.#composer.setWriting(false);
      this.#meter.setWriting(false);
    }
  }

  /** Asks the model that is here for its speed. */
  async #measure(signal: AbortSignal): Promise<BenchmarkReport> {
    this.#notices.clear();
    const model = await this.#library.get();
    return this.#library.use(model, () => model.benchmark({ ...amounts(model.info.nCtx), signal }));
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

  async #stream(model: Model, order: Order, options: GenerateOptions): Promise<void> {
    const { asked, task } = order;
    const prompt = task ? (await encodeTurn(model, asked)).tokens : asked;
    let first = true;
    this.#writing = true;
    const generation = model.generate(prompt, {
      ...options,
      onPrefill: ({ done, total }) => this.#say(total > 64 ? `Reading the beginning, ${done} of ${total} tokens` : "Reading the beginning"),
    });
    const paced = this.#settings.everyToken;
    if (task) this.#sheet.begin("", { paced, heading: task.label, code: task.answer === "code" });
    else this.#sheet.begin(asked, { paced });
    this.#say("Reading the beginning");
    try {
      for await (const piece of generation) {
        if (first) this.#begun(order, generation);
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

  #begun({ link }: Order, { seed = 0 }: Generation): void {
    this.#say("Writing");
    this.#settings.showSeed(seed);
    this.#written = writeLink({ ...link, seed, ...this.#settings.link });
    history.replaceState(null, "", this.#written);
  }

  #takeLink(): void {
    const link = readLink(location.hash);
    if (link.prompt !== undefined) this.#composer.setPrompt(link.prompt);
    this.#picker.apply(link);
    const wanted = this.#wantedBy(link);
    if (wanted ? wanted === this.#shown : link.model === undefined) this.#settings.apply(link);
    else this.#linked = link;
    if (wanted) this.#choose(wanted);
  }

  /** The model that a link is about. */
  #wantedBy({ model, prompt }: LinkState): BuiltinShelf | undefined {
    if (model === undefined) return prompt === undefined ? undefined : this.#builtins[0];
    return this.#builtins.find((item) => keyOf(item) === model);
  }

  async #showModel(info: ModelInfo | undefined, item: Shelf | undefined): Promise<void> {
    showModel(info, item);
    this.#modelName = info ? info.name || (item?.label ?? "a model") : "";
    this.#nCtx = info?.nCtx;
    this.#meter.reset(info !== undefined);
    if (info) this.#settings.limitLength(info.nCtx);
    if (info && item) await this.#turnTo(item);
    void this.#picker.preview();
    this.#sayReady();
  }

  /** Shows what a model is used by: the field for a beginning, or its tasks. */
  async #turnTo(item: Shelf): Promise<void> {
    const turn = ++this.#turns;
    let tasks: Task[] = [];
    try {
      if (isBuiltin(item)) tasks = await listTasks(item);
    } catch (thrown) {
      this.#notices.show("composer", messageOf(thrown), { label: "Try again", act: () => void (item === this.#library.item && this.#turnTo(item)) });
    }
    if (turn !== this.#turns) return;
    this.#shown = item;
    const [before, after] = [this.#picker.task !== undefined, tasks.length > 0];
    if (after && !before) this.#storySettings = this.#settings.link;
    this.#picker.offer(tasks);
    if (before && !after && this.#storySettings) this.#settings.apply(this.#storySettings);
    this.#settings.apply(this.#linked);
    this.#linked = {};
    need("beginning-part", HTMLElement).hidden = after;
    need("task-part", HTMLElement).hidden = !after;
    const [first, then] = after ? ["You ask.", "The page answers."] : ["You begin.", "The page goes on."];
    need("title", HTMLElement).replaceChildren(`${first} `, make("span", then));
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
