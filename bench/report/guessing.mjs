/**
 * What guessing ahead brings: the same text with it and without, in one page of each round.
 *
 * @typedef {import("./record.mjs").BenchRecord} BenchRecord
 * @typedef {import("./record.mjs").Query} Query
 * @typedef {import("./record.mjs").Spread} Spread
 *
 * @typedef {object} Guessed
 * @property {string} model
 * @property {string} text what is written
 * @property {string} engine
 * @property {number} threads
 * @property {number} n tokens of the text
 * @property {Spread} plain tokens per second without guessing
 * @property {Spread} guessing tokens per second with it
 * @property {Spread} ratio of the two, within the rounds
 * @property {Spread} proposed tokens guessed in one text
 * @property {Spread} accepted those of them that came
 */

import { range, table } from "./format.mjs";
import { byRound, ratios, spread } from "./record.mjs";

/** One entry for each text that was written both ways, in the record's order. */
/** @param {BenchRecord} record @returns {Guessed[]} */
export function guessed(record) {
  const both = record.samples.filter(({ measure, speculative }) => measure === "decode_repeating" && speculative);
  const kinds = new Map(both.map((sample) => [[sample.model, sample.text, sample.engine, sample.threads].join("\n"), sample]));
  return [...kinds.values()].flatMap(({ model, text = "", engine, threads, n = 0 }) => {
    /** @type {Query} */
    const query = { engine, threads, model, measure: "decode_repeating", text };
    /** @param {boolean} speculative @param {"value" | "proposed" | "accepted"} [field] */
    const rounds = (speculative, field) => byRound(record, { ...query, speculative }, field);
    const [slow, fast] = [rounds(false), rounds(true)];
    const [plain, guessing, ratio] = [slow, fast, ratios(fast, slow)].map((values) => spread(values.values()));
    const [proposed, accepted] = [rounds(true, "proposed"), rounds(true, "accepted")].map((values) =>
      spread(values.values()),
    );
    if (!plain || !guessing || !ratio || !proposed || !accepted) return [];
    return [{ model, text, engine, threads, n, plain, guessing, ratio, proposed, accepted }];
  });
}

/** The section, with a table for each record that has any. @param {BenchRecord} record */
export function guessingSection(record) {
  const rows = guessed(record).map((entry) => [
    `${entry.model}: ${entry.text}`,
    String(entry.threads),
    range(entry.plain),
    range(entry.guessing),
    range(entry.ratio, "×"),
    String(entry.n),
    range(entry.proposed),
    range(entry.accepted),
  ]);
  const head = [
    "model and text",
    "threads",
    "without, tokens/s",
    "with, tokens/s",
    "ratio",
    "tokens in the text",
    "guessed",
    "came",
  ];
  return `## Guessing

With \`speculative: "lookup"\` the next tokens are guessed from what followed the last ones before, and several are computed
at once. Each text here is written both ways in one page, at temperature 0; the page compares the tokens, and where they
differ there is no number but a failure. How much guessing brings depends on the text and on the model. The two repetitive
texts of the story model were chosen because it goes on to repeat itself after them; a story that does not is there as well,
and shows what guesses cost that seldom come. The tasks are the demo page's own examples. The loop is a model of 135M's shape
that can do nothing but repeat its last token, so all guesses come: the most that there is to be had. Where the weights fit into
the processor's cache, as the story model's do, a token costs its products, which guessing does not save; where they come from
memory, as 135M's do, they are read once for all tokens of a guess.

${rows.length > 0 ? table(head, rows) : "Not measured."}`;
}
