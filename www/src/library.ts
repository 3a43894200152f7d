import { type LoadOptions, Model, type ModelInfo, PageLmError, type Progress } from "pagelm";

/** Something that can be loaded, and what to call it until it says so itself. */
export interface Shelf {
  source: string | URL | Blob;
  label: string;
}

/** What the library tells the page. */
export interface LibraryEvents {
  onProgress(item: Shelf, progress: Progress): void;
  onChange(info: ModelInfo | undefined, item: Shelf | undefined): void;
}

/** How a model is loaded; tests hand in another. */
export type Load = (source: Shelf["source"], options: LoadOptions) => Promise<Model>;

/**
 * The one model that is in use. A new one takes its place only when it is ready; if it fails, the old one stays. A
 * model that is still writing is given up when it is done.
 */
export class Library {
  readonly #events: LibraryEvents;
  readonly #load: Load;
  readonly #retired = new Set<Model>();
  #model: Model | undefined;
  #item: Shelf | undefined;
  #tried: Shelf | undefined;
  #loading: { item: Shelf; done: Promise<Model>; controller: AbortController } | undefined;
  #inUse: Model | undefined;

  constructor(events: LibraryEvents, load: Load = (source, options) => Model.load(source, options)) {
    this.#events = events;
    this.#load = load;
  }

  /** Whether a model is ready. */
  get ready(): boolean {
    return this.#model !== undefined;
  }

  /** What is in use, or was when it was last. */
  get item(): Shelf | undefined {
    return this.#item;
  }

  /** Whether one is on its way. */
  get loading(): boolean {
    return this.#loading !== undefined;
  }

  /** Loads `item` and puts it in the place of the model that is here. A load that was under way is given up. */
  async open(item: Shelf): Promise<Model> {
    this.cancel();
    this.#tried = item;
    const controller = new AbortController();
    const loading = { item, controller, done: this.#open(item, controller.signal) };
    this.#loading = loading;
    try {
      return await loading.done;
    } finally {
      if (this.#loading === loading) this.#loading = undefined;
    }
  }

  /** The model that is here, or the one that is coming, or the last one again if that is gone. */
  async get(): Promise<Model> {
    if (this.#model) return this.#model;
    if (this.#loading) return this.#loading.done;
    const item = this.#item ?? this.#tried;
    if (item) return this.open(item);
    throw new PageLmError("argument", "There is no model yet: load one under “Another model”.");
  }

  /** Gives up a load that is under way. */
  cancel(): void {
    this.#loading?.controller.abort();
    this.#loading = undefined;
  }

  /** Gives up the model that is here, to make room. */
  close(): void {
    if (this.#model) this.#retire(this.#model);
    this.#model = undefined;
    this.#events.onChange(undefined, this.#item);
  }

  /** Runs `work` with a model that is not given up meanwhile. */
  async use<T>(model: Model, work: () => Promise<T>): Promise<T> {
    this.#inUse = model;
    try {
      return await work();
    } catch (thrown) {
      const gone = thrown instanceof PageLmError && (thrown.code === "memory" || thrown.code === "worker");
      if (gone && this.#model === model) {
        this.#model = undefined;
        this.#events.onChange(undefined, this.#item);
      }
      throw thrown;
    } finally {
      this.#inUse = undefined;
      for (const retired of this.#retired) retired.dispose();
      this.#retired.clear();
    }
  }

  async #open(item: Shelf, signal: AbortSignal): Promise<Model> {
    const onProgress = (progress: Progress) => {
      if (!signal.aborted) this.#events.onProgress(item, progress);
    };
    const model = await this.#load(item.source, { signal, onProgress });
    if (signal.aborted) {
      model.dispose();
      throw new PageLmError("aborted", "Another model was chosen meanwhile.");
    }
    if (this.#model) this.#retire(this.#model);
    [this.#model, this.#item] = [model, item];
    this.#events.onChange(model.info, item);
    return model;
  }

  #retire(model: Model): void {
    if (model === this.#inUse) this.#retired.add(model);
    else model.dispose();
  }
}
