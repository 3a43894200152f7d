import { asking } from "../learn/cost.js";
import { caveatOf, creditCost, signed } from "../learn/attributing.js";
import { headMap } from "../learn/head-map.js";
import { canFollow, choose, type Context, controls, figure, namesOf, paragraph, percent, pieceOf, piecesOf, press, textField, told } from "../learn/lesson.js";
import { best, softmax } from "../learn/numbers.js";
import { cell, type Part, type Spot } from "./cell.js";
import { compare } from "./compare.js";
import { MEASURES, nextOf, type Reading, readText, type Values, valuesOf } from "./reading.js";
import { Strip } from "./strip.js";
import { writing } from "./writing.js";

/** Pieces that are drawn of what may come. */
const N = 10;

/** The place in the address, if there is one: a layer and a head, `n` for the network or `s` for the stream. */
function spotIn({ state }: Context): Spot {
  const [, layer = "1", part = "1"] = /^(\d+)\.(\d+|n|s)$/.exec(state.text("part", "1.1")) ?? [];
  const own: Part = part === "n" ? "network" : part === "s" ? "stream" : Math.max(Number(part) - 1, 0);
  return { layer: Math.max(Number(layer) - 1, 0), part: own };
}

/** The head that has the most of what the map shows. */
function strongest({ heads }: Values, nHead: number): Spot | undefined {
  const at = heads.reduce<number>((top, x, idx) => ((x ?? -Infinity) > (heads[top] ?? -Infinity) ? idx : top), 0);
  return heads[at] === undefined ? undefined : { layer: Math.floor(at / nHead), part: at % nHead };
}

/** The workbench: a text, its tokens, the model as a map, what is chosen in it, and a second of each beside it. */
export function bench(root: HTMLElement, context: Context): void {
  const { t, run, state } = context;
  const says = told("bench-told");
  const text = writing(root, context, () => read());
  const strip = new Strip(context, () => look());
  const next = figure(context, "bench.next", "bench-next");
  const map = figure(context, "bench.map", "bench-map");
  const measure = choose(context, "measure", t("habits.which"), MEASURES.map((key) => [key, t(key === "credit" ? "bench.credit" : `habits.${key}`)] as const), () => look());
  const caveat = paragraph("", "hint");
  const target = textField(context, "target", t("credit.target"), "", () => look(), 1);
  const ask = asking(context, () => look());
  root.append(paragraph(t("bench.stripLead")), strip.root, next.root, paragraph(t("bench.mapLead")), controls(measure.root, target.root), ask.root, says, map.root, caveat);
  const details = cell(root, context);
  const toggle = press(t("bench.toggle"), "toggle", () => beside.toggle(spot));
  const save = press(t("bench.saveAll"), "save-all", () => saveAll());
  root.append(controls(toggle, save));
  const beside = compare(root, context, text.how, text.get, () => drawMap());

  let reading: Reading | undefined;
  let values: Values | undefined;
  let spot = spotIn(context);

  const read = () =>
    run("read", async (model) => {
      reading = await readText(model, text.get());
      if (!reading) return;
      const { tokens, pieces } = reading;
      const own = reading;
      strip.show(pieces, pieces.map((_, idx) => (idx === 0 ? undefined : nextOf(own, idx - 1)[tokens[idx] as number])));
      look();
    });

  const pick = (to: Spot) => {
    spot = to;
    state.set({ part: `${to.layer + 1}.${to.part === "network" ? "n" : to.part === "stream" ? "s" : to.part + 1}` });
    drawMap();
    if (reading) details(reading, spot, strip.at, values);
    toggle.hidden = to.part === "stream";
  };

  /** Draws everything for the token that is chosen. */
  const look = () =>
    run("look", async (model, still) => {
      if (!reading || reading.model !== model) return;
      const now = reading;
      const position = strip.at;
      const probs = nextOf(now, position);
      await drawNext(now, position, probs);
      const { nLayer, nHead } = model.info;
      spot = { layer: Math.min(spot.layer, nLayer - 1), part: typeof spot.part === "number" ? Math.min(spot.part, nHead - 1) : spot.part };
      const wanted = target.get() === "" ? undefined : (await pieceOf(model, target.get()))?.token;
      const goal = wanted ?? now.tokens[position + 1] ?? best(probs, 1)[0]?.token ?? 0;
      const isCredit = measure.get() === "credit";
      target.root.hidden = !isCredit;
      if (isCredit && !ask.pass(model, ...creditCost(model, now.tokens.length))) return;
      values = await valuesOf(now, position, goal, measure.get(), still);
      if (!values || !still()) return;
      const [from = "", to = ""] = [now.pieces[position], ...(await namesOf(model, [goal]))];
      const { credit } = values;
      if (state.text("part", "") === "") spot = strongest(values, nHead) ?? spot;
      says.textContent = credit
        ? t("bench.creditTold", { from, to, logit: signed(credit.logit), share: percent(probs[goal] as number) })
        : t("bench.habitTold", { from, what: t(`habits.${measure.get() as Exclude<ReturnType<typeof measure.get>, "credit">}`) });
      caveat.hidden = !credit;
      if (credit) caveat.textContent = caveatOf(context, credit, values.whole);
      drawMap(goal);
      details(now, spot, position, values);
      toggle.hidden = spot.part === "stream";
      beside.show({ reading: now, position, target: goal, measure: measure.get(), values });
    });

  let goalOfMap = 0;
  const drawMap = (goal = goalOfMap) => {
    if (!reading || !values) return;
    goalOfMap = goal;
    const { model } = reading;
    const { nLayer, nHead } = model.info;
    const { heads, networks, most } = values;
    const layers = Array.from({ length: nLayer }, (_, layer) => layer);
    const sizes = layers.map(() => 0);
    const toSpot = (layer: number, column: number): Spot => ({ layer, part: column < nHead ? column : column === nHead ? "network" : "stream" });
    headMap(context, map, model, heads, {
      most,
      alt: says.textContent ?? "",
      more: [
        { name: t("credit.network"), values: networks ?? sizes, text: networks ? undefined : "·" },
        { name: t("block.stream"), values: sizes, text: "·" },
      ],
      act: (layer, column) => pick(toSpot(layer, column)),
      chosen: (layer, column) => layer === spot.layer && toSpot(layer, column).part === spot.part,
      off: (layer, column) => beside.isOff(toSpot(layer, column)),
    });
  };

  const drawNext = async ({ model, tokens, pieces }: Reading, position: number, probs: Float64Array) => {
    const likeliest = best(probs, N);
    const coming = tokens[position + 1];
    const ids = likeliest.map(({ token }) => token);
    const [texts, names] = [await piecesOf(model, ids), await namesOf(model, ids)];
    const rows = likeliest.map(({ token, p }, idx) => ({ piece: texts[idx] ?? "", label: `${token === coming ? "→ " : ""}${names[idx] ?? ""}`, p }));
    next.caption = t("bench.nextAfter", { piece: pieces[position] ?? "" });
    next.bars(
      rows.map(({ piece, label, p }) => ({ label, value: p, note: percent(p), act: position === tokens.length - 1 && canFollow(piece) ? () => text.append(piece) : undefined })),
      { alt: rows.slice(0, 5).map(({ label, p }) => `${label} ${percent(p)}`).join(", "), head: [t("token"), t("probability")], rows: rows.map(({ label, p }) => [label, percent(p)]) },
      1,
    );
  };

  /** Every number that was computed for the chosen token, as a file. */
  const saveAll = () => {
    if (!reading) return;
    const { model, tokens, pieces, weights } = reading;
    const { nLayer, nHead, name } = model.info;
    const [n, at] = [tokens.length, strip.at];
    const all = {
      model: name,
      text: text.get(),
      position: at,
      tokens: pieces.map((piece, idx) => ({ id: tokens[idx], piece })),
      next: best(softmax(reading.logits(at)), 100).map(({ token, p }) => ({ id: token, p })),
      attention: Array.from({ length: nLayer }, (_, layer) => Array.from({ length: nHead }, (__, head) => [...weights(layer, head).subarray(at * n, at * n + at + 1)])),
      measure: measure.get(),
      heads: values?.heads,
      networks: values?.networks,
    };
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([JSON.stringify(all)], { type: "application/json" }));
    link.download = "workbench.json";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  };

  read();
}
