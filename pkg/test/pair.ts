import type { Binding } from "../src/binding.js";
import { Connection, type WorkerLike } from "../src/connection.js";
import { Host } from "../src/host.js";
import { loadEngine } from "../src/load.js";
import { Model } from "../src/model.js";
import type { Request, Response } from "../src/protocol.js";
import type { SourceRef } from "../src/source.js";
import { fakeBinding, fakeFile } from "./fake-binding.js";

/** A worker that is a host in this process, behind real message channels, with a record of what was said. */
export class FakeWorker implements WorkerLike {
  onmessage: WorkerLike["onmessage"] = null;
  onmessageerror: WorkerLike["onmessageerror"] = null;
  onerror: WorkerLike["onerror"] = null;
  readonly said: Response[] = [];
  readonly heard: Request[] = [];
  terminated = false;
  readonly #channel = new MessageChannel();

  constructor(binding: Binding = fakeBinding) {
    const { port1, port2 } = this.#channel;
    const host = new Host(
      (response, transfer) => {
        this.said.push(response);
        port2.postMessage(response, transfer ?? []);
      },
      (source, options) => loadEngine(source, { ...options, build: "simd128" }, async () => binding),
    );
    port2.onmessage = ({ data }) => {
      this.heard.push(data);
      void host.receive(data);
    };
    port1.onmessage = (event) => this.onmessage?.(event);
  }

  postMessage(message: Request): void {
    this.#channel.port1.postMessage(message);
  }

  terminate(): void {
    this.terminated = true;
    this.#channel.port1.close();
  }

  count(type: Response["type"]): number {
    return this.said.filter((response) => response.type === type).length;
  }
}

/** A connection to a fake worker. */
export function connect(): { worker: FakeWorker; connection: Connection } {
  const worker = new FakeWorker();
  return { worker, connection: new Connection(worker, undefined) };
}

/** A file in memory as a source. */
export function blobSource(bytes: Uint8Array<ArrayBuffer>): SourceRef {
  return { kind: "blob", blob: new Blob([bytes]) };
}

/** Lets everything that is under way come to rest. */
export function settle(ms = 20): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Loads through the public door, with the fake worker in place of a real one. */
export async function load(): Promise<{ model: Model; worker: FakeWorker }> {
  let worker!: FakeWorker;
  const scope = globalThis as { Worker?: unknown; location?: unknown };
  scope.location = { origin: new URL(import.meta.url).origin, href: "http://x.example/" };
  scope.Worker = class extends FakeWorker {
    constructor() {
      super();
      worker = this;
    }
  };
  const model = await Model.load(new Blob([fakeFile()]));
  return { model, worker };
}
