import { make, need } from "../dom.js";
import { Address } from "./address.js";
import type { Context } from "./lesson.js";
import { ModelPanel } from "./model-panel.js";
import { LANGUAGES, State } from "./state.js";
import { fill, strings } from "./strings/index.js";
import { Turns } from "./turns.js";

const names = { en: "English", zh: "中文" };

/**
 * What lessons and workbench share: a page whose state is its address, in one of the languages, with one model and its panel.
 * `render` builds the page's own part anew; `moved` says that the reader came by a link.
 */
export function startPage(render: (context: Context, moved: boolean) => void): void {
  const address = new Address({ hash: () => location.hash, replace: (hash) => history.replaceState(null, "", hash) });
  /** What is in the address. Work for a lesson that was left may still end, and must not write itself over the next one. */
  const read = () => {
    const own: State = new State(location.hash, (hash) => {
      if (own === state) address.write(hash);
    });
    return own;
  };
  for (const event of ["click", "pagehide"]) addEventListener(event, () => address.flush(), { capture: true });
  let state = read();
  const panel = new ModelPanel(need("the-model", HTMLElement), need("notice", HTMLElement), () => show(false));
  const busy = (isBusy: boolean) => document.documentElement.toggleAttribute("data-busy", isBusy);
  const turns = new Turns(() => panel.model(), (thrown, name) => panel.fail(thrown, name), (name) => panel.mended(name), busy);

  const show = (moved: boolean) => {
    const t: Context["t"] = (key, values) => fill(strings[state.language][key], values);
    document.documentElement.lang = state.language === "zh" ? "zh-Hans" : "en";
    need("skip", HTMLElement).textContent = t("site.skip");
    showLanguages();
    panel.show(t, state);
    turns.forget();
    render({ t, state, run: (name, work) => turns.run(name, work) }, moved);
  };

  const showLanguages = () => {
    const buttons = LANGUAGES.map((language) => {
      const button = make("button", names[language], { type: "button", lang: language === "zh" ? "zh-Hans" : "en" });
      button.setAttribute("aria-pressed", String(language === state.language));
      button.addEventListener("click", () => {
        state.set({ lang: language });
        show(false);
        need("languages", HTMLElement).querySelectorAll("button")[LANGUAGES.indexOf(language)]?.focus();
      });
      return button;
    });
    need("languages", HTMLElement).replaceChildren(...buttons);
  };

  // A printed lesson has the teacher's notes in it.
  addEventListener("beforeprint", () => {
    for (const notes of document.querySelectorAll<HTMLDetailsElement>(".ask")) notes.open = true;
  });
  addEventListener("hashchange", () => {
    address.forget();
    state = read();
    show(true);
  });
  show(false);
  panel.start();
}
