/**
 * The page's state as a link: what is after the # never reaches a server.
 * @module
 */

/** What a link can hold. Whatever is left out stays as it is on the page. */
export interface LinkState {
  /** One of this site's models, by its file's name without its ending. */
  model?: string;
  prompt?: string;
  task?: string;
  /** What is in the task's fields. */
  fields?: Record<string, string>;
  seed?: number;
  temperature?: number;
  topK?: number;
  topP?: number;
  length?: number;
}

const texts = ["model", "prompt", "task"] as const;
/** What a field's name has before it in a link. */
const FIELD = "in.";
const numbers = ["seed", "temperature", "topK", "topP", "length"] as const;

/** Reads the part of an address from # on. What makes no sense is left out. */
export function readLink(hash: string): LinkState {
  const params = new URLSearchParams(hash.replace(/^#/, ""));
  const state: LinkState = {};
  for (const name of texts) {
    const text = params.get(name);
    if (text !== null) state[name] = text;
  }
  const fields = [...params].flatMap(([name, text]) => (name.startsWith(FIELD) ? [[name.slice(FIELD.length), text]] : []));
  if (fields.length > 0) state.fields = Object.fromEntries(fields);
  for (const name of numbers) {
    const text = params.get(name);
    const value = Number(text);
    if (text?.trim() && Number.isFinite(value) && value >= 0) state[name] = value;
  }
  if (state.seed !== undefined && state.seed >>> 0 !== state.seed) delete state.seed;
  return state;
}

/** The opposite of {@link readLink}, with the #. */
export function writeLink(state: LinkState): string {
  const params = new URLSearchParams();
  for (const name of texts) if (state[name] !== undefined) params.set(name, state[name]);
  for (const [name, text] of Object.entries(state.fields ?? {})) params.set(FIELD + name, text);
  for (const name of numbers) if (state[name] !== undefined) params.set(name, String(state[name]));
  return `#${params}`;
}
