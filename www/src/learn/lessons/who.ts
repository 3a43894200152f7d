import type { Intervention, Model } from "pagelm";
import { make } from "../../dom.js";
import { type Figure, shown } from "../figure.js";
import { type Context, controls, figure, type Lesson, paragraph, percent, piecesOf, slider, textField, told, tokensOf } from "../lesson.js";
import { best, divergence, softmax } from "../numbers.js";

const MOST_TOKENS = 24;
/** Random pieces that are repeated, to find heads that look back at what came after them. */
const N_REPEATED = 20;

interface Head {
  layer: number;
  head: number;
}

const off = ({ layer, head }: Head): Intervention => ({ site: "kqv_out", layer, head, scale: 0 });

/** The next token's probabilities, with interventions that are undone before this ends. */
async function nextWith(model: Model, tokens: Uint32Array, list: readonly Intervention[]): Promise<Float64Array> {
  const handle = list.length > 0 ? await model.intervene(list) : undefined;
  try {
    const { sites } = await model.trace(tokens, { sites: ["result_output"], positions: [tokens.length - 1] });
    return softmax(sites.result_output?.data ?? []);
  } finally {
    await handle?.dispose();
  }
}

function allHeads({ info }: Model): Head[] {
  return Array.from({ length: info.nLayer * info.nHead }, (_, idx) => ({ layer: Math.floor(idx / info.nHead), head: idx % info.nHead }));
}

/** A map of layers by heads. */
function mapHeads(context: Context, map: Figure, model: Model, values: readonly number[], most: number, alt: string, act?: (one: Head) => void, mark?: (one: Head) => boolean): void {
  const { nLayer, nHead } = model.info;
  const name = (what: "layer" | "head") => (_: unknown, idx: number) => `${context.t(what)} ${idx + 1}`;
  const [rows, columns] = [Array.from({ length: nLayer }, name("layer")), Array.from({ length: nHead }, name("head"))];
  const value = (i: number, j: number) => values[i * nHead + j] ?? 0;
  map.heat(
    {
      rows,
      columns,
      value: (i, j) => Math.min(value(i, j) / (most || 1), 1),
      text: (i, j) => (mark?.({ layer: i, head: j }) ? "×" : value(i, j).toFixed(2)),
    },
    { alt: context.t("who.alt", { told: alt }), head: [context.t("layer"), ...columns], rows: rows.map((row, i) => [row, ...columns.map((_, j) => value(i, j).toFixed(3))]) },
    act && ((layer, head) => act({ layer, head })),
  );
}

function switchingOff(root: HTMLElement, context: Context): void {
  const { t, run, state } = context;
  const key = ({ layer, head }: Head) => `${layer + 1}.${head + 1}`;
  const chosen = new Set(state.text("off", "").split(",").filter((part) => /^\d+\.\d+$/.test(part)));
  const says = told("who-told");
  const map = figure(context, "who.figure", "who-figure");
  const next = figure(context, "who.next", "who-next");
  const field = textField(context, "text", t("text.label"), t("text.default"), () => read());
  const none = make("button", t("who.none"), { type: "button", className: "quiet" });
  root.append(paragraph(t("who.p1")), controls(field.root), map.root, says, none, next.root);
  let effects: number[] = [];
  let before: Float64Array = new Float64Array();
  const keep = () => {
    state.set({ off: chosen.size > 0 ? [...chosen].join(",") : undefined });
    read(false);
  };
  none.addEventListener("click", () => {
    chosen.clear();
    keep();
  });
  const toggle = (one: Head) => {
    if (!chosen.delete(key(one))) chosen.add(key(one));
    keep();
  };
  const read = (anew = true) =>
    run("who", async (model) => {
      const tokens = await tokensOf(model, field.get(), MOST_TOKENS);
      if (tokens.length === 0) return;
      if (anew || effects.length === 0) {
        effects = [];
        before = await nextWith(model, tokens, []);
        for (const one of allHeads(model)) effects.push(divergence(before, await nextWith(model, tokens, [off(one)])));
      }
      const heads = allHeads(model).filter((one) => chosen.has(key(one)));
      const after = await nextWith(model, tokens, heads.map(off));
      const likeliest = best(after, 8);
      const names = (await piecesOf(model, [...likeliest, ...best(before, 1)].map(({ token }) => token))).map(shown);
      const rows = likeliest.map(({ token, p }, idx) => ({ label: names[idx] ?? "", p, was: before[token] as number }));
      next.bars(
        rows.map(({ label, p, was }) => ({ label, value: p, note: `${percent(p)} (${percent(was)})` })),
        { alt: rows.map(({ label, p }) => `${label} ${percent(p)}`).join(", "), head: [t("token"), t("after"), t("before")], rows: rows.map(({ label, p, was }) => [label, percent(p), percent(was)]) },
        1,
      );
      const first = best(before, 1)[0]?.token ?? 0;
      const text = t("who.told", { n: heads.length, piece: names.at(-1) ?? "", before: percent(before[first] ?? 0), after: percent(after[first] ?? 0) });
      says.textContent = text;
      mapHeads(context, map, model, effects, Math.max(...effects), text, toggle, (one) => chosen.has(key(one)));
    });
  read();
}

function steering(root: HTMLElement, context: Context): void {
  const { t, run } = context;
  const toward = textField(context, "toward", t("who.toward"), t("who.towardDefault"), () => show());
  const away = textField(context, "away", t("who.away"), t("who.awayDefault"), () => show());
  const strength = slider(context, "strength", t("who.strength"), [0, 20, 1, 4], () => show());
  const [plain, steered] = [told("plain"), told("steered")];
  steered.classList.add("on");
  root.append(paragraph(t("who.p2")), controls(toward.root, away.root, strength.root), plain, steered);
  const show = () =>
    run("steer", async (model) => {
      const { nLayer, nEmbd } = model.info;
      const layer = Math.floor(nLayer / 2);
      const meanOf = async (text: string) => {
        const { sites } = await model.trace(await tokensOf(model, text || " ", MOST_TOKENS), { sites: ["l_out"], layers: [layer] });
        const rows = sites.l_out?.data ?? new Float32Array(nEmbd);
        const mean = new Float32Array(nEmbd);
        rows.forEach((x, idx) => (mean[idx % nEmbd] = (mean[idx % nEmbd] as number) + (x * nEmbd) / rows.length));
        return mean;
      };
      const [to, from] = [await meanOf(toward.get()), await meanOf(away.get())];
      const text = context.state.text("text", t("text.default"));
      const go = async () => (await model.generate(text, { temperature: 0, maxTokens: 24 }).finish()).text;
      plain.textContent = t("who.plain", { text: await go() });
      const add = to.map((x, idx) => (x - (from[idx] as number)) * strength.get());
      const handle = await model.intervene([{ site: "l_out", layer, add }]);
      try {
        steered.textContent = t("who.steered", { text: await go() });
      } finally {
        await handle.dispose();
      }
    });
  show();
}

function induction(root: HTMLElement, context: Context): void {
  const { t, run } = context;
  const says = told("induction-told");
  const map = figure(context, "who.induction", "induction-figure");
  root.append(paragraph(t("who.p3")), says, map.root);
  run("induction", async (model) => {
    const { nVocab, nLayer, nHead } = model.info;
    const some = Array.from({ length: N_REPEATED }, (_, idx) => Math.floor(nVocab * (0.1 + 0.85 * ((idx * 0.618_034 + 0.3) % 1))));
    const tokens = Uint32Array.from([...some, ...some]);
    const n = tokens.length;
    const { sites } = await model.trace(tokens, { sites: ["kq_soft_max"] });
    const weights = sites.kq_soft_max?.data ?? new Float32Array();
    const scores = Array.from({ length: nLayer * nHead }, (_, idx) => {
      let sum = 0;
      for (let at = N_REPEATED; at < n; at += 1) sum += weights[(idx * n + at) * n + at - N_REPEATED + 1] as number;
      return sum / N_REPEATED;
    });
    const at = scores.indexOf(Math.max(...scores));
    const score = scores[at] ?? 0;
    const text = t(score >= 0.4 ? "who.inductionYes" : "who.inductionNo", {
      layer: Math.floor(at / nHead) + 1,
      head: (at % nHead) + 1,
      score: score.toFixed(2),
    });
    says.textContent = text;
    mapHeads(context, map, model, scores, 1, text);
  });
}

/** Who wrote that? */
export const who: Lesson = {
  key: "who",
  build(root, context) {
    switchingOff(root, context);
    steering(root, context);
    induction(root, context);
  },
};
