/**
 * Values of templates as Python has them: how they are shown, written as JSON, and compared.
 *
 * `@huggingface/jinja` keeps each value in an object with a `type`; its classes are not exported, so they are told by that.
 * @module
 */

import { Environment } from "@huggingface/jinja";

/** A value of the library's. */
export interface Value {
  type: string;
  // biome-ignore lint: what it is depends on the type, and every use asks for that first
  value: any;
  /** A list that Python would make item by item, a generator: it has no length, and is no JSON. */
  lazy?: boolean;
  /** A text that is safe as HTML: what is added to it is escaped. */
  safe?: boolean;
}

/** What can be called from a template. The last argument holds those that came by name, if any did. */
export type Callable = (args: Value[], scope: Environment) => Value;

const probe = new Environment();
let n = 0;

/** What is being rendered may still do this much. */
let stepsLeft = Infinity;

/** Lets what is rendered from now on take so many steps, as {@link spend} counts them. */
export function allowSteps(steps: number): void {
  stepsLeft = steps;
}

/**
 * Counts steps: one for a node of the tree, a value that is shown or compared, some items of a list or letters of a text. A
 * template comes with a file from anywhere, and none may hang the page.
 */
export function spend(steps = 1): void {
  stepsLeft -= steps;
  if (!(stepsLeft >= 0)) fail("It does more than a chat template has to: it was stopped.");
}

/** How many letters are one step, and how many items of a list. */
export const [LETTERS, ITEMS] = [128, 8];

/** A JS value as the library keeps it: numbers, texts, lists and objects, however deep. */
export const toValue = (value: unknown): Value => {
  if (typeof value === "string") spend(value.length / LETTERS);
  return probe.setVariable(`v${n++ % 8}`, new Environment().set("v", value));
};
const classOf = (value: unknown) => toValue(value).constructor as new (value: unknown) => Value;
const [List, Dict, Float, Callables] = [classOf([]), classOf({}), classOf(0.5), classOf(() => 0)];

export const list = (items: Value[]) => new List(items);
export const lazy = (items: Value[]) => Object.assign(list(items), { lazy: true });
export const dict = (entries: Iterable<[string, Value]>) => new Dict(new Map(entries));
export const float = (x: number) => new Float(x);
export const callable = (call: Callable) => new Callables(call);
export const NONE = toValue(null);
export const UNDEFINED = toValue(undefined);

export const isString = (v: Value) => v.type === "StringValue";
export const isNone = (v: Value) => v.type === "NullValue";
export const isUndefined = (v: Value) => v.type === "UndefinedValue";
export const isBoolean = (v: Value) => v.type === "BooleanValue";
export const isInteger = (v: Value) => v.type === "IntegerValue";
export const isFloat = (v: Value) => v.type === "FloatValue";
/** A number to calculate with; Python's booleans are among them. */
export const isNumber = (v: Value) => isInteger(v) || isFloat(v) || isBoolean(v);
export const isList = (v: Value) => v.type === "ArrayValue" || v.type === "TupleValue";
export const isDict = (v: Value) => v.type === "ObjectValue" || v.type === "KeywordArgumentsValue";
export const isCallable = (v: Value) => v.type === "FunctionValue";

/** What a template raises, as Python would: by `raise_exception`, or by doing what cannot be done. */
export class TemplateError extends Error {
  override name = "TemplateError";
}

export function fail(message: string): never {
  throw new TemplateError(message);
}

/** Whether a value counts as true. */
export function truth(v: Value): boolean {
  if (isList(v)) return v.lazy === true || v.value.length > 0;
  return isDict(v) ? v.value.size > 0 : v.type === "NamespaceValue" || Boolean(v.value);
}

/** The items that a loop over the value goes through. */
export function items(v: Value): Value[] {
  if (isList(v)) {
    spend(v.value.length / ITEMS);
    return v.value;
  }
  if (isUndefined(v)) return [];
  if (isString(v)) return Array.from(v.value as string, toValue);
  if (isDict(v)) return Array.from(v.value.keys(), toValue);
  return fail(`${v.type} cannot be looped over.`);
}

/** Python's `==`. */
export function equal(a: Value, b: Value): boolean {
  spend();
  if (isNumber(a) && isNumber(b)) return Number(a.value) === Number(b.value);
  if (isList(a) && isList(b)) {
    return a.value.length === b.value.length && a.value.every((item: Value, idx: number) => equal(item, b.value[idx]));
  }
  if (isDict(a) && isDict(b)) {
    const same = ([key, value]: [string, Value]) => b.value.has(key) && equal(value, b.value.get(key));
    return a.value.size === b.value.size && [...a.value].every(same);
  }
  return a.type === b.type && a.value === b.value;
}

/** A text as HTML shows it, for filters that say so. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>'"]/g, (char) => `&${{ "&": "amp", "<": "lt", ">": "gt", "'": "#39", '"': "#34" }[char]};`);
}

/** Less than 0, 0 or more than 0, for sorting and for `<`; texts by their characters' numbers. */
export function compare(a: Value, b: Value): number {
  spend();
  if (isNumber(a) && isNumber(b)) return Number(a.value) - Number(b.value);
  if (isString(a) && isString(b)) {
    spend((a.value.length + b.value.length) / ITEMS);
    const [x, y] = [Array.from(a.value as string), Array.from(b.value as string)];
    const at = x.findIndex((char, idx) => char !== y[idx]);
    if (at < 0) return x.length - y.length;
    return at < y.length ? (x[at]?.codePointAt(0) as number) - (y[at]?.codePointAt(0) as number) : 1;
  }
  if (isList(a) && isList(b)) {
    const at = a.value.findIndex((item: Value, idx: number) => idx >= b.value.length || !equal(item, b.value[idx]));
    if (at < 0) return a.value.length - b.value.length;
    return at < b.value.length ? compare(a.value[at], b.value[at]) : 1;
  }
  return fail(`${a.type} and ${b.type} have no order.`);
}

/** A float as Python writes it: always with a point or an exponent. */
function writeFloat(x: number): string {
  if (Number.isNaN(x)) return "nan";
  if (!Number.isFinite(x)) return x > 0 ? "inf" : "-inf";
  const size = Math.abs(x);
  if (size !== 0 && (size < 1e-4 || size >= 1e16)) {
    const [digits, exponent] = x.toExponential().split("e") as [string, string];
    return `${digits}e${exponent[0]}${exponent.slice(1).padStart(2, "0")}`;
  }
  if (Object.is(x, -0)) return "-0.0";
  return Number.isInteger(x) ? `${x}.0` : String(x);
}

/** Python's `str`. */
export function show(v: Value): string {
  if (isString(v)) return v.value;
  return isUndefined(v) ? "" : represent(v);
}

/** Python's `repr`. */
export function represent(v: Value): string {
  spend();
  if (isString(v)) return quote(v.value);
  if (isNone(v)) return "None";
  if (isUndefined(v)) return "Undefined";
  if (isBoolean(v)) return v.value ? "True" : "False";
  if (isInteger(v)) return Object.is(v.value, -0) ? "0" : BigInt(v.value).toString();
  if (isFloat(v)) return writeFloat(v.value);
  if (v.type === "TupleValue") return `(${v.value.map(represent).join(", ")}${v.value.length === 1 ? "," : ""})`;
  if (isList(v)) return `[${v.value.map(represent).join(", ")}]`;
  if (isDict(v)) return `{${Array.from(v.value, ([key, value]: [unknown, Value]) => `${represent(toValue(key))}: ${represent(value)}`).join(", ")}}`;
  return `<${v.type}>`;
}

function quote(text: string): string {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  const known: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\" };
  const escape = (char: string) => {
    if (char === mark) return `\\${char}`;
    if (known[char]) return known[char];
    if (!/[\p{C}\p{Z}]/u.test(char) || char === " ") return char;
    const code = (char.codePointAt(0) as number).toString(16);
    if (code.length <= 2) return `\\x${code.padStart(2, "0")}`;
    return code.length <= 4 ? `\\u${code.padStart(4, "0")}` : `\\U${code.padStart(8, "0")}`;
  };
  return mark + Array.from(text, escape).join("") + mark;
}

/** How JSON is written. */
export interface JsonOptions {
  indent: string | undefined;
  ensureAscii: boolean;
  sortKeys: boolean;
  separators: readonly [item: string, key: string];
}

/** Python's `json.dumps`. */
export function toJson(v: Value, options: JsonOptions, depth = 0): string {
  spend();
  const { indent, separators } = options;
  const [item, key] = separators;
  const wrap = (parts: string[], open: string, close: string) => {
    if (parts.length === 0 || indent === undefined) return open + parts.join(item) + close;
    const line = `\n${indent.repeat(depth)}`;
    return open + line + indent + parts.join(item + line + indent) + line + close;
  };
  if (isString(v)) return jsonText(v.value, options);
  if (isNone(v)) return "null";
  if (isBoolean(v)) return String(v.value);
  if (isInteger(v)) return represent(v);
  if (isFloat(v)) return { inf: "Infinity", "-inf": "-Infinity", nan: "NaN" }[writeFloat(v.value)] ?? writeFloat(v.value);
  if (isList(v) && !v.lazy) return wrap(v.value.map((part: Value) => toJson(part, options, depth + 1)), "[", "]");
  if (!isDict(v)) return fail(`${v.type} cannot be written as JSON.`);
  const entries: [string, Value][] = [...v.value];
  if (options.sortKeys) entries.sort(([a], [b]) => compare(toValue(a), toValue(b)));
  return wrap(entries.map(([name, part]) => jsonText(String(name), options) + key + toJson(part, options, depth + 1)), "{", "}");
}

function jsonText(text: string, { ensureAscii }: JsonOptions): string {
  const json = JSON.stringify(text);
  const escape = (char: string) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return ensureAscii ? json.replace(/[\u007f-\uffff]/g, escape) : json;
}
