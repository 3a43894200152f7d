import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { fallbacks } from "../src/fallbacks.js";
import { render, strftime, TemplateError } from "../src/jinja.js";

interface Case {
  messages: unknown[];
  tools?: unknown[];
  documents?: unknown[];
  add_generation_prompt?: boolean;
  more?: Record<string, unknown>;
}
/** What comes out, and what was raised; both `null` where Python raises something of its own. */
type Rendering = [text: string | null, raised: string | null];
/** Renderings by template and case. */
type Table = Record<string, Record<string, Rendering>>;

const read = (name: string) => JSON.parse(readFileSync(new URL(`templates/${name}.json`, import.meta.url), "utf8"));
const cases: Record<string, Case> = read("cases");
const recorded: { texts: Table; sha256: Table } = read("recorded");
const own: Record<string, string> = read("own");
for (const [name, { template }] of Object.entries(fallbacks)) own[`fallback ${name}`] = template;

/** Other people's templates, which are not part of this repository. */
const folder = new URL("../../../shared/chat-templates/", import.meta.url);
const now = () => new Date(2026, 10, 26, 9, 12, 5);

function rendering(template: string, { messages, tools, documents, add_generation_prompt = true, more }: Case): Rendering {
  const tokens = { bos_token: "<s>", eos_token: "</s>", unk_token: "<unk>", pad_token: "<pad>" };
  const variables = { ...tokens, messages, tools: tools ?? null, documents: documents ?? null, add_generation_prompt, ...more };
  try {
    return [render(template, variables, now), null];
  } catch (thrown) {
    return [null, thrown instanceof TemplateError ? thrown.message : ""];
  }
}

function expectAll(template: string, table: Record<string, Rendering>, keep: (text: string | null) => string | null): void {
  for (const [name, [text, raised]] of Object.entries(table)) {
    const [ownText, ownRaised] = rendering(template, cases[name] as Case).map(keep);
    expect(ownText, name).toBe(text);
    if (raised !== null) expect(ownRaised, name).toBe(raised);
  }
}

describe("our own templates come out as Python renders them", () => {
  test.each(Object.entries(recorded.texts))("%s", (name, table) => {
    expectAll(own[name] as string, table, (text) => text);
  });
  test("each of them, and each fallback, is recorded with each case", () => {
    expect(Object.keys(recorded.texts).sort()).toEqual(Object.keys(own).sort());
    for (const table of Object.values(recorded.texts)) expect(Object.keys(table).sort()).toEqual(Object.keys(cases).sort());
  });
});

describe.skipIf(!existsSync(folder))("other people's templates come out as Python renders them (needs ../shared/chat-templates)", () => {
  const digest = (text: string | null) => text && createHash("sha256").update(text).digest("hex").slice(0, 32);
  test.each(Object.entries(recorded.sha256))("%s", (name, table) => {
    expectAll(readFileSync(new URL(`${name}.jinja`, folder), "utf8"), table, digest);
  });
  test("each of them is recorded", () => {
    const names = readdirSync(folder).filter((name) => name.endsWith(".jinja"));
    expect(names.map((name) => name.slice(0, -6)).sort()).toEqual(Object.keys(recorded.sha256).sort());
  });
});

test("a date is written as Python writes it", () => {
  expect(strftime(new Date(2026, 0, 5, 0, 3, 9), "%d %b %Y, %-d.%-m., %j, %I %p %Q")).toBe("05 Jan 2026, 5.1., 005, 12 AM %Q");
});

test.each([
  "{% for i in range(10**9) %}x{% endfor %}",
  "{% for i in range(10**5) %}{% for j in range(10**5) %}{{ i }}{% endfor %}{% endfor %}",
  "{% set ns = namespace(x='x') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}",
  "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x.replace('a', 'aa') %}{% endfor %}{{ ns.x | length }}",
  "{{ 'x' * 10**9 }}{{ [1] * 10**9 }}",
  "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
  "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x | tojson }}",
  "{% set ns = namespace(x=[1], y=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}",
  "{% set x = range(10**6) | list %}{% for i in x %}{{ x | sort | first }}{% endfor %}",
  "{{ range(10**6) | map('string') | unique | list | length }}",
  "{{ [1] | tojson(indent=10**8) }}{{ 'a' | indent(10**8) }}",
  "{% macro m() %}{% for i in range(1000) %}{{ i }}{% endfor %}{% endmacro %}{% for i in range(10**5) %}{{ m() }}{% endfor %}",
])("a template that would hang the page is stopped: %s", { timeout: 60_000 }, (template) => {
  expect(() => render(template, {})).toThrowError(TemplateError);
});

test("a conversation of a thousand long messages is none of these", { timeout: 60_000 }, () => {
  const messages = Array.from({ length: 1000 }, (_, idx) => ({ role: idx % 2 ? "assistant" : "user", content: "word ".repeat(400) }));
  for (const [name, template] of Object.entries(own)) {
    const steps = rendering(template, { messages });
    expect(steps[1] ?? "", name).not.toMatch(/stopped/);
  }
});
