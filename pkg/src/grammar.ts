/**
 * Texts of a given form: the grammars' module, which is fetched when the first such text is asked for.
 * @module
 */

import type { Engine, EngineOptions } from "./binding.js";
import { PageLmError, toFetchError } from "./errors.js";

/** What the grammars' glue module exports. */
export interface GrammarBinding {
  default(): Promise<unknown>;
  Vocabulary: new (bytes: Uint8Array, ends: Uint32Array, control: Uint32Array, endTokens: Uint32Array) => Tokens;
}

/** A vocabulary, prepared. */
interface Tokens {
  /** Reads a grammar. Throws an `Error` with a `code`. */
  constrain(kind: string, text: string, stopTokens: Uint32Array): Constraint;
}

/** Which tokens a text may go on with, as the module has it. */
interface Constraint {
  /** Says how many tokens may come: towards the last of them the text is brought to its end. */
  limit(maxTokens: number): void;
  /** A bit for each token, from the lowest on. */
  allowed(): Uint32Array;
  /** Takes the token that was chosen. */
  accept(token: number): void;
  free(): void;
}

/** The same, for the worker. */
export interface Form extends Constraint {
  /** Bars all other tokens. */
  bar(logits: Float32Array): void;
}

/** The vocabulary of each worker's model, which all its clones share. */
const vocabularies = new WeakMap<object, Tokens>();

async function open(): Promise<GrammarBinding> {
  try {
    const glue: GrammarBinding = await import("./grammar/pagelm_grammar.js");
    await glue.default(); // once: from then on it does nothing
    return glue;
  } catch (thrown) {
    throw toFetchError(thrown, "The grammars' module");
  }
}

/**
 * Prepares a constraint on the next text of an engine; `owner` is whoever has the model.
 *
 * # Errors
 * `argument` where the grammar cannot be read or asks for what is not known, `network` where the module does not arrive,
 * `limit` where the grammar is too much for it.
 */
export async function constrain(owner: object, engine: Engine, { constraint, stopTokens = [] }: EngineOptions): Promise<Form> {
  const { Vocabulary } = await open();
  const { kind, text } = constraint ?? { kind: "json", text: "true" };
  const guard = <T>(work: () => T): T => guarded(owner, work);
  return guard(() => {
    let vocabulary = vocabularies.get(owner);
    if (!vocabulary) {
      const { bytes, ends, control, endTokens } = engine.vocabulary();
      vocabulary = new Vocabulary(bytes, ...([ends, control, endTokens].map((list) => Uint32Array.from(list)) as Lists));
      vocabularies.set(owner, vocabulary);
    }
    const form = vocabulary.constrain(kind, text, Uint32Array.from(stopTokens));
    // Computed once a token: a prompt has many steps.
    let bits: Uint32Array | undefined;
    const allowed = () => (bits ??= guard(() => form.allowed()));
    return {
      limit: (maxTokens) => form.limit(maxTokens),
      allowed,
      bar: (logits) => {
        for (let token = 0; token < logits.length; token += 1) {
          if ((((allowed()[token >> 5] as number) >> (token & 31)) & 1) === 0) logits[token] = -Infinity;
        }
      },
      accept: (token) => {
        bits = undefined;
        guard(() => form.accept(token));
      },
      free: () => {
        // What broke in the middle of something is not given back.
        if (vocabularies.get(owner) === vocabulary) form.free();
      },
    };
  });
}

type Lists = [ends: Uint32Array, control: Uint32Array, endTokens: Uint32Array];

/** A grammar that breaks the module does not break the engine: the model stays, and the next text gets a new vocabulary. */
function guarded<T>(owner: object, work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown) throw thrown;
    vocabularies.delete(owner);
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new PageLmError("limit", `This grammar is too much for its module (${reason}): make it simpler.`, { cause: thrown });
  }
}
