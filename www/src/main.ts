import { App } from "./app.js";
import { need } from "./dom.js";

// That this line runs means that the page was served, with scripts.
need("unserved", HTMLElement).remove();
need("app", HTMLElement).hidden = false;

void new App().start();
