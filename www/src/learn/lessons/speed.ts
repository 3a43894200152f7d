import { formatBytes } from "../../format.js";
import { asking } from "../cost.js";
import { type Context, choose, controls, figure, type Lesson, paragraph, percent, press, slider, told } from "../lesson.js";
import { quantize, rms } from "../numbers.js";
import { losing } from "./loss.js";

/** Tokens whose embeddings are rounded, as a sample of the model's weights. */
const N_ROWS = 64;
/** Weights that are drawn. */
const N_DRAWN = 10;
const CACHE_BITS = { f32: 32, f16: 16, q8_0: 8.5 } as const;

/** Reading, writing, and writing without a cache, on this device. */
function measuring(root: HTMLElement, context: Context): void {
  const { t, run } = context;
  const says = told("speed-told");
  const bars = figure(context, "speed.figure", "speed-figure");
  bars.root.hidden = true;
  const length = slider(context, "length", t("speed.length"), [16, 256, 16, 64], () => {});
  const button = press(t("speed.measure"), "measure", () => go(), "primary");
  const ask = asking(context, () => go());
  root.append(paragraph(t("speed.p1")), controls(length.root), button, ask.root, says, bars.root);
  const go = () =>
    run("speed", async (model) => {
      const promptTokens = Math.max(Math.min(length.get(), model.info.nCtx - 20), 2);
      if (!ask.pass(model, 3 * promptTokens)) return;
      says.textContent = "…";
      const { prefillTokensPerS, decodeTokensPerS } = await model.benchmark({ promptTokens, genTokens: Math.min(16, model.info.nCtx - promptTokens) });
      // Without a cache each token costs a pass over the whole text: a trace is one.
      const tokens = Uint32Array.from({ length: promptTokens }, (_, idx) => (idx * 7) % model.info.nVocab);
      const at = performance.now();
      await model.trace(tokens, { sites: ["result_norm"], positions: [promptTokens - 1] });
      const uncached = Math.min(1000 / (performance.now() - at), prefillTokensPerS / promptTokens);
      const rows = [
        [t("speed.prefill"), prefillTokensPerS],
        [t("speed.decode"), decodeTokensPerS],
        [t("speed.uncached"), uncached],
      ] as const;
      const [prefill, decode, slow] = rows.map(([, x]) => (x < 10 ? x.toFixed(1) : x.toFixed(0))) as [string, string, string];
      const text = t("speed.told", { prefill, decode, uncached: slow });
      says.textContent = text;
      bars.root.hidden = false;
      bars.bars(
        rows.map(([label, value], idx) => ({ label, value, note: [prefill, decode, slow][idx] as string })),
        { alt: t("speed.alt", { told: text }), head: [t("speed.what"), t("speed.figure")], rows: rows.map(([label, value]) => [label, value.toFixed(1)]) },
      );
    });
}

/** How the cache grows with the text, and by what it is made smaller. */
function cache(root: HTMLElement, context: Context): void {
  const { t, run } = context;
  const says = told("cache-told");
  const curve = figure(context, "speed.cacheFigure", "cache-figure");
  const fill = slider(context, "filled", t("speed.length2"), [1, 2048, 1, 256], () => show());
  const kind = choose(context, "cache", t("speed.cacheType"), [["f32", "f32"], ["f16", "f16"], ["q8_0", "q8_0"]] as const, () => show());
  const last = paragraph("");
  root.append(last, controls(fill.root, kind.root), says, curve.root);
  let show = () => {};
  run("cache", async ({ info }) => {
    const { nLayer, nHead, nHeadKv, headDim, nCtx } = info;
    fill.limit(nCtx);
    last.replaceChildren(...paragraph(t("speed.p2", { heads: nHead, kv: nHeadKv })).childNodes);
    show = () => {
      const each = (heads: number) => (2 * nLayer * heads * headDim * CACHE_BITS[kind.get()]) / 8;
      const at = Math.min(fill.get(), nCtx);
      const steps = Array.from({ length: 65 }, (_, idx) => Math.round((idx * nCtx) / 64));
      const text = t("speed.cacheTold", { tokens: at, bytes: formatBytes(each(nHeadKv) * at), each: formatBytes(each(nHeadKv)), all: formatBytes(each(nHead) * at) });
      says.textContent = text;
      const kilo = (heads: number) => steps.map((n) => (each(heads) * n) / 1000);
      const curves = [
        { label: t("speed.shared"), values: kilo(nHeadKv) },
        { label: t("speed.unshared"), values: kilo(nHead) },
      ];
      curve.curves(curves, { alt: text, head: [t("speed.length2"), ...curves.map(({ label }) => `${label}, kB`)], rows: steps.map((n, idx) => [n, ...curves.map(({ values }) => (values[idx] ?? 0).toFixed(1))]) }, { at: (64 * at) / nCtx, unit: nCtx / 64 });
    };
    show();
  });
}

/** Weights of the model that is here, rounded further: what few bits lose. */
function rounding(root: HTMLElement, context: Context): void {
  const { t, run } = context;
  const says = told("bits-told");
  const bars = figure(context, "speed.bitsFigure", "bits-figure");
  const loss = figure(context, "speed.lossFigure", "loss-figure");
  const bits = slider(context, "bits", t("speed.bits"), [2, 8, 1, 4], () => show());
  const block = slider(context, "block", t("speed.block"), [4, 64, 4, 32], () => show());
  const last = paragraph("");
  root.append(last, controls(bits.root, block.root), says, bars.root, loss.root);
  let show = () => {};
  run("bits", async (model) => {
    const { info } = model;
    const some = Uint32Array.from({ length: Math.min(N_ROWS, info.nVocab) }, (_, idx) => Math.floor((idx * info.nVocab) / N_ROWS));
    const weights = await model.embeddings(some);
    last.replaceChildren(...paragraph(t("speed.p3", { quantization: info.quantization, bits: ((8 * info.weightBytes) / info.parameters).toFixed(1) })).childNodes);
    const lossOf = (n: number, size: number) => {
      const rounded = quantize(weights, n, size);
      return rms(weights.map((x, idx) => x - (rounded[idx] as number))) / (rms(weights) || 1);
    };
    show = () => {
      const [n, size] = [bits.get(), block.get()];
      const rounded = quantize(weights, n, size);
      const each = n + 16 / size; // a scale of 16 bits for each block
      const text = t("speed.bitsTold", { bits: n, block: size, each: each.toFixed(1), bytes: formatBytes((info.parameters * each) / 8), error: percent(lossOf(n, size)) });
      says.textContent = text;
      const drawn = Array.from({ length: N_DRAWN }, (_, idx) => [weights[idx] as number, rounded[idx] as number] as const);
      bars.bars(
        drawn.flatMap(([x, y], idx) => [
          { label: `${t("speed.weight")} ${idx + 1}`, value: x, note: x.toFixed(4), out: true },
          { label: "", value: y, note: y.toFixed(4) },
        ]),
        { alt: text, head: [t("speed.weight"), t("speed.stored"), t("speed.rounded"), t("speed.error")], rows: drawn.map(([x, y], idx) => [idx + 1, x.toFixed(5), y.toFixed(5), (y - x).toFixed(5)]) },
      );
      const all = [2, 3, 4, 5, 6, 7, 8].map((one) => [one, lossOf(one, size)] as const);
      loss.bars(
        all.map(([one, error]) => ({ label: t("speed.nBits", { bits: one }), value: error, note: percent(error), out: one !== n, act: () => (bits.set(one), show()) })),
        { alt: text, head: [t("speed.bits"), t("speed.error")], rows: all.map(([one, error]) => [one, percent(error)]) },
      );
    };
    show();
  });
}

/** Why is it fast? */
export const speed: Lesson = {
  key: "speed",
  build(root, context) {
    measuring(root, context);
    cache(root, context);
    rounding(root, context);
    losing(root, context);
  },
};
