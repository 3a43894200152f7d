/**
 * Makes the built package's scripts small: what a page downloads. Names that are imported or exported stay.
 * @module
 */

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { minifySync } from "rolldown/experimental";

const dist = fileURLToPath(new URL("dist/", import.meta.url));

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
