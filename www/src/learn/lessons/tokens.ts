import { make } from "../../dom.js";
import { hexOf } from "../names.js";
import { controls, figure, type Lesson, Notice, paragraph, textField, told } from "../lesson.js";

const sentences: readonly (readonly [string, string])[] = [
  ["English", "The cat sleeps in the sun."],
  ["Deutsch", "Die Katze schläft in der Sonne."],
  ["Español", "El gato duerme al sol."],
  ["Русский", "Кошка спит на солнце."],
  ["中文", "猫在阳光下睡觉。"],
];

/** Text becomes tokens. */
export const tokens: Lesson = {
  key: "tokens",
  build(root, context) {
    const { t, run } = context;
    const field = textField(context, "text", t("text.label"), t("tokens.default"), () => show());
    const list = make("ol", "", { className: "pieces" });
    const says = told("tokens-told");
    const bars = figure(context, "tokens.figure", "tokens-figure");
    root.append(paragraph(t("tokens.p1")), controls(field.root), list, says, paragraph(t("tokens.p2")), bars.root, paragraph(t("tokens.p3")));
    const show = () =>
      run("tokens", async (model) => {
        const bytes = new TextEncoder().encode(field.get());
        const ranges = await model.tokenRanges(field.get(), { addSpecial: false });
        if (ranges.length === 0 && bytes.length > 0) throw new Notice("model.noPieces");
        list.replaceChildren(
          ...ranges.slice(0, 400).map(({ token, start, end }) => {
            const part = bytes.subarray(start, end);
            const text = new TextDecoder().decode(part);
            const hex = hexOf(part);
            const item = make("li", text.includes("\uFFFD") ? hex : text.replaceAll("\n", "⏎") || " ");
            item.append(make("small", String(token)));
            item.title = hex;
            return item;
          }),
        );
        const each = (bytes.length / Math.max(ranges.length, 1)).toFixed(1);
        says.textContent = t("tokens.told", { tokens: ranges.length, bytes: bytes.length, each });
      });
    show();
    run("languages", async (model) => {
      const counts: number[] = [];
      for (const [, text] of sentences) counts.push((await model.tokenize(text, { addSpecial: false })).length);
      const rows = sentences.map(([language, text], idx) => [`${language}: ${text}`, counts[idx] as number] as const);
      bars.bars(
        sentences.map(([label], idx) => ({ label, value: counts[idx] as number, note: String(counts[idx]) })),
        {
          alt: t("tokens.alt", { list: sentences.map(([label], idx) => `${label} ${counts[idx]}`).join(", ") }),
          head: [t("tokens.language"), t("tokens.count")],
          rows,
        },
      );
    });
  },
};
