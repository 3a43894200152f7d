import { asking } from "../cost.js";
import { HABITS, headMap } from "../head-map.js";
import { check, choose, type Context, controls, figure, type Lesson, namesOf, numberTable, paragraph, percent, slider, textField, tokensOf, told } from "../lesson.js";
import { attend, habitsOf } from "../numbers.js";

const MOST_TOKENS = 24;
/** Three tokens with two numbers each. */
const TABLES = { q: "1,0;0,1;1,1", k: "1,0;0,1;1,-1", v: "1,2;3,0;-1,1" } as const;

/** Three small tables of numbers that can be changed; kept in the address. */
function tables(context: Context, changed: () => void) {
  const of = (name: keyof typeof TABLES) => {
    const table = context.t(`attention.${name}`);
    return numberTable(context, name, table, TABLES[name], (row, column) => context.t("attention.cell", { table, row, column }), changed);
  };
  const [q, k, v] = [of("q"), of("k"), of("v")];
  return { root: controls(q.root, k.root, v.root), values: { q: q.values, k: k.values, v: v.values } };
}

function byHand(root: HTMLElement, context: Context): void {
  const { t } = context;
  const says = told("hand-told");
  const scored = figure(context, "attention.scores", "scores-figure");
  const shares = figure(context, "attention.hand", "hand-figure");
  const { root: numbers, values } = tables(context, () => show());
  const mask = check(context, "mask", t("attention.mask"), true, () => show());
  const scaled = check(context, "scaled", t("attention.scaled"), true, () => show());
  root.append(paragraph(t("attention.p1")), numbers, controls(mask.root, scaled.root), scored.root, shares.root, says);
  const show = () => {
    const { scores, weights, out } = attend(values.q, values.k, values.v, mask.get(), scaled.get() ? Math.SQRT2 : 1);
    const names = [1, 2, 3].map((n) => `${t("token")} ${n}`);
    const text = t("attention.handTold", {
      shares: (weights[2] ?? []).map((w) => w.toFixed(2)).join(" + "),
      out: (out[2] ?? []).map((x) => x.toFixed(2)).join(", "),
    });
    says.textContent = text;
    const isSeen = (i: number, j: number) => !mask.get() || j <= i;
    const most = Math.max(...scores.flat().map(Math.abs), 1e-9);
    scored.heat(
      { rows: names, columns: names, value: (i, j) => (isSeen(i, j) ? ((scores[i]?.[j] ?? 0) / most) * 0.9 : undefined), text: (i, j) => (scores[i]?.[j] ?? 0).toFixed(2) },
      { alt: t("attention.scores"), head: [t("token"), ...names], rows: scores.map((row, i) => [names[i] as string, ...row.map((x, j) => (isSeen(i, j) ? x.toFixed(3) : "−∞"))]) },
    );
    shares.heat(
      { rows: names, columns: names, value: (i, j) => weights[i]?.[j], text: (i, j) => (weights[i]?.[j] ?? 0).toFixed(2) },
      { alt: text, head: [t("token"), ...names], rows: weights.map((row, i) => [names[i] as string, ...row.map((w) => w.toFixed(3))]) },
    );
  };
  show();
}

/** All heads of the model on a text: what each is in the habit of, and one of them in full. */
function allHeads(root: HTMLElement, context: Context): void {
  const { t, run } = context;
  const says = told("attention-told");
  const overview = figure(context, "attention.all", "heads-figure");
  const map = figure(context, "attention.figure", "attention-figure");
  const field = textField(context, "text", t("text.label"), t("text.default"), () => show());
  const habit = choose(context, "habit", t("habits.which"), HABITS.map((key) => [key, t(`habits.${key}`)] as const), () => show());
  const layer = slider(context, "layer", t("layer"), [1, 64, 1, 1], () => show());
  const head = slider(context, "head", t("head"), [1, 64, 1, 1], () => show());
  const at = slider(context, "at", t("token"), [1, MOST_TOKENS, 1, MOST_TOKENS], () => show());
  const ask = asking(context, () => show());
  root.append(paragraph(t("attention.p2")), controls(field.root, habit.root), ask.root, overview.root);
  root.append(controls(layer.root, head.root, at.root), says, map.root);
  // Without a head in the address, the one with most of the habit.
  let isFirst = context.state.text("layer", "") + context.state.text("head", "") === "";
  const show = () =>
    run("attention", async (model) => {
      const { nLayer, nHead } = model.info;
      layer.limit(nLayer);
      head.limit(nHead);
      const tokens = await tokensOf(model, field.get(), MOST_TOKENS);
      const n = tokens.length;
      if (n === 0 || !ask.pass(model, n)) return;
      at.limit(n);
      const row = Math.min(at.get(), n) - 1;
      const { sites } = await model.trace(tokens, { sites: ["kq_soft_max"] });
      const all = sites.kq_soft_max?.data ?? new Float32Array();
      const weightsOf = (layer: number, head: number) => all.subarray((layer * nHead + head) * n * n, (layer * nHead + head + 1) * n * n);
      const choice = (toLayer: number, toHead: number) => {
        layer.set(toLayer + 1);
        head.set(toHead + 1);
        show();
      };
      const habits = Array.from({ length: nLayer * nHead }, (_, idx) => habitsOf(weightsOf(Math.floor(idx / nHead), idx % nHead), n)[habit.get()]);
      const best = habits.indexOf(Math.max(...habits));
      if (isFirst && best >= 0) {
        layer.set(Math.floor(best / nHead) + 1);
        head.set((best % nHead) + 1);
      }
      isFirst = false;
      const [l, h] = [Math.min(layer.get(), nLayer), Math.min(head.get(), nHead)];
      const place = { layer: Math.floor(best / nHead) + 1, head: (best % nHead) + 1, share: percent(habits[best] ?? 0) };
      headMap(context, overview, model, habits, { most: 1, alt: t("habits.told", { what: t(`habits.${habit.get()}`), ...place }), act: choice, chosen: (i, j) => i === l - 1 && j === h - 1 });
      const weights = weightsOf(l - 1, h - 1);
      const pieces = await namesOf(model, tokens);
      const seen = [...weights.subarray(row * n, row * n + row + 1)];
      const to = seen.indexOf(Math.max(...seen));
      const text = t("attention.told", { layer: l, head: h, from: pieces[row] ?? "", to: pieces[to] ?? "", share: percent(seen[to] ?? 0) });
      says.textContent = text;
      map.heat(
        { rows: pieces, columns: pieces, value: (i, j) => (j > i ? undefined : weights[i * n + j]) },
        {
          alt: t("attention.alt", { n, told: text }),
          head: [t("token"), ...pieces],
          rows: pieces.map((piece, i) => [piece, ...[...weights.subarray(i * n, (i + 1) * n)].map((w, j) => (j > i ? "" : w.toFixed(2)))]),
        },
        (i) => (at.set(i + 1), show()),
      );
    });
  show();
}

/** Attention: by hand, and all heads of the model. */
export const attention: Lesson = {
  key: "attention",
  build(root, context) {
    byHand(root, context);
    allHeads(root, context);
  },
};
