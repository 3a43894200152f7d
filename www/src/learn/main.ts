import "../styles/learn.css";
import { copyFrom, make, need } from "../dom.js";
import { startPage } from "./frame.js";
import { type Context, type Lesson, paragraph } from "./lesson.js";
import { attention } from "./lessons/attention.js";
import { block } from "./lessons/block.js";
import { choice } from "./lessons/choice.js";
import { lens } from "./lessons/lens.js";
import { limits } from "./lessons/limits.js";
import { positions } from "./lessons/positions.js";
import { speed } from "./lessons/speed.js";
import { tokens } from "./lessons/tokens.js";
import { vectors } from "./lessons/vectors.js";
import { who } from "./lessons/who.js";
import type { StringKey } from "./strings/index.js";

/** In the order in which they are read. */
const lessons: readonly Lesson[] = [tokens, vectors, positions, attention, block, choice, lens, who, speed, limits];

startPage((context, moved) => {
  const { t, state } = context;
  const at = Math.max(lessons.findIndex(({ key }) => key === state.text("lesson", "tokens")), 0);
  const lesson = lessons[at] as Lesson;
  document.title = `${titleOf(context, lesson)} · pagelm`;
  showContents(context, at);
  const main = need("lesson-text", HTMLElement);
  const heading = make("h1", "");
  heading.append(make("span", String(at + 1)), ` ${titleOf(context, lesson)}`);
  main.replaceChildren(heading);
  if (at === 0) main.append(paragraph(t("site.lead"), "hint"));
  lesson.build(main, context);
  main.append(notes(context, lesson), turning(context, at));
  if (!moved) return;
  main.focus({ preventScroll: true });
  scrollTo({ top: 0 });
});

function titleOf({ t }: Context, { key }: Lesson): string {
  return t(`${key}.title` as StringKey);
}

function showContents(context: Context, at: number): void {
  const { t, state } = context;
  const list = make("ol");
  lessons.forEach((lesson, idx) => {
    const [item, link] = [make("li"), make("a", `${idx + 1} ${titleOf(context, lesson)}`, { href: state.link(lesson.key) })];
    if (idx === at) link.setAttribute("aria-current", "page");
    item.append(link);
    list.append(item);
  });
  const bench = make("li");
  const link = make("a", t("bench.title"), { href: `../workbench/index.html${state.link()}` });
  link.addEventListener("pointerdown", () => (link.hash = state.link()));
  bench.append(link);
  list.append(bench);
  const nav = need("contents", HTMLElement);
  nav.setAttribute("aria-label", t("site.contents"));
  nav.replaceChildren(list);
  const current = list.children[at] as HTMLElement;
  const show = () => void (list.scrollLeft = current.offsetLeft - list.offsetLeft - 24);
  show();
  void document.fonts.ready.then(show); // names have other widths by then
}

/** What a teacher can do with a lesson: what it is for, and what to ask. */
function notes({ t }: Context, { key }: Lesson): HTMLElement {
  const teacher = make("details", "", { className: "ask" });
  const questions = make("ol");
  for (const question of t(`${key}.ask` as StringKey).split("\n")) questions.append(make("li", question));
  teacher.append(make("summary", t("teacher.title")), paragraph(t(`${key}.note` as StringKey)), questions);
  return teacher;
}

function turning(context: Context, at: number): HTMLElement {
  const { t, state } = context;
  const p = make("p", "", { className: "turning" });
  const [before, after] = [lessons[at - 1], lessons[at + 1]];
  if (before) p.append(make("a", t("site.previous", { title: titleOf(context, before) }), { href: state.link(before.key), rel: "prev" }));
  const copy = make("button", t("site.copy"), { type: "button", className: "quiet" });
  copy.addEventListener("click", () => void copyFrom(copy, location.href, [t("site.copied"), t("site.notCopied")]));
  p.append(copy);
  if (after) p.append(make("a", t("site.next", { title: titleOf(context, after) }), { href: state.link(after.key), rel: "next" }));
  else p.append(make("a", t("site.next", { title: t("bench.title") }), { href: `../workbench/index.html${state.link()}`, rel: "next" }));
  // What a reader sets goes with them: the links are written when they are used.
  const refresh = () => {
    for (const link of p.querySelectorAll("a")) link.hash = state.link(link.rel === "prev" ? before?.key : after?.key);
  };
  p.addEventListener("pointerdown", refresh);
  p.addEventListener("keydown", refresh);
  return p;
}
