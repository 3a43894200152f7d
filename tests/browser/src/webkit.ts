/**
 * WebKitGTK, by the W3C's WebDriver protocol: the few commands that tests need.
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const DRIVER = process.env["PAGELM_WEBKIT"] ?? "/usr/bin/WebKitWebDriver";
const SCREEN = "/usr/bin/Xvfb";
const BROWSERS = ["/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser", "/usr/libexec/webkit2gtk-4.1/MiniBrowser"];
const browser = BROWSERS.find((path) => existsSync(path));

/** Whether this machine has it: Debian's webkit2gtk-driver and xvfb. Where a driver is named, it has to be there. */
export const hasWebkit = "PAGELM_WEBKIT" in process.env || (browser !== undefined && existsSync(DRIVER) && existsSync(SCREEN));

/** A window of WebKit. */
export class Webkit {
  readonly #session: string;
  readonly #processes: readonly ChildProcess[];

  private constructor(session: string, processes: readonly ChildProcess[]) {
    [this.#session, this.#processes] = [session, processes];
  }

  /**
   * Starts it, on a screen of its own: the driver in `PAGELM_WEBKIT`, else Debian's.
   *
   * # Errors
   * Where the driver does not answer, or refuses.
   */
  static async launch(): Promise<Webkit> {
    const port = await freePort();
    const display = `:${90 + (process.pid % 400)}`;
    const screen = spawn(SCREEN, [display, "-screen", "0", "1280x1000x24", "-nolisten", "tcp"], { stdio: "ignore" });
    await sleep(1000);
    const env = { ...process.env, DISPLAY: display, WEBKIT_DISABLE_COMPOSITING_MODE: "1", WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: "1" };
    const driver = spawn(DRIVER, [`--port=${port}`], { stdio: "ignore", env });
    const address = `http://127.0.0.1:${port}/session`;
    const capabilities = { alwaysMatch: { "webkitgtk:browserOptions": { binary: browser, args: ["--automation"] } } };
    for (let tries = 0; ; tries += 1) {
      try {
        const { sessionId } = (await command("POST", address, { capabilities })) as { sessionId: string };
        return new Webkit(`${address}/${sessionId}`, [driver, screen]);
      } catch (thrown) {
        if (tries === 20 || !(thrown instanceof TypeError)) {
          for (const one of [driver, screen]) one.kill();
          throw thrown;
        }
        await sleep(500);
      }
    }
  }

  async goto(url: string): Promise<void> {
    await command("POST", `${this.#session}/url`, { url });
  }

  /** Runs a function's body in the page. */
  async evaluate<T>(script: string, ...args: unknown[]): Promise<T> {
    return (await command("POST", `${this.#session}/execute/sync`, { script, args })) as T;
  }

  /** Waits until a body returns something true, and returns that. */
  async waitFor<T>(script: string, ms: number, ...args: unknown[]): Promise<T> {
    for (const until = Date.now() + ms; ; await sleep(100)) {
      const found = await this.evaluate<T>(script, ...args);
      if (found) return found;
      if (Date.now() > until) throw new Error(`WebKit: not within ${ms} ms: ${script} ${args.join(" ")}`);
    }
  }

  async close(): Promise<void> {
    await command("DELETE", this.#session).catch(() => undefined);
    for (const one of this.#processes) one.kill();
  }
}

async function command(method: string, url: string, body?: unknown): Promise<unknown> {
  const response = await fetch(url, { method, ...(body !== undefined && { body: JSON.stringify(body) }) });
  const { value } = (await response.json()) as { value: { error?: string; message?: string } | unknown };
  if (!response.ok) throw new Error(`WebDriver: ${JSON.stringify(value)}`);
  return value;
}

/** A port that nobody listens on. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  const { port } = server.address() as { port: number };
  await new Promise((closed) => server.close(closed));
  return port;
}
