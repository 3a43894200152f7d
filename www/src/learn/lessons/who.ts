import type { Intervention, Model } from "pagelm";
import { make } from "../../dom.js";
import { during } from "../attribution.js";
import { asking } from "../cost.js";
import { headMap } from "../head-map.js";
import { type Context, controls, figure, type Lesson, namesOf, paragraph, percent, promptOf, slider, textField, tokensOf, told } from "../lesson.js";
import { best, divergence, softmax } from "../numbers.js";
import { patching } from "../patching.js";

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
  return during(model, list, async () => {
    const { sites } = await model.trace(tokens, { sites: ["result_output"], positions: [tokens.length - 1] });
    return softmax(sites.result_output?.data ?? []);
  });
}

function allHeads({ info }: Model): Head[] {
  return Array.from({ length: info.nLayer * info.nHead }, (_, idx) => ({ layer: Math.floor(idx / info.nHead), head: idx % info.nHead }));
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
  const ask = asking(context, () => read());
  root.append(paragraph(t("who.p1")), controls(field.root), ask.root, map.root, says, none, next.root);
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
    run("who", async (model, still) => {
      const tokens = await tokensOf(model, field.get(), MOST_TOKENS);
      const known = anew || effects.length === 0 ? 0 : 1;
      if (tokens.length === 0 || (!known && !ask.pass(model, tokens.length * allHeads(model).length))) return;
      if (!known) {
        effects = [];
        before = await nextWith(model, tokens, []);
        const found: number[] = [];
        for (const one of allHeads(model)) {
          if (!still()) return;
          found.push(divergence(before, await nextWith(model, tokens, [off(one)])));
        }
        effects = found;
      }
      const heads = allHeads(model).filter((one) => chosen.has(key(one)));
      const after = await nextWith(model, tokens, heads.map(off));
      const likeliest = best(after, 8);
      const names = await namesOf(model, [...likeliest, ...best(before, 1)].map(({ token }) => token));
      const rows = likeliest.map(({ token, p }, idx) => ({ label: names[idx] ?? "", p, was: before[token] as number }));
      next.bars(
        rows.map(({ label, p, was }) => ({ label, value: p, note: `${percent(p)} (${percent(was)})` })),
        { alt: rows.map(({ label, p }) => `${label} ${percent(p)}`).join(", "), head: [t("token"), t("after"), t("before")], rows: rows.map(({ label, p, was }) => [label, percent(p), percent(was)]) },
        1,
      );
      const first = best(before, 1)[0]?.token ?? 0;
      const text = t("who.told", { n: heads.length, piece: names.at(-1) ?? "", before: percent(before[first] ?? 0), after: percent(after[first] ?? 0) });
      says.textContent = text;
      headMap(context, map, model, effects, {
        most: Math.max(...effects),
        alt: t("who.alt", { told: text }),
        act: (layer, head) => toggle({ layer, head }),
        off: (layer, head) => chosen.has(key({ layer, head })),
      });
    });
  read();
}

function steering(root: HTMLElement, context: Context): void {
  const { t, run } = context;
  const toward = textField(context, "toward", t("who.toward"), t("who.towardDefault"), () => show());
  const away = textField(context, "away", t("who.away"), t("who.awayDefault"), () => show());
  const strength = slider(context, "strength", t("who.strength"), [0, 10, 0.5, 1], () => show());
  const [plain, steered] = [told("plain"), told("steered")];
  steered.classList.add("on");
  root.append(paragraph(t("who.p2")), controls(toward.root, away.root, strength.root), plain, steered);
  const show = () =>
    run("steer", async (model) => {
      const { nLayer, nEmbd } = model.info;
      const layer = Math.floor(nLayer / 2);
      // The mean over the tokens of all texts of a set: one a line.
      const meanOf = async (set: string) => {
        const mean = new Float32Array(nEmbd);
        const texts = set.split("\n").filter((text) => text.trim() !== "");
        for (const text of texts.length > 0 ? texts : [" "]) {
          const { sites } = await model.trace(await tokensOf(model, text, MOST_TOKENS), { sites: ["l_out"], layers: [layer] });
          const rows = sites.l_out?.data ?? new Float32Array(nEmbd);
          const share = nEmbd / rows.length / (texts.length || 1);
          rows.forEach((x, idx) => (mean[idx % nEmbd] = (mean[idx % nEmbd] as number) + x * share));
        }
        return mean;
      };
      const [to, from] = [await meanOf(toward.get()), await meanOf(away.get())];
      const prompt = await promptOf(model, context.state.text("text", t("text.default")), 24);
      const go = async () => (await model.generate(prompt, { temperature: 0, maxTokens: 24 }).finish()).text;
      plain.textContent = t("who.plain", { text: await go() });
      const add = to.map((x, idx) => (x - (from[idx] as number)) * strength.get());
      steered.textContent = t("who.steered", { text: await during(model, [{ site: "l_out", layer, add }], go) });
    });
  show();
}

function induction(root: HTMLElement, context: Context): void {
  const { t, run } = context;
  const says = told("induction-told");
  const map = figure(context, "who.induction", "induction-figure");
  root.append(paragraph(t("who.p3")), says, map.root);
  run("induction", async (model) => {
    const { nVocab, nLayer, nHead, nCtx } = model.info;
    const half = Math.min(N_REPEATED, nCtx >> 1);
    const some = Array.from({ length: half }, (_, idx) => Math.floor(nVocab * (0.1 + 0.85 * ((idx * 0.618_034 + 0.3) % 1))));
    const tokens = Uint32Array.from([...some, ...some]);
    const n = tokens.length;
    const { sites } = await model.trace(tokens, { sites: ["kq_soft_max"] });
    const weights = sites.kq_soft_max?.data ?? new Float32Array();
    const scores = Array.from({ length: nLayer * nHead }, (_, idx) => {
      let sum = 0;
      for (let at = half; at < n; at += 1) sum += weights[(idx * n + at) * n + at - half + 1] as number;
      return sum / half;
    });
    const at = scores.indexOf(Math.max(...scores));
    const score = scores[at] ?? 0;
    const text = t(score >= 0.4 ? "who.inductionYes" : "who.inductionNo", {
      layer: Math.floor(at / nHead) + 1,
      head: (at % nHead) + 1,
      score: score.toFixed(2),
    });
    says.textContent = text;
    headMap(context, map, model, scores, { most: 1, alt: t("who.alt", { told: text }) });
  });
}

/** Who wrote that? */
export const who: Lesson = {
  key: "who",
  build(root, context) {
    switchingOff(root, context);
    patching(root, context);
    steering(root, context);
    induction(root, context);
  },
};
