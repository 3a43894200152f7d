import { make } from "../../dom.js";
import { shown } from "../figure.js";
import { check, type Context, controls, figure, type Lesson, paragraph, percent, piecesOf, slider, textField, told, tokensOf } from "../lesson.js";
import { attend } from "../numbers.js";

const MOST_TOKENS = 24;
const TABLES = { q: "1,0;0,1;1,1", k: "1,0;0,1;1,-1", v: "1,2;3,0;-1,1" } as const;

function parse(text: string, otherwise: string): number[][] {
  const table = text.split(";").map((row) => row.split(",").map(Number));
  const sound = table.length === 3 && table.every((row) => row.length === 2 && row.every(Number.isFinite));
  return sound ? table : parse(otherwise, otherwise);
}

/** Three small tables of numbers that can be changed; kept in the address. */
function tables(context: Context, changed: () => void) {
  const root = controls();
  const values = {} as Record<keyof typeof TABLES, number[][]>;
  for (const name of ["q", "k", "v"] as const) {
    const numbers = (values[name] = parse(context.state.text(name, TABLES[name]), TABLES[name]));
    const title = context.t(`attention.${name}`);
    const table = make("table", "", { className: "numbers" });
    table.append(make("caption", title));
    numbers.forEach((row, i) => {
      const tr = make("tr");
      row.forEach((value, j) => {
        const input = make("input", "", { type: "number", step: "0.5", value: String(value) });
        input.setAttribute("aria-label", context.t("attention.cell", { table: title, row: i + 1, column: j + 1 }));
        input.dataset.testid = `${name}-${i}-${j}`;
        input.addEventListener("input", () => {
          row[j] = Number.isFinite(input.valueAsNumber) ? input.valueAsNumber : 0;
          context.state.set({ [name]: numbers.map((one) => one.join(",")).join(";") });
          changed();
        });
        const td = make("td");
        td.append(input);
        tr.append(td);
      });
      table.append(tr);
    });
    root.append(table);
  }
  return { root, values };
}

function byHand(root: HTMLElement, context: Context): void {
  const { t } = context;
  const says = told("hand-told");
  const shares = figure(context, "attention.hand", "hand-figure");
  const { root: numbers, values } = tables(context, () => show());
  const mask = check(context, "mask", t("attention.mask"), true, () => show());
  const scaled = check(context, "scaled", t("attention.scaled"), true, () => show());
  root.append(paragraph(t("attention.p1")), numbers, controls(mask.root, scaled.root), says, shares.root);
  const show = () => {
    const { weights, out } = attend(values.q, values.k, values.v, mask.get(), scaled.get() ? Math.SQRT2 : 1);
    const names = [1, 2, 3].map((n) => `${t("token")} ${n}`);
    const text = t("attention.handTold", {
      shares: (weights[2] ?? []).map((w) => w.toFixed(2)).join(" + "),
      out: (out[2] ?? []).map((x) => x.toFixed(2)).join(", "),
    });
    says.textContent = text;
    shares.heat(
      { rows: names, columns: names, value: (i, j) => weights[i]?.[j], text: (i, j) => (weights[i]?.[j] ?? 0).toFixed(2) },
      { alt: text, head: [t("token"), ...names], rows: weights.map((row, i) => [names[i] as string, ...row.map((w) => w.toFixed(3))]) },
    );
  };
  show();
}

/** Attention: by hand, and all heads of the model. */
export const attention: Lesson = {
  key: "attention",
  build(root, context) {
    const { t, run } = context;
    byHand(root, context);
    const says = told("attention-told");
    const map = figure(context, "attention.figure", "attention-figure");
    const field = textField(context, "text", t("text.label"), t("text.default"), () => show());
    const layer = slider(context, "layer", t("layer"), [1, 64, 1, 1], () => show());
    const head = slider(context, "head", t("head"), [1, 64, 1, 1], () => show());
    const at = slider(context, "at", t("token"), [1, MOST_TOKENS, 1, MOST_TOKENS], () => show());
    root.append(paragraph(t("attention.p2")), controls(field.root, layer.root, head.root, at.root), says, map.root);
    const show = () =>
      run("attention", async (model) => {
        layer.limit(model.info.nLayer);
        head.limit(model.info.nHead);
        const tokens = await tokensOf(model, field.get(), MOST_TOKENS);
        const n = tokens.length;
        if (n === 0) return;
        at.limit(n);
        const [l, h, row] = [layer.get(), head.get(), Math.min(at.get(), n) - 1];
        const { sites } = await model.trace(tokens, { sites: ["kq_soft_max"], layers: [l - 1], heads: [h - 1] });
        const weights = sites.kq_soft_max?.data ?? new Float32Array();
        const pieces = (await piecesOf(model, tokens)).map(shown);
        const seen = [...weights.subarray(row * n, row * n + row + 1)];
        const to = seen.indexOf(Math.max(...seen));
        const text = t("attention.told", { layer: l, head: h, from: pieces[row] ?? "", to: pieces[to] ?? "", share: percent(seen[to] ?? 0) });
        says.textContent = text;
        map.heat(
          { rows: pieces, columns: pieces, value: (i, j) => (j > i ? undefined : weights[i * n + j]) },
          {
            alt: t("attention.alt", { n, told: text }),
            head: [t("token"), ...pieces],
            rows: pieces.map((piece, i) => [piece, ...[...weights.subarray(i * n, (i + 1) * n)].map((w, j) => (j > i ? "" : w.toFixed(2)))]),
          },
        );
      });
    show();
  },
};
