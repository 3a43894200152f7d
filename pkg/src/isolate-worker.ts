/**
 * A service worker that gives a site the two headers which make its pages cross-origin isolated, for hosts that cannot be
 * told to send them. It touches pages and workers only: models and everything else go past it.
 *
 * It is a file to be copied beside one's pages, and a plain script: not every browser knows modules here.
 * @module
 */

/** The part of `ServiceWorkerGlobalScope` that is used here; the DOM's types have no room for both scopes. */
interface IsolatingScope {
  addEventListener(type: string, listener: (event: IsolatingEvent & { request: Request }) => void): void;
  skipWaiting(): Promise<void>;
  clients: { claim(): Promise<void> };
}

interface IsolatingEvent {
  waitUntil(done: Promise<unknown>): void;
  respondWith(response: Promise<Response>): void;
}

const isolatingScope = globalThis as unknown as IsolatingScope;
const isolatedDestinations: readonly string[] = ["document", "iframe", "worker"];

isolatingScope.addEventListener("install", (event) => event.waitUntil(isolatingScope.skipWaiting()));
isolatingScope.addEventListener("activate", (event) => event.waitUntil(isolatingScope.clients.claim()));
isolatingScope.addEventListener("fetch", (event) => {
  const { request } = event;
  if (isolatedDestinations.includes(request.destination)) event.respondWith(isolated(request));
});

async function isolated(request: Request): Promise<Response> {
  const response = await fetch(request);
  if (response.type === "opaque" || response.type === "opaqueredirect") return response; // not ours to change
  const headers = new Headers(response.headers);
  headers.set("cross-origin-opener-policy", "same-origin");
  headers.set("cross-origin-embedder-policy", "require-corp");
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}
