import type { Model } from "pagelm";

type Work = (model: Model) => Promise<void>;

/**
 * Work with the one model, one after the other. Of what waits under one name only the last is done, so that a slider that is
 * drawn along does not leave a queue behind it.
 */
export class Turns {
  readonly #model: () => Promise<Model>;
  readonly #fail: (thrown: unknown) => void;
  readonly #waiting = new Map<string, Work>();
  #running = false;

  constructor(model: () => Promise<Model>, fail: (thrown: unknown) => void) {
    this.#model = model;
    this.#fail = fail;
  }

  run(name: string, work: Work): void {
    this.#waiting.delete(name);
    this.#waiting.set(name, work);
    if (!this.#running) void this.#go();
  }

  /** Gives up what waits. */
  forget(): void {
    this.#waiting.clear();
  }

  async #go(): Promise<void> {
    this.#running = true;
    // Many changes of one moment come first, then one work for them.
    await new Promise((resolve) => setTimeout(resolve));
    for (;;) {
      const next = this.#waiting.entries().next().value;
      if (!next) break;
      try {
        const model = await this.#model();
        const [name] = next;
        const work = this.#waiting.get(name); // there may be a newer one by now
        this.#waiting.delete(name);
        await work?.(model);
      } catch (thrown) {
        this.#waiting.clear();
        this.#fail(thrown);
      }
    }
    this.#running = false;
  }
}
