import type { Model } from "pagelm";
import { make } from "../dom.js";
import { type Context, press } from "./lesson.js";

/** Multiplications a second of a modest core: what a figure's cost is guessed by. */
const SPEED = 3e9;
/** Seconds up to which nobody is asked. */
const PATIENCE = 8;

/** About how many seconds it takes to read `nTokens` tokens and to look at `nVectors` vectors through the output head. */
export function secondsFor({ info }: Pick<Model, "info">, nTokens: number, nVectors = 0): number {
  return (info.parameters * nTokens + info.nEmbd * info.nVocab * nVectors) / SPEED;
}

/** Asks before a figure that would keep the reader waiting: a large model, a long text. */
export function asking(context: Context, again: () => void) {
  const root = make("p", "", { className: "hint", hidden: true });
  let allowed: Model | undefined;
  /** Whether to go on; if not, the question stands there, and its button goes on. */
  const pass = (model: Model, nTokens: number, nVectors = 0): boolean => {
    const seconds = secondsFor(model, nTokens, nVectors);
    root.hidden = seconds <= PATIENCE || allowed === model;
    if (root.hidden) return true;
    const button = press(context.t("cost.go"), "go", () => {
      allowed = model;
      again();
    });
    root.replaceChildren(context.t("cost.ask", { seconds: seconds < 100 ? Math.ceil(seconds) : Math.ceil(seconds / 10) * 10 }), " ", button);
    return false;
  };
  return { root, pass };
}
