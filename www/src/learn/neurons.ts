import { type Model, PageLmError } from "pagelm";
import { neuronsOf, speechOf } from "./attribution.js";
import { choose, type Context, controls, figure, namesOf, paragraph, slider, told } from "./lesson.js";
import { best } from "./numbers.js";

/** How many neurons are drawn. */
const N = 12;

/** The activations of a layer's neurons at every token: row by row, nFf each. */
export async function activationsOf(model: Model, tokens: Uint32Array, layer: number): Promise<Float32Array> {
  const { sites } = await model.trace(tokens, { sites: ["ffn_act"], layers: [layer] });
  return sites.ffn_act?.data ?? new Float32Array();
}

/** What a neuron with this activation makes likelier, the most first. */
export async function saidBy(model: Model, token: number, layer: number, idx: number, value: number): Promise<string[]> {
  const [vector] = await neuronsOf(model, token, layer, [{ idx, value }]);
  if (!vector) return [];
  const [speech] = await speechOf(model, [vector], vector, []);
  return namesOf(model, (speech?.top ?? []).map((one) => one.token));
}

/** A text as a figure reads it. */
export interface Reading {
  model: Model;
  tokens: Uint32Array;
  pieces: readonly string[];
}

/** The neurons of a layer at one token, and the tokens of the text that excite one of them most. */
export function neuronFigures(root: HTMLElement, context: Context, neuronName = "neuron", ...more: HTMLElement[]) {
  const { t, run } = context;
  const says = told("neuron-told");
  const bars = figure(context, "neurons.figure", "neuron-figure");
  const text = figure(context, "neurons.tokens", "neuron-tokens");
  const order = choose(context, "order", t("neurons.order"), [["here", t("neurons.here")], ["text", t("neurons.text")]] as const, () => again());
  const neuron = slider(context, neuronName, t("neurons.neuron"), [1, 65_536, 1, 1], () => again());
  root.append(paragraph(t("neurons.p1")), controls(...more, order.root, neuron.root), bars.root, says, text.root);
  let again = () => {};
  let isFirst = context.state.text(neuronName, "") === "";
  /** Draws for this layer at this token. */
  const draw = (reading: Reading, layer: number, position: number) => {
    again = () => run("neurons", (model) => show(model, reading, layer, position));
    again();
  };
  const show = async (model: Model, { tokens, pieces }: Reading, layer: number, position: number) => {
    const values = await activationsOf(model, tokens, layer).catch((thrown: unknown) => {
      if (thrown instanceof PageLmError && thrown.code === "unsupported") return undefined;
      throw thrown;
    });
    bars.root.hidden = text.root.hidden = values === undefined;
    if (!values) {
      says.textContent = t("neurons.none");
      return;
    }
    const n = values.length / tokens.length;
    neuron.limit(n);
    const at = (token: number, idx: number) => values[token * n + idx] as number;
    const force = (idx: number) =>
      order.get() === "here" ? Math.abs(at(position, idx)) : Math.max(...pieces.map((_, token) => Math.abs(at(token, idx))));
    const strongest = best(Array.from({ length: n }, (_, idx) => force(idx)), N).map(({ token }) => token);
    if (isFirst) neuron.set((strongest[0] ?? 0) + 1);
    isFirst = false;
    const own = Math.min(neuron.get(), n) - 1;
    const rows = strongest.map((idx) => ({ idx, value: at(position, idx) }));
    bars.bars(
      rows.map(({ idx, value }) => ({ label: `${t("neurons.neuron")} ${idx + 1}`, value, note: value.toFixed(2), out: false, act: () => (neuron.set(idx + 1), again()) })),
      { alt: rows.slice(0, 5).map(({ idx, value }) => `${idx + 1}: ${value.toFixed(2)}`).join(", "), head: [t("neurons.neuron"), t("neurons.value")], rows: rows.map(({ idx, value }) => [idx + 1, value.toFixed(4)]) },
    );
    const excited = pieces.map((_, token) => at(token, own));
    const most = excited.reduce((top, value, token) => (Math.abs(value) > Math.abs(excited[top] as number) ? token : top), 0);
    const said = await saidBy(model, tokens[0] ?? 0, layer, own, excited[most] as number);
    const telling = t("neurons.told", { layer: layer + 1, neuron: own + 1, piece: pieces[most] ?? "", value: (excited[most] ?? 0).toFixed(2), list: said.join(" ") });
    says.textContent = telling;
    text.bars(
      pieces.map((label, token) => ({ label, value: excited[token] as number, note: (excited[token] as number).toFixed(2), out: token !== most && token !== position })),
      { alt: telling, head: [t("token"), t("neurons.value")], rows: pieces.map((piece, token) => [piece, (excited[token] as number).toFixed(4)]) },
    );
  };
  return draw;
}
