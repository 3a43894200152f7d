import type { ModelInfo } from "pagelm";
import { cardOf, isBuiltin } from "./builtins.js";
import { make, need } from "./dom.js";
import { formatBytes, formatCount, plural } from "./format.js";
import type { Shelf } from "./library.js";

/** Says which model this is. The file's own word counts; what it does not say is taken from this site's list. */
export function showModel(info: ModelInfo | undefined, item: Shelf | undefined): void {
  const description = need("model-description", HTMLElement);
  const facts = need("model-facts", HTMLElement);
  if (!info || !item) {
    need("model-name", HTMLElement).textContent = "none now";
    description.hidden = true;
    return facts.replaceChildren();
  }
  const listed = isBuiltin(item) ? item.builtin : undefined;
  need("model-name", HTMLElement).textContent = info.name || item.label;
  description.textContent = info.description ?? listed?.description ?? "";
  description.hidden = description.textContent === "";
  const rows: [string, string | Node | undefined][] = [
    ["Parameters", formatCount(info.parameters)],
    ["Quantization", info.quantization],
    ["Size", formatBytes(info.fileBytes)],
    ["Architecture", `${info.architecture}, ${plural(info.nLayer, "layer")}`],
    ["Context", plural(info.nCtx, "token")],
    ["Licence", info.license ?? listed?.licence ?? "the file does not say"],
    ["Made by", info.author],
    ["Card", cardLink(info, item)],
    ["Engine", `${info.build} build`],
  ];
  facts.replaceChildren(
    ...rows.flatMap(([term, value]) => {
      if (value === undefined) return [];
      const detail = make("dd");
      detail.append(value);
      return [make("dt", term), detail];
    }),
  );
}

function cardLink(info: ModelInfo, item: Shelf): Node | undefined {
  const url = cardOf(info, item);
  if (!url) return undefined;
  const label = url.origin === location.origin ? "read the model card" : url.host;
  return make("a", label, { href: url.href, target: "_blank", rel: "noreferrer" });
}
