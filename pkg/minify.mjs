/**
 * Makes the built package's scripts small: what a page downloads. The worker and what it always needs become one file; what it
 * needs at times, and each build of the engine, stays apart. What renders chat templates gets the library that it imports put
 * in, so that the files work as they are, without a bundler. Names that are imported or exported stay.
 * @module
 */

import { copyFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";
import { minifySync } from "rolldown/experimental";

const dist = fileURLToPath(new URL("dist/", import.meta.url));

/** Puts all that a script imports into its file, but what `isApart` names. */
async function bundle(/** @type {string} */ name, isApart = (/** @type {string} */ _) => false) {
  const bundled = await rolldown({ input: dist + name, external: isApart });
  const { output } = await bundled.generate({ format: "esm" });
  await bundled.close();
  if (output.length !== 1) throw new Error(`${name} became ${output.length} files`);
  writeFileSync(dist + name, output[0].code);
}

await bundle("worker.js", (id) => /(pagelm|benchmark|grammar)\.js$/.test(id));
await bundle("jinja.js");
for (const within of ["python-values", "python-builtins"]) rmSync(`${dist}${within}.js`);
// The library's licence travels with it.
const notice = "/*! With @huggingface/jinja, Copyright (c) Hugging Face, under the MIT licence in jinja-LICENSE.txt. */\n";
copyFileSync(fileURLToPath(new URL("../LICENSE", import.meta.resolve("@huggingface/jinja"))), `${dist}jinja-LICENSE.txt`);

for (const name of readdirSync(dist, { recursive: true, encoding: "utf8" })) {
  if (!name.endsWith(".js")) continue;
  const { code, errors } = minifySync(name, readFileSync(dist + name, "utf8"), {
    module: !name.endsWith("isolate-worker.js"), // a plain script
    compress: false, // it would put strings in place where bundlers must not see them
    mangle: true,
  });
  if (errors.length > 0) throw new Error(`${name}: ${errors[0]?.message}`);
  writeFileSync(dist + name, (name === "jinja.js" ? notice : "") + code);
}
