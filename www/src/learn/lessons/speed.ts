import { make } from "../../dom.js";
import { formatBytes } from "../../format.js";
import { controls, figure, type Lesson, paragraph, slider, told } from "../lesson.js";

/** Why is it fast? */
export const speed: Lesson = {
  key: "speed",
  build(root, context) {
    const { t, run } = context;
    const says = told("speed-told");
    const bars = figure(context, "speed.figure", "speed-figure");
    bars.root.hidden = true;
    const length = slider(context, "length", t("speed.length"), [16, 256, 16, 64], () => {});
    const button = make("button", t("speed.measure"), { type: "button", className: "primary" });
    button.dataset.testid = "measure";
    const last = paragraph("");
    root.append(paragraph(t("speed.p1")), controls(length.root), button, says, bars.root, last);
    button.addEventListener("click", () =>
      run("speed", async (model) => {
        says.textContent = "…";
        const most = model.info.nCtx - 20;
        const promptTokens = Math.min(length.get(), most);
        const { prefillTokensPerS, decodeTokensPerS } = await model.benchmark({ promptTokens, genTokens: 16 });
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
      }),
    );
    run("facts", async ({ info }) => {
      const bits = ((8 * info.weightBytes) / info.parameters).toFixed(1);
      const facts = { bytes: formatBytes(info.cacheBytes), tokens: info.nCtx, quantization: info.quantization, bits };
      last.replaceChildren(...paragraph(t("speed.p2", facts)).childNodes);
    });
  },
};
