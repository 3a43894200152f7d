/**
 * Chat templates as Python's jinja2 renders them, with the settings of transformers' `apply_chat_template`.
 *
 * `@huggingface/jinja` reads the templates. What it computes differently from Python is computed here: how values are shown
 * (`None`, `True`, `2.0`, a list's parentheses), `==`, `+` and `in`, filters, tests and methods, the scope of a loop's
 * variables, what stands before a `break`, and that what is undefined has no attributes. This module and what it imports is
 * loaded when a chat begins, and only then.
 * @module
 */

import { Environment, Interpreter, parse, tokenize } from "@huggingface/jinja";
import { Arguments, contains, filter, method, percent, test } from "./python-builtins.js";
import {
  allowSteps,
  callable,
  compare,
  dict,
  equal,
  escapeHtml,
  fail,
  float,
  isCallable,
  isDict,
  isFloat,
  isList,
  isNumber,
  isString,
  isUndefined,
  ITEMS,
  items,
  LETTERS,
  list,
  NONE,
  show,
  spend,
  TemplateError,
  toValue,
  truth,
  UNDEFINED,
  type Value,
} from "./python-values.js";

export { TemplateError } from "./python-values.js";

/** A node of the library's tree: each kind has parts of its own. */
interface Node {
  type: string;
  // biome-ignore lint: the kinds are the library's, and not exported
  [part: string]: any;
}

/** `break` or `continue`, on its way to the loop, with what was written before it. */
class LoopControl {
  text = "";
  constructor(readonly ends: boolean) {}
}

/** A loop's turn makes a scope and tells where it is, whatever stands in it. */
const STEPS_A_TURN = 20;

/** The library's interpreter, with Python's semantics. */
class Python extends (Interpreter as unknown as new (env: Environment) => { evaluate(node: Node | undefined, env: Environment): Value }) {
  override evaluate(node: Node | undefined, env: Environment): Value {
    if (!node) return UNDEFINED; // a part that was left out
    spend();
    switch (node.type) {
      case "Program":
        return toValue(this.#block(node.body, env));
      case "If":
        return toValue(this.#block(truth(this.evaluate(node.test, env)) ? node.body : node.alternate, env));
      case "For":
        return toValue(this.#loop(node, env));
      case "Break":
        throw new LoopControl(true);
      case "Continue":
        throw new LoopControl(false);
      case "Set":
        this.#set(node, env);
        return NONE;
      case "FilterStatement":
        return this.#filter(toValue(this.#block(node.body, env)), node.filter, env);
      case "FilterExpression":
        return this.#filter(this.evaluate(node.operand, env), node.filter, env);
      case "TestExpression":
        return toValue(test(node.test.value, this.evaluate(node.operand, env)) !== node.negate);
      case "SelectExpression":
        return truth(this.evaluate(node.test, env)) ? this.evaluate(node.lhs, env) : UNDEFINED;
      case "Ternary":
        return this.evaluate(truth(this.evaluate(node.condition, env)) ? node.trueExpr : node.falseExpr, env);
      case "ObjectLiteral":
        return dict(
          [...(node["value"] as Map<Node, Node>)].map(([key, value]): [string, Value] => [
            this.evaluate(key, env).value,
            this.evaluate(value, env),
          ]),
        );
      case "UnaryExpression":
        return this.#unary(node, env);
      case "BinaryExpression":
        return this.#binary(node, env);
      case "MemberExpression":
        return this.#member(node, env);
      case "CallExpression":
        return this.#call(node, env);
      default:
        return super.evaluate(node, env);
    }
  }

  /** The library's own parts come here for what stands within a macro or a call. */
  evaluateBlock(nodes: Node[], env: Environment): Value {
    return toValue(this.#block(nodes, env));
  }

  #block(nodes: Node[], env: Environment): string {
    let text = "";
    for (const node of nodes) {
      try {
        const value = this.evaluate(node, env);
        if (!["Set", "Macro", "Comment"].includes(node.type)) text += show(value);
      } catch (thrown) {
        if (thrown instanceof LoopControl) thrown.text = text + thrown.text;
        throw thrown;
      }
    }
    return text;
  }

  #set({ assignee, value, body }: Node, env: Environment): void {
    this.#assign(assignee, value ? this.evaluate(value, env) : toValue(this.#block(body, env)), env);
  }

  #assign(target: Node, value: Value, env: Environment): void {
    if (target.type === "Identifier") {
      env.setVariable(target["value"], value as never);
    } else if (target.type === "TupleLiteral") {
      const [names, parts] = [target["value"] as Node[], items(value)];
      if (names.length !== parts.length) fail(`${parts.length} values cannot be given to ${names.length} names.`);
      names.forEach((name, idx) => this.#assign(name, parts[idx] as Value, env));
    } else {
      const object = this.evaluate(target["object"], env);
      if (object.type !== "NamespaceValue") fail("Only a namespace’s attributes can be set.");
      object.value.set(target["property"].value, value);
    }
  }

  #loop({ iterable, loopvar, body, defaultBlock }: Node, env: Environment): string {
    const select = iterable.type === "SelectExpression";
    const scopeOf = (item: Value) => {
      const scope = new Environment(env);
      this.#assign(loopvar, item, scope);
      return scope;
    };
    const all = items(this.evaluate(select ? iterable.lhs : iterable, env));
    const chosen = select ? all.filter((item) => truth(this.evaluate(iterable.test, scopeOf(item)))) : all;
    let text = "";
    for (const [idx, item] of chosen.entries()) {
      spend(STEPS_A_TURN);
      const scope = scopeOf(item);
      scope.setVariable("loop", loopAt(chosen, idx) as never);
      try {
        text += this.#block(body, scope);
      } catch (thrown) {
        if (!(thrown instanceof LoopControl)) throw thrown;
        text += thrown.text;
        if (thrown.ends) break;
      }
    }
    return chosen.length > 0 ? text : this.#block(defaultBlock, env);
  }

  #filter(value: Value, node: Node, env: Environment): Value {
    if (node.type === "Identifier") return filter(node["value"], value, []);
    return filter(node["callee"].value, value, this.#arguments(node["args"], env));
  }

  #arguments(nodes: Node[], env: Environment): Value[] {
    const [args, named] = (this as unknown as Evaluating).evaluateArguments(nodes, env);
    return named.size > 0 ? [...args, Object.assign(dict(named), { type: "KeywordArgumentsValue" })] : args;
  }

  #call({ callee, args }: Node, env: Environment): Value {
    const called = this.evaluate(callee, env);
    if (!isCallable(called)) fail("What is called here is no function.");
    const [given, named] = (this as unknown as Evaluating).evaluateArguments(args, env);
    if (named.size > 0) given.push(keywords(named));
    return called.value(given, env);
  }

  #unary({ operator, argument }: Node, env: Environment): Value {
    const value = this.evaluate(argument, env);
    if (operator.value === "not") return toValue(!truth(value));
    if (!isNumber(value)) fail("Only a number has a sign.");
    const x = operator.value === "-" ? -Number(value.value) : Number(value.value);
    return isFloat(value) ? float(x) : toValue(x + 0);
  }

  #binary({ operator, left, right }: Node, env: Environment): Value {
    const a = this.evaluate(left, env);
    if (operator.value === "and") return truth(a) ? this.evaluate(right, env) : a;
    if (operator.value === "or") return truth(a) ? a : this.evaluate(right, env);
    return operate(operator.value, a, this.evaluate(right, env));
  }

  #member({ object: of, property, computed }: Node, env: Environment): Value {
    const object = this.evaluate(of, env);
    if (computed && property.type === "SliceExpression") {
      spend((object.value?.length ?? 0) / ITEMS);
      return (this as unknown as Evaluating).evaluateSliceExpression(object, property, env);
    }
    const key = computed ? this.evaluate(property, env) : toValue(property.value);
    if (isUndefined(object)) return fail(`What is undefined has no “${show(key)}”.`);
    const own = () => itemOf(object, key);
    const ofKind = () => (isString(key) ? method(object, key.value) : undefined);
    return (computed ? (own() ?? ofKind()) : (ofKind() ?? own())) ?? UNDEFINED;
  }
}

/** What the library keeps to itself, and is used here. */
interface Evaluating {
  evaluateArguments(args: Node[], env: Environment): [Value[], Map<string, Value>];
  evaluateSliceExpression(object: Value, node: Node, env: Environment): Value;
}

/** The arguments by name, as the library hands them to what is called. */
const keywords = (named: Map<string, Value>): Value =>
  Object.create(keywordsClass.prototype, Object.getOwnPropertyDescriptors({ type: "KeywordArgumentsValue", value: named }));
const keywordsClass = findKeywords();

/** The library's class of arguments by name, found by a call that has one. */
function findKeywords(): { prototype: Value } {
  let found: Value | undefined;
  const env = new Environment();
  const look = callable(([last]) => {
    found = last;
    return NONE;
  });
  env.setVariable("f", look as never);
  new Interpreter(env).run(parse(tokenize("{{ f(a=1) }}")));
  return (found as Value).constructor as unknown as { prototype: Value };
}

function itemOf(object: Value, key: Value): Value | undefined {
  if (isDict(object) || object.type === "NamespaceValue") return object.value.get(key.value);
  if (typeof key.value !== "number" || object.lazy) return undefined;
  if (isList(object)) return object.value.at(key.value);
  if (isString(object)) return items(object).at(key.value);
  return undefined;
}

function loopAt(all: Value[], idx: number): Value {
  const numbers = { index: idx + 1, index0: idx, revindex: all.length - idx, revindex0: all.length - idx - 1, length: all.length };
  const known = { ...numbers, first: idx === 0, last: idx === all.length - 1 };
  const cycle = callable((args) => args[idx % args.length] ?? UNDEFINED);
  return dict([
    ...Object.entries(known).map(([name, value]): [string, Value] => [name, toValue(value)]),
    ["previtem", all[idx - 1] ?? UNDEFINED],
    ["nextitem", all[idx + 1] ?? UNDEFINED],
    ["cycle", cycle],
  ]);
}

/** Python's operators, but `and` and `or`. */
function operate(operator: string, a: Value, b: Value): Value {
  switch (operator) {
    case "==":
      return toValue(equal(a, b));
    case "!=":
      return toValue(!equal(a, b));
    case "in":
      return toValue(contains(b, a));
    case "not in":
      return toValue(!contains(b, a));
    case "~":
      return toValue(show(a) + show(b));
    case "<":
      return toValue(compare(a, b) < 0);
    case "<=":
      return toValue(compare(a, b) <= 0);
    case ">":
      return toValue(compare(a, b) > 0);
    case ">=":
      return toValue(compare(a, b) >= 0);
    default:
      return isNumber(a) && isNumber(b) ? calculate(operator, a, b) : operateOnTexts(operator, a, b);
  }
}

function calculate(operator: string, a: Value, b: Value): Value {
  const [x, y] = [Number(a.value), Number(b.value)];
  if (y === 0 && ["/", "//", "%"].includes(operator)) fail("Nothing can be divided by 0.");
  const results: Record<string, () => number> = {
    "+": () => x + y,
    "-": () => x - y,
    "*": () => x * y,
    "/": () => x / y,
    "//": () => Math.floor(x / y),
    "%": () => x - y * Math.floor(x / y),
    "**": () => x ** y,
  };
  const result = results[operator]?.() ?? fail(`There is no operator “${operator}”.`);
  return isFloat(a) || isFloat(b) || operator === "/" || (operator === "**" && y < 0) ? float(result) : toValue(result);
}

function operateOnTexts(operator: string, a: Value, b: Value): Value {
  if (operator === "+" && isString(a) && isString(b)) {
    if (!a.safe && !b.safe) return toValue(a.value + b.value);
    const html = (v: Value) => (v.safe ? v.value : escapeHtml(v.value));
    return Object.assign(toValue(html(a) + html(b)), { safe: true });
  }
  if (operator === "+" && a.type === b.type && isList(a)) {
    spend(a.value.length + b.value.length);
    return Object.assign(list([...a.value, ...b.value]), { type: a.type });
  }
  if (operator === "%" && isString(a)) return toValue(percent(a.value, b.type === "TupleValue" ? b.value : [b]));
  const times = operator === "*" && isNumber(b) ? Math.max(0, Number(b.value)) : 0;
  if (operator === "*" && isString(a) && isNumber(b)) {
    spend((a.value.length * times) / LETTERS);
    return toValue(a.value.repeat(times));
  }
  if (operator === "*" && isList(a) && isNumber(b)) {
    spend(a.value.length * times + times);
    return list(Array.from({ length: times }, () => a.value as Value[]).flat());
  }
  return fail(`${a.type} and ${b.type} have no “${operator}”.`);
}

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];

/** Python's `strftime`, in its own language. */
export function strftime(date: Date, format: string): string {
  const two = (x: number) => String(x).padStart(2, "0");
  const [day, month, hour] = [date.getDate(), date.getMonth(), date.getHours()];
  const dayOfYear = Math.round((Date.UTC(date.getFullYear(), month, day) - Date.UTC(date.getFullYear(), 0, 0)) / 86_400_000);
  const parts: Record<string, string> = {
    Y: String(date.getFullYear()),
    y: two(date.getFullYear() % 100),
    m: two(month + 1),
    B: MONTHS[month] as string,
    b: (MONTHS[month] as string).slice(0, 3),
    d: two(day),
    j: String(dayOfYear).padStart(3, "0"),
    A: DAYS[date.getDay()] as string,
    a: (DAYS[date.getDay()] as string).slice(0, 3),
    H: two(hour),
    I: two(hour % 12 || 12),
    p: hour < 12 ? "AM" : "PM",
    M: two(date.getMinutes()),
    S: two(date.getSeconds()),
    "%": "%",
  };
  const plain = (text: string) => text.replace(/^0+(?=.)/, "");
  return format.replace(/%(-?)([a-zA-Z%])/g, (whole, dash: string, name: string) => {
    const part = parts[name];
    return part === undefined ? whole : dash ? plain(part) : part;
  });
}

/** What a template can call beside its variables. */
function globals(now: () => Date): Record<string, Value> {
  const range = (args: readonly Value[]) => {
    const numbers = args.map((arg) => Number(arg.value));
    const [start, stop, step] = numbers.length < 2 ? [0, numbers[0] ?? 0, 1] : [numbers[0] ?? 0, numbers[1] ?? 0, numbers[2] ?? 1];
    if (step === 0) fail("A range cannot go by 0.");
    const length = Math.max(0, Math.ceil((stop - start) / step));
    spend(10 * length); // each becomes a value
    return list(Array.from({ length }, (_, idx) => toValue(start + idx * step)));
  };
  return {
    raise_exception: callable((args) => fail(show(args[0] ?? UNDEFINED))),
    strftime_now: callable((args) => toValue(strftime(now(), show(args[0] ?? UNDEFINED)))),
    range: callable(range),
    dict: callable((args) => dict(new Arguments(args).named)),
    ...Object.fromEntries(
      [["true", true], ["false", false], ["none", null]].flatMap(([name, value]) => [
        [name, toValue(value)],
        [(name as string).charAt(0).toUpperCase() + (name as string).slice(1), toValue(value)],
      ]),
    ),
  };
}

/** What a template may do: a second or two of work, more than a conversation of a thousand long messages takes. */
const MAX_STEPS = 2_000_000;

/**
 * Renders a template.
 *
 * # Errors
 * `TemplateError` with the template's own words where it calls `raise_exception`; another error where it cannot be read, or
 * does what Python would not do.
 */
export function render(template: string, variables: Record<string, unknown>, now: () => Date = () => new Date()): string {
  // What training learns is marked by a tag of transformers' own; a rendering shows it.
  const plain = template
    .replace(/\{%([-+]?)\s*(end)?generation\s*([-+]?)%\}/g, (_, a: string, end: string | undefined, b: string) => `{%${a} ${end ? "endif" : "if true"} ${b}%}`)
    // A plus keeps the white space: as it does behind, or before, an expression.
    .replaceAll("{%+", "{{ '' }}{%")
    .replaceAll("+%}", "%}{{ '' }}")
    .replace(/\r\n?/g, "\n");
  allowSteps(Infinity); // what is handed in counts for nothing
  const env = new Environment();
  for (const [name, value] of Object.entries(globals(now))) env.setVariable(name, value as never);
  for (const [name, value] of Object.entries(variables)) env.setVariable(name, toValue(value) as never);
  const program = parse(tokenize(plain, { lstrip_blocks: true, trim_blocks: true })) as unknown as Node;
  allowSteps(MAX_STEPS);
  try {
    return show(new Python(env).evaluate(program, env));
  } catch (thrown) {
    if (thrown instanceof LoopControl) throw new TemplateError("A loop is left outside of one.");
    throw thrown;
  }
}
