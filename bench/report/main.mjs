/**
 * Writes docs/performance.md and docs/performance.svg from records.
 *
 *     node bench/report/main.mjs bench/records/MAIN.json [bench/records/OTHER.json …] [--out docs]
 *
 * The first record is the main run; others were made under another condition, which their options name.
 * @module
 */

import { existsSync, writeFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { chart } from "./chart.mjs";
import { page } from "./page.mjs";
import { readRecord } from "./record.mjs";

const DOCS = fileURLToPath(new URL("../../docs", import.meta.url));

const { values, positionals } = parseArgs({
  options: { out: { type: "string", default: DOCS } },
  allowPositionals: true,
});
if (positionals.length === 0) {
  console.error("usage: node bench/report/main.mjs MAIN.json [OTHER.json …] [--out FOLDER]");
  process.exit(2);
}
const entries = positionals.map((path) => ({
  path: relative(values.out, path).split(sep).join("/"),
  record: readRecord(path),
}));
const notes = existsSync(join(values.out, "performance-notes.md"));
writeFileSync(join(values.out, "performance.md"), page(entries, { hasNotes: notes }));
writeFileSync(join(values.out, "performance.svg"), await chart(entries[0].record));
