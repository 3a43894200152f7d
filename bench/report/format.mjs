/**
 * Numbers and tables as Markdown.
 * @typedef {import("./record.mjs").Spread} Spread
 */

/** Three digits, or all of a whole number above them. @param {number} value */
export function digits(value) {
  if (value >= 100) return Math.round(value).toLocaleString("en");
  if (value === 0) return "0";
  return value.toFixed(Math.max(0, 2 - Math.floor(Math.log10(value))));
}

/**
 * `2.31 (2.20–2.44)`: median, lowest and highest. `unit` stands after each of two groups of digits.
 *
 * @param {Spread | undefined} spread
 * @param {string} [unit]
 */
export function range(spread, unit = "") {
  if (!spread) return "–";
  const [median, min, max] = [spread.median, spread.min, spread.max].map(digits);
  const joined = unit === "" || unit === "×" ? unit : ` ${unit}`;
  return min === max ? `${median}${joined}` : `${median}${joined} (${min}–${max})`;
}

/** @param {number} bytes */
export function bytes(bytes) {
  if (bytes >= 1e9) return `${digits(bytes / 1e9)} GB`;
  return bytes >= 1e6 ? `${digits(bytes / 1e6)} MB` : `${digits(bytes / 1e3)} KB`;
}

/**
 * A table; columns after the first are numbers, and stand to the right.
 *
 * @param {string[]} head
 * @param {string[][]} rows
 */
export function table(head, rows) {
  const line = (/** @type {string[]} */ cells) => `| ${cells.map(cell).join(" | ")} |`;
  return [line(head), `|${head.map((_, idx) => (idx === 0 ? " --- " : " ---: ")).join("|")}|`, ...rows.map(line)].join(
    "\n",
  );
}

/** What another program said must not become markup, nor end a cell. @param {string} text */
const cell = (text) => text.replace(/\|/g, "\\|").replace(/\s*\n\s*/g, " ");

/** Words of another program, as code. @param {string} text */
export function quoted(text) {
  const line = text.replace(/`/g, "'").replace(/\s+/g, " ").trim();
  return `\`${line.length > 300 ? `${line.slice(0, 300)}…` : line}\``;
}
