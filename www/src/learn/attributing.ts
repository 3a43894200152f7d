import type { Model } from "pagelm";
import { type Part, partsOf, type Speech, speechOf, sumOf } from "./attribution.js";
import { asking } from "./cost.js";
import { headMap } from "./head-map.js";
import { type Context, controls, figure, namesOf, paragraph, pieceOf, textField, tokensOf, told } from "./lesson.js";
import { best, mean } from "./numbers.js";

const MOST_TOKENS = 24;

/** Who wrote the logit of a piece, at one token of a text. */
export interface Credit {
  target: number;
  parts: readonly Part[];
  said: readonly Speech[];
  /** The logit itself, above the mean of all; and the sum of what the parts say. */
  logit: number;
  sum: number;
}

/** Tokens to be read and vectors to be looked at for {@link creditOf}. */
export const creditCost = ({ info }: Pick<Model, "info">, nTokens: number) => [2 * nTokens + info.nHead + 1, info.nLayer * (info.nHead + 1) + 1] as const;

/** The parts of the stream at `position`, and what each says of `target`, or else of the likeliest piece. */
export async function creditOf(model: Model, tokens: Uint32Array, position: number, target: number | undefined, still: () => boolean): Promise<Credit | undefined> {
  const parts = await partsOf(model, tokens, position);
  const { sites } = await model.trace(tokens, { sites: ["result_output"], positions: [position] });
  const logits = sites.result_output?.data ?? new Float32Array();
  const own = target ?? best(logits, 1)[0]?.token ?? 0;
  const vectors = parts.map(({ vector }) => vector);
  const said = await speechOf(model, vectors, sumOf(vectors), [own], still);
  if (said.length < parts.length) return undefined;
  const sum = said.reduce((all, { values }) => all + (values[0] ?? 0), 0);
  return { target: own, parts, said, sum, logit: (logits[own] ?? 0) - mean(logits) };
}

/** What each head, each network and the embedding says: values for a map. */
export function creditMap({ info }: Pick<Model, "info">, { parts, said }: Credit) {
  const heads: (number | undefined)[] = new Array(info.nLayer * info.nHead).fill(undefined);
  const [networks, attention] = [new Array<number>(info.nLayer).fill(0), new Array<number>(info.nLayer).fill(0)];
  let embedding = 0;
  parts.forEach(({ kind, layer, head }, idx) => {
    const value = said[idx]?.values[0] ?? 0;
    if (kind === "head") heads[layer * info.nHead + head] = value;
    else if (kind === "network") networks[layer] = value;
    else if (kind === "attention") attention[layer] = value;
    else embedding = value;
  });
  const most = Math.max(...heads.map((x) => Math.abs(x ?? 0)), ...networks.map(Math.abs), ...attention.map(Math.abs), 1e-9);
  return { heads, networks, attention, embedding, most, whole: heads.every((x) => x === undefined) };
}

/** What has to be said of these votes: that heads cannot be told apart, or that the votes do not make the logit. */
export function caveatOf({ t }: Context, { logit, sum }: Credit, isWhole: boolean): string {
  const bent = Math.abs(sum - logit) > 0.05 * Math.abs(logit) + 0.1;
  return [isWhole ? t("credit.whole") : "", t(bent ? "credit.bent" : "credit.p2")].filter(Boolean).join(" ");
}

/** A number with its sign, as in a sum. */
export const signed = (x: number) => `${x < 0 ? "−" : "+"}${Math.abs(x).toFixed(2)}`;

/** Every head and network as a voter for the next piece. What is returned draws anew, for another text or place in it. */
export function attributing(root: HTMLElement, context: Context, text: () => string, at: () => number): () => void {
  const { t, run } = context;
  const says = told("credit-told");
  const part = told("part-told");
  const map = figure(context, "credit.figure", "credit-figure");
  const caveat = paragraph("");
  const word = textField(context, "target", t("credit.target"), "", () => read(), 1);
  const ask = asking(context, () => read());
  root.append(paragraph(t("credit.p1")), controls(word.root), ask.root, says, map.root, part, caveat);
  let [layer, column] = [-1, -1];
  const read = () =>
    run("credit", async (model, still) => {
      const tokens = await tokensOf(model, text(), MOST_TOKENS);
      if (tokens.length === 0 || !ask.pass(model, ...creditCost(model, tokens.length))) return;
      const position = Math.min(at(), tokens.length) - 1;
      const wanted = word.get() === "" ? undefined : (await pieceOf(model, word.get()))?.token;
      const credit = await creditOf(model, tokens, position, wanted, still);
      if (!credit) return;
      const [from = "", to = ""] = await namesOf(model, [tokens[position] as number, credit.target]);
      const values = creditMap(model, credit);
      const telling = t("credit.told", { from, to, logit: signed(credit.logit), sum: signed(credit.sum), embedding: signed(values.embedding) });
      says.textContent = telling;
      caveat.textContent = caveatOf(context, credit, values.whole);
      const draw = () =>
        headMap(context, map, model, values.heads, {
          most: values.most,
          alt: telling,
          more: [...(values.whole ? [{ name: t("credit.attention"), values: values.attention }] : []), { name: t("credit.network"), values: values.networks }],
          chosen: (i, j) => i === layer && j === column,
          act: (i, j) => ([layer, column] = [i, j], draw(), tell(i, j)),
        });
      const tell = (i: number, j: number) =>
        run("part", async () => {
          const kind = j < model.info.nHead && !values.whole ? "head" : j === model.info.nHead && values.whole ? "attention" : "network";
          const idx = credit.parts.findIndex((one) => one.kind === kind && one.layer === i && (kind !== "head" || one.head === j));
          const said = credit.said[idx];
          if (!said) return;
          const list = (await namesOf(model, said.top.map(({ token }) => token))).join(" ");
          const name = kind === "head" ? `${t("head")} ${j + 1}` : t(`credit.${kind}`);
          part.textContent = t("credit.part", { layer: i + 1, name, value: signed(said.values[0] ?? 0), piece: to, list });
        });
      draw();
      const strongest = credit.parts.reduce((top, one, idx) => (one.kind !== "embedding" && (credit.said[idx]?.values[0] ?? 0) > (credit.said[top]?.values[0] ?? -Infinity) ? idx : top), 1);
      const first = credit.parts[strongest];
      if (first && layer < 0) tell(first.layer, first.kind === "head" ? first.head : model.info.nHead);
    });
  read();
  return read;
}
