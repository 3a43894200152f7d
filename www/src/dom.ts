/**
 * The element with this id.
 *
 * # Panics
 * Where the page has none of that kind: page and script belong together.
 */
export function need<T extends Element>(id: string, kind: new () => T): T {
  const element = document.getElementById(id);
  if (element instanceof kind) return element;
  throw new Error(`index.html has no ${kind.name} #${id}`);
}

/** A new element with text, and what else is given. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  text = "",
  props: Partial<HTMLElementTagNameMap[K]> = {},
): HTMLElementTagNameMap[K] {
  const element = Object.assign(document.createElement(tag), props);
  element.append(text);
  return element;
}

/** Copies a text and says so on the button for a moment; selects nothing and asks for nothing. */
export async function copyFrom(button: HTMLButtonElement, text: string, [done, refused] = ["Copied", "Not allowed here"]): Promise<void> {
  const label = (button.dataset.label ??= button.textContent ?? "");
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = done ?? "";
  } catch {
    button.textContent = refused ?? "";
  }
  setTimeout(() => (button.textContent = label), 1600);
}
