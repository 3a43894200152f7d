/**
 * Makes a page of every model card, when the site is built: models/story.md becomes models/story.html. The pages hold
 * no script and fetch nothing but the site's own style, so a card can be read, linked to and kept as it is.
 * @module
 */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import MarkdownIt, { type Token } from "markdown-it";
import type { Plugin } from "vite";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url)).replaceAll("\\", "/");

/** A card as HTML. */
export interface Card {
  /** Its first heading, as text. */
  title: string;
  /** The second-level headings, in order. */
  sections: { id: string; text: string }[];
  html: string;
}

/**
 * Renders a card. HTML in it is shown as text, apart from comments, which are left out; markdown-it refuses addresses
 * that are scripts. Links and images lead to the web or to files beside the card; a link to anything else keeps only
 * its words, since it would lead nowhere once the site stands somewhere.
 */
export function renderCard(markdown: string, isBeside: (name: string) => boolean): Card {
  const md = new MarkdownIt({ html: false, linkify: true });
  md.linkify.set({ fuzzyLink: false, fuzzyEmail: false, fuzzyIP: false }); // “story.md” is no address
  const tokens = md.parse(markdown.replace(/<!--[^]*?-->/g, ""), {});
  const { title, sections } = nameHeadings(tokens);
  for (const { children } of tokens) if (children) settleLinks(children, isBeside);
  shapeTables(tokens);
  return { title, sections, html: md.renderer.render(tokens, md.options, {}) };
}

/** Gives every heading an id that can stand in a link. */
function nameHeadings(tokens: Token[]): Pick<Card, "title" | "sections"> {
  const taken = new Set<string>();
  const headings = tokens.flatMap((token, idx) => {
    if (token.type !== "heading_open") return [];
    const text = (tokens[idx + 1]?.children ?? []).map(({ type, content }) => (/^(text|code_inline)$/.test(type) ? content : "")).join("");
    const slug = text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "") || "section";
    let id = slug;
    for (let n = 2; taken.has(id); n += 1) id = `${slug}-${n}`;
    taken.add(id);
    token.attrSet("id", id);
    return [{ id, text, level: token.tag }];
  });
  return {
    title: headings.find(({ level }) => level === "h1")?.text ?? "Model card",
    sections: headings.filter(({ level }) => level === "h2").map(({ id, text }) => ({ id, text })),
  };
}

/** Points links to other cards at their pages, and takes away what leads to no file of the site. */
function settleLinks(tokens: Token[], isBeside: (name: string) => boolean): void {
  const open: boolean[] = []; // whether each link that is open has to go
  const drop = (token: Token) => Object.assign(token, { type: "text", tag: "", nesting: 0, content: "" });
  for (const token of tokens) {
    if (token.type === "link_open") {
      const target = settle(String(token.attrGet("href") ?? ""), isBeside);
      open.push(target === undefined);
      if (target === undefined) drop(token);
      else token.attrSet("href", target);
      if (target && /^https?:/.test(target)) token.attrSet("rel", "noreferrer");
    } else if (token.type === "link_close") {
      if (open.pop()) drop(token);
    } else if (token.type === "image") {
      const source = String(token.attrGet("src") ?? "");
      if (!isBeside(source)) Object.assign(token, { type: "text", tag: "", children: null });
    }
  }
}

function settle(href: string, isBeside: (name: string) => boolean): string | undefined {
  if (/^(https?:|mailto:|#)/.test(href)) return href;
  const [name = "", hash] = href.split("#");
  if (!isBeside(name)) return undefined;
  return name.replace(/\.md$/, ".html") + (hash === undefined ? "" : `#${hash}`);
}

/** Tables that can be scrolled by keys where they are too wide, and whose rows say by their first cell what they are. */
function shapeTables(tokens: Token[]): void {
  let nTables = 0;
  let section = "";
  for (let idx = 0; idx < tokens.length; idx += 1) {
    const token = tokens[idx] as Token;
    if (token.type === "heading_open") section = tokens[idx + 1]?.content ?? "";
    if (token.type === "table_open") {
      nTables += 1;
      const headless = dropEmptyHead(tokens, idx);
      const label = `Table ${nTables}${section && `: ${section}`}`;
      const attrs = { class: headless ? "table headless" : "table", role: "group", tabindex: "0", "aria-label": label };
      tokens.splice(idx, 0, htmlLike("div", 1, attrs));
      idx += 1;
    } else if (token.type === "table_close") {
      tokens.splice(idx + 1, 0, htmlLike("div", -1));
      idx += 1;
    } else if (token.type === "td_open" || token.type === "th_open") {
      alignByClass(token);
    } else if (token.type === "tr_open") {
      const [cell, inside] = [tokens[idx + 1], tokens[idx + 2]];
      if (cell?.type === "td_open") nameRow(tokens, idx + 1);
      else if (cell?.type === "th_open" && inside?.content === "") renameCell(tokens, idx + 1, "td");
    }
  }

  function htmlLike(tag: string, nesting: 1 | -1, attrs: Record<string, string> = {}): Token {
    const proto = tokens[0] as Token;
    const token = new (proto.constructor as new (type: string, tag: string, nesting: number) => Token)(`${tag}_${nesting}`, tag, nesting);
    token.block = true;
    for (const [name, value] of Object.entries(attrs)) token.attrSet(name, value);
    return token;
  }
}

/** The page's policy takes no inline styles. */
function alignByClass(cell: Token): void {
  const [, side] = /^text-align:(\w+)$/.exec(String(cell.attrGet("style") ?? "")) ?? [];
  if (side === undefined) return;
  cell.attrs = (cell.attrs ?? []).filter(([name]) => name !== "style");
  cell.attrSet("class", side);
}

/** A head without a word in it heads nothing. Returns whether it was one. */
function dropEmptyHead(tokens: Token[], table: number): boolean {
  const end = tokens.findIndex(({ type }, idx) => idx > table && type === "thead_close");
  const head = tokens.slice(table + 1, end + 1);
  const empty = head.every(({ type, content }) => type !== "inline" || content === "");
  if (empty) tokens.splice(table + 1, head.length);
  return empty;
}

function nameRow(tokens: Token[], open: number): void {
  renameCell(tokens, open, "th");
  tokens[open]?.attrSet("scope", "row");
}

function renameCell(tokens: Token[], open: number, tag: "td" | "th"): void {
  for (const token of [tokens[open], tokens[open + 2]]) if (token) token.tag = tag;
}

const escapeHtml = (text: string) =>
  text.replace(/[&<>"]/g, (letter) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[letter] as string);

/** The whole page, before Vite has seen it. */
function cardPage(name: string): string {
  const { title, sections, html } = renderCard(readFileSync(here(`models/${name}.md`), "utf8"), (file) => /^[\w.-]+$/.test(file) && existsSync(here(`models/${file}`)));
  const contents = sections.map(({ id, text }) => `<li><a href="#${escapeHtml(id)}">${escapeHtml(text)}</a></li>`).join("\n");
  const parts: Record<string, string> = { title: escapeHtml(title), contents, name: escapeHtml(name), card: html };
  return readFileSync(here("card.html"), "utf8").replace(/<!--(\w+)-->/g, (whole, part: string) => parts[part] ?? whole);
}

/** The Vite plugin: card pages beside the cards, in the build and from the development server. */
export function cards(): Plugin {
  const folder = here("models");
  const names = existsSync(folder) ? readdirSync(folder).flatMap((file) => (file.endsWith(".md") ? [file.slice(0, -3)] : [])) : [];
  const pages = new Map(names.map((name) => [`${folder}/${name}.html`, name]));
  return {
    name: "cards",
    enforce: "pre",
    config: ({ build }) => {
      const others = build?.rolldownOptions?.input ? [] : [here("index.html")];
      return { build: { rolldownOptions: { input: [...others, ...pages.keys()] } } };
    },
    resolveId: (id) => (pages.has(id) ? id : undefined),
    load: (id) => {
      const name = pages.get(id);
      return name === undefined ? undefined : cardPage(name);
    },
    configureServer: ({ middlewares, transformIndexHtml }) => {
      middlewares.use((request, response, next) => {
        const path = new URL(request.url ?? "", "http://x").pathname;
        const name = pages.get(`${here(".").replace(/\/$/, "")}${path}`);
        if (name === undefined) return next();
        transformIndexHtml(path, cardPage(name)).then((html) => response.setHeader("content-type", "text/html").end(html), next);
      });
    },
  };
}
