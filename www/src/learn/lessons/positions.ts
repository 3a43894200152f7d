import { controls, figure, type Lesson, paragraph, slider, told } from "../lesson.js";

/** Numbers of a head, as the figure draws it; what counts is the shape of the curve. */
const WIDTH = 64;
const FURTHEST = 128;
const frequency = (pair: number) => 10_000 ** ((-2 * pair) / WIDTH);

/**
 * How well a vector of equal numbers fits itself at a distance, of 1: Σ cos(d θᵢ) / (Dh/2). For sinusoidal positions it is the
 * product of two of them, divided by that at distance 0: the same sum, since sin a sin b + cos a cos b = cos(a − b). What
 * differs is that they are added to what a token means, which is a second summand: half of it, say.
 */
function turned(distance: number): number {
  let sum = 0;
  for (let pair = 0; pair < WIDTH / 2; pair += 1) sum += Math.cos(distance * frequency(pair));
  return sum / (WIDTH / 2);
}

const waves = (distance: number) => 0.5 + 0.5 * turned(distance);

/** Where am I? */
export const positions: Lesson = {
  key: "positions",
  build(root, context) {
    const { t } = context;
    const says = told("positions-told");
    const curves = figure(context, "positions.figure", "positions-figure");
    const distance = slider(context, "distance", t("positions.distance"), [0, FURTHEST, 1, 8], () => show());
    const pair = slider(context, "pair", t("positions.pair"), [1, WIDTH / 2, 1, 4], () => show());
    root.append(paragraph(t("positions.p1")), controls(distance.root, pair.root), says, curves.root, paragraph(t("positions.p2")));
    const all = Array.from({ length: FURTHEST + 1 }, (_, at) => at);
    const show = () => {
      const d = distance.get();
      const values = { distance: d, turned: turned(d).toFixed(3), waves: waves(d).toFixed(3) };
      const angle = ((d * frequency(pair.get() - 1) * 180) / Math.PI).toFixed(1);
      says.textContent = t("positions.told", { ...values, pair: pair.get(), angle });
      curves.curves(
        [
          { label: t("positions.turned"), values: all.map(turned) },
          { label: t("positions.waves"), values: all.map(waves) },
        ],
        {
          alt: t("positions.alt", values),
          head: [t("positions.distance"), t("positions.turned"), t("positions.waves")],
          rows: all.filter((at) => at % 4 === 0).map((at) => [at, turned(at).toFixed(3), waves(at).toFixed(3)]),
        },
        d,
      );
    };
    show();
  },
};
