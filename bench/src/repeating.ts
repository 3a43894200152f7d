/**
 * Texts that repeat themselves or take much from their prompt, by model: what guessing ahead is for.
 * @module
 */

import { readFileSync } from "node:fs";
import type { Part, Repeating } from "../pages/repeating.js";
import { paths } from "./paths.js";

const special = (text: string): Part => ({ text, special: true });
const plain = (text: string): Part => ({ text, special: false });

/** Two animals of whom the same is said. */
const ANIMALS = ["dog named Max", "cat named Lily"].map(
  (animal) => `Once upon a time there was a little ${animal}, who wanted to play in the park and saw a big red ball.\n`,
);

/**
 * The first two were chosen because the model goes on to repeat itself after them. After the others it does not: in one the
 * prompt alone is repetitive, in the last nothing is. They show what guessing costs where it finds little.
 */
const STORIES: [string, string][] = [
  ["a rhyme", "Row, row, row your boat. Row, row, row your boat. Row, row, row your boat. Row,"],
  ["one sentence again and again", "The dog ran. The dog ran. The dog ran. The dog ran. The dog ran. The"],
  ["a story after two that begin alike", `${ANIMALS.join("")}Once upon a time there was a little`],
  ["a story", "Once upon a time there was a little girl named Lily."],
];

/**
 * Tasks whose answers take much from what was said, with the examples that the demo page has. In the table the words are
 * copied, but what stands between them is not.
 */
const TASKS = ["table", "help-desk", "python-mend"];

/** The model whose every text repeats itself: it costs what its shape costs. */
export const LOOP = "135M-loop-Q4_0";

/** The texts for a model. */
export function repeatingTexts(model: string): Repeating[] {
  switch (model) {
    case "story":
      return STORIES.map(([name, text]) => ({ name, prompt: [special("<|endoftext|>"), plain(text)], decode: 128 }));
    case "tasks":
      return TASKS.map((task) => ({ ...turn(task), decode: 128 }));
    case "135M-Q4_0":
      return [{ name: "random weights after a random prompt", prompt: 128, decode: 128 }];
    case LOOP:
      return [{ name: "one token again and again", prompt: 128, decode: 128 }];
    default:
      return [];
  }
}

interface Task {
  task: string;
  label: string;
  prompt: string;
  example: Record<string, string>;
}

/** What the demo page says to the model for one of its tasks. */
function turn(name: string): { name: string; prompt: Part[] } {
  const tasks = JSON.parse(readFileSync(`${paths.builtIn}/tasks.json`, "utf8")) as Task[];
  const task = tasks.find(({ task }) => task === name);
  if (!task) throw new Error(`tasks.json has no task ${name}`);
  const { label, prompt, example } = task;
  const asked = prompt.replace(/\{(\w+)\}/g, (whole, field: string) => example[field] ?? whole);
  return { name: label, prompt: [special("<|endoftext|><|user|>"), plain(asked), special("<|assistant|>")] };
}
