/**
 * Gives the event loop its turn between two steps of work.
 *
 * A message to oneself, never a timer: browsers slow timers down to one a second in a hidden page, and to 4 ms
 * anywhere else. Messages that were posted earlier, a cancellation for example, are seen before `next` resolves.
 */
export class Turns {
  readonly #channel = new MessageChannel();
  readonly #waiting: (() => void)[] = [];

  constructor() {
    this.#channel.port1.onmessage = () => this.#waiting.shift()?.();
  }

  /** Resolves when everything that was waiting before has had its turn. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#channel.port2.postMessage(null);
    });
  }
}
