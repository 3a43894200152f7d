import { afterEach, expect, test, vi } from "vitest";
import { isolate } from "../src/isolate.js";

/** A browser in which a worker comes to `state`, over the folder `scope`; what it was asked. */
function browser({ scope = "https://site.example/", state = "activated", isolated = false, stored = {} as Record<string, string> }) {
  const worker = Object.assign(new EventTarget(), { state: "installing" });
  const registered: unknown[] = [];
  const register = async (script: unknown) => {
    registered.push(script);
    setTimeout(() => {
      worker.state = state;
      worker.dispatchEvent(new Event("statechange"));
    });
    return { scope, active: null, waiting: null, installing: worker };
  };
  const reload = vi.fn();
  vi.stubGlobal("crossOriginIsolated", isolated);
  vi.stubGlobal("navigator", { serviceWorker: { register } });
  vi.stubGlobal("location", { href: "https://site.example/pages/one.html#part", reload });
  vi.stubGlobal("sessionStorage", {
    getItem: (key: string) => stored[key] ?? null,
    setItem: (key: string, value: string) => void (stored[key] = value),
    removeItem: (key: string) => void delete stored[key],
  });
  return { registered, reload, stored };
}

/** What comes of it within a moment: `pending` where the page is about to be loaded anew. */
const outcome = (promise: Promise<boolean>) => Promise.race([promise, new Promise((done) => setTimeout(done, 30, "pending"))]);

afterEach(() => void vi.unstubAllGlobals());

test("the page is loaded anew once its worker is active, and only once", async () => {
  const { registered, reload, stored } = browser({ scope: "https://site.example/pages/" });
  expect(await outcome(isolate("isolate-worker.js"))).toBe("pending");
  expect([registered, reload.mock.calls.length]).toEqual([["isolate-worker.js"], 1]);
  const again = browser({ stored });
  expect(await outcome(isolate())).toBe(false);
  expect([again.registered, again.reload.mock.calls.length]).toEqual([[], 0]);
});

test("a page that is isolated is left alone, and may be helped again later", async () => {
  const { registered, stored } = browser({ isolated: true, stored: { "pagelm-isolate": "1" } });
  expect(await outcome(isolate())).toBe(true);
  expect([registered, stored]).toEqual([[], {}]);
});

test.each([
  ["a worker of another folder", { scope: "https://site.example/pages/assets/" }],
  ["a worker that fails to install", { state: "redundant" }],
])("%s is not waited for", async (_, how) => {
  const { reload } = browser(how);
  expect(await outcome(isolate())).toBe(false);
  expect(reload).not.toHaveBeenCalled();
});

test("where a site may store nothing, or has no workers, everything goes on", async () => {
  browser({});
  vi.stubGlobal("sessionStorage", undefined);
  Object.defineProperty(globalThis, "sessionStorage", { configurable: true, get: () => { throw new DOMException("no", "SecurityError"); } });
  expect(await outcome(isolate())).toBe(false);
  browser({});
  vi.stubGlobal("navigator", {});
  vi.stubGlobal("crossOriginIsolated", undefined);
  expect(await outcome(isolate())).toBe(false);
});
