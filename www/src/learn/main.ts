import "../styles/learn.css";
import { copyFrom, make, need } from "../dom.js";
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
import { ModelPanel } from "./model-panel.js";
import { LANGUAGES, State } from "./state.js";
import { fill, type StringKey, strings } from "./strings/index.js";
import { Turns } from "./turns.js";

/** In the order in which they are read. */
const lessons: readonly Lesson[] = [tokens, vectors, positions, attention, block, choice, lens, who, speed, limits];
const names = { en: "English", zh: "中文" };

let state = new State(location.hash, write);
const panel = new ModelPanel(need("the-model", HTMLElement), () => show(false));
const turns = new Turns(() => panel.model(), (thrown) => panel.fail(thrown));

function write(hash: string): void {
  history.replaceState(null, "", hash);
}

/** Builds the page anew from the address. */
function show(moved: boolean): void {
  const { language } = state;
  const t: Context["t"] = (key, values) => fill(strings[language][key], values);
  const key = state.text("lesson", "tokens");
  const at = Math.max(lessons.findIndex((lesson) => lesson.key === key), 0);
  const lesson = lessons[at] as Lesson;
  const titleOf = (one: Lesson) => t(`${one.key}.title` as StringKey);
  document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
  document.title = `${titleOf(lesson)} · pagelm`;
  need("skip", HTMLElement).textContent = t("site.skip");
  showLanguages();
  showContents(at, t("site.contents"), titleOf);
  panel.show(t, state);
  turns.forget();

  const main = need("lesson-text", HTMLElement);
  const heading = make("h1", "");
  heading.append(make("span", String(at + 1)), ` ${titleOf(lesson)}`);
  main.replaceChildren(heading);
  if (at === 0) main.append(paragraph(t("site.lead"), "hint"));
  lesson.build(main, { t, state, run: (name, work) => turns.run(name, work) });
  const teacher = make("details", "", { className: "ask" });
  teacher.append(make("summary", t("teacher.title")), paragraph(t(`${lesson.key}.ask` as StringKey)));
  main.append(teacher, turning(at, t, titleOf));
  if (moved) {
    main.focus({ preventScroll: true });
    scrollTo({ top: 0 });
  }
}

function showLanguages(): void {
  const buttons = LANGUAGES.map((language) => {
    const button = make("button", names[language], { type: "button", lang: language });
    button.setAttribute("aria-pressed", String(language === state.language));
    button.addEventListener("click", () => {
      state.set({ lang: language });
      show(false);
      [...need("languages", HTMLElement).querySelectorAll("button")][LANGUAGES.indexOf(language)]?.focus();
    });
    return button;
  });
  need("languages", HTMLElement).replaceChildren(...buttons);
}

function showContents(at: number, label: string, titleOf: (lesson: Lesson) => string): void {
  const list = make("ol");
  lessons.forEach((lesson, idx) => {
    const [item, link] = [make("li"), make("a", `${idx + 1} ${titleOf(lesson)}`, { href: state.link(lesson.key) })];
    if (idx === at) link.setAttribute("aria-current", "page");
    item.append(link);
    list.append(item);
  });
  const nav = need("contents", HTMLElement);
  nav.setAttribute("aria-label", label);
  nav.replaceChildren(list);
  const current = list.children[at] as HTMLElement;
  list.scrollLeft = current.offsetLeft - list.offsetLeft - 24;
}

function turning(at: number, t: Context["t"], titleOf: (lesson: Lesson) => string): HTMLElement {
  const p = make("p", "", { className: "turning" });
  const [before, after] = [lessons[at - 1], lessons[at + 1]];
  if (before) p.append(make("a", t("site.previous", { title: titleOf(before) }), { href: state.link(before.key), rel: "prev" }));
  const copy = make("button", t("site.copy"), { type: "button", className: "quiet" });
  copy.addEventListener("click", () => void copyFrom(copy, location.href));
  p.append(copy);
  if (after) p.append(make("a", t("site.next", { title: titleOf(after) }), { href: state.link(after.key), rel: "next" }));
  // What a reader sets goes with them: the links are written when they are used.
  p.addEventListener("pointerdown", () => refresh(p, before, after));
  p.addEventListener("keydown", () => refresh(p, before, after));
  return p;
}

function refresh(p: HTMLElement, before: Lesson | undefined, after: Lesson | undefined): void {
  const links = { prev: before, next: after };
  for (const link of p.querySelectorAll("a")) link.hash = state.link(links[link.rel as "prev" | "next"]?.key ?? "tokens");
}

addEventListener("hashchange", () => {
  state = new State(location.hash, write);
  show(true);
});
show(false);
panel.start();
