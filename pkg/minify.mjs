/**
 * Makes the built package's scripts small: what a page downloads. The worker and what it always needs become one file; what it
 * needs at times, and each build of the engine, stays apart. Names that are imported or exported stay.
 * @module
 */

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";
import { minifySync } from "rolldown/experimental";

const dist = fileURLToPath(new URL("dist/", import.meta.url));

const isApart = (/** @type {string} */ id) => /(pagelm|benchmark)\.js$/.test(id);
const worker = await rolldown({ input: `${dist}worker.js`, external: isApart });
const { output } = await worker.generate({ format: "esm" });
await worker.close();
if (output.length !== 1) throw new Error(`the worker became ${output.length} files`);
writeFileSync(`${dist}worker.js`, output[0].code);

for (const name of readdirSync(dist, { recursive: true, encoding: "utf8" })) {
  if (!name.endsWith(".js")) continue;
  const { code, errors } = minifySync(name, readFileSync(dist + name, "utf8"), {
    module: !name.endsWith("isolate-worker.js"), // a plain script
    compress: false, // it would put strings in place where bundlers must not see them
    mangle: true,
  });
  if (errors.length > 0) throw new Error(`${name}: ${errors[0]?.message}`);
  writeFileSync(dist + name, code);
}
