import { expect, test } from "vitest";
import { renderCard } from "../cards.js";

const files = ["story.gguf", "story.md", "story-credits.md", "loss.svg"];
const html = (markdown: string) => renderCard(markdown, (name) => files.includes(name)).html;

test("a card's title and its sections, each with an address of its own", () => {
  const card = renderCard("# Llama-x\n\n## Numbers\n\n### In `Q8_0`\n\n## Numbers\n\n## Æsop & Co.", () => false);
  expect(card.title).toBe("Llama-x");
  expect(card.sections).toEqual([
    { id: "numbers", text: "Numbers" },
    { id: "numbers-2", text: "Numbers" },
    { id: "æsop-co", text: "Æsop & Co." },
  ]);
  expect(card.html).toContain('<h3 id="in-q8-0">');
});

test("what is written in a card cannot become more than text and links", () => {
  const hostile = "<script>alert(1)</script> <img src=x onerror=alert(1)>\n\n[a](javascript:alert(1)) ![b](javascript:alert(1)) [c](data:text/html,x)";
  expect(html(hostile)).not.toMatch(/<(script|img|a)/);
  expect(html("before <!-- evaluation:begin --> after")).toBe("<p>before  after</p>\n");
});

test("links lead to other cards' pages, to files beside the card, or to the web; else they are words", () => {
  expect(html("[x](story-credits.md#aesop)")).toContain('href="story-credits.html#aesop"');
  expect(html("[x](story.gguf)")).toContain('href="story.gguf"');
  expect(html("https://cdla.dev/")).toContain('<a href="https://cdla.dev/" rel="noreferrer">');
  expect(html("see story.md and [*the* training](../../train/README.md).")).toBe("<p>see story.md and <em>the</em> training.</p>\n");
  expect(html("![Loss](loss.svg) ![Gone](../x.png)")).toBe('<p><img src="loss.svg" alt="Loss" /> Gone</p>\n'.replace(" />", ">"));
});

test("tables scroll by themselves, have a name, and rows that say what they are", () => {
  const table = html("## Bits\n\n| | F16 | Q8_0 |\n|---|---:|:---:|\n| all | 1.05 | 1.06 |");
  expect(table).toContain('<div class="table" role="group" tabindex="0" aria-label="Table 1: Bits">');
  expect(table).toContain('<td></td>\n<th class="right">F16</th>\n<th class="center">Q8_0</th>');
  expect(table).toContain('<th scope="row">all</th>\n<td class="right">1.05</td>');
  expect(table).not.toContain("style=");
  expect(html("| | |\n|---|---|\n| file | Q8_0 |")).not.toContain("thead");
});
