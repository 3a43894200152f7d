import type { ModelInfo } from "pagelm";
import { type Builtin, cardOf, isBuiltin } from "./builtins.js";
import { make, need } from "./dom.js";
import { formatBytes, formatCount, plural } from "./format.js";
import type { Shelf } from "./library.js";

type Row = [term: string, value: string | Node | undefined];

/** Says which model this is: in numbers as the file has them, in words as this site's list has them, where it is there. */
export function showModel(info: ModelInfo | undefined, item: Shelf | undefined): void {
  if (!info || !item) return show("none now", "", []);
  const listed = isBuiltin(item) ? item.builtin : undefined;
  show(info.name || item.label, listed?.description ?? info.description, [
    ["Parameters", formatCount(info.parameters)],
    ["Quantization", info.quantization],
    ["Size", formatBytes(info.fileBytes)],
    ["Architecture", `${info.architecture}, ${plural(info.nLayer, "layer")}`],
    ["Context", plural(info.nCtx, "token")],
    ["Licence", listed?.licence ?? info.license ?? "the file does not say"],
    ["Made by", info.author],
    ["Card", cardLink(cardOf(info, item))],
    ["Engine", `${info.build} build`],
  ]);
}

/** Says which model is on its way. */
export function announceModel(item: Shelf & { builtin: Builtin }): void {
  const { name, description, parameters, quantization, bytes, licence } = item.builtin;
  show(name, description, [
    ["Parameters", formatCount(parameters)],
    ["Quantization", quantization],
    ["Size", formatBytes(bytes)],
    ["Licence", licence],
    ["Card", cardLink(cardOf(undefined, item))],
  ]);
}

function show(name: string, text: string | undefined, rows: Row[]): void {
  need("model-name", HTMLElement).textContent = name;
  const description = need("model-description", HTMLElement);
  description.textContent = text ?? "";
  description.hidden = !text;
  const cells = rows.flatMap(([term, value]) => {
    if (value === undefined) return [];
    const detail = make("dd");
    detail.append(value);
    return [make("dt", term), detail];
  });
  need("model-facts", HTMLElement).replaceChildren(...cells);
}

function cardLink(url: URL | undefined): Node | undefined {
  if (!url) return undefined;
  const label = url.origin === location.origin ? "read the model card" : url.host;
  return make("a", label, { href: url.href, target: "_blank", rel: "noreferrer" });
}
