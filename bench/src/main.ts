/**
 * Measures all engines on all models and writes the record: what `cargo xtask bench` starts when all is there.
 * @module
 */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { start, wasmRoofline } from "./browser.js";
import { describe, findEngines } from "./engines.js";
import { commit, machine } from "./machine.js";
import { findModels, MODEL_IDS } from "./models.js";
import { nativeRoofline } from "./native.js";
import { type Options, parseOptions } from "./options.js";
import { paths } from "./paths.js";
import { profileModel } from "./profile.js";
import { baseName, distinct, freePath, isWhole, newestOfOtherRuns, plain, type Record, SCHEMA } from "./record.js";
import { measureModel } from "./run.js";
import { serve } from "./server.js";

/** The numbers of threads that engines are measured with. */
const THREADS = [1, 2];

const options = parseOptions(process.argv.slice(2));
await (options.profile ? profile(options) : main(options));

/** Shows where the time of this project's engines goes. */
async function profile(options: Options): Promise<void> {
  const engines = findEngines(options.engines).filter(({ adapter }) => adapter === "pagelm");
  const servers = { plain: await serve(false, true), isolated: await serve(true, true) };
  const { browser, close } = await start(options);
  const busy = options.busy_core ? keepCoreBusy() : undefined;
  try {
    for (const model of findModels(MODEL_IDS.filter((id) => options.models.test(id)))) {
      if (!model.onlyRepeating) await profileModel(browser, servers, model, engines);
    }
  } finally {
    busy?.kill();
    await close();
    servers.plain.stop();
    servers.isolated.stop();
  }
}

function keepCoreBusy(): ChildProcess {
  return spawn(process.execPath, ["-e", "for (;;);"]);
}

async function main(options: Options): Promise<void> {
  const [engines, models] = [findEngines(options.engines), findModels(MODEL_IDS.filter((id) => options.models.test(id)))];
  const servers = { plain: await serve(false), isolated: await serve(true) };
  const { browser, close } = await start(options);
  const record: Record = {
    schema: SCHEMA,
    date: new Date().toISOString(),
    machine: machine(await browser.version()),
    commit: commit(),
    options: plain(options),
    roofline: {
      wasm_read_gb_s: await wasmRoofline(browser, `${servers.plain.origin}/`, THREADS),
      native_read_gb_s: await nativeRoofline(THREADS),
    },
    engines: Object.fromEntries(engines.map((engine) => [engine.id, describe(engine)])),
    models: Object.fromEntries(models.map(({ id, file_bytes, bytes_per_token }) => [id, { file_bytes, bytes_per_token }])),
    samples: [],
    failures: [],
  };
  const out = resolve(options.out ?? freePath(paths.records, baseName(record), existsSync));
  const busy = options.busy_core ? keepCoreBusy() : undefined;
  try {
    for (const model of models) {
      console.error(`${model.id}`);
      const { rounds, quick } = options;
      const results = await measureModel(model, engines, { browser, servers, rounds, quick });
      record.samples.push(...results.samples);
      record.failures = distinct([...record.failures, ...results.failures]);
      // After each model, so that a run that is ended early leaves what it had.
      write(out, record);
    }
  } finally {
    busy?.kill();
    await close();
    servers.plain.stop();
    servers.isolated.stop();
  }
  console.log(out);
  if (!isWhole(record.options) || options.out !== undefined) return;
  const records = readdirSync(paths.records).map((name) => ({ ...read(join(paths.records, name)), name }));
  const others = newestOfOtherRuns(records, record.machine).map((name) => join(paths.records, name));
  execFileSync(process.execPath, [`${paths.bench}/report/main.mjs`, out, ...others], { stdio: "inherit" });
}

function read(path: string): Record {
  return JSON.parse(readFileSync(path, "utf8")) as Record;
}

/** One line a sample: there are thousands. */
function write(path: string, record: Record): void {
  mkdirSync(dirname(path), { recursive: true });
  const samples = record.samples.map((sample) => `  ${JSON.stringify(sample)}`).join(",\n");
  const text = JSON.stringify({ ...record, samples: [] }, null, 1).replace('"samples": []', () => `"samples": [\n${samples}\n ]`);
  writeFileSync(path, `${text}\n`);
}
