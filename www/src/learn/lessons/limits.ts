import type { Model } from "pagelm";
import { make } from "../../dom.js";
import { type Context, controls, figure, type Lesson, paragraph, percent, textField, told } from "../lesson.js";
import { softmax } from "../numbers.js";

/** Of “ he” and “ she” after a sentence, the share of the first. */
async function shareOfHe(model: Model, who: string): Promise<number> {
  const tokens = await model.tokenize(`The ${who} said that`);
  const [he = 0, she = 0] = await Promise.all([" he", " she"].map(async (word) => (await model.tokenize(word, { addSpecial: false }))[0] ?? 0));
  const { sites } = await model.trace(tokens, { sites: ["result_output"], positions: [tokens.length - 1] });
  const probs = softmax(sites.result_output?.data ?? []);
  return (probs[he] ?? 0) / ((probs[he] ?? 0) + (probs[she] ?? 0) || 1);
}

function bias(root: HTMLElement, context: Context): void {
  const { t, run } = context;
  const says = told("bias-told");
  const bars = figure(context, "limits.figure", "bias-figure");
  const people = textField(context, "people", t("limits.who"), t("limits.people"), () => show());
  root.append(paragraph(t("limits.p2")), controls(people.root), says, bars.root);
  const show = () =>
    run("bias", async (model) => {
      const list = people.get().split(/[,，、]/).map((who) => who.trim()).filter(Boolean).slice(0, 12);
      if (list.length === 0) return;
      const shares: number[] = [];
      for (const who of list) shares.push(await shareOfHe(model, who));
      const rows = list.map((who, idx) => [who, percent(shares[idx] as number)] as const);
      says.textContent = t("limits.told", { low: percent(Math.min(...shares)), high: percent(Math.max(...shares)) });
      bars.bars(
        list.map((label, idx) => ({ label, value: shares[idx] as number, note: percent(shares[idx] as number) })),
        { alt: t("limits.alt", { list: rows.map((row) => row.join(" ")).join(", ") }), head: [t("limits.who"), t("limits.share")], rows },
        1,
      );
    });
  show();
}

function network(root: HTMLElement, { t }: Context): void {
  const says = told("network-told");
  const table = make("table");
  const scroll = make("div", "", { className: "scroll", tabIndex: 0, role: "region" });
  scroll.setAttribute("aria-label", t("limits.network"));
  scroll.append(table);
  const again = make("button", t("limits.refresh"), { type: "button" });
  const show = () => {
    const entries = performance.getEntries().filter((one) => one instanceof PerformanceResourceTiming);
    const others = entries.filter(({ name }) => new URL(name).origin !== location.origin && !name.startsWith("blob:"));
    says.textContent = t("limits.requests", { n: entries.length, others: others.length });
    const head = make("tr");
    head.append(make("th", t("limits.request"), { scope: "col" }), make("th", t("limits.bytes"), { scope: "col" }));
    const rows = entries.map((one) => {
      const row = make("tr");
      row.append(make("td", new URL(one.name).pathname.split("/").slice(-2).join("/")), make("td", String(one.encodedBodySize)));
      return row;
    });
    table.replaceChildren(head, ...rows);
  };
  again.addEventListener("click", show);
  root.append(paragraph(t("limits.p3")), again, says, scroll);
  show();
}

/** What it cannot do. */
export const limits: Lesson = {
  key: "limits",
  build(root, context) {
    const { t, run } = context;
    const answer = told("answer");
    answer.classList.add("on");
    const prompt = textField(context, "text", t("limits.prompt"), t("limits.default"), () => {});
    const button = make("button", t("limits.write"), { type: "button", className: "primary" });
    button.addEventListener("click", () =>
      run("fact", async (model) => {
        const { text } = await model.generate(prompt.get(), { temperature: 0, maxTokens: 24 }).finish();
        answer.textContent = `${prompt.get()}${text}`;
      }),
    );
    root.append(paragraph(t("limits.p1")), controls(prompt.root), button, answer);
    bias(root, context);
    network(root, context);
  },
};
