/**
 * What figures call a token.
 * @module
 */

import type { Model } from "pagelm";
import { shown } from "./drawings.js";

/** Texts up to this length are looked through for pieces that are parts of letters. */
const MOST_LETTERS = 4000;
/** Letters whose bytes are, between them, all that there are in UTF-8 beyond ASCII. */
export const EVERY_BYTE = [
  ...Array.from({ length: 64 }, (_, idx) => 0x80 + idx),
  ...Array.from({ length: 29 }, (_, idx) => (idx + 3) << 6),
  ...Array.from({ length: 16 }, (_, idx) => (idx << 12) || 0x800),
  ...Array.from({ length: 5 }, (_, idx) => (idx << 18) || 0x10000),
].map((code) => String.fromCodePoint(code));

const known = new WeakMap<Model, Map<number, string>>();
const asked = new WeakSet<Model>();
const isPart = (piece: string) => piece.includes("\uFFFD");

/** Bytes as they are written: E7 8C. */
export const hexOf = (bytes: Uint8Array) => [...bytes].map((byte) => byte.toString(16).toUpperCase().padStart(2, "0")).join(" ");

/** Remembers the bytes of the tokens of a text that are parts of letters: one by one they are no text. */
export async function learnParts(model: Model, text: string): Promise<void> {
  if (text.length > MOST_LETTERS || !/[^\0-\x7f]/.test(text)) return;
  const parts = known.get(model) ?? new Map<number, string>();
  known.set(model, parts);
  const bytes = new TextEncoder().encode(text);
  for (const { token, start, end } of await model.tokenRanges(text, { addSpecial: false })) {
    const own = bytes.subarray(start, end);
    if (isPart(new TextDecoder().decode(own))) parts.set(token, hexOf(own));
  }
}

/** The pieces of some tokens, as text. */
export async function piecesOf(model: Model, tokens: ArrayLike<number>): Promise<string[]> {
  return Promise.all(Array.from(tokens, (token) => model.detokenize([token])));
}

/** The pieces of some tokens as figures show them: spaces can be seen, and a part of a letter stands as its bytes. */
export async function namesOf(model: Model, tokens: ArrayLike<number>): Promise<string[]> {
  const pieces = await piecesOf(model, tokens);
  if (!asked.has(model) && pieces.some(isPart)) {
    asked.add(model);
    for (const letter of EVERY_BYTE) await learnParts(model, letter);
  }
  return pieces.map((piece, idx) => (isPart(piece) ? known.get(model)?.get(tokens[idx] as number) : undefined) ?? shown(piece));
}

/** Whether a piece can be written behind a text: a part of a letter cannot. */
export const canFollow = (piece: string) => !isPart(piece);
