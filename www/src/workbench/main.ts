import "../styles/learn.css";
import "../styles/bench.css";
import { copyFrom, make, need } from "../dom.js";
import { startPage } from "../learn/frame.js";
import { paragraph, press } from "../learn/lesson.js";
import { bench } from "./bench.js";

startPage((context) => {
  const { t, state } = context;
  document.title = `${t("bench.title")} · pagelm`;
  const lessons = make("a", t("bench.lessons"), { href: `../learn/index.html${state.link("tokens")}` });
  lessons.addEventListener("pointerdown", () => (lessons.hash = state.link("tokens")));
  const copy = press(t("site.copy"), "copy", () => void copyFrom(copy, location.href, [t("site.copied"), t("site.notCopied")]), "quiet");
  const nav = need("contents", HTMLElement);
  nav.setAttribute("aria-label", t("site.contents"));
  nav.replaceChildren(lessons, copy);
  const main = need("lesson-text", HTMLElement);
  main.replaceChildren(make("h1", t("bench.title")), paragraph(t("bench.lead"), "hint"));
  bench(main, context);
});
