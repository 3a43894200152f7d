/**
 * The module worker that `Model.load` starts. Its logic is in {@link Host}.
 * @module
 */

import { Host } from "./host.js";
import type { Alive, Request, Response } from "./protocol.js";

/** The part of `DedicatedWorkerGlobalScope` that is used here; the DOM's types have no room for both scopes. */
interface Scope {
  onmessage: ((event: MessageEvent<Request>) => void) | null;
  postMessage(message: Response | Alive, transfer?: Transferable[]): void;
}

const scope = globalThis as unknown as Scope;
const host = new Host((response, transfer) => scope.postMessage(response, transfer));

scope.onmessage = ({ data }) => void host.receive(data);

// Held until this worker dies. There are no locks where the page is not from https or from this machine.
const lock = `pagelm ${crypto.getRandomValues(new Uint32Array(2)).join(" ")}`;
void navigator.locks?.request(lock, () => {
  scope.postMessage({ type: "alive", lock });
  return new Promise(() => {});
});
