/**
 * Makes the built package's scripts small: what a page downloads. The worker and what it needs become one file, and so do the
 * further threads' worker and what that needs; each build of the engine stays apart. What reads chat templates gets the library
 * that it imports put in, so that the files work as they are, without a bundler. Names that are imported or exported stay.
 * @module
 */

import { copyFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "rolldown";
import { minifySync } from "rolldown/experimental";

const dist = fileURLToPath(new URL("dist/", import.meta.url));

for (const worker of ["worker.js", "helper.js"]) {
  await build({
    input: dist + worker,
    output: { file: dist + worker, codeSplitting: false },
    external: (id) => /\/(pagelm|grammar)\.js$/.test(id),
  });
}
await build({
  input: `${dist}jinja.js`,
  output: { file: `${dist}jinja.js` },
  logLevel: "warn",
});
// The library's licence travels with it.
const notice = "/*! With @huggingface/jinja, Copyright (c) Hugging Face, under the MIT licence in jinja-LICENSE.txt. */\n";
copyFileSync(fileURLToPath(new URL("../LICENSE", import.meta.resolve("@huggingface/jinja"))), `${dist}jinja-LICENSE.txt`);
for (const gone of ["python-values", "python-builtins"]) rmSync(`${dist}${gone}.js`);

for (const name of readdirSync(dist, { recursive: true, encoding: "utf8" })) {
  if (!name.endsWith(".js")) continue;
  const { code, errors } = minifySync(name, readFileSync(dist + name, "utf8"), {
    module: !name.endsWith("isolate-worker.js"), // a plain script
    // Elsewhere it would put strings in place where bundlers must not see them.
    compress: /^(worker|helper|.*pagelm)\.js$/.test(name),
    mangle: true,
  });
  if (errors.length > 0) throw new Error(`${name}: ${errors[0]?.message}`);
  writeFileSync(dist + name, (name === "jinja.js" ? notice : "") + code);
}
