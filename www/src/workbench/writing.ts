import { make } from "../dom.js";
import { type Context, controls, press, promptOf, slider, textField } from "../learn/lesson.js";

/** How a next token is drawn. */
export type Settings = Record<"temperature" | "topK" | "topP" | "minP" | "seed", number>;

/** Controls for how a next token is drawn. `name` begins the names in the address, so that there may be two of them. */
export function sampling(context: Context, name: string, changed: () => void) {
  const { t } = context;
  const own = (key: string) => `${name}${key}`;
  const temperature = slider(context, own("temperature"), t("choice.temperature"), [0, 2, 0.05, 0.8], changed);
  const topK = slider(context, own("topK"), t("choice.topK"), [0, 100, 1, 0], changed);
  const topP = slider(context, own("topP"), t("choice.topP"), [0.05, 1, 0.05, 1], changed);
  const minP = slider(context, own("minP"), t("choice.minP"), [0, 0.5, 0.01, 0], changed);
  const seed = slider(context, own("seed"), t("bench.seed"), [0, 99, 1, 7], changed);
  const get = (): Settings => ({ temperature: temperature.get(), topK: topK.get(), topP: topP.get(), minP: minP.get(), seed: seed.get() });
  return { root: controls(temperature.root, topK.root, topP.root, minP.root, seed.root), get };
}

/** The text, and ways to go on with it. */
export function writing(root: HTMLElement, context: Context, changed: () => void) {
  const { t, run, state } = context;
  const field = textField(context, "text", t("text.label"), t("text.default"), () => reset());
  const text = field.root.querySelector("textarea") as HTMLTextAreaElement;
  const how = sampling(context, "", () => {});
  const length = slider(context, "length", t("bench.length"), [1, 40, 1, 12], () => {});
  const before: string[] = [];
  const reset = () => {
    state.set({ at: undefined });
    changed();
  };
  const put = (value: string) => {
    text.value = value;
    state.set({ text: value });
    reset();
  };
  const go = (maxTokens: number) =>
    run("write", async (model) => {
      const report = await model.generate(await promptOf(model, text.value || " ", maxTokens), { ...how.get(), maxTokens }).finish();
      before.push(text.value);
      put(text.value + report.text.replace(/\uFFFD$/, ""));
    });
  const actions = make("div", "", { className: "switch" });
  actions.append(
    press(t("bench.one"), "one", () => go(1), "primary"),
    press(t("bench.write"), "write", () => go(length.get())),
    press(t("bench.undo"), "undo", () => {
      const last = before.pop();
      if (last !== undefined) put(last);
    }),
  );
  const settings = make("details");
  settings.append(make("summary", t("bench.settings")), how.root, controls(length.root));
  root.append(controls(field.root), actions, settings);
  /** Goes on with a piece of the reader's choice. */
  const append = (piece: string) => {
    before.push(text.value);
    put(text.value + piece);
  };
  return { get: field.get, append, how: how.get };
}
