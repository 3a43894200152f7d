import type { Model } from "pagelm";
import { attributing } from "../attributing.js";
import { rowsAtATime } from "../attribution.js";
import { asking } from "../cost.js";
import { controls, figure, type Lesson, namesOf, paragraph, percent, slider, textField, tokensOf, told } from "../lesson.js";
import { softmax } from "../numbers.js";

const MOST_TOKENS = 24;

/** What the lens shows: the likeliest piece and its probability after each layer at each token. */
interface Seen {
  token: number;
  p: number;
}

/** The lens on every stream; also, how likely each token's final answer is at each layer. */
async function look(model: Model, tokens: Uint32Array, still: () => boolean): Promise<{ seen: Seen[]; finals: number[] } | undefined> {
  const { nLayer, nEmbd, nVocab } = model.info;
  const { sites } = await model.trace(tokens, { sites: ["l_out"] });
  const streams = sites.l_out?.data ?? new Float32Array();
  const n = nLayer * tokens.length;
  const [seen, finals] = [new Array<Seen>(n), new Array<number>(n)];
  // The last layer first, so that its answers can be asked for in the others.
  const order = Array.from({ length: n }, (_, idx) => n - 1 - idx);
  const step = rowsAtATime(model);
  for (let at = 0; at < n; at += step) {
    if (!still()) return undefined;
    const rows = order.slice(at, at + step);
    const vectors = new Float32Array(rows.length * nEmbd);
    rows.forEach((row, idx) => vectors.set(streams.subarray(row * nEmbd, (row + 1) * nEmbd), idx * nEmbd));
    const logits = await model.project(vectors);
    rows.forEach((row, idx) => {
      const probs = softmax(logits.subarray(idx * nVocab, (idx + 1) * nVocab));
      let token = 0;
      probs.forEach((p, other) => (token = p > (probs[token] as number) ? other : token));
      seen[row] = { token, p: probs[token] as number };
      const last = seen[n - tokens.length + (row % tokens.length)]?.token ?? token;
      finals[row] = probs[last] as number;
    });
  }
  return { seen, finals };
}

/** Layer by layer: the logit lens. */
export const lens: Lesson = {
  key: "lens",
  build(root, context) {
    const { t, run } = context;
    const says = told("lens-told");
    const map = figure(context, "lens.figure", "lens-figure");
    const depth = figure(context, "lens.depth", "lens-depth");
    const field = textField(context, "text", t("text.label"), t("text.default"), () => {
      read();
      credit();
    });
    const at = slider(context, "at", t("lens.position"), [1, MOST_TOKENS, 1, MOST_TOKENS], () => {
      show();
      credit();
    });
    const ask = asking(context, () => read());
    root.append(paragraph(t("lens.p1")), controls(field.root, at.root), ask.root, says, map.root, depth.root, paragraph(t("lens.p2")));
    let show = () => {};
    const read = () =>
      run("lens", async (model, still) => {
        const tokens = await tokensOf(model, field.get(), MOST_TOKENS);
        const n = tokens.length;
        if (n === 0 || !ask.pass(model, n, n * model.info.nLayer)) return;
        at.limit(n);
        const looked = await look(model, tokens, still);
        if (!looked) return;
        const { seen, finals } = looked;
        const pieces = await namesOf(model, tokens);
        const answers = await namesOf(model, seen.map(({ token }) => token));
        const layers = Array.from({ length: model.info.nLayer }, (_, layer) => `${t("layer")} ${layer + 1}`);
        show = () => {
          const position = Math.min(at.get(), n) - 1;
          const row = (layer: number) => layer * n + position;
          const last = row(layers.length - 1);
          const first = layers.findIndex((_, layer) => seen[row(layer)]?.token === seen[last]?.token);
          const text = t("lens.told", { from: pieces[position] ?? "", to: answers[last] ?? "", layer: first + 1, share: percent(seen[last]?.p ?? 0) });
          says.textContent = text;
          map.heat(
            { rows: layers, columns: pieces, value: (i, j) => seen[i * n + j]?.p, text: (i, j) => answers[i * n + j] ?? "", chosen: (_, j) => j === position },
            {
              alt: t("lens.alt", { layers: layers.length, n, told: text }),
              head: [t("layer"), ...pieces],
              rows: layers.map((layer, i) => [layer, ...pieces.map((_, j) => `${answers[i * n + j] ?? ""} ${percent(seen[i * n + j]?.p ?? 0)}`)]),
            },
            (_, j) => {
              at.set(j + 1);
              show();
              credit();
            },
          );
          const shares = layers.map((_, layer) => finals[row(layer)] as number);
          depth.bars(
            layers.map((label, layer) => ({ label, value: shares[layer] as number, note: percent(shares[layer] as number) })),
            { alt: text, head: [t("layer"), t("probability")], rows: layers.map((layer, i) => [layer, percent(shares[i] as number)]) },
            1,
          );
        };
        show();
      });
    read();
    const credit = attributing(root, context, field.get, at.get);
  },
};
