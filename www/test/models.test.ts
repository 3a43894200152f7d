import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import type { Builtin } from "../src/builtins.js";
import { fieldsOf, readTasks, type Task } from "../src/tasks.js";

const at = (name: string) => fileURLToPath(new URL(`../models/${name}`, import.meta.url));
const read = (name: string) => JSON.parse(readFileSync(at(name), "utf8")) as unknown;
const builtins = read("models.json") as Builtin[];

/** What a visitor may have to wait for, by what the model is for. */
const limitOf = ({ tasks }: Builtin) => (tasks ? 24_000_000 : 8_000_000);

test("the page opens with the story model", () => {
  expect(builtins[0]).toMatchObject({ file: "story.gguf" });
  expect(builtins[0]?.tasks).toBeUndefined();
});

describe.each(builtins)("$file", (builtin) => {
  test("is the file that the list describes", () => {
    const bytes = readFileSync(at(builtin.file));
    expect(bytes.length).toBe(builtin.bytes);
    expect(bytes.length).toBeLessThanOrEqual(limitOf(builtin));
    expect(createHash("sha256").update(bytes).digest("hex")).toBe(builtin.sha256);
  });

  test("has a card, and says what it is", () => {
    expect(statSync(at(builtin.card)).size).toBeGreaterThan(1000);
    expect(builtin).toMatchObject({
      name: expect.stringMatching(/^Llama/), // some of the training text asks for that
      parameters: expect.any(Number),
      quantization: expect.stringMatching(/^(F16|Q\w+|MIXED)$/),
      licence: expect.stringMatching(/./),
      description: expect.stringContaining("Built with Llama"),
    });
    expect(readFileSync(at(builtin.card), "utf8")).toContain("Built with Llama");
  });

  test.runIf(builtin.tasks)("has a list of tasks", () => expect(builtin.tasks).toBe("tasks.json"));
});

test("the tasks can be shown and filled in", () => {
  const list = read("tasks.json") as Task[];
  expect(readTasks(list)).toEqual(list);
  expect(new Set(list.map(({ task }) => task)).size).toBe(list.length);
  for (const task of list) {
    expect(task.task).toMatch(/^[a-z0-9-]+$/);
    const names = fieldsOf(task);
    expect(names.slice().sort(), task.label).toEqual(Object.keys(task.example).sort());
    expect(task.prompt, task.label).not.toContain("<|");
    expect(names).toEqual(expect.arrayContaining([...Object.keys(task.fields ?? {}), ...(task.code ?? [])]));
  }
});

test("no model lies about without being listed", () => {
  expect(existsSync(at("tasks.gguf"))).toBe(builtins.some(({ file }) => file === "tasks.gguf"));
});
