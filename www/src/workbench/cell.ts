import { make } from "../dom.js";
import { type Context, figure, namesOf, percent, told } from "../learn/lesson.js";
import { neuronFigures } from "../learn/neurons.js";
import { best, rms, softmax } from "../learn/numbers.js";
import { signed } from "../learn/attributing.js";
import type { Reading, Values } from "./reading.js";

/** What of a layer is looked at: one of its heads, its network, or the stream behind it. */
export type Part = number | "network" | "stream";

/** A place in the model. */
export interface Spot {
  layer: number;
  part: Part;
}

/** Numbers of a vector as rows of so many. */
const ROW = 32;

/** Everything about one place in the model at one token. */
export function cell(root: HTMLElement, context: Context) {
  const { t, run } = context;
  const says = told("cell-told");
  const title = make("h2", "");
  const head = make("section", "", { className: "part-of" });
  const network = make("section", "", { className: "part-of" });
  const stream = make("section", "", { className: "part-of" });
  const map = figure(context, "attention.figure", "cell-attention");
  const vectors = figure(context, "bench.vectors", "cell-vectors");
  head.append(map.root, vectors.root);
  const neurons = neuronFigures(network, context);
  const next = figure(context, "bench.lens", "cell-lens");
  const numbers = figure(context, "bench.stream", "cell-stream");
  stream.append(next.root, numbers.root);
  root.append(title, says, head, network, stream);

  const showHead = async ({ model, tokens, pieces, weights }: Reading, { layer, part }: Spot, position: number) => {
    const n = tokens.length;
    const own = weights(layer, part as number);
    const row = [...own.subarray(position * n, position * n + position + 1)];
    const to = row.indexOf(Math.max(...row));
    const text = t("attention.told", { layer: layer + 1, head: (part as number) + 1, from: pieces[position] ?? "", to: pieces[to] ?? "", share: percent(row[to] ?? 0) });
    map.heat(
      { rows: pieces, columns: pieces, value: (i, j) => (j > i ? undefined : own[i * n + j]), chosen: (i) => i === position },
      { alt: t("attention.alt", { n, told: text }), head: [t("token"), ...pieces], rows: pieces.map((piece, i) => [piece, ...[...own.subarray(i * n, (i + 1) * n)].map((w, j) => (j > i ? "" : w.toFixed(3)))]) },
    );
    const { headDim, nHead, nHeadKv } = model.info;
    const { sites } = await model.trace(tokens, { sites: ["Qcur", "Kcur", "Vcur", "kqv_out"], layers: [layer], positions: [position] });
    const shared = Math.floor(((part as number) * nHeadKv) / nHead);
    const of = (site: "Qcur" | "Kcur" | "Vcur" | "kqv_out", idx: number) => [...(sites[site]?.data ?? new Float32Array()).subarray(idx * headDim, (idx + 1) * headDim)];
    const rows = [
      [t("bench.q"), of("Qcur", part as number)],
      [t("bench.k"), of("Kcur", shared)],
      [t("bench.v"), of("Vcur", shared)],
      [t("bench.reads"), of("kqv_out", part as number)],
    ] as const;
    const columns = Array.from({ length: headDim }, (_, idx) => String(idx + 1));
    vectors.heat(
      { rows: rows.map(([name]) => name), columns, value: (i, j) => scaled(rows[i]?.[1] ?? [], j) },
      { alt: t("bench.vectors"), head: ["", ...columns], rows: rows.map(([name, values]) => [name, ...values.map((x) => x.toFixed(4))]) },
    );
    return text;
  };

  const showStream = async (reading: Reading, { layer }: Spot, position: number) => {
    const { model } = reading;
    const vector = reading.stream(layer, position);
    const probs = softmax(await model.project(vector.slice()));
    const likeliest = best(probs, 8);
    const names = await namesOf(model, likeliest.map(({ token }) => token));
    const rows = likeliest.map(({ p }, idx) => [names[idx] ?? "", percent(p)] as const);
    const text = t("bench.streamTold", { layer: layer + 1, from: reading.pieces[position] ?? "", to: names[0] ?? "", share: percent(likeliest[0]?.p ?? 0), size: rms(vector).toFixed(2) });
    next.bars(likeliest.map(({ p }, idx) => ({ label: names[idx] ?? "", value: p, note: percent(p) })), { alt: text, head: [t("token"), t("probability")], rows }, 1);
    const lines = Array.from({ length: Math.ceil(vector.length / ROW) }, (_, idx) => [...vector.subarray(idx * ROW, (idx + 1) * ROW)]);
    const columns = Array.from({ length: ROW }, (_, idx) => String(idx + 1));
    numbers.heat(
      { rows: lines.map((_, idx) => String(idx * ROW + 1)), columns, value: (i, j) => (lines[i]?.[j] === undefined ? undefined : scaled([...vector], i * ROW + j)) },
      { alt: t("bench.stream"), head: ["", ...columns], rows: lines.map((line, idx) => [idx * ROW + 1, ...line.map((x) => x.toFixed(4))]) },
    );
    return text;
  };

  /** Shows a place at a token. */
  return (reading: Reading, spot: Spot, position: number, values: Values | undefined) => {
    const { layer, part } = spot;
    title.textContent = `${t("layer")} ${layer + 1}, ${typeof part === "number" ? `${t("head")} ${part + 1}` : part === "network" ? t("credit.network") : t("block.stream")}`;
    head.hidden = typeof part !== "number";
    network.hidden = part !== "network";
    stream.hidden = part !== "stream";
    if (part === "network") neurons(reading, layer, position);
    run("cell", async () => {
      const own = typeof part === "number" ? await showHead(reading, spot, position) : part === "stream" ? await showStream(reading, spot, position) : "";
      const credit = await creditLine(context, reading, spot, values);
      says.textContent = [own, credit].filter(Boolean).join(" ");
    });
  };
}

/** What a place says of the next piece, if that was computed. */
async function creditLine({ t }: Context, { model }: Reading, { layer, part }: Spot, values: Values | undefined): Promise<string> {
  const credit = values?.credit;
  const idx = credit?.parts.findIndex((one) => one.layer === layer && (part === "network" ? one.kind === "network" : one.kind === "head" && one.head === part)) ?? -1;
  const said = credit?.said[idx];
  if (!credit || !said) return "";
  const [piece = "", ...list] = await namesOf(model, [credit.target, ...said.top.map(({ token }) => token)]);
  const name = part === "network" ? t("credit.network") : `${t("head")} ${(part as number) + 1}`;
  return t("credit.part", { layer: layer + 1, name, value: signed(said.values[0] ?? 0), piece, list: list.join(" ") });
}

/** A number of a list, as a share of the largest, a little below full colour so that signs can be told. */
const scaled = (values: readonly number[], idx: number) => (values[idx] ?? 0) / (values.reduce((most, x) => Math.max(most, Math.abs(x)), 0) || 1);
