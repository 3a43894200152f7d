/**
 * Measures all engines on all models and writes the record: what `cargo xtask bench` starts when all is there.
 * @module
 */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { start } from "./browser.js";
import { describe, findEngines } from "./engines.js";
import { commit, machine } from "./machine.js";
import { findModels, MODEL_IDS } from "./models.js";
import { type Options, parseOptions } from "./options.js";
import { paths } from "./paths.js";
import { distinct, fileName, plain, type Record, SCHEMA } from "./record.js";
import { measureModel } from "./run.js";
import { serve } from "./server.js";

await main(parseOptions(process.argv.slice(2)));

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
    ...roofline(),
    engines: Object.fromEntries(engines.map((engine) => [engine.id, describe(engine)])),
    models: Object.fromEntries(models.map(({ id, file_bytes, bytes_per_token }) => [id, { file_bytes, bytes_per_token }])),
    samples: [],
    failures: [],
  };
  const out = resolve(options.out ?? `${paths.records}/${fileName(record.date, record.machine.cpu)}`);
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
    await close();
    servers.plain.stop();
    servers.isolated.stop();
  }
  console.log(out);
}

/** What the roofline's own tool measured just before, where it did. */
function roofline(): Pick<Record, "roofline"> {
  const path = process.env["PAGELM_ROOFLINE"];
  return path ? { roofline: JSON.parse(readFileSync(path, "utf8")) } : {};
}

function write(path: string, record: Record): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(record, null, 1)}\n`);
}
