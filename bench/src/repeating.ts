/**
 * Texts that repeat themselves, by model: what guessing ahead is for.
 * @module
 */

import { readFileSync } from "node:fs";
import type { Part, Repeating } from "../pages/repeating.js";
import { paths } from "./paths.js";

const special = (text: string): Part => ({ text, special: true });
const plain = (text: string): Part => ({ text, special: false });

/** A table whose cells are all to be copied. */
const CSV = `name,age,town
Anna,7,Oslo
Ben,12,Rome
Clara,34,Leipzig
David,41,Bremen`;

/** A story that says the same of one animal after the other. */
const STORY = `Once upon a time there was a little dog named Max. Max wanted to play in the park. He saw a big red ball and he was very happy.
Once upon a time there was a little cat named Lily. Lily wanted to play in the park. She saw a big red ball and she was very happy.
Once upon a time there was a little`;

/** The text for a model, if there is one. Random weights, left to their likeliest token, soon go round in a circle. */
export function repeatingText(model: string): Repeating | undefined {
  switch (model) {
    case "story":
      return { prompt: [special("<|endoftext|>"), plain(STORY)], decode: 128 };
    case "tasks":
      return { prompt: [special("<|endoftext|><|user|>"), plain(asked("table", { csv: CSV })), special("<|assistant|>")], decode: 128 };
    case "135M-Q4_0":
      return { prompt: 128, decode: 64 };
    default:
      return undefined;
  }
}

/** What the demo page says to the model for one of its tasks. */
function asked(name: string, values: Record<string, string>): string {
  const tasks = JSON.parse(readFileSync(`${paths.builtIn}/tasks.json`, "utf8")) as { task: string; prompt: string }[];
  const task = tasks.find(({ task }) => task === name);
  if (!task) throw new Error(`tasks.json has no task ${name}`);
  return task.prompt.replace(/\{(\w+)\}/g, (whole, field: string) => values[field] ?? whole);
}
