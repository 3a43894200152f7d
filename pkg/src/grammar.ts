/**
 * Texts of a given form: the grammars' module, which is fetched when the first such text is asked for.
 * @module
 */

import type { Constraint, Engine } from "./binding.js";

/** What the grammars' glue module exports. */
interface GrammarBinding {
  default(options?: { module_or_path?: unknown }): Promise<unknown>;
  Vocabulary: new (bytes: Uint8Array, ends: Uint32Array, control: Uint32Array, endTokens: Uint32Array) => Tokens;
}

/** A vocabulary, prepared. */
interface Tokens {
  /** Reads a grammar. Throws an `Error` with a `code`. */
  constrain(kind: string, text: string): Constrained;
}

/** Which tokens a text may go on with. */
export interface Constrained {
  /** A bit for each token, from the lowest on. */
  allowed(): Uint32Array;
  /** Takes the token that was chosen. */
  accept(token: number): void;
  free(): void;
}

let binding: Promise<GrammarBinding> | undefined;
/** By engine; clones have the vocabulary of the one that was loaded, but are few. */
const vocabularies = new WeakMap<Engine, Tokens>();

async function open(): Promise<GrammarBinding> {
  const glue = (await import("./grammar/pagelm_grammar.js" as string)) as GrammarBinding;
  await glue.default();
  return glue;
}

/**
 * Prepares a constraint on the next text of an engine.
 *
 * # Errors
 * `argument` where the grammar cannot be read, `unsupported` where it asks for what is not known; `network` where the module
 * cannot be fetched: it is asked for again the next time.
 */
export async function constrain(engine: Engine, { kind, text }: Constraint): Promise<Constrained> {
  binding ??= open();
  binding.catch(() => (binding = undefined));
  const { Vocabulary } = await binding;
  const known = vocabularies.get(engine);
  if (known) return known.constrain(kind, text);
  const { bytes, ends, control, endTokens } = engine.vocabulary();
  const vocabulary = new Vocabulary(bytes, Uint32Array.from(ends), Uint32Array.from(control), Uint32Array.from(endTokens));
  vocabularies.set(engine, vocabulary);
  return vocabulary.constrain(kind, text);
}
