import { during } from "./attribution.js";
import { asking } from "./cost.js";
import { type Context, controls, figure, namesOf, paragraph, percent, slider, textField, tokensOf, told } from "./lesson.js";
import { best, softmax } from "./numbers.js";

const MOST_TOKENS = 16;

/**
 * Activation patching: of two texts of as many tokens, the second is read with the stream of the first put in at one layer and
 * one token; where that brings the first one's answer back, what made the difference was there.
 */
export function patching(root: HTMLElement, context: Context): void {
  const { t, run } = context;
  const says = told("patch-told");
  const map = figure(context, "patch.figure", "patch-figure");
  const clean = textField(context, "clean", t("patch.clean"), t("patch.cleanDefault"), () => read());
  const other = textField(context, "other", t("patch.other"), t("patch.otherDefault"), () => read());
  const layer = slider(context, "patchLayer", t("layer"), [1, 64, 1, 1], () => show());
  const at = slider(context, "patchAt", t("token"), [1, MOST_TOKENS, 1, 1], () => show());
  const ask = asking(context, () => read());
  root.append(paragraph(t("patch.p1")), controls(clean.root, other.root), ask.root, map.root, controls(layer.root, at.root), says, paragraph(t("patch.p2")));
  let show = () => {};
  const read = () =>
    run("patch", async (model, still) => {
      const { nLayer, nEmbd } = model.info;
      const [good, bad] = [await tokensOf(model, clean.get(), MOST_TOKENS), await tokensOf(model, other.get(), MOST_TOKENS)];
      const n = good.length;
      if (n !== bad.length || n === 0) {
        says.textContent = t("patch.unequal", { n, m: bad.length });
        return;
      }
      if (good.every((token, idx) => token === bad[idx])) {
        says.textContent = t("patch.same", { n });
        return;
      }
      if (!ask.pass(model, n * n * nLayer, n * nLayer)) return;
      const readsAs = async (tokens: Uint32Array) => {
        const { sites } = await model.trace(tokens, { sites: ["result_output"], positions: [n - 1] });
        return softmax(sites.result_output?.data ?? []);
      };
      const streams = (await model.trace(good, { sites: ["l_out"] })).sites.l_out?.data ?? new Float32Array();
      const [withGood, withBad] = [await readsAs(good), await readsAs(bad)];
      // What the two texts differ about most, in favour of the first.
      const answer = best(withGood.map((p, token) => p - (withBad[token] as number)), 1)[0]?.token ?? 0;
      const [high, low] = [withGood[answer] as number, withBad[answer] as number];
      const patched = new Float32Array(nLayer * n);
      for (let idx = 0; idx < patched.length; idx += 1) {
        if (!still()) return;
        const [l, position] = [Math.floor(idx / n), idx % n];
        const set = streams.slice(idx * nEmbd, (idx + 1) * nEmbd);
        const probs = await during(model, [{ site: "l_out", layer: l, positions: [position, position + 1], set }], () => readsAs(bad));
        patched[idx] = probs[answer] as number;
      }
      const pieces = await namesOf(model, bad);
      const cleanPieces = await namesOf(model, good);
      const [word = ""] = await namesOf(model, [answer]);
      layer.limit(nLayer);
      at.limit(n);
      const differs = pieces.findIndex((piece, idx) => piece !== cleanPieces[idx]);
      if (context.state.text("patchAt", "") === "" && differs >= 0) at.set(differs + 1);
      const columns = pieces.map((piece, idx) => (piece === cleanPieces[idx] ? piece : `${piece}←${cleanPieces[idx]}`));
      const rows = Array.from({ length: nLayer }, (_, l) => `${t("layer")} ${l + 1}`);
      const back = (i: number, j: number) => ((patched[i * n + j] as number) - low) / (high - low || 1);
      show = () => {
        const [i, j] = [Math.min(layer.get(), nLayer) - 1, Math.min(at.get(), n) - 1];
        const text = t("patch.told", { piece: word, high: percent(high), low: percent(low), layer: i + 1, at: columns[j] ?? "", now: percent(patched[i * n + j] ?? 0) });
        says.textContent = text;
        map.heat(
          { rows, columns, value: (l, p) => Math.max(-1, Math.min(back(l, p), 1)), text: (l, p) => percent(patched[l * n + p] as number), chosen: (l, p) => l === i && p === j },
          { alt: text, head: [t("layer"), ...columns], rows: rows.map((row, l) => [row, ...columns.map((_, p) => percent(patched[l * n + p] as number))]) },
          (l, p) => (layer.set(l + 1), at.set(p + 1), show()),
        );
      };
      show();
    });
  read();
}
