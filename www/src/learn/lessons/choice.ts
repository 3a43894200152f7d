import { make } from "../../dom.js";
import { canFollow, controls, figure, type Lesson, namesOf, paragraph, percent, piecesOf, promptOf, slider, textField, told } from "../lesson.js";
import { best, cut, softmax } from "../numbers.js";

/** How many pieces are drawn. */
const N = 14;
/** Tokens that show how a text would go on. */
const N_ONWARD = 24;

/** From vector to word. */
export const choice: Lesson = {
  key: "choice",
  build(root, context) {
    const { t, run, state } = context;
    const says = told("choice-told");
    const bars = figure(context, "choice.figure", "choice-figure");
    const field = textField(context, "text", t("text.label"), t("text.default"), () => read());
    const text = field.root.querySelector("textarea") as HTMLTextAreaElement;
    const temperature = slider(context, "temperature", t("choice.temperature"), [0, 2, 0.05, 1], () => show());
    const topK = slider(context, "topK", t("choice.topK"), [0, 100, 1, 0], () => show());
    const topP = slider(context, "topP", t("choice.topP"), [0.05, 1, 0.05, 1], () => show());
    const minP = slider(context, "minP", t("choice.minP"), [0, 0.5, 0.01, 0], () => show());
    const undo = make("button", t("choice.undo"), { type: "button", className: "quiet" });
    const onward = told("onward");
    onward.classList.add("on");
    const before: string[] = [];
    const write = (value: string) => {
      text.value = value;
      state.set({ text: value });
      read();
    };
    undo.addEventListener("click", () => {
      const last = before.pop();
      if (last !== undefined) write(last);
    });
    root.append(
      paragraph(t("choice.p1")),
      controls(field.root, temperature.root, topK.root, topP.root, minP.root),
      says,
      bars.root,
      undo,
      onward,
      paragraph(t("choice.p2")),
    );
    let logits: Float32Array = new Float32Array();
    let [pieces, names]: [string[], string[]] = [[], []];
    const read = () =>
      run("choice", async (model) => {
        const tokens = (await promptOf(model, field.get(), N_ONWARD)).slice(-256);
        if (tokens.length === 0) return;
        const { sites } = await model.trace(tokens, { sites: ["result_output"], positions: [tokens.length - 1] });
        logits = sites.result_output?.data ?? new Float32Array();
        const likeliest = best(logits, N).map(({ token }) => token);
        [pieces, names] = [await piecesOf(model, likeliest), await namesOf(model, likeliest)];
        show();
        run("onward", async () => {
          const { text } = await model.generate(tokens, { temperature: 0, maxTokens: N_ONWARD }).finish();
          onward.textContent = t("choice.onward", { text: text.trim() });
        });
      });
    const show = () => {
      if (logits.length === 0) return;
      const probs = softmax(logits, temperature.get());
      const kept = new Map(cut(probs, { topK: topK.get(), topP: topP.get(), minP: minP.get() }).map(({ token, p }) => [token, p]));
      const likeliest = best(logits, N);
      const rows = likeliest.map(({ token }, idx) => {
        const p = kept.get(token);
        return { label: names[idx] ?? "", p: p ?? (probs[token] as number), out: p === undefined, piece: pieces[idx] ?? "" };
      });
      bars.bars(
        rows.map(({ label, p, out, piece }) => ({
          label,
          value: p,
          note: percent(p),
          out,
          act: canFollow(piece)
            ? () => {
                before.push(field.get());
                write(field.get() + piece);
              }
            : undefined,
        })),
        {
          alt: t("choice.alt", { list: rows.slice(0, 5).map(({ label, p }) => `${label} ${percent(p)}`).join(", ") }),
          head: [t("token"), t("probability")],
          rows: rows.map(({ label, p, out }) => [label, out ? `(${percent(p)})` : percent(p)]),
        },
        1,
      );
      says.textContent = t("choice.told", { kept: kept.size, piece: rows[0]?.label ?? "", share: percent(rows[0]?.p ?? 0) });
    };
    read();
  },
};
