import { compareTensors, type Loss, Model, type TensorInfo } from "pagelm";
import { make } from "../../dom.js";
import { formatBytes } from "../../format.js";
import { choose, type Context, controls, figure, paragraph, percent, press, told } from "../lesson.js";
import { BIG_BYTES } from "../model-panel.js";

/** Values that are compared, and matrices that are drawn: what a reader waits for. */
const MOST_VALUES = 60_000_000;
const MOST_TENSORS = 64;

/** A matrix that both files have. */
interface Pair {
  here: TensorInfo;
  there: TensorInfo;
}

/** The matrices that two files of one model have in common, as many as are compared. */
export function pairsOf(here: readonly TensorInfo[], there: readonly TensorInfo[]): Pair[] {
  const pairs: Pair[] = [];
  let n = 0;
  for (const own of here) {
    const other = there.find(({ name, rows, columns }) => name === own.name && rows === own.rows && columns === own.columns);
    n += own.rows * own.columns;
    if (n > MOST_VALUES || pairs.length === MOST_TENSORS) break;
    if (other) pairs.push({ here: own, there: other });
  }
  return pairs;
}

const short = (name: string) => name.replace(/\.weight$/, "");

/** What the weights of the model that is here have lost of those of a second file: the one that it was made from. */
export function losing(root: HTMLElement, context: Context): void {
  const { t, run } = context;
  const says = told("loss-told");
  const bars = figure(context, "loss.figure", "original-figure");
  bars.root.hidden = true;
  const file = make("input", "", { type: "file", accept: ".gguf", id: "original-file" });
  const question = make("p", "", { className: "hint", hidden: true });
  const tensor = choose<string>(context, "tensor", t("loss.tensor"), [["", "–"]], () => draw());
  tensor.root.hidden = true;
  const label = make("label", t("loss.file"), { htmlFor: file.id });
  const field = make("div", "", { className: "control wide" });
  field.append(label, file);
  root.append(paragraph(t("loss.p1")), controls(field), question, controls(tensor.root), says, bars.root);
  let draw = () => {};

  /** Nothing is measured: what went wrong is told elsewhere. */
  const forget = (thrown: unknown) => {
    says.textContent = "";
    throw thrown;
  };

  /** Says what the file takes before it is tried. */
  const ask = async (source: File) => {
    says.textContent = "…";
    const { fits, totalBytes } = await Model.estimate(source);
    const values = { name: source.name, size: formatBytes(totalBytes) };
    question.hidden = fits && totalBytes <= BIG_BYTES;
    if (question.hidden) return measure(source);
    says.textContent = "";
    question.replaceChildren(t(fits ? "model.big" : "model.unfit", values));
    if (fits) question.append(" ", press(t("model.anyway"), "original-anyway", () => void measure(source)));
  };
  file.addEventListener("change", () => {
    const [source] = file.files ?? [];
    if (source) run("estimate", () => ask(source).catch(forget));
  });

  const measure = (source: File) =>
    run("loss", async (model, still) => {
      const original = await Model.load(source).catch(forget);
      try {
        const pairs = pairsOf(model.tensors, original.tensors);
        const losses: Loss[] = [];
        for (const { here } of pairs) {
          if (!still()) return;
          losses.push(compareTensors(await model.tensor(here.name), await original.tensor(here.name)));
        }
        show(pairs, losses);
      } finally {
        original.dispose();
      }
    });

  const show = (pairs: readonly Pair[], losses: readonly Loss[]) => {
    bars.root.hidden = tensor.root.hidden = pairs.length === 0;
    if (pairs.length === 0) {
      says.textContent = t("loss.none");
      return;
    }
    tensor.offer(pairs.map(({ here }) => [here.name, short(here.name)]));
    draw = () => {
      const at = Math.max(pairs.findIndex(({ here }) => here.name === tensor.get()), 0);
      const [{ here, there }, loss] = [pairs[at] as Pair, losses[at] as Loss];
      const values = { name: short(here.name), format: here.format, original: there.format };
      const text = t("loss.told", { ...values, rmse: loss.rmse.toExponential(2), largest: loss.largest.toExponential(2), relative: percent(loss.relative) });
      says.textContent = text;
      bars.bars(
        pairs.map((pair, idx) => ({ label: short(pair.here.name), value: losses[idx]?.relative ?? 0, note: percent(losses[idx]?.relative ?? 0), out: idx !== at, act: () => (tensor.set(pair.here.name), draw()) })),
        {
          alt: text,
          head: [t("loss.tensor"), t("loss.formats"), t("loss.relative"), t("loss.rmse"), t("loss.largest")],
          rows: pairs.map((pair, idx) => {
            const { relative = 0, rmse = 0, largest = 0 } = losses[idx] ?? {};
            return [short(pair.here.name), `${pair.here.format} / ${pair.there.format}`, percent(relative), rmse.toExponential(3), largest.toExponential(3)];
          }),
        },
      );
    };
    draw();
  };
}
