import { shown } from "../figure.js";
import { controls, figure, type Lesson, paragraph, piecesOf, slider, textField, told, tokensOf } from "../lesson.js";

const MOST_TOKENS = 24;

/** The root of the mean of the squares. */
function size(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / Math.max(values.length, 1));
}

/** What a layer adds to the stream. */
export const block: Lesson = {
  key: "block",
  build(root, context) {
    const { t, run } = context;
    const says = told("block-told");
    const bars = figure(context, "block.figure", "block-figure");
    const field = textField(context, "text", t("text.label"), t("text.default"), () => show());
    const at = slider(context, "at", t("block.position"), [1, MOST_TOKENS, 1, 4], () => show());
    const last = paragraph("");
    root.append(paragraph(t("block.p1")), controls(field.root, at.root), says, bars.root, last);
    const show = () =>
      run("block", async (model) => {
        const tokens = await tokensOf(model, field.get(), MOST_TOKENS);
        if (tokens.length === 0) return;
        at.limit(tokens.length);
        const position = Math.min(at.get(), tokens.length) - 1;
        const { sites } = await model.trace(tokens, { sites: ["attn_out", "ffn_out", "l_out"], positions: [position] });
        const { nLayer, nEmbd, nHead, nHeadKv } = model.info;
        const sizes = (site: "attn_out" | "ffn_out" | "l_out") =>
          Array.from({ length: nLayer }, (_, layer) => size((sites[site]?.data ?? new Float32Array()).subarray(layer * nEmbd, (layer + 1) * nEmbd)));
        const [attention, network, stream] = [sizes("attn_out"), sizes("ffn_out"), sizes("l_out")];
        const parts = [
          [t("block.attention"), attention],
          [t("block.network"), network],
          [t("block.stream"), stream],
        ] as const;
        const rows = stream.map((_, layer) => [`${t("layer")} ${layer + 1}`, ...parts.map(([, values]) => (values[layer] as number).toFixed(3))]);
        const shownBars = stream.flatMap((_, layer) =>
          parts.map(([name, values], idx) => ({
            label: `${layer + 1} ${name}`,
            value: values[layer] as number,
            note: (values[layer] as number).toFixed(2),
            out: idx === 2,
          })),
        );
        bars.bars(shownBars, { alt: t("block.alt", { list: rows.map((row) => row.join(" ")).join("; ") }), head: [t("layer"), ...parts.map(([name]) => name)], rows });
        const added = attention.map((x, layer) => x + (network[layer] as number));
        const [piece = ""] = await piecesOf(model, [tokens[position] as number]);
        says.textContent = t("block.told", {
          piece: shown(piece),
          first: (stream[0] ?? 0).toFixed(2),
          last: (stream.at(-1) ?? 0).toFixed(2),
          layer: added.indexOf(Math.max(...added)) + 1,
        });
        last.replaceChildren(...paragraph(t("block.p2", { heads: nHead, kv: nHeadKv })).childNodes);
      });
    show();
  },
};
