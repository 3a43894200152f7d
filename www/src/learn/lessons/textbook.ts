import type { Model } from "pagelm";
import { make } from "../../dom.js";
import { drawFlow } from "../flow.js";
import { choose, type Context, controls, figure, paragraph, slider, told } from "../lesson.js";
import type { StringKey } from "../strings/index.js";
import { type Case, caseOf, furthest, inputOf, STEPS, type Step, VARIANTS, type Variant } from "../textbook.js";

const variantKeys: Record<Variant, StringKey> = {
  textbook: "block.asTextbook",
  noMask: "block.noMask",
  sharedHeads: "block.shared",
  byWidth: "block.byModel",
};

/** Rows by the letters of their axes: one for each token, or for each head and token. */
function rowNames(shape: readonly number[]): string[] {
  const tokens = Array.from({ length: shape.at(-2) ?? 0 }, (_, at) => `T${at + 1}`);
  if (shape.length < 3) return tokens;
  return Array.from({ length: shape[0] ?? 0 }, (_, head) => tokens.map((token) => `H${head + 1} ${token}`)).flat();
}

/** The first Transformer's block on numbers that fit on a page: by the engine's kernels, step by step, beside PyTorch's numbers. */
export function textbook(root: HTMLElement, context: Context): void {
  const { t, run } = context;
  const says = told("step-told");
  const checked = told("torch-told");
  const changed = told("variant-told");
  const flow = figure(context, "block.flowFigure", "flow-figure");
  const map = figure(context, "block.stepFigure", "step-figure");
  const pair = make("div", "", { className: "beside" });
  pair.append(flow.root, map.root);
  const which = choose(context, "variant", t("block.variant"), VARIANTS.map((key) => [key, t(variantKeys[key])] as const), () => compute());
  const step = slider(context, "step", t("block.step"), [1, STEPS.length, 1, 4], () => show());
  const nudge = slider(context, "nudge", t("block.nudge"), [-3, 3, 0.5, 0], () => compute());
  root.append(
    paragraph(t("block.t1")),
    controls(which.root, step.root, nudge.root),
    says,
    pair,
    checked,
    changed,
    paragraph(t("block.t2")),
  );
  let show = () => {};
  const compute = () =>
    run("textbook", async (model) => {
      const recorded = caseOf(which.get());
      const steps = await stepsOf(model, recorded, nudge.get());
      const plain = await stepsOf(model, caseOf("textbook"), 0);
      show = () => {
        const name = STEPS[step.get() - 1] as Step;
        const { shape, data } = steps[name];
        const width = shape.at(-1) ?? 1;
        const letters = { q: "D", k: "D", v: "D", scores: "T", weights: "T", linear1: "F", hidden: "F" } as Partial<Record<Step, string>>;
        const sizes = `[${shape.join(" × ")}] = [${shape.length > 2 ? "H × " : ""}T × ${letters[name] ?? "D"}]`;
        const text = t("block.stepTold", { n: step.get(), what: t(`block.step.${name}`), shape: sizes });
        says.textContent = text;
        const rows = rowNames(shape);
        const columns = Array.from({ length: width }, (_, idx) => String(idx + 1));
        const at = (i: number, j: number) => data[i * width + j] as number;
        const most = Math.max(...data.map(Math.abs), 1e-9);
        map.heat(
          { rows, columns, value: (i, j) => (at(i, j) / most) * 0.9, text: (i, j) => at(i, j).toFixed(2) },
          { alt: text, head: [t("token"), ...columns], rows: rows.map((row, i) => [row, ...columns.map((_, j) => at(i, j).toFixed(6))]) },
        );
        const table = STEPS.map((one, idx) => [idx + 1, t(`block.step.${one}`), steps[one].shape.join(" × ")] as const);
        flow.draw({ alt: text, head: [t("block.step"), t("block.does"), t("block.shape")], rows: table }, (svg, room) =>
          drawFlow(svg, room, name, (chosen) => {
            step.set(STEPS.indexOf(chosen) + 1);
            show();
          }),
        );
        const moved = [...new Set(rows.flatMap((_, i) => (columns.some((__, j) => Math.abs(at(i, j) - ((plain[name].data[i * width + j] as number) ?? 0)) > 1e-6) ? [(i % recorded.nTokens) + 1] : [])))];
        checked.textContent = nudge.get() === 0 ? t("block.torch", { most: furthest(data, recorded.steps[name]).toExponential(1) }) : "";
        checked.hidden = nudge.get() !== 0;
        changed.textContent = moved.length > 0 ? t("block.changed", { rows: moved.sort().join(", "), most: furthest(data, plain[name].data).toFixed(3) }) : t("block.unchanged");
      };
      show();
    });
  compute();
}

const stepsOf = (model: Model, { nTokens, nEmbd, nHead, nFf, weights, causal, scale, x }: Case, nudge: number) =>
  model.textbookBlock({ nTokens, nEmbd, nHead, nFf, weights, causal, scale, x: inputOf(x, nEmbd, nudge) });
