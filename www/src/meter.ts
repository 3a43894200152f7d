import type { BenchmarkOptions, BenchmarkReport } from "pagelm";
import { make, need } from "./dom.js";
import { formatSpeed, plural } from "./format.js";

/** What the meter asks for. */
export interface MeterEvents {
  /** Measures the model that is here. */
  measure(signal: AbortSignal): Promise<BenchmarkReport>;
  failed(thrown: unknown): void;
}

/** What every model can be measured with, as long as its context has room for that. */
const PROMPT_TOKENS = 128;
const GEN_TOKENS = 64;
/** Browsers round their clocks, some to 1 ms. */
const TOO_QUICK = "too quick to tell";

/** How much is read and written where the context has room for `nCtx` tokens: less where it is very short. */
export function amounts(nCtx: number): Required<Omit<BenchmarkOptions, "signal">> {
  const genTokens = Math.max(1, Math.min(GEN_TOKENS, Math.floor(nCtx / 3)));
  return { promptTokens: Math.max(1, Math.min(PROMPT_TOKENS, nCtx - genTokens - 1)), genTokens };
}

/**
 * The button that asks how fast this device is. While it measures, the same button stops it, so that the focus stays
 * where it is. What was measured belongs to one model, and goes with it.
 */
export class Meter {
  readonly #events: MeterEvents;
  readonly #button = need("measure", HTMLButtonElement);
  readonly #result = need("measured", HTMLElement);
  readonly #label = this.#button.textContent ?? "";
  #writing = false;
  #running: { controller: AbortController; done: Promise<void> } | undefined;

  constructor(events: MeterEvents) {
    this.#events = events;
    this.#button.addEventListener("click", () => void (this.#running ? this.stop() : this.#start()));
    addEventListener("keydown", (event) => {
      if (event.key === "Escape") void this.stop();
    });
  }

  /** Whether a text is being written, which leaves nothing to measure with. */
  setWriting(writing: boolean): void {
    this.#writing = writing;
    this.#button.setAttribute("aria-disabled", String(writing));
  }

  /** Another model, or none: nothing is known of it yet. */
  reset(isReady: boolean): void {
    this.#button.hidden = !isReady;
    void this.stop().then(() => this.#result.replaceChildren());
  }

  /** Gives up the measurement that is under way, and waits until the model is free. */
  async stop(): Promise<void> {
    this.#running?.controller.abort();
    await this.#running?.done;
  }

  #start(): void {
    if (this.#writing) return;
    const controller = new AbortController();
    this.#running = { controller, done: this.#run(controller.signal) };
  }

  async #run(signal: AbortSignal): Promise<void> {
    this.#button.textContent = "Stop measuring";
    this.#result.replaceChildren(make("p", "Measuring. This takes a few seconds.", { className: "hint" }));
    try {
      const report = await this.#events.measure(signal);
      this.#result.replaceChildren(...describe(report));
    } catch (thrown) {
      const isStopped = thrown instanceof Error && thrown.name === "AbortError";
      this.#result.replaceChildren(...(isStopped ? [make("p", "Stopped.", { className: "hint" })] : []));
      if (!isStopped) this.#events.failed(thrown);
    } finally {
      this.#running = undefined;
      this.#button.textContent = this.#label;
    }
  }
}

/** The numbers, and how they came about. */
function describe({ promptTokens, genTokens, prefillMs, decodeMs, build, threads }: BenchmarkReport): HTMLElement[] {
  const rows: [string, string][] = [
    ["Reads", formatSpeed(promptTokens, prefillMs) || TOO_QUICK],
    ["Writes", formatSpeed(genTokens, decodeMs) || TOO_QUICK],
    ["Engine", `${build} build, ${plural(threads, "thread")}`],
  ];
  const facts = make("dl", "", { className: "model-facts" });
  facts.append(...rows.flatMap(([term, value]) => [make("dt", term), make("dd", value)]));
  const [read, written] = [plural(promptTokens, "token"), genTokens.toLocaleString("en")];
  const how = `With this model, just now: ${read} read (prefill), then ${written} written (decode).`;
  return [facts, make("p", how, { className: "hint" })];
}
