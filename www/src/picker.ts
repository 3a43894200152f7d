import { make, need } from "./dom.js";
import type { LinkState } from "./link.js";
import { fieldsOf, fill, labelOf, type Task } from "./tasks.js";
import type { Turn } from "./turn.js";

/** What the picker tells the page. */
export interface PickerEvents {
  /** Another task stands there. */
  pick(task: Task): void;
  /** The tokens of what would be sent; `undefined` while there is no model to ask. */
  encode(asked: string): Promise<Turn | undefined>;
  nCtx(): number | undefined;
}

/** The choice of a task, its fields, and a view of what the model is sent. */
export class TaskPicker {
  readonly #events: PickerEvents;
  readonly #select = need("task", HTMLSelectElement);
  readonly #fields = need("task-fields", HTMLElement);
  readonly #sent = need("sent", HTMLDetailsElement);
  readonly #sentText = need("sent-text", HTMLElement);
  readonly #sentCount = need("sent-count", HTMLElement);
  /** What was filled in, by task: going to another and back loses nothing. */
  readonly #values = new Map<string, Record<string, string>>();
  #tasks: readonly Task[] = [];
  #wanted: LinkState = {};
  /** The task that was chosen last. */
  #last = "";
  #previews = 0;

  constructor(events: PickerEvents) {
    this.#events = events;
    this.#select.addEventListener("change", () => this.#show(true));
    this.#sent.addEventListener("toggle", () => void this.preview());
    this.#fields.addEventListener("input", () => void this.preview());
    need("task-example", HTMLButtonElement).addEventListener("click", () => {
      if (this.task) this.#values.delete(this.task.task);
      this.#show(false);
    });
  }

  /** The task that is chosen; `undefined` while none is offered. */
  get task(): Task | undefined {
    return this.#tasks[this.#select.selectedIndex];
  }

  /** The task's words with what is in the fields. */
  get asked(): string {
    return this.task ? fill(this.task, this.#valuesOf(this.task)) : "";
  }

  /** What a link has to hold to bring this back. */
  get link(): LinkState {
    return this.task ? { task: this.task.task, fields: { ...this.#valuesOf(this.task) } } : {};
  }

  /** Offers tasks, or none. What a link asked for is chosen, else what was chosen last. */
  offer(tasks: readonly Task[]): void {
    if (tasks === this.#tasks) return; // nobody's typing is disturbed
    this.#tasks = tasks;
    this.#select.replaceChildren(...tasks.map(({ label }) => make("option", label)));
    this.#choose();
  }

  /** Takes over what a link holds, now or when there are tasks. */
  apply({ task, fields }: LinkState): void {
    if (task === undefined) return;
    this.#wanted = { task, ...(fields && { fields }) };
    this.#choose();
  }

  /** Brings the view of what is sent up to date, where it is open. The last call has the last word. */
  async preview(): Promise<void> {
    const turn = ++this.#previews;
    if (!this.#sent.open || !this.task) return;
    try {
      const sent = await this.#events.encode(this.asked);
      if (turn !== this.#previews) return;
      this.#sentText.replaceChildren(...(sent?.parts ?? []).map(({ text, special }) => make(special ? "mark" : "span", text)));
      const nCtx = this.#events.nCtx();
      this.#sentCount.textContent = sent ? `${sent.tokens.length}${nCtx ? ` of at most ${nCtx}` : ""} tokens.` : "The model is not here yet.";
    } catch (thrown) {
      if (turn !== this.#previews) return;
      this.#sentText.replaceChildren();
      this.#sentCount.textContent = thrown instanceof Error ? thrown.message : String(thrown);
    }
  }

  #choose(): void {
    const { task: wanted = this.#last, fields } = this.#wanted;
    this.#select.selectedIndex = Math.max(0, this.#tasks.findIndex(({ task }) => task === wanted));
    const task = this.task;
    if (!task) return;
    if (task.task === wanted && fields) this.#values.set(wanted, { ...task.example, ...fields });
    this.#wanted = {};
    this.#show(true);
  }

  #valuesOf(task: Task): Record<string, string> {
    const values = this.#values.get(task.task) ?? { ...task.example };
    this.#values.set(task.task, values);
    return values;
  }

  #show(picked: boolean): void {
    const task = this.task;
    if (!task) return;
    this.#last = task.task;
    this.#fields.replaceChildren(...fieldsOf(task).map((name) => this.#makeField(task, name)));
    if (picked) this.#events.pick(task);
    void this.preview();
  }

  #makeField(task: Task, name: string): HTMLElement {
    const values = this.#valuesOf(task);
    const field = make("div");
    const label = make("label", labelOf(task, name), { htmlFor: `field-${name}` });
    const isCode = task.code?.includes(name) ?? false;
    const text = make("textarea", "", { id: `field-${name}`, rows: 1, spellcheck: !isCode, autocomplete: "off" });
    text.value = values[name] ?? "";
    text.className = isCode ? "code" : "";
    text.addEventListener("input", () => (values[name] = text.value));
    if (!CSS.supports("field-sizing", "content")) text.rows = Math.min(12, text.value.split("\n").length + 1);
    field.append(label, text);
    return field;
  }
}
