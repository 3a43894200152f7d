import type { Model } from "pagelm";

/** Work with the model. `still` says whether its result is still wanted: it is asked between long steps. */
export type Work = (model: Model, still: () => boolean) => Promise<void>;

/**
 * Work with the one model, one after the other. Of what waits under one name only the last is done, so that a slider that is
 * drawn along does not leave a queue behind it.
 */
export class Turns {
  readonly #model: () => Promise<Model>;
  readonly #fail: (thrown: unknown, name: string) => void;
  readonly #done: (name: string) => void;
  readonly #busy: (isBusy: boolean) => void;
  readonly #waiting = new Map<string, Work>();
  #running = false;
  /** Counts how often everything was given up. */
  #epoch = 0;

  /** `fail` and `done` hear how each work ended, by its name. */
  constructor(
    model: () => Promise<Model>,
    fail: (thrown: unknown, name: string) => void,
    done: (name: string) => void = () => {},
    busy: (isBusy: boolean) => void = () => {},
  ) {
    this.#model = model;
    this.#fail = fail;
    this.#done = done;
    this.#busy = busy;
  }

  run(name: string, work: Work): void {
    this.#waiting.delete(name);
    this.#waiting.set(name, work);
    if (!this.#running) void this.#go();
  }

  /** Gives up what waits, and what runs as soon as it asks. */
  forget(): void {
    this.#waiting.clear();
    this.#epoch += 1;
  }

  async #go(): Promise<void> {
    this.#running = true;
    this.#busy(true);
    // Many changes of one moment come first, then one work for them.
    await new Promise((resolve) => setTimeout(resolve));
    for (;;) {
      const next = this.#waiting.entries().next().value;
      if (!next) break;
      const [name] = next;
      try {
        const model = await this.#model().catch((thrown: unknown) => {
          this.#waiting.clear(); // without a model there is nothing to do
          throw thrown;
        });
        const work = this.#waiting.get(name); // there may be a newer one by now
        this.#waiting.delete(name);
        const epoch = this.#epoch;
        await work?.(model, () => epoch === this.#epoch && !this.#waiting.has(name));
        this.#done(name);
      } catch (thrown) {
        this.#fail(thrown, name);
      }
    }
    this.#running = false;
    this.#busy(false);
  }
}
