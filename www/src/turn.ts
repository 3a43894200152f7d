/**
 * One turn of a conversation, as a tuned model reads it:
 *
 * ```text
 * <|endoftext|><|user|>what is asked<|assistant|>
 * ```
 *
 * The signs are tokens of their own. They are looked up apart from what is asked, which is plain text whatever it
 * spells: nobody can end their own turn, or begin the model's, by writing a sign.
 * @module
 */

import type { Model } from "pagelm";

/** A stretch of what is sent: one of the signs, or plain text. */
export interface Part {
  text: string;
  special: boolean;
}

/** What a model is sent, as tokens and as what they spell. */
export interface Turn {
  tokens: Uint32Array;
  parts: Part[];
}

const BEFORE = ["<|endoftext|>", "<|user|>"];
const AFTER = ["<|assistant|>"];

/**
 * The tokens of one turn.
 *
 * # Errors
 * A text to show, where this model does not know a sign, or takes one in the middle of a plain text for the sign.
 */
export async function encodeTurn(model: Pick<Model, "tokenize" | "detokenize">, asked: string): Promise<Turn> {
  const [before, after] = await Promise.all([BEFORE, AFTER].map((signs) => Promise.all(signs.map((sign) => tokenOf(model, sign)))));
  const plain = await model.tokenize(asked, { addSpecial: false, parseSpecial: false });
  const signs = [...(before ?? []), ...(after ?? [])];
  if (plain.some((token) => signs.includes(token))) {
    throw new Error("This model takes a sign such as <|user|> in a plain text for its own. Leave it out.");
  }
  const special = (text: string): Part => ({ text, special: true });
  return {
    tokens: Uint32Array.from([...(before ?? []), ...plain, ...(after ?? [])]),
    parts: [...BEFORE.map(special), { text: await model.detokenize(plain), special: false }, ...AFTER.map(special)],
  };
}

async function tokenOf(model: Pick<Model, "tokenize">, sign: string): Promise<number> {
  const tokens = await model.tokenize(sign, { addSpecial: false, parseSpecial: true });
  const [token] = tokens;
  if (token === undefined || tokens.length > 1) throw new Error(`This model has no token ${sign}: it was not tuned for tasks.`);
  return token;
}
