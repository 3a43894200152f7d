import type { Model } from "pagelm";
import { make } from "../../dom.js";
import { type Context, controls, figure, type Lesson, namesOf, paragraph, percent, pieceOf, promptOf, textField, tokensOf, told } from "../lesson.js";
import { softmax } from "../numbers.js";

const MOST_TOKENS = 32;

/** Of two pieces after a sentence, the share of the first. */
async function shareOf(model: Model, who: string, he: number, she: number): Promise<number> {
  const tokens = await tokensOf(model, `The ${who} said that`, MOST_TOKENS);
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
      const [he, she] = [await pieceOf(model, " he"), await pieceOf(model, " she")];
      bars.root.hidden = !he?.isWhole || !she?.isWhole;
      if (!he?.isWhole || !she?.isWhole) {
        says.textContent = t("limits.noPieces");
        return;
      }
      const shares: number[] = [];
      for (const who of list) shares.push(await shareOf(model, who, he.token, she.token));
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

/** How sure the model is of each piece of a text: of what it has met often it is sure of every one. */
function memory(root: HTMLElement, context: Context): void {
  const { t, run } = context;
  const says = told("memory-told");
  const bars = figure(context, "limits.memory", "memory-figure");
  const field = textField(context, "known", t("text.label"), t("limits.known"), () => show());
  root.append(paragraph(t("limits.p4")), controls(field.root), says, bars.root);
  const show = () =>
    run("memory", async (model) => {
      const asked = await tokensOf(model, field.get(), MOST_TOKENS);
      if (asked.length < 2) return;
      const { tokens, logprobs, perplexity } = await model.score(asked);
      const pieces = await namesOf(model, tokens.slice(1));
      const probs = logprobs.map(Math.exp);
      const sure = probs.filter((p) => p > 0.5).length;
      const text = t("limits.memoryTold", { sure, n: probs.length, perplexity: perplexity.toFixed(1) });
      says.textContent = text;
      bars.bars(
        probs.map((value, idx) => ({ label: pieces[idx] ?? "", value, note: percent(value), out: value <= 0.5 })),
        { alt: text, head: [t("token"), t("probability")], rows: probs.map((p, idx) => [pieces[idx] ?? "", percent(p)]) },
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
        const { text } = await model.generate(await promptOf(model, prompt.get(), 24), { temperature: 0, maxTokens: 24 }).finish();
        answer.textContent = `${prompt.get()}${text}`;
      }),
    );
    root.append(paragraph(t("limits.p1")), controls(prompt.root), button, answer);
    memory(root, context);
    bias(root, context);
    network(root, context);
  },
};
