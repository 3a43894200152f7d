/**
 * A static server on this machine, and the ways in which a static server goes wrong.
 * @module
 */

import { createReadStream, existsSync, statSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import sirv from "sirv";
import * as paths from "./paths.js";

/** How a file that a test offers is sent. */
export type Behaviour = (response: ServerResponse, file: Uint8Array) => void | Promise<void>;

/** As it should be. */
export const plain: Behaviour = (response, file) => {
  response.writeHead(200, { "content-length": file.length, "content-type": "application/octet-stream" }).end(file);
};

/** Without a length, in chunks. */
export const unsized: Behaviour = async (response, file) => {
  response.writeHead(200, { "content-type": "application/octet-stream" });
  for (let at = 0; at < file.length; at += 65_536) response.write(file.subarray(at, at + 65_536));
  response.end();
};

/** In `nParts` parts with a pause after each. */
export const slow = (nParts: number, pauseMs: number): Behaviour => async (response, file) => {
  response.writeHead(200, { "content-length": file.length });
  const step = Math.ceil(file.length / nParts);
  for (let at = 0; at < file.length && !response.destroyed; at += step) {
    response.write(file.subarray(at, at + step));
    await sleep(pauseMs);
  }
  response.end();
};

/** A status without the file. */
export const status = (code: number): Behaviour => (response) => {
  response.writeHead(code, { "content-type": "text/html" }).end("<!doctype html><title>Sorry</title>");
};

/** A page in place of the file, as from a host that wants a log-in. */
export const pageInstead: Behaviour = (response) => {
  response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>Please sign in</title>");
};

/** The whole length announced, a share of it sent, and the connection cut. */
export const cut = (share: number): Behaviour => async (response, file) => {
  response.writeHead(200, { "content-length": file.length });
  response.write(file.subarray(0, Math.floor(file.length * share)));
  await sleep(100);
  response.destroy();
};

/** Only a share of the file is there, and the length says so. */
export const short = (share: number): Behaviour => (response, file) =>
  plain(response, file.subarray(0, Math.floor(file.length * share)));

/** Compressed in transit: the length is that of what travels, not of the file. */
export const compressed: Behaviour = (response, file) => {
  const body = gzipSync(file, { level: 1 });
  response.writeHead(200, { "content-encoding": "gzip", "content-length": body.length }).end(body);
};

const BLANK = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>blank</title>
<p id="out"></p>
<script type="module">
  import * as pagelm from "/pkg/index.js";
  window.pagelm = pagelm;
  window.openGrammar = () => import("/pkg/grammar/pagelm_grammar.js");
  window.openMainThread = () => import("/pkg/main-thread.js");
  window.openBuild = async (build) => {
    const binding = await import("/pkg/" + build + "/pagelm.js");
    await binding.default();
    return binding;
  };
</script>`;

/** A page that asks to be isolated, beside the package's files. */
const ISOLATE = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>not yet</title>
<script type="module">
  import * as pagelm from "./index.js";
  import { isolate } from "./isolate.js";
  window.pagelm = pagelm;
  document.title = (await isolate("isolate-worker.js")) ? "isolated" : "not isolated";
</script>`;

/** The built pages under a sub-path, the built package, and whatever a test offers. */
export class Server {
  /** The path of every request, in order. */
  readonly requests: string[] = [];
  /** Paths at which nothing is found. */
  missing: RegExp | undefined;
  /** How many answers the other side did not wait for. */
  nAbandoned = 0;
  #isolated = false;
  readonly #offers = new Map<string, { file: Uint8Array | string; behaviour: Behaviour }>();
  readonly #pages = sirv(paths.pages, { dev: true, etag: true });
  readonly #pkg = sirv(paths.pkg, { dev: true });
  readonly #server = createServer((request, response) => void this.#answer(request, response));

  /** `isolated`: with the headers that make its pages cross-origin isolated, so that workers may share memory. */
  static async start({ isolated = false } = {}): Promise<Server> {
    for (const [folder, what] of [[paths.pages, "pages"], [paths.pkg, "package"]]) {
      if (!existsSync(`${folder}/index.html`) && !existsSync(`${folder}/index.js`)) {
        throw new Error(`The ${what} are not built: run \`cargo xtask build\` first (${folder}).`);
      }
    }
    const server = new Server();
    server.#isolated = isolated;
    await new Promise<void>((ready) => server.#server.listen(0, "127.0.0.1", ready));
    return server;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The demo page, under a sub-path as on most static hosts. */
  get demo(): string {
    return `${this.origin}/some/where/`;
  }

  /** A page with the package and nothing else. */
  get blank(): string {
    return `${this.origin}/blank/`;
  }

  /** Offers a file (its bytes, or where it is) and returns its address. */
  offer(name: string, file: Uint8Array | string, behaviour: Behaviour = plain): string {
    this.#offers.set(`/files/${name}`, { file, behaviour });
    return `${this.origin}/files/${name}`;
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = new URL(request.url ?? "/", this.origin).pathname;
    this.requests.push(path);
    if (this.#isolated) {
      response.setHeader("cross-origin-opener-policy", "same-origin");
      response.setHeader("cross-origin-embedder-policy", "require-corp");
    }
    response.on("close", () => {
      if (!response.writableFinished) this.nAbandoned += 1;
    });
    if (this.missing?.test(path)) return status(404)(response, new Uint8Array());
    const offer = this.#offers.get(path);
    if (offer) return this.#send(response, offer.file, offer.behaviour);
    if (path === "/blank/") return void response.setHeader("content-type", "text/html").end(BLANK);
    if (path === "/pkg/isolate.html") return void response.setHeader("content-type", "text/html").end(ISOLATE);
    for (const [prefix, files] of [["/some/where", this.#pages], ["/pkg", this.#pkg]] as const) {
      if (!path.startsWith(`${prefix}/`)) continue;
      request.url = path.slice(prefix.length);
      return files(request, response, () => status(404)(response, new Uint8Array()));
    }
    await status(404)(response, new Uint8Array());
  }

  async #send(response: ServerResponse, file: Uint8Array | string, behaviour: Behaviour): Promise<void> {
    if (typeof file !== "string") return behaviour(response, file);
    response.writeHead(200, { "content-length": statSync(file).size, "content-type": "application/octet-stream" });
    // A reader who goes away is no failure of the server's.
    await pipeline(createReadStream(file), response).catch(() => undefined);
  }
}
