import { type BuiltinShelf, home } from "./builtins.js";

/** A thing that a tuned model can be asked for: one entry of models/tasks.json. */
export interface Task {
  /** What it is called in links. */
  task: string;
  /** What it is called on the page. */
  label: string;
  /** What is said to the model, with a {name} for each field. */
  prompt: string;
  /** What stands in the fields at first; its names are the fields' names. */
  example: Record<string, string>;
  /** What the fields are called on the page, where that is not their name. */
  fields?: Record<string, string>;
  /** The fields that hold code, or a table. */
  code?: string[];
  /** `code`: the answer is code, or a table. */
  answer?: string;
  /** The temperature at which this is done best. */
  temperature?: number;
}

/** The names of a task's fields, in the order in which its prompt has them. */
export function fieldsOf({ prompt, example }: Task): string[] {
  const names = [...prompt.matchAll(/\{(\w+)\}/g)].map(([, name]) => name as string);
  return [...new Set(names)].filter((name) => Object.hasOwn(example, name));
}

/** What a field is called on the page. */
export function labelOf({ fields }: Task, name: string): string {
  return fields?.[name] ?? name.charAt(0).toUpperCase() + name.slice(1).replaceAll("_", " ");
}

/** The prompt with its fields filled in. What is filled in is not looked through for fields again. */
export function fill(task: Task, values: Readonly<Record<string, string>>): string {
  const names = fieldsOf(task);
  return task.prompt.replace(/\{(\w+)\}/g, (whole, name: string) => (names.includes(name) ? (values[name] ?? "") : whole));
}

/** The tasks in a file's content; what is no task is left out. */
export function readTasks(content: unknown): Task[] {
  const isTask = (entry: Partial<Task> | null) =>
    typeof entry?.task === "string" &&
    typeof entry.label === "string" &&
    typeof entry.prompt === "string" &&
    typeof entry.example === "object" &&
    Object.values(entry.example ?? {}).every((text) => typeof text === "string");
  return (Array.isArray(content) ? content : []).filter(isTask) as Task[];
}

const NONE: Promise<Task[]> = Promise.resolve([]);
const lists = new Map<string, Promise<Task[]>>();

/**
 * The tasks that a model of this site is for; none for a model that only goes on with a text.
 *
 * # Errors
 * A text to show, where the list cannot be read. It is asked for again the next time.
 */
export function listTasks({ builtin }: BuiltinShelf): Promise<Task[]> {
  const { tasks } = builtin;
  if (!tasks) return NONE;
  const known = lists.get(tasks) ?? fetchTasks(tasks);
  lists.set(tasks, known);
  known.catch(() => lists.delete(tasks));
  return known;
}

async function fetchTasks(file: string): Promise<Task[]> {
  try {
    const response = await fetch(new URL(file, home()));
    if (!response.ok) throw new Error(`it answered ${response.status}`);
    const tasks = readTasks(await response.json());
    if (tasks.length === 0) throw new Error("it names none");
    return tasks;
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new Error(`The list of this model’s tasks, models/${file}, could not be read (${reason}).`);
  }
}
