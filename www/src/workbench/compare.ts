import type { Intervention, Model } from "pagelm";
import { make } from "../dom.js";
import { headMap } from "../learn/head-map.js";
import { choose, type Context, controls, figure, namesOf, paragraph, percent, press, promptOf, textField, told } from "../learn/lesson.js";
import { best, cut, divergence, softmax } from "../learn/numbers.js";
import type { Part, Spot } from "./cell.js";
import { type Measure, nextOf, type Reading, readText, type Values, valuesOf } from "./reading.js";
import { sampling, type Settings } from "./writing.js";

const WAYS = ["none", "text", "settings", "off"] as const;
/** Pieces that are drawn of each distribution. */
const N = 8;

/** What is compared with: the reading that is here, at a token, with what its map shows. */
export interface Here {
  reading: Reading;
  position: number;
  target: number;
  measure: Measure;
  values: Values;
}

const keyOf = ({ layer, part }: Spot) => `${layer + 1}.${typeof part === "number" ? part + 1 : "n"}`;

function spotOf(key: string): Spot | undefined {
  const [, layer, part] = /^([1-9]\d*)\.([1-9]\d*|n)$/.exec(key) ?? [];
  if (layer === undefined || part === undefined) return undefined;
  const own: Part = part === "n" ? "network" : Number(part) - 1;
  return { layer: Number(layer) - 1, part: own };
}

/** Whether a model has a place: a link may be to one of a larger model. */
const isIn = ({ nLayer, nHead }: Model["info"], { layer, part }: Spot) => layer < nLayer && (typeof part !== "number" || part < nHead);

/** What switches a place off. The stream cannot be: nothing would be left. */
const offOf = ({ layer, part }: Spot): Intervention =>
  part === "network" ? { site: "ffn_out", layer, scale: 0 } : { site: "kqv_out", layer, head: part as number, scale: 0 };

/** Two texts, two settings, or the model with and without some of its parts, side by side. */
export function compare(root: HTMLElement, context: Context, settings: () => Settings, text: () => string, changed: () => void) {
  const { t, run, state } = context;
  const off = new Map<string, Spot>();
  for (const key of state.text("off", "").split(",")) {
    const spot = spotOf(key);
    if (spot) off.set(key, spot);
  }
  const says = told("compare-told");
  const way = choose(context, "compare", t("bench.compare"), WAYS.map((key) => [key, t(`bench.compare.${key}`)] as const), () => redraw());
  const other = textField(context, "text2", t("bench.text2"), t("bench.text2Default"), () => redraw());
  const how = sampling(context, "b.", () => redraw());
  const list = make("p", "", { className: "hint" });
  const none = press(t("who.none"), "all-on", () => (off.clear(), keep()), "quiet");
  const both = press(t("bench.writeBoth"), "write-both", () => writeBoth());
  const [first, second] = [figure(context, "bench.a", "compare-a"), figure(context, "bench.b", "compare-b")];
  const map = figure(context, "bench.difference", "compare-map");
  const [one, two] = [told("written-a"), told("written-b")];
  const pair = make("div", "", { className: "pair" });
  pair.append(first.root, second.root, one, two);
  const offPart = make("div", "", { className: "controls" });
  offPart.append(list, none);
  const writePart = make("div", "", { className: "controls" });
  writePart.append(both);
  root.append(make("h2", t("bench.compareTitle")), paragraph(t("bench.compareLead")), controls(way.root, other.root), how.root, offPart, writePart, says, pair, map.root);

  let here: Here | undefined;
  let redraw = () => {};
  const keep = () => {
    state.set({ off: off.size > 0 ? [...off.keys()].join(",") : undefined });
    redraw();
    changed();
  };

  /** Two distributions, with the pieces that are likeliest in either. */
  const show = async (model: Model, a: Float64Array, b: Float64Array) => {
    const all = [...new Set([...best(a, N), ...best(b, N)].map(({ token }) => token))];
    const of = async (probs: Float64Array) => {
      const sorted = [...all].sort((x, y) => (probs[y] as number) - (probs[x] as number)).slice(0, N);
      const labels = await namesOf(model, sorted);
      return sorted.map((token, idx) => ({ label: labels[idx] ?? "", value: probs[token] as number, note: percent(probs[token] as number), out: probs[token] === 0 }));
    };
    const likeliest = best(a, 1)[0]?.token ?? 0;
    const [piece = ""] = await namesOf(model, [likeliest]);
    const text = t("bench.compareTold", { piece, a: percent(a[likeliest] as number), b: percent(b[likeliest] as number), divergence: divergence(a, b).toFixed(3) });
    says.textContent = text;
    for (const [drawn, bars] of [[first, await of(a)], [second, await of(b)]] as const) {
      drawn.bars(bars, { alt: `${text} ${bars.slice(0, 3).map(({ label, note }) => `${label} ${note}`).join(", ")}`, head: [t("token"), t("probability")], rows: bars.map(({ label, value }) => [label, percent(value)]) }, 1);
    }
  };

  const withSettings = (logits: Float32Array, { temperature, topK, topP, minP }: Settings) => {
    const probs = new Float64Array(logits.length);
    for (const { token, p } of cut(softmax(logits, temperature), { topK, topP, minP })) probs[token] = p;
    return probs;
  };

  const tellOff = () => {
    list.textContent = off.size > 0 ? t("bench.offList", { list: [...off.keys()].join(", ") }) : t("bench.offNone");
  };

  const draw = () => {
    if (!here || way.get() === "none") return;
    const { reading, position, target, measure, values } = here;
    const kind = way.get();
    for (const [key, spot] of off) if (!isIn(reading.model.info, spot)) off.delete(key);
    tellOff();
    run("compare", async (model, still) => {
      const logits = reading.logits(position);
      if (kind === "settings") return show(model, withSettings(logits, settings()), withSettings(logits, how.get()));
      const changed = await readText(model, kind === "text" ? other.get() : text(), kind === "off" ? [...off.values()].map(offOf) : []);
      if (!changed || !still()) return;
      const at = kind === "text" ? changed.tokens.length - 1 : position;
      await show(model, nextOf(reading, position), nextOf(changed, at));
      const theirs = await valuesOf(changed, at, target, measure, still);
      if (!theirs) return;
      const difference = theirs.heads.map((x, idx) => (x ?? 0) - (values.heads[idx] ?? 0));
      const networks = theirs.networks?.map((x, idx) => x - (values.networks?.[idx] ?? 0));
      const most = Math.max(...difference.map(Math.abs), ...(networks ?? []).map(Math.abs), 1e-9);
      const more = networks ? [{ name: t("credit.network"), values: networks }] : [];
      headMap(context, map, model, difference, { most, alt: t("bench.difference"), more });
    });
  };

  /** The text with each of the settings, from the same place. */
  const writeBoth = () =>
    run("both", async (model) => {
      const write = async (options: Settings) => (await model.generate(await promptOf(model, text() || " ", 30), { ...options, maxTokens: 30 }).finish()).text;
      one.textContent = `A: …${await write(settings())}`;
      two.textContent = `B: …${await write(how.get())}`;
    });

  redraw = () => {
    const kind = way.get();
    other.root.hidden = kind !== "text";
    how.root.hidden = writePart.hidden = kind !== "settings";
    one.hidden = two.hidden = kind !== "settings";
    offPart.hidden = kind !== "off";
    map.root.hidden = kind === "none" || kind === "settings";
    says.hidden = pair.hidden = kind === "none";
    tellOff();
    draw();
  };
  redraw();

  return {
    /** What is here has changed. */
    show: (now: Here) => {
      here = now;
      draw();
    },
    /** Switches a place off in B, or on again. */
    toggle: (spot: Spot) => {
      if (spot.part === "stream") return;
      if (!off.delete(keyOf(spot))) off.set(keyOf(spot), spot);
      way.set("off");
      keep();
    },
    isOff: (spot: Spot) => off.has(keyOf(spot)),
  };
}
