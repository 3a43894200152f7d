/**
 * Makes a page cross-origin isolated, so that the engine can use several cores, where the host cannot be told to send
 * the two headers for that.
 * @module
 */

const TRIED = "pagelm-isolate";

/**
 * Installs the service worker `script` (a copy of `pagelm/isolate-worker.js` beside the page, which governs the folder
 * that it lies in) and loads the page anew, once. Returns whether the page is isolated; where it is not, for one because the
 * worker lies in a folder that the page is not in, everything works as before, on one core.
 *
 * To be called before anything that a reload would lose. Resources from other origins have to be sent with CORS or
 * `Cross-Origin-Resource-Policy: cross-origin` from then on.
 */
export async function isolate(script: string | URL = "isolate-worker.js"): Promise<boolean> {
  try {
    if (globalThis.crossOriginIsolated) {
      sessionStorage.removeItem(TRIED);
      return true;
    }
    const workers = globalThis.navigator?.serviceWorker as ServiceWorkerContainer | undefined;
    if (!workers || sessionStorage.getItem(TRIED)) return false; // no https, a private window; or it did not help
    const registration = await workers.register(script);
    // A worker in another folder does not govern this page, and would be waited for without end.
    if (!location.href.startsWith(registration.scope) || !(await becomesActive(registration))) return false;
    sessionStorage.setItem(TRIED, "1");
  } catch {
    return globalThis.crossOriginIsolated === true; // where a site may store nothing, even to ask throws
  }
  location.reload();
  return new Promise(() => {}); // this page is over
}

/** Waits until a worker is installed and active; false where that fails. */
function becomesActive({ active, waiting, installing }: ServiceWorkerRegistration): Promise<boolean> {
  const worker = active ?? waiting ?? installing;
  return new Promise((done) => {
    const look = () => {
      if (!worker || worker.state === "redundant") done(false);
      else if (worker.state === "activated") done(true);
    };
    worker?.addEventListener("statechange", look);
    look();
  });
}
