/**
 * The page's state as a link: what is after the # never reaches a server.
 * @module
 */

/** What a link can hold. Whatever is left out stays as it is on the page. */
export interface LinkState {
  prompt?: string;
  seed?: number;
  temperature?: number;
  topK?: number;
  topP?: number;
  length?: number;
}

const numbers = ["seed", "temperature", "topK", "topP", "length"] as const;

/** Reads the part of an address from # on. What makes no sense is left out. */
export function readLink(hash: string): LinkState {
  const params = new URLSearchParams(hash.replace(/^#/, ""));
  const state: LinkState = {};
  const prompt = params.get("prompt");
  if (prompt !== null) state.prompt = prompt;
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
  if (state.prompt !== undefined) params.set("prompt", state.prompt);
  for (const name of numbers) if (state[name] !== undefined) params.set(name, String(state[name]));
  return `#${params}`;
}
