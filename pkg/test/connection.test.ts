import { expect, test } from "vitest";
import { Connection } from "../src/connection.js";
import { PageLmError } from "../src/errors.js";
import { FakeWorker, settle } from "./pair.js";

const ask = { type: "detokenize", tokens: Uint32Array.of(1) } as const;

test("an error event of the worker fails what is open and what comes later", async () => {
  const worker = new FakeWorker();
  const connection = new Connection(worker, undefined);
  const asked = connection.ask(ask, "text");
  worker.onerror?.({ message: "import failed" } as ErrorEvent);
  await expect(asked).rejects.toMatchObject({ code: "worker", message: /import failed/ });
  await expect(connection.ask(ask, "text")).rejects.toMatchObject({ code: "worker" });
  expect(worker.terminated).toBe(true);
});

test("a killed worker sends no event, but lets go of its lock", async () => {
  const worker = new FakeWorker();
  let release!: () => void;
  const locks = {
    request: async (_name: string, _options: object, granted: () => void) =>
      new Promise<void>((resolve) => (release = () => resolve(granted()))),
  };
  const connection = new Connection(worker, locks as never);
  worker.onmessage?.({ data: { type: "alive", lock: "a" } } as MessageEvent);
  const asked = connection.ask(ask, "text");
  worker.terminate();
  await settle(5);
  release();
  await expect(asked).rejects.toMatchObject({ code: "worker", message: /The browser ended the worker/ });
});

test("ending stops waiting for the lock", () => {
  const worker = new FakeWorker();
  let signal: AbortSignal | undefined;
  const locks = {
    request: async (_name: string, options: { signal: AbortSignal }) => {
      signal = options.signal;
    },
  };
  const connection = new Connection(worker, locks as never);
  worker.onmessage?.({ data: { type: "alive", lock: "a" } } as MessageEvent);
  connection.end(new PageLmError("disposed", "over"));
  expect(signal?.aborted).toBe(true);
  expect(connection.ended?.code).toBe("disposed");
});

test("what a callback throws rejects the request", async () => {
  const worker = new FakeWorker();
  const connection = new Connection(worker, undefined);
  const asked = connection.ask(ask, "text", () => {
    throw new Error("mine");
  });
  worker.onmessage?.({ data: { type: "progress", id: 1, receivedBytes: 1, totalBytes: 1 } } as MessageEvent);
  await expect(asked).rejects.toThrowError("mine");
});

test("helpers end with the worker that they help", () => {
  const worker = new FakeWorker();
  const connection = new Connection(worker, undefined);
  const helpers = [1, 2].map(() => ({ ended: false, onmessage: null, terminate() { this.ended = true; } }));
  connection.keep(helpers[0]!);
  expect(helpers[0]?.ended).toBe(false);
  connection.end(new PageLmError("disposed", "over"));
  connection.keep(helpers[1]!);
  expect(worker.terminated && helpers.every(({ ended }) => ended)).toBe(true);
});

test("a helper that traps ends what waits for it, and says why", async () => {
  const worker = new FakeWorker();
  const connection = new Connection(worker, undefined);
  const helper: { onmessage: ((event: MessageEvent) => void) | null; terminate(): void } = { onmessage: null, terminate() {} };
  connection.keep(helper);
  const asked = connection.ask(ask, "text");
  helper.onmessage?.({ data: "RuntimeError: unreachable" } as MessageEvent);
  await expect(asked).rejects.toMatchObject({ code: "worker", message: expect.stringContaining("RuntimeError: unreachable") });
  expect(worker.terminated).toBe(true);
});
