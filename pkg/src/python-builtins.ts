/**
 * Jinja's filters and tests, and the methods of Python's texts, lists and dictionaries, as far as templates use them.
 * @module
 */

import {
  callable,
  compare,
  dict,
  equal,
  escapeHtml,
  fail,
  float,
  isBoolean,
  isCallable,
  isDict,
  isFloat,
  isInteger,
  isList,
  isNone,
  isNumber,
  isString,
  isUndefined,
  items,
  LETTERS,
  lazy,
  list,
  NONE,
  show,
  spend,
  toJson,
  toValue,
  truth,
  UNDEFINED,
  type Value,
} from "./python-values.js";

/** The arguments of a call, those by position and those by name. */
export class Arguments {
  readonly #named: Map<string, Value>;
  readonly #list: Value[];

  constructor(args: readonly Value[]) {
    const last = args.at(-1);
    const named = last?.type === "KeywordArgumentsValue";
    this.#named = named ? last.value : new Map();
    this.#list = named ? args.slice(0, -1) : [...args];
  }

  /** All those by position. */
  get positional(): readonly Value[] {
    return this.#list;
  }

  get named(): ReadonlyMap<string, Value> {
    return this.#named;
  }

  get(idx: number, name: string): Value | undefined {
    return this.#list[idx] ?? this.#named.get(name);
  }

  flag(idx: number, name: string): boolean {
    const value = this.get(idx, name);
    return value !== undefined && truth(value);
  }

  text(idx: number, name: string): string | undefined {
    const value = this.get(idx, name);
    if (value === undefined || isNone(value)) return undefined;
    return isString(value) ? value.value : fail(`${name} must be a text.`);
  }

  number(idx: number, name: string): number | undefined {
    const value = this.get(idx, name);
    if (value === undefined || isNone(value)) return undefined;
    return isNumber(value) ? Number(value.value) : fail(`${name} must be a number.`);
  }
}

/** What Python takes for white space, within a class of a regular expression. */
const SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const WORDS = new RegExp(`[^${SPACE}]+`, "g");

function strip(text: string, chars: string | undefined, sides: "both" | "left" | "right"): string {
  const isSpace = new RegExp(`[${SPACE}]`);
  const gone = (char: string | undefined) => char !== undefined && (chars === undefined ? isSpace.test(char) : chars.includes(char));
  const letters = Array.from(text);
  let [start, end] = [0, letters.length];
  if (sides !== "right") while (start < end && gone(letters[start])) start += 1;
  if (sides !== "left") while (end > start && gone(letters[end - 1])) end -= 1;
  return letters.slice(start, end).join("");
}

function split(text: string, separator: string | undefined, most: number, fromRight = false): string[] {
  if (separator === "") fail("The separator is empty.");
  if (separator === undefined) {
    const words = [...text.matchAll(WORDS)];
    if (most < 0 || words.length <= most) return words.map(([word]) => word);
    const first = words.slice(0, most).map(([word]) => word);
    return [...first, strip(text.slice(words[most]?.index), undefined, "left")];
  }
  const parts = text.split(separator);
  if (most < 0 || parts.length <= most + 1) return parts;
  if (fromRight) return [parts.slice(0, -most || undefined).join(separator), ...(most ? parts.slice(-most) : [])];
  return [...parts.slice(0, most), parts.slice(most).join(separator)];
}

function replace(text: string, old: string, by: string, most = -1): string {
  const parts = old === "" ? ["", ...Array.from(text), ""] : text.split(old);
  spend(parts.length + (parts.length * by.length) / LETTERS);
  if (most < 0 || parts.length <= most + 1) return parts.join(by);
  return parts.slice(0, most + 1).join(by) + old + parts.slice(most + 1).join(old);
}

const capitalize = (text: string) => Array.from(text, (char, idx) => (idx ? char.toLowerCase() : char.toUpperCase())).join("");
const titled = (text: string) => text.replace(/\p{L}+/gu, capitalize);
const length = (text: string) => Array.from(text).length;

/** `"{} and {name}".format(…)`, without what stands behind a colon. */
function format(text: string, args: Arguments): string {
  let next = 0;
  return text.replace(/\{\{|\}\}|\{([^{}:!]*)\}/g, (whole, name?: string) => {
    if (name === undefined) return whole[0] as string;
    const value = name === "" ? args.positional[next++] : /^\d+$/.test(name) ? args.positional[Number(name)] : args.named.get(name);
    return value ? show(value) : fail(`There is no argument for ${whole}.`);
  });
}

/** Python's `%` with a text on its left. */
export function percent(text: string, values: readonly Value[]): string {
  let next = 0;
  return text.replace(/%(?:\.(\d+))?([sdfr%])/g, (whole, digits: string | undefined, kind: string) => {
    if (kind === "%") return "%";
    const value = values[next++] ?? fail(`There is no value for ${whole}.`);
    if (kind === "s" || kind === "r") return show(value);
    const x = isNumber(value) ? Number(value.value) : fail(`${whole} needs a number.`);
    return kind === "d" ? String(Math.trunc(x)) : x.toFixed(digits === undefined ? 6 : Number(digits));
  });
}

type Method = (text: string, args: Arguments) => unknown;

const anyOf = (args: Arguments, fits: (part: string) => boolean) => {
  const first = args.positional[0] ?? fail("An argument is missing.");
  return (isList(first) ? (first.value as Value[]) : [first]).some((part) => (isString(part) ? fits(part.value) : fail("A text is needed.")));
};
const every = (pattern: RegExp) => (text: string) => pattern.test(text);

const textMethods: Record<string, Method> = {
  upper: (text) => text.toUpperCase(),
  lower: (text) => text.toLowerCase(),
  title: titled,
  capitalize,
  strip: (text, args) => strip(text, args.text(0, "chars"), "both"),
  lstrip: (text, args) => strip(text, args.text(0, "chars"), "left"),
  rstrip: (text, args) => strip(text, args.text(0, "chars"), "right"),
  split: (text, args) => split(text, args.text(0, "sep"), args.number(1, "maxsplit") ?? -1),
  rsplit: (text, args) => split(text, args.text(0, "sep"), args.number(1, "maxsplit") ?? -1, true),
  splitlines: (text) => text.replace(/(?:\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029])$/, "").split(/\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/),
  replace: (text, args) => replace(text, args.text(0, "old") ?? "", args.text(1, "new") ?? "", args.number(2, "count")),
  startswith: (text, args) => anyOf(args, (part) => text.startsWith(part)),
  endswith: (text, args) => anyOf(args, (part) => text.endsWith(part)),
  removeprefix: (text, args) => (text.startsWith(args.text(0, "") ?? "") ? text.slice((args.text(0, "") ?? "").length) : text),
  removesuffix: (text, args) => (text.endsWith(args.text(0, "") ?? "") ? text.slice(0, text.length - (args.text(0, "") ?? "").length) : text),
  find: (text, args) => {
    const at = text.indexOf(args.text(0, "sub") ?? "");
    return at < 0 ? -1 : length(text.slice(0, at));
  },
  count: (text, args) => text.split(args.text(0, "sub")?.toString() ?? "").length - 1,
  join: (text, args) =>
    items(args.positional[0] ?? fail("join needs a list."))
      .map((part) => (isString(part) ? part.value : fail("join needs texts.")))
      .join(text),
  isdigit: every(/^\p{Nd}+$/u),
  isalpha: every(/^\p{L}+$/u),
  isalnum: every(/^[\p{L}\p{N}]+$/u),
  isspace: (text) => text !== "" && strip(text, undefined, "both") === "",
  isupper: (text) => text !== text.toLowerCase() && text === text.toUpperCase(),
  islower: (text) => text !== text.toUpperCase() && text === text.toLowerCase(),
  format,
};

const pairs = (v: Value) => {
  spend(v.value.size);
  return Array.from(v.value as Map<string, Value>, ([key, value]) => tuple([toValue(key), value]));
};
const tuple = (parts: Value[]) => Object.assign(list(parts), { type: "TupleValue" });

const dictMethods: Record<string, (v: Value, args: Arguments) => Value> = {
  get: (v, args) => v.value.get(args.positional[0]?.value) ?? args.get(1, "default") ?? NONE,
  items: (v) => list(pairs(v)),
  keys: (v) => list(items(v)),
  values: (v) => list([...v.value.values()]),
  copy: (v) => dict(v.value),
};
const listMethods: Record<string, (v: Value, args: Arguments) => Value> = {
  count: (v, args) => toValue(v.value.filter((item: Value) => equal(item, args.positional[0] ?? NONE)).length),
  index: (v, args) => {
    const at = v.value.findIndex((item: Value) => equal(item, args.positional[0] ?? NONE));
    return at < 0 ? fail("It is not in the list.") : toValue(at);
  },
  copy: (v) => list([...v.value]),
};
/** What Python has and transformers' sandbox refuses, since it changes what the caller gave. */
const refused = {
  dict: ["clear", "pop", "popitem", "setdefault", "update"],
  list: ["append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"],
};

/** A method of a value; `undefined` where there is none of this name. */
export function method(v: Value, name: string): Value | undefined {
  const own = (methods: object) => Object.hasOwn(methods, name);
  const refuse = () => callable(() => fail(`${name} would change a value, which templates may not.`));
  if (isString(v) && own(textMethods)) {
    spend(v.value.length / LETTERS);
    return callable((args) => toValue(textMethods[name]?.(v.value, new Arguments(args))));
  }
  if (isDict(v) && own(dictMethods)) return callable((args) => dictMethods[name]?.(v, new Arguments(args)) as Value);
  if (isList(v) && own(listMethods)) return callable((args) => listMethods[name]?.(v, new Arguments(args)) as Value);
  if ((isDict(v) && refused.dict.includes(name)) || (isList(v) && refused.list.includes(name))) return refuse();
  return undefined;
}

/** The part of a value that a path like `function.name` leads to. */
function attribute(v: Value, path: Value): Value {
  return show(path).split(".").reduce((at, name) => {
    if (isDict(at) || at.type === "NamespaceValue") return at.value.get(name) ?? UNDEFINED;
    return isList(at) && /^\d+$/.test(name) ? (at.value[Number(name)] ?? UNDEFINED) : UNDEFINED;
  }, v);
}

type Test = (v: Value, other: Value) => boolean;
const ordered = (test: (order: number) => boolean): Test => (a, b) => test(compare(a, b));
const isIn: Test = (a, b) => contains(b, a);

/** Python's `part in whole`. */
export function contains(whole: Value, part: Value): boolean {
  if (isString(whole)) spend(whole.value.length / LETTERS);
  if (isString(whole)) return isString(part) ? whole.value.includes(part.value) : fail("Only a text can be in a text.");
  if (isDict(whole)) return whole.value.has(part.value);
  return items(whole).some((item) => equal(item, part));
}

export const tests: Readonly<Record<string, Test>> = {
  defined: (v) => !isUndefined(v),
  undefined: isUndefined,
  none: isNone,
  string: isString,
  boolean: isBoolean,
  true: (v) => isBoolean(v) && v.value,
  false: (v) => isBoolean(v) && !v.value,
  number: isNumber,
  integer: isInteger,
  float: isFloat,
  mapping: isDict,
  sequence: (v) => (isList(v) && !v.lazy) || isDict(v) || isString(v) || isUndefined(v),
  iterable: (v) => isList(v) || isDict(v) || isString(v) || isUndefined(v),
  callable: isCallable,
  lower: (v) => show(v) === show(v).toLowerCase() && show(v) !== show(v).toUpperCase(),
  upper: (v) => show(v) === show(v).toUpperCase() && show(v) !== show(v).toLowerCase(),
  odd: (v) => Math.abs(Number(v.value) % 2) === 1,
  even: (v) => Number(v.value) % 2 === 0,
  divisibleby: (v, by) => Number(v.value) % Number(by.value) === 0,
  eq: equal,
  equalto: equal,
  "==": equal,
  ne: (a, b) => !equal(a, b),
  "!=": (a, b) => !equal(a, b),
  in: isIn,
  lt: ordered((order) => order < 0),
  lessthan: ordered((order) => order < 0),
  le: ordered((order) => order <= 0),
  gt: ordered((order) => order > 0),
  greaterthan: ordered((order) => order > 0),
  ge: ordered((order) => order >= 0),
};

/** Whether a value passes the test of this name. */
export function test(name: string, v: Value, other: Value = UNDEFINED): boolean {
  const known = Object.hasOwn(tests, name) ? tests[name] : undefined;
  return known ? known(v, other) : fail(`There is no test “${name}”.`);
}

const size = (v: Value): number => {
  if (v.lazy) fail("A generator has no length.");
  return isList(v) ? v.value.length : items(v).length;
};

type Filter = (v: Value, args: Arguments) => unknown;

/** Keeps, or leaves out, the items whose attribute (or which themselves) pass a test, by default that of being true. */
function selecting(byAttribute: boolean, keeps: boolean): Filter {
  return (v, args) => {
    const [first, ...rest] = args.positional;
    const [name, other] = byAttribute ? rest : args.positional;
    const passes = (item: Value) => {
      const part = byAttribute ? attribute(item, first ?? UNDEFINED) : item;
      return name ? test(show(name), part, other) : truth(part);
    };
    return lazy((truth(v) ? items(v) : []).filter((item) => passes(item) === keeps));
  };
}

function sorted(parts: readonly Value[], key: (part: Value) => Value, args: { reverse: boolean; exact: boolean }): Value[] {
  const folded = (part: Value) => (isString(part) && !args.exact ? toValue(part.value.toLowerCase()) : part);
  const keyed = parts.map((part) => ({ part, key: folded(key(part)) }));
  return keyed.sort((a, b) => (args.reverse ? -compare(a.key, b.key) : compare(a.key, b.key))).map(({ part }) => part);
}

function extreme(sign: number): Filter {
  return (v) => items(v).reduce((best: Value | undefined, item) => (best && compare(best, item) * sign >= 0 ? best : item), undefined) ?? UNDEFINED;
}

const escape: Filter = (v) => Object.assign(toValue(v.safe ? show(v) : escapeHtml(show(v))), { safe: true });

const spaces = (n: unknown) => (Number(n) > 1000 ? fail("Nothing is indented by more than 1,000 spaces.") : " ".repeat(Number(n)));

function indent(v: Value, args: Arguments): string {
  const width = args.get(0, "width");
  const pad = width && isString(width) ? width.value : spaces(width?.value ?? 4);
  const [first, blank] = [args.flag(1, "first"), args.flag(2, "blank")];
  return show(v).split("\n").map((line, idx) => ((idx === 0 ? first : blank || line !== "") ? pad + line : line)).join("\n");
}

function json(v: Value, args: Arguments): string {
  const width = args.get(1, "indent");
  const indent = !width || isNone(width) ? undefined : isString(width) ? width.value : spaces(width.value);
  const given = args.get(2, "separators");
  const separators = given && isList(given) ? given.value.map(show) : [indent === undefined ? ", " : ",", ": "];
  const [ensureAscii, sortKeys] = [args.flag(0, "ensure_ascii"), args.flag(3, "sort_keys")];
  return toJson(v, { indent, separators, ensureAscii, sortKeys });
}

function toNumber(v: Value, whole: boolean): number {
  if (isNumber(v)) return whole ? Math.trunc(Number(v.value)) : Number(v.value);
  const text = isString(v) ? strip(v.value, undefined, "both") : "";
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? (whole ? Math.trunc(Number(text)) : Number(text)) : Number.NaN;
}

export const filters: Readonly<Record<string, Filter>> = {
  safe: (v) => Object.assign(toValue(show(v)), { safe: true }),
  e: escape,
  escape,
  tojson: json,
  string: show,
  list: (v) => list([...items(v)]),
  length: size,
  count: size,
  first: (v) => items(v)[0] ?? UNDEFINED,
  last: (v) => items(v).at(-1) ?? UNDEFINED,
  reverse: (v) => (isString(v) ? Array.from(v.value as string).reverse().join("") : list([...items(v)].reverse())),
  join: (v, args) => {
    const by = args.get(1, "attribute");
    return items(v).map((item) => show(by ? attribute(item, by) : item)).join(args.text(0, "d") ?? "");
  },
  sort: (v, args) => {
    const by = args.get(2, "attribute");
    const key = (item: Value) => (by ? attribute(item, by) : item);
    return list(sorted(items(v), key, { reverse: args.flag(0, "reverse"), exact: args.flag(1, "case_sensitive") }));
  },
  dictsort: (v, args) => {
    const idx = args.text(1, "by") === "value" ? 1 : 0;
    if (!isDict(v)) fail("Only a dictionary has items to sort.");
    const options = { reverse: args.flag(2, "reverse"), exact: args.flag(0, "case_sensitive") };
    return list(sorted(pairs(v), (pair) => pair.value[idx], options));
  },
  items: (v) => (isDict(v) ? lazy(pairs(v)) : isUndefined(v) ? lazy([]) : fail("Only a dictionary has items.")),
  unique: (v) => {
    const folded = items(v).map((item) => (isString(item) ? toValue(item.value.toLowerCase()) : item));
    return lazy(items(v).filter((_, idx) => folded.findIndex((other) => equal(other, folded[idx] as Value)) === idx));
  },
  map: (v, args) => {
    if (!truth(v)) return lazy([]);
    const [by, otherwise] = [args.named.get("attribute"), args.named.get("default")];
    if (by) {
      const part = (item: Value) => attribute(item, by);
      return lazy(items(v).map((item) => (otherwise && isUndefined(part(item)) ? otherwise : part(item))));
    }
    const [name, ...rest] = args.positional;
    return lazy(items(v).map((item) => filter(show(name ?? UNDEFINED), item, rest)));
  },
  selectattr: selecting(true, true),
  rejectattr: selecting(true, false),
  select: selecting(false, true),
  reject: selecting(false, false),
  default: (v, args) => (isUndefined(v) || (args.flag(1, "boolean") && !truth(v)) ? (args.get(0, "default_value") ?? "") : v),
  d: (v, args) => filter("default", v, [...args.positional]),
  trim: (v, args) => strip(show(v), args.text(0, "chars"), "both"),
  upper: (v) => show(v).toUpperCase(),
  lower: (v) => show(v).toLowerCase(),
  capitalize: (v) => capitalize(show(v)),
  title: (v) => titled(show(v)),
  indent,
  replace: (v, args) => replace(show(v), args.text(0, "old") ?? "", args.text(1, "new") ?? "", args.number(2, "count")),
  format: (v, args) => percent(show(v), args.positional),
  int: (v, args) => (Number.isNaN(toNumber(v, true)) ? (args.get(0, "default") ?? 0) : toNumber(v, true)),
  float: (v, args) => (Number.isNaN(toNumber(v, false)) ? (args.get(0, "default") ?? float(0)) : float(toNumber(v, false))),
  abs: (v) => (isFloat(v) ? float(Math.abs(v.value)) : Math.abs(Number(v.value))),
  round: (v, args) => {
    const scale = 10 ** (args.number(0, "precision") ?? 0);
    const way = { floor: Math.floor, ceil: Math.ceil }[args.text(1, "method") ?? ""] ?? roundEven;
    return float(way(Number(v.value) * scale) / scale);
  },
  min: extreme(-1),
  max: extreme(1),
  sum: (v, args) => {
    const by = args.get(0, "attribute");
    const numbers = items(v).map((item) => (by ? attribute(item, by) : item));
    const sum = numbers.reduce((total, item) => total + Number(item.value), 0);
    return numbers.some(isFloat) ? float(sum) : sum;
  },
  batch: (v, args) => {
    const [all, n] = [items(v), args.number(0, "linecount") ?? 1];
    return lazy(all.filter((_, idx) => idx % n === 0).map((_, row) => list(all.slice(row * n, (row + 1) * n))));
  },
};

/** To the nearest whole number, halves to the even one. */
function roundEven(x: number): number {
  const near = Math.round(x);
  return Math.abs(x % 1) === 0.5 && near % 2 !== 0 ? near - 1 : near;
}

/** What the filter of this name makes of a value. */
export function filter(name: string, v: Value, args: readonly Value[]): Value {
  const known = Object.hasOwn(filters, name) ? filters[name] : undefined;
  if (!known) return fail(`There is no filter “${name}”.`);
  if (isString(v)) spend(v.value.length / LETTERS);
  const result = known(v, new Arguments(args));
  const isValue = typeof result === "object" && result !== null && /Value$/.test((result as Partial<Value>).type ?? "");
  return isValue ? (result as Value) : toValue(result);
}
