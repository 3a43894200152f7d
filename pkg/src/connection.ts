import { fromWire, isFatal, PageLmError, toWire } from "./errors.js";
import type { Alive, Request, Response, ResponseOf, WithoutId } from "./protocol.js";

/** The part of a `Worker` that is used, so that tests can stand in for one. */
export interface WorkerLike {
  onmessage: ((event: MessageEvent<Response | Alive>) => void) | null;
  onmessageerror: ((event: MessageEvent) => void) | null;
  onerror: ((event: ErrorEvent) => void) | null;
  postMessage(message: Request, transfer?: Transferable[]): void;
  terminate(): void;
}

/** Where locks are asked for; `undefined` where the browser has none to give. */
export type Locks = Pick<LockManager, "request">;

/** The part of a helper's `Worker` that is used. */
type Helper = Pick<Worker, "terminate" | "onmessage">;

type Handler = (response: Response) => void;

/** The page's side of the protocol: numbers the requests, and hands each response to whoever asked. */
export class Connection {
  readonly #worker: WorkerLike;
  readonly #handlers = new Map<number, Handler>();
  readonly #helpers: Helper[] = [];
  readonly #waiting = new AbortController();
  #lastId = 0;
  #ended: PageLmError | undefined;

  constructor(worker: WorkerLike, locks: Locks | undefined = globalThis.navigator?.locks) {
    this.#worker = worker;
    worker.onmessage = ({ data }) => (data.type === "alive" ? this.#watch(data.lock, locks) : this.#receive(data));
    worker.onmessageerror = () => this.end(new PageLmError("worker", "The worker sent what cannot be read. Load again."));
    worker.onerror = (event) => {
      event.preventDefault?.();
      const detail = event.message ? ` (${event.message})` : "";
      this.end(new PageLmError("worker", `The worker failed${detail}. Load the model again.`));
    };
  }

  /** Why this connection is over, or `undefined` while it is not. */
  get ended(): PageLmError | undefined {
    return this.#ended;
  }

  /**
   * Sends a request whose responses go to `handler`, until `release` is called with its id. Returns the id.
   *
   * # Errors
   * The error that ended this connection.
   */
  open(request: WithoutId<Request>, handler: Handler): number {
    if (this.#ended) throw new PageLmError(this.#ended.code, this.#ended.message, { cause: this.#ended });
    const id = ++this.#lastId;
    this.#handlers.set(id, handler);
    this.#worker.postMessage({ ...request, id } as Request);
    return id;
  }

  /** Sends a message about a request that is open; it has no response of its own. */
  tell(message: Extract<Request, { type: "more" | "cancel" | "chosen" | "use" | "drop" }>): void {
    if (!this.#ended) this.#worker.postMessage(message);
  }

  /** Takes a worker that helps this connection's: they end together, and it only speaks to say why it cannot go on. */
  keep(helper: Helper): void {
    helper.onmessage = ({ data }) => this.end(new PageLmError("worker", `A thread failed (${data}). Load the model again.`));
    if (this.#ended) helper.terminate();
    else this.#helpers.push(helper);
  }

  /** Forgets a request: its later responses are dropped. */
  release(id: number): void {
    this.#handlers.delete(id);
  }

  /** Sends a request and resolves with its one response of kind `type`; others go to `meanwhile`. */
  ask<T extends Response["type"]>(
    request: WithoutId<Request>,
    type: T,
    meanwhile?: (response: Response) => void,
  ): Promise<ResponseOf<T>> {
    return new Promise((resolve, reject) => {
      const id = this.open(request, (response) => {
        try {
          if (response.type !== type && response.type !== "failed") return meanwhile?.(response);
          this.release(id);
          if (response.type === "failed") reject(fromWire(response.error));
          else resolve(response as ResponseOf<T>);
        } catch (thrown) {
          this.release(id);
          reject(thrown as Error);
        }
      });
    });
  }

  /** Ends the worker; everything that is open fails with `error`, and so does everything that comes later. */
  end(error: PageLmError): void {
    if (this.#ended) return;
    this.#ended = error;
    this.#waiting.abort();
    for (const worker of [this.#worker, ...this.#helpers]) worker.terminate();
    const open = [...this.#handlers];
    this.#handlers.clear();
    for (const [id, handler] of open) handler({ type: "failed", id, error: toWire(error) });
  }

  #receive(response: Response): void {
    if (this.#ended) return;
    // An engine that trapped, or ran out of memory, is in no state to go on: its worker ends with it.
    if (response.type === "failed" && isFatal(response.error.code)) return this.end(fromWire(response.error));
    this.#handlers.get(response.id)?.(response);
  }

  /** Waits for the lock that the worker holds while it lives. */
  #watch(lock: string, locks: Locks | undefined): void {
    const gone = () => this.end(new PageLmError("worker", GONE));
    locks?.request(lock, { signal: this.#waiting.signal }, gone).catch(() => {});
  }
}

const GONE =
  "The browser ended the worker, most often because the device ran out of memory. Load the model again, or a smaller one.";
