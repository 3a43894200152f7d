import { type Context, check, controls, figure, type Lesson, Notice, numberTable, paragraph, pieceOf, slider, textField, told } from "../lesson.js";
import { shown } from "../figure.js";
import { anglesOf, dotOf, turn, turning } from "../turning.js";

/** Numbers of a head, as the figure draws it; what counts is the shape of the curve. */
const WIDTH = 64;
const FURTHEST = 128;
const frequency = (pair: number) => 10_000 ** ((-2 * pair) / WIDTH);
/** Tokens that are read for the model's own angles. */
const N_REPEATED = 48;

/**
 * How well a vector of equal numbers fits itself at a distance, of 1: Σ cos(d θᵢ) / (Dh/2). For sinusoidal positions it is the
 * product of two of them, divided by that at distance 0: the same sum, since sin a sin b + cos a cos b = cos(a − b). What
 * differs is that they are added to what a token means, which is a second summand: half of it, say.
 */
function turned(distance: number): number {
  let sum = 0;
  for (let pair = 0; pair < WIDTH / 2; pair += 1) sum += Math.cos(distance * frequency(pair));
  return sum / (WIDTH / 2);
}

const waves = (distance: number) => 0.5 + 0.5 * turned(distance);

/** The waves of the first Transformer, as a table of colours. */
function sinusoids(root: HTMLElement, context: Context): void {
  const { t } = context;
  const says = told("waves-told");
  const map = figure(context, "positions.wavesFigure", "waves-figure");
  const at = slider(context, "position", t("positions.position"), [0, 31, 1, 5], () => show());
  root.append(paragraph(t("positions.p1")), controls(at.root), says, map.root);
  const width = 16;
  const wave = (position: number, idx: number) => {
    const angle = position / 10_000 ** ((2 * Math.floor(idx / 2)) / width);
    return idx % 2 ? Math.cos(angle) : Math.sin(angle);
  };
  const columns = Array.from({ length: width }, (_, idx) => String(idx + 1));
  const show = () => {
    const own = at.get();
    const near = Array.from({ length: 16 }, (_, idx) => Math.min(Math.max(own - 8, 0), 16) + idx);
    const text = t("positions.wavesTold", { position: own, numbers: columns.slice(0, 4).map((_, idx) => wave(own, idx).toFixed(2)).join(", ") });
    says.textContent = text;
    map.heat(
      { rows: near.map(String), columns, value: (i, j) => wave(near[i] as number, j), chosen: (i) => near[i] === own },
      { alt: text, head: [t("positions.position"), ...columns], rows: near.map((p) => [p, ...columns.map((_, j) => wave(p, j).toFixed(3))]) },
    );
  };
  show();
}

/** Two arrows, a query and a key of two numbers each: turned by their positions, their score depends on the difference. */
function byHand(root: HTMLElement, context: Context): void {
  const { t } = context;
  const says = told("turn-told");
  const circle = figure(context, "positions.circle", "turn-figure");
  const cell = (name: string) => (_: number, column: number) => `${name}, ${column}`;
  const q = numberTable(context, "q", t("attention.q"), "1,0", cell(t("attention.q")), () => show());
  const k = numberTable(context, "k", t("attention.k"), "1,0", cell(t("attention.k")), () => show());
  const step = slider(context, "step", t("positions.step"), [0, 90, 5, 30], () => show());
  const queryAt = slider(context, "m", t("positions.queryAt"), [0, 24, 1, 4], () => show());
  const keyAt = slider(context, "n", t("positions.keyAt"), [0, 24, 1, 1], () => show());
  const together = check(context, "together", t("positions.together"), false, () => {});
  root.append(paragraph(t("positions.p2")), controls(q.root, k.root), controls(step.root, queryAt.root, keyAt.root, together.root), says, circle.root);
  let gap = keyAt.get() - queryAt.get();
  queryAt.root.addEventListener("input", () => {
    if (!together.get()) return;
    keyAt.set(Math.min(Math.max(queryAt.get() + gap, 0), 24));
    show();
  });
  const show = () => {
    if (!together.get()) gap = keyAt.get() - queryAt.get();
    const radians = (step.get() * Math.PI) / 180;
    const pair = (values: number[][]) => [values[0]?.[0] ?? 0, values[0]?.[1] ?? 0] as [number, number];
    const [query, key] = [turn(pair(q.values), queryAt.get() * radians), turn(pair(k.values), keyAt.get() * radians)];
    const score = query[0] * key[0] + query[1] * key[1];
    const text = t("positions.turnTold", { gap: queryAt.get() - keyAt.get(), angle: step.get() * (queryAt.get() - keyAt.get()), score: score.toFixed(2) });
    says.textContent = text;
    const rows = [[t("attention.q"), ...query.map((x) => x.toFixed(3))], [t("attention.k"), ...key.map((x) => x.toFixed(3))]];
    circle.arrows(
      [
        { label: `q ${queryAt.get()}`, x: query[0], y: query[1] },
        { label: `k ${keyAt.get()}`, x: key[0], y: key[1] },
      ],
      { alt: text, head: ["", "1", "2"], rows },
    );
  };
  show();
}

/** Many pairs at once: the score falls with the distance. */
function together(root: HTMLElement, context: Context): void {
  const { t } = context;
  const says = told("positions-told");
  const curves = figure(context, "positions.figure", "positions-figure");
  const distance = slider(context, "distance", t("positions.distance"), [0, FURTHEST, 1, 8], () => show());
  const pair = slider(context, "pair", t("positions.pair"), [1, WIDTH / 2, 1, 4], () => show());
  root.append(paragraph(t("positions.p3")), controls(distance.root, pair.root), says, curves.root);
  const all = Array.from({ length: FURTHEST + 1 }, (_, at) => at);
  const show = () => {
    const d = distance.get();
    const values = { distance: d, turned: turned(d).toFixed(3), waves: waves(d).toFixed(3) };
    const angle = ((d * frequency(pair.get() - 1) * 180) / Math.PI).toFixed(1);
    says.textContent = t("positions.told", { ...values, pair: pair.get(), angle });
    curves.curves(
      [
        { label: t("positions.turned"), values: all.map(turned) },
        { label: t("positions.waves"), values: all.map(waves) },
      ],
      {
        alt: t("positions.alt", values),
        head: [t("positions.distance"), t("positions.turned"), t("positions.waves")],
        rows: all.filter((at) => at % 4 === 0).map((at) => [at, turned(at).toFixed(3), waves(at).toFixed(3)]),
      },
      { at: d },
    );
  };
  show();
}

/**
 * The angles of the model that is here, read off its own keys: the same token many times has the same key in the first layer,
 * but for the turning.
 */
function own(root: HTMLElement, context: Context): void {
  const { t, run } = context;
  const says = told("own-told");
  const circle = figure(context, "positions.ownFigure", "own-figure");
  const curve = figure(context, "positions.ownScore", "own-score");
  const word = textField(context, "word", t("vectors.word"), " dog", () => read(), 1);
  const head = slider(context, "head", t("head"), [1, 64, 1, 1], () => read());
  const pair = slider(context, "ownPair", t("positions.pair"), [1, 128, 1, 1], () => show());
  const far = slider(context, "far", t("positions.distance"), [0, N_REPEATED - 1, 1, 3], () => show());
  root.append(paragraph(t("positions.p4")), controls(word.root, head.root, pair.root, far.root), says, circle.root, curve.root, paragraph(t("positions.p5")));
  let show = () => {};
  const read = () =>
    run("own", async (model) => {
      const { nHead, nHeadKv, headDim, nCtx } = model.info;
      head.limit(nHead);
      const token = (await pieceOf(model, word.get() || " "))?.token;
      if (token === undefined) throw new Notice("model.noPieces");
      const n = Math.min(N_REPEATED, nCtx);
      const { sites } = await model.trace(new Uint32Array(n).fill(token), { sites: ["Qcur", "Kcur"], layers: [0] });
      const rowsOf = (site: "Qcur" | "Kcur", of: number) => {
        const data = sites[site]?.data ?? new Float32Array();
        const width = data.length / n;
        return Array.from({ length: n }, (_, at) => data.subarray(at * width + of * headDim, at * width + (of + 1) * headDim));
      };
      const query = Math.min(head.get(), nHead) - 1;
      const [queries, keys] = [rowsOf("Qcur", query), rowsOf("Kcur", Math.floor((query * nHeadKv) / nHead))];
      const found = turning(keys);
      const way = typeof found === "string" ? undefined : found;
      const nPairs = way?.n ?? Math.floor(headDim / 2);
      pair.limit(nPairs);
      const piece = shown(await model.detokenize([token]));
      show = () => {
        const at = Math.min(far.get(), n - 1);
        const i = Math.min(pair.get(), nPairs) - 1;
        const scores = Array.from({ length: n }, (_, distance) => dotOf(queries[n - 1] as Float32Array, keys[n - 1 - distance] as Float32Array) / Math.sqrt(headDim));
        const angles = way ? anglesOf(keys, way) : undefined;
        const degrees = ((angles?.[i] ?? 0) * 180) / Math.PI;
        const values = { piece, pair: i + 1, angle: degrees.toFixed(2), distance: at, score: (scores[at] ?? 0).toFixed(2), near: (scores[0] ?? 0).toFixed(2) };
        const text = t(way ? "positions.ownTold" : found === "still" ? "positions.ownNone" : "positions.ownAdded", values);
        says.textContent = text;
        const [first, second] = way ? way.pair(i) : [2 * i, 2 * i + 1];
        const arrow = (row: Float32Array, label: string) => ({ label, x: row[first] ?? 0, y: row[second] ?? 0 });
        const drawn = [arrow(keys[0] as Float32Array, "0"), arrow(keys[at] as Float32Array, String(at))];
        circle.arrows(drawn, { alt: text, head: [t("positions.position"), String(first), String(second)], rows: drawn.map(({ label, x, y }) => [label, x.toFixed(4), y.toFixed(4)]) });
        curve.curves([{ label: t("positions.score"), values: scores }], { alt: text, head: [t("positions.distance"), t("positions.score")], rows: scores.map((score, d) => [d, score.toFixed(3)]) }, { at });
      };
      show();
    });
  read();
}

/** Where am I? */
export const positions: Lesson = {
  key: "positions",
  build(root, context) {
    sinusoids(root, context);
    byHand(root, context);
    together(root, context);
    own(root, context);
  },
};
