import { type Context, controls, figure, type Lesson, namesOf, paragraph, slider, textField, tokensOf, told } from "../lesson.js";
import { neuronFigures } from "../neurons.js";
import { rms } from "../numbers.js";
import { textbook } from "./textbook.js";

const MOST_TOKENS = 24;

/** What each layer of the model that is here adds to the stream. */
function modern(root: HTMLElement, context: Context): void {
  const { t, run } = context;
  const says = told("block-told");
  const bars = figure(context, "block.figure", "block-figure");
  const field = textField(context, "text", t("text.label"), t("text.default"), () => show());
  const at = slider(context, "at", t("block.position"), [1, MOST_TOKENS, 1, 4], () => show());
  const last = paragraph("");
  const layer = slider(context, "layer", t("layer"), [1, 64, 1, 2], () => show());
  root.append(paragraph(t("block.p1")), last, controls(field.root, at.root), says, bars.root);
  const neurons = neuronFigures(root, context, "neuron", layer.root);
  const show = () =>
    run("block", async (model) => {
      const tokens = await tokensOf(model, field.get(), MOST_TOKENS);
      if (tokens.length === 0) return;
      at.limit(tokens.length);
      const position = Math.min(at.get(), tokens.length) - 1;
      const { sites } = await model.trace(tokens, { sites: ["attn_out", "ffn_out", "l_out"], positions: [position] });
      const { nLayer, nEmbd, nHead, nHeadKv } = model.info;
      const sizes = (site: "attn_out" | "ffn_out" | "l_out") =>
        Array.from({ length: nLayer }, (_, layer) => rms((sites[site]?.data ?? new Float32Array()).subarray(layer * nEmbd, (layer + 1) * nEmbd)));
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
      const [piece = ""] = await namesOf(model, [tokens[position] as number]);
      says.textContent = t("block.told", {
        piece,
        first: (stream[0] ?? 0).toFixed(2),
        last: (stream.at(-1) ?? 0).toFixed(2),
        layer: added.indexOf(Math.max(...added)) + 1,
      });
      last.replaceChildren(...paragraph(t("block.p2", { heads: nHead, kv: nHeadKv })).childNodes);
      layer.limit(nLayer);
      const pieces = await namesOf(model, tokens);
      neurons({ model, tokens, pieces }, Math.min(layer.get(), nLayer) - 1, position);
    });
  show();
}

/** One block from scratch, and the blocks of the model. */
export const block: Lesson = {
  key: "block",
  build(root, context) {
    textbook(root, context);
    modern(root, context);
  },
};
