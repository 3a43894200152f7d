import { benchmark } from "./benchmark.js";
import type { Engine, EngineOptions, Step } from "./binding.js";
import { BUSY, isFatal, PageLmError, toFetchError, toPageLmError, toWire } from "./errors.js";
import type { Build } from "./features.js";
import type { Form } from "./grammar.js";
import type { Shared } from "./helper.js";
import { loadEngine } from "./load.js";
import { roomFor } from "./options.js";
import type { Measured, Request, Response } from "./protocol.js";
import { Threads } from "./threads.js";
import { Turns } from "./turns.js";

/** Posts a response to the page. */
export type Post = (response: Response, transfer?: Transferable[]) => void;

/** A generation or benchmark that is under way. */
interface Run {
  id: number;
  /** Tokens that may still be sent before the page asks for more. */
  credit: number;
  /** Called when credit arrives, or when the run is over. */
  wake: (() => void) | undefined;
  /** What the page made of the logits that it was sent. */
  logits?: Float32Array | undefined;
  form?: Form | undefined;
  prefillMs: number;
  decodeMs: number;
}

/**
 * The worker's side of the protocol: one engine, and at most one run at a time.
 *
 * A run gives the event loop its turn before each step, so that a cancellation is seen within one token or one chunk
 * of the prompt. It ends by no longer being the current one: whoever waited for it looks and leaves.
 */
export class Host {
  readonly #post: Post;
  readonly #load: typeof loadEngine;
  readonly #turns = new Turns();
  #engine: Engine | undefined;
  /** The engine that was loaded, and its clones. */
  readonly #engines: (Engine | undefined)[] = [];
  #build: Build = "simd128";
  #threads = new Threads();
  #run: Run | undefined;

  constructor(post: Post, load = loadEngine) {
    this.#post = post;
    this.#load = load;
  }

  /** Takes one request. Never throws: what fails is answered with `failed`. */
  async receive(request: Request): Promise<void> {
    try {
      await this.#serve(request);
    } catch (thrown) {
      const error = toPageLmError(thrown, request.type === "load" ? "load" : "run");
      if (this.#run?.id === request.id) this.#end(this.#run, isFatal(error.code));
      this.#post({ type: "failed", id: request.id, error: toWire(error) });
    }
  }

  async #serve(request: Request): Promise<void> {
    const { id } = request;
    switch (request.type) {
      case "load":
        return this.#open(request);
      case "generate":
        return this.#generate(request);
      case "benchmark":
        return this.#benchmark(request);
      case "more":
        if (this.#run?.id !== id) return;
        this.#run.credit += request.credit;
        return this.#run.wake?.();
      case "chosen":
        if (this.#run?.id !== id) return;
        this.#run.logits = request.logits;
        return this.#run.wake?.();
      case "cancel": {
        const run = this.#run;
        if (run?.id !== id) return;
        this.#end(run);
        return this.#post({ type: "stopped", id, ...this.#measured(run) });
      }
      case "tokenize": {
        const { text, addSpecial, parseSpecial, ends, plain } = request;
        const tokens = this.#ready().tokenize(text, addSpecial, parseSpecial, ends, plain);
        return this.#post({ type: "tokens", id, tokens }, [tokens.buffer]);
      }
      case "vocabulary": {
        const vocabulary = this.#ready().vocabulary();
        return this.#post({ type: "vocabulary", id, vocabulary }, [vocabulary.bytes.buffer]);
      }
      case "detokenize":
        return this.#post({ type: "text", id, text: this.#ready().detokenize(request.tokens) });
      case "measure": {
        const values = this.#idle().measure(request.tokens, request.what);
        return this.#post({ type: "measured", id, values }, [values.buffer]);
      }
      case "trace": {
        const { tokens, sites, layers, heads, positions } = request;
        const arrays = this.#idle().trace(tokens, sites, layers, heads, positions);
        return this.#post({ type: "traced", id, arrays }, arrays.map((array) => array.buffer));
      }
      case "project": {
        const values = this.#idle().project(request.vectors);
        return this.#post({ type: "measured", id, values }, [values.buffer]);
      }
      case "tensor": {
        const values = this.#idle().tensor(request.name);
        return this.#post({ type: "measured", id, values }, [values.buffer]);
      }
      case "block": {
        const values = this.#ready().textbookBlock(request.shape, request.values);
        return this.#post({ type: "measured", id, values }, [values.buffer]);
      }
      case "intervene":
        this.#idle().intervene(request.list);
        return this.#post({ type: "done", id });
      case "save": {
        const saved = this.#idle().save();
        return this.#post({ type: "saved", id, saved }, [saved.buffer]);
      }
      case "restore":
        return this.#post({ type: "tokens", id, tokens: this.#idle().restore(request.saved) });
      case "clone":
        return this.#post({ type: "cloned", id, clone: this.#engines.push(this.#idle().fork()) - 1 });
      case "adapt":
        this.#idle().adapt(request.file, request.scales);
        return this.#post({ type: "adapted", id });
      case "use":
        this.#engine = this.#engines[id];
        return;
      case "drop":
        this.#engines[id]?.free();
        this.#engines[id] = undefined;
        return;
      default:
        return request satisfies never;
    }
  }

  async #open({ id, source, ...choices }: Extract<Request, { type: "load" }>): Promise<void> {
    const onProgress = (progress: { receivedBytes: number; totalBytes: number | undefined }) =>
      this.#post({ type: "progress", id, ...progress });
    // By the page: in Firefox 153 a worker that starts a worker hangs now and then.
    const startHelpers = (shared: Shared, n: number) => this.#post({ type: "share", id, shared, n });
    const loaded = await this.#load(source, { ...choices, onProgress, startHelpers });
    this.#engine = this.#engines[0] = loaded.engine;
    this.#build = loaded.build;
    const { nThreads, setThreads } = loaded.binding;
    this.#threads = new Threads(nThreads && setThreads && { nThreads, setThreads }, choices.threads);
    this.#post({ type: "loaded", id, info: { ...loaded.engine.info(), build: loaded.build, threads: loaded.threads } });
  }

  async #generate({ id, prompt, options, credit }: Extract<Request, { type: "generate" }>): Promise<void> {
    const engine = this.#ready();
    const run = this.#begin(id, credit);
    const form = options.constraint && (await this.#form(engine, options));
    if (this.#run !== run) return form?.free(); // cancelled meanwhile
    run.form = form;
    const started = timed(run, "prefillMs", () => engine.start(prompt, options));
    form?.limit(roomFor(options, engine.info().nCtx, started.promptTokens.length));
    this.#threads.begin(options.speculative !== undefined, started.reusedTokens);
    this.#post({ type: "started", id, ...started });
    while (await this.#mayGoOn(run)) {
      const at = performance.now();
      if (run.logits) form?.bar(run.logits);
      const allowed = options.editsLogits === "mask" ? form?.allowed() : undefined;
      const step = this.#threads.step(engine, run.logits, allowed);
      run.logits = undefined;
      if (step.kind === "token") form?.accept(step.token);
      run[step.kind === "prefill" ? "prefillMs" : "decodeMs"] += performance.now() - at;
      if (step.kind === "token") run.credit -= 1;
      if (step.kind === "end") this.#close();
      this.#tell(run, step);
      if (step.kind === "logits") await this.#until(run, () => run.logits !== undefined);
    }
  }

  /** What a text has to be like. The grammars are a module of their own, which comes on first use. */
  async #form(engine: Engine, options: EngineOptions): Promise<Form> {
    const { constrain } = await import("./grammar.js").catch((thrown) => {
      throw toFetchError(thrown, "The grammars' module");
    });
    return constrain(this, engine, options);
  }

  #tell(run: Run, step: Step): void {
    const { id } = run;
    switch (step.kind) {
      case "prefill":
        return this.#post({ type: "prefill", id, done: step.done, total: step.total });
      case "logits":
        return this.#post({ type: "choose", id, logits: step.logits }, [step.logits.buffer]);
      case "token": {
        const { token, text, probability, alternatives } = step;
        return this.#post({ type: "token", id, token, text, probability, alternatives });
      }
      case "end":
        return this.#post({ type: "end", id, text: step.text, stopReason: step.stopReason, ...this.#measured(run) });
      default:
        return step satisfies never;
    }
  }

  #measured({ prefillMs, decodeMs }: Run): Measured {
    const [proposedTokens = 0, acceptedTokens = 0] = this.#engine?.drafted() ?? [];
    return { prefillMs, decodeMs, proposedTokens, acceptedTokens };
  }

  async #benchmark({ id, promptTokens, genTokens }: Extract<Request, { type: "benchmark" }>): Promise<void> {
    const engine = this.#ready();
    const run = this.#begin(id, Infinity);
    const report = await benchmark(engine, this.#threads, promptTokens, genTokens, run, () => this.#mayGoOn(run));
    if (!report) return; // cancelled, and answered so
    this.#end(run);
    this.#post({ type: "benchmarked", id, report: { ...report, build: this.#build, threads: this.#threads.inUse } });
  }

  /** Gives way, then waits for credit; false once the run is over. */
  async #mayGoOn(run: Run): Promise<boolean> {
    await this.#turns.next();
    await this.#until(run, () => run.credit > 0);
    return this.#run === run;
  }

  /** Waits for messages until something is so, or the run is over. */
  async #until(run: Run, so: () => boolean): Promise<void> {
    while (this.#run === run && !so()) await new Promise<void>((wake) => (run.wake = wake));
  }

  #begin(id: number, credit: number): Run {
    this.#refuseWhileRunning();
    return (this.#run = { id, credit, wake: undefined, prefillMs: 0, decodeMs: 0 });
  }

  #close(): void {
    this.#run?.form?.free();
    this.#run = undefined;
  }

  #end(run: Run, broken = false): void {
    this.#close();
    if (!broken) this.#engine?.cancel();
    run.wake?.();
  }

  #ready(): Engine {
    if (this.#engine) return this.#engine;
    throw new PageLmError("worker", "No model is loaded in this worker.");
  }

  #idle(): Engine {
    this.#refuseWhileRunning();
    return this.#ready();
  }

  #refuseWhileRunning(): void {
    if (this.#run) throw new PageLmError("busy", BUSY);
  }
}

function timed<T>(run: Run, kind: "prefillMs" | "decodeMs", work: () => T): T {
  const at = performance.now();
  const result = work();
  run[kind] += performance.now() - at;
  return result;
}
