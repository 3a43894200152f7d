import type { ModelInfo } from "pagelm";
import type { Shelf } from "./library.js";

/** A model that comes with this page: one entry of models/models.json. */
export interface Builtin {
  name: string;
  /** What it is for, in a word or two: what the switch between models says. */
  label?: string;
  /** Beside models.json. */
  file: string;
  bytes: number;
  sha256: string;
  parameters: number;
  quantization: string;
  licence: string;
  /** The model card's address, relative to models.json. */
  card: string;
  description: string;
  /** Beside models.json: what this model can be asked for, if it is one that is asked. */
  tasks?: string;
}

/** A thing to load that this site offers. */
export interface BuiltinShelf extends Shelf {
  builtin: Builtin;
}

/** Whether a thing to load is one of this site's own. */
export function isBuiltin(item: Shelf | undefined): item is BuiltinShelf {
  return item !== undefined && "builtin" in item;
}

/** What a model of this site is called in links. */
export function keyOf({ builtin }: BuiltinShelf): string {
  return builtin.file.replace(/\.gguf$/, "");
}

/** Where models.json is, and what it names; a page in a folder says the way back on its root element. */
export const home = () => new URL(`${document.documentElement.dataset.home ?? ""}models/models.json`, document.baseURI);

/**
 * Reads the list of models that this site offers.
 *
 * # Errors
 * A text to show, where there is no list, or none that can be read.
 */
export async function listBuiltins(): Promise<BuiltinShelf[]> {
  let list: unknown;
  try {
    const response = await fetch(home());
    if (!response.ok) throw new Error(`it answered ${response.status}`);
    list = await response.json();
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new Error(`This site’s list of models, models/models.json, could not be read (${reason}).`);
  }
  const entries = (Array.isArray(list) ? list : []).filter(
    (entry: Partial<Builtin>) => typeof entry?.name === "string" && typeof entry.file === "string",
  ) as Builtin[];
  return entries.map((builtin) => ({ source: new URL(builtin.file, home()), label: builtin.name, builtin }));
}

/**
 * The address of the card of a model: the page that was made of the site's own (see cards.ts), or the one that the file
 * names, if that is a web address.
 */
export function cardOf(info: ModelInfo | undefined, item: Shelf): URL | undefined {
  const card = isBuiltin(item) ? item.builtin.card?.replace(/\.md$/, ".html") : info?.url;
  const base = isBuiltin(item) ? home() : undefined;
  if (!card || !URL.canParse(card, base)) return undefined;
  const url = new URL(card, base);
  return /^https?:$/.test(url.protocol) ? url : undefined;
}
