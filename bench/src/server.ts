/**
 * Serves the pages of the benchmark on this machine: once as any static host does, and once with the headers that
 * isolate a page from other origins, without which a browser gives it no threads.
 * @module
 */

import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server as HttpServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import sirv from "sirv";
import { transformWithOxc } from "vite";
import { paths } from "./paths.js";

const PAGE = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>benchmark</title>`;

const ISOLATION = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
  "cross-origin-resource-policy": "same-origin",
};

const FOLDERS = {
  pkg: paths.pkg,
  peers: paths.peers,
  candle: paths.candle,
  models: paths.models,
  "built-in": paths.builtIn,
  onnx: paths.onnx,
  roofline: paths.roofline,
};

/** Flare 0.2.21 ships a comment that ends too early, so that browsers refuse the file: it is sent without that. */
const FLARE = "/peers/@sauravpanda/flare/pkg/flare_web.js";
const BROKEN_COMMENT = "{ /* done */ return; }";

/** A running server. */
export interface Server {
  origin: string;
  stop(): void;
}

/** Starts a server on a free port. With `named`, this project's modules have the names of their functions. */
export async function serve(isolated: boolean, named = false): Promise<Server> {
  const folders = Object.entries(FOLDERS).map(([name, path]) => ({ prefix: `/${name}/`, files: sirv(path, { dev: true }) }));
  const server: HttpServer = createServer((request: IncomingMessage, response: ServerResponse) => {
    if (isolated) for (const [name, value] of Object.entries(ISOLATION)) response.setHeader(name, value);
    const path = (request.url ?? "/").split("?")[0] as string;
    if (path === "/") return void response.setHeader("content-type", "text/html").end(PAGE);
    if (path.startsWith("/bench/")) return void sendModule(path.slice("/bench/".length), response);
    if (path === FLARE) return sendFlare(response);
    const build = named && /^\/pkg\/([^/]+)\/pagelm_bg\.wasm$/.exec(path)?.[1];
    if (build) return void response.setHeader("content-type", "application/wasm").end(readFileSync(paths.named(build)));
    const folder = folders.find(({ prefix }) => path.startsWith(prefix));
    if (!folder) return notFound(response);
    request.url = path.slice(folder.prefix.length - 1);
    folder.files(request, response, () => notFound(response));
  });
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const stop = () => {
    server.close();
    server.closeAllConnections();
  };
  return { origin, stop };
}

/** One of the modules in pages/, as JavaScript. */
async function sendModule(name: string, response: ServerResponse): Promise<void> {
  try {
    const path = `${paths.pages}/${name.replace(/\.js$/, ".ts")}`;
    const { code } = await transformWithOxc(readFileSync(path, "utf8"), path);
    response.setHeader("content-type", "text/javascript").end(code);
  } catch (error) {
    response.writeHead(404).end(String(error));
  }
}

function sendFlare(response: ServerResponse): void {
  const source = readFileSync(paths.peers + FLARE.slice("/peers".length), "utf8");
  response.setHeader("content-type", "text/javascript").end(source.replaceAll(BROKEN_COMMENT, "{ return; }"));
}

function notFound(response: ServerResponse): void {
  response.writeHead(404).end();
}
