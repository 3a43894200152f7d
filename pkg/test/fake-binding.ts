/**
 * A stand-in for the engine: no WebAssembly, no model, the same interface. It tells one of a few stories, chosen by
 * the seed, in pieces of some letters each.
 *
 * A fake file is "GGUF", then a u32 of what should go wrong, then the file's length as f64, then anything.
 * A prompt with one of {@link spells} in it makes the engine do what its name says.
 */

import type { Binding, CacheType, Engine, EngineInfo, EngineOptions, Header, HeaderEstimate, Loader, Measure, Step, Vocabulary } from "../src/binding.js";

/** What a fake file can do on the way in. */
export const faults = { none: 0, trapOnPush: 1, trapOnFinish: 2, unsupported: 3 } as const;
/** What a prompt can do. */
export const spells = { trap: "TRAP", fail: "FAIL", long: "LONG", emoji: "EMOJI", slow: "SLOW", full: "FULL", table: "TABLE" } as const;

/** The special tokens, by the number at which they stand; every other token is a letter. */
export const signs = ["<|endoftext|>", "<|user|>", "<|assistant|>"];
const FIRST_SIGN = 0xe000;

/** A fake file. */
export function fakeFile(bytes = 1000, fault: number = faults.none): Uint8Array<ArrayBuffer> {
  const file = new Uint8Array(bytes);
  const view = new DataView(file.buffer);
  file.set([0x47, 0x47, 0x55, 0x46]);
  view.setUint32(4, fault, true);
  view.setFloat64(8, bytes, true);
  return file;
}

function coded(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

class FakeLoader implements Loader {
  receivedBytes = 0;
  #head: number[] = [];
  #before = 0;
  #nFiles: number | undefined;

  /** A file whose sixth byte is n is the first of n. */
  get nFiles(): number | undefined {
    return this.#nFiles ?? (this.#head.length < 16 ? undefined : this.#head[5] || 1);
  }

  nextPart(): void {
    this.#nFiles = this.nFiles;
    this.#before += this.totalBytes ?? 0;
    this.#head = [];
  }

  get totalBytes(): number | undefined {
    return this.#head.length < 16 ? undefined : new DataView(Uint8Array.from(this.#head).buffer).getFloat64(8, true);
  }

  push(chunk: Uint8Array): void {
    this.receivedBytes += chunk.length;
    for (let idx = 0; this.#head.length < 16 && idx < chunk.length; idx += 1) this.#head.push(chunk[idx] as number);
    if (String.fromCharCode(...this.#head.slice(0, 4)) !== "GGUF".slice(0, this.#head.length)) {
      throw coded("format", "This is not a GGUF file: it does not begin with “GGUF”. Choose a file that ends in .gguf.");
    }
    if (this.#head[4] === faults.trapOnPush) throw new WebAssembly.RuntimeError("unreachable");
    if (this.#head[4] === faults.unsupported) throw coded("unsupported", "The architecture “bert” is not supported. Supported: llama, gpt2.");
  }

  finish(nCtx?: number, cacheType?: CacheType): Engine {
    const total = this.totalBytes;
    if (this.#head[4] === faults.trapOnFinish) throw new WebAssembly.RuntimeError("unreachable");
    if (total === undefined || this.receivedBytes < this.#before + total) {
      throw coded("format", `The file ends after ${this.receivedBytes} of ${total ?? "?"} bytes. Download it again.`);
    }
    return new FakeEngine(total, nCtx ?? 512, cacheType ?? "f32");
  }

  free(): void {}
}

const stories = [
  " lived under the roots of an old oak tree. Every morning he ran down to the river to see who was " +
    "awake. One day the river was quite still, and a small green frog sat on a stone and cried.\n\n“What is the " +
    "matter?” asked the fox.\n\n“I have lost my song,” said the frog. “It fell into the water, and I cannot find it.”" +
    "\n\nSo the fox sat down beside her, and they listened together. They heard the wind, and the reeds, and a bee. " +
    "And when the moon came up they heard something else, very soft, right under the stone.\n\n“There it is!” said " +
    "the frog, and she sang it until all the river was awake. The fox walked home slowly, and hummed it all the way.",
  " had never once been late, and his name was Ada. He had a brass lamp, a blue door, and a cat who did " +
    "not like the sea. In the evening the fog came, so thick that he could not see the stairs.\n\n“We will have to " +
    "count them,” he told the cat. One, two, three, they counted, up to a hundred and nine. And there at the top was " +
    "the lamp, and it shone, and far out on the water a small boat turned towards home.",
];

/** Logits that like the letters from a on, the earlier the more. */
function letters(n: number, nVocab: number, size: number): Float32Array<ArrayBuffer> {
  const logits = new Float32Array(n * nVocab).fill(-20);
  for (let row = 0; row < n; row += 1) {
    for (let letter = 0; letter < 26; letter += 1) logits[row * nVocab + 97 + ((letter + row) % 26)] = (5 - letter / 3) * size;
  }
  return logits;
}

/** A file of this size holds a model of another vocabulary. */
export const ODD_DRAFT = 7_000;

class FakeEngine implements Engine {
  readonly #fileBytes: number;
  readonly #nCtx: number;
  readonly #cacheType: CacheType;
  #guessing = false;
  #hasDraft = false;
  #pieces: string[] = [];
  #produced = 0;
  #promptDone = 0;
  #promptTotal = 0;
  #limit = 0;
  #prompt = "";
  #last: number[] = [];
  #editing = false;
  #nAlternatives = 0;
  #interventions: readonly (Uint32Array | Float32Array)[] = [];

  constructor(fileBytes: number, nCtx: number, cacheType: CacheType) {
    this.#cacheType = cacheType;
    this.#fileBytes = fileBytes;
    this.#nCtx = nCtx;
  }

  info(): EngineInfo {
    return {
      name: "Llama-fake-stories",
      architecture: "llama",
      parameters: 3_412_992,
      fileBytes: this.#fileBytes,
      quantization: "Q8_0",
      license: "cc-by-4.0",
      description: "A stand-in that tells two stories.",
      tokenizer: "llama",
      nCtx: this.#nCtx,
      nCtxTrain: 512,
      nVocab: 65_536,
      nLayer: 6,
      nEmbd: 192,
      nHead: 6,
      nHeadKv: 2,
      headDim: 32,
      nFf: 512,
      weightBytes: 3_900_000,
      cacheType: this.#cacheType,
      cacheBytes: 1_572_864,
      tensors: "token_embd.weight Q8_0 192 65536\nblk.0.ffn_up.weight Q8_0 192 2\n",
    };
  }

  tensor(name: string): Float32Array<ArrayBuffer> {
    if (name !== "blk.0.ffn_up.weight") throw coded("argument", `this model has no matrix ${name}`);
    return Float32Array.from({ length: 2 * 192 }, (_, idx) => idx);
  }

  tokenize(
    text: string,
    addSpecial: boolean,
    parseSpecial: boolean,
    ends = false,
    plain: Uint32Array = new Uint32Array(),
  ): Uint32Array<ArrayBuffer> {
    const parts = parseSpecial ? text.split(/(<\|(?:endoftext|user|assistant)\|>)/) : [text];
    const bytesBefore = (idx: number) => new TextEncoder().encode(parts.slice(0, idx).join("")).length;
    const isSign = (idx: number) => idx % 2 === 1 && !plain.includes(bytesBefore(idx));
    const pieces = parts.flatMap((part, idx) => (isSign(idx) ? [part] : part.split("")));
    const tokens = pieces.map((piece) => (piece.length > 1 ? FIRST_SIGN + signs.indexOf(piece) : piece.charCodeAt(0)));
    if (addSpecial) {
      pieces.unshift("");
      tokens.unshift(1);
    }
    const until = (idx: number) => new TextEncoder().encode(pieces.slice(0, idx + 1).join("")).length;
    return Uint32Array.from(ends ? [...tokens, ...pieces.map((_, idx) => until(idx))] : tokens);
  }

  vocabulary(): Vocabulary {
    const texts = Array.from({ length: FIRST_SIGN + signs.length }, (_, token) => signs[token - FIRST_SIGN] ?? String.fromCharCode(token));
    texts[0] = texts[1] = "";
    const pieces = texts.map((text) => new TextEncoder().encode(text));
    let end = 0;
    const ends = pieces.map((piece) => (end += piece.length));
    const bytes = new Uint8Array(end);
    pieces.forEach((piece, token) => bytes.set(piece, (ends[token] as number) - piece.length));
    const control = signs.map((_, idx) => FIRST_SIGN + idx);
    return { bytes, ends, control, special: [2 ** 32 - 1, FIRST_SIGN, 2 ** 32 - 1, 0], endTokens: [FIRST_SIGN] };
  }

  detokenize(tokens: Uint32Array): string {
    return String.fromCharCode(...tokens.filter((token) => token < FIRST_SIGN || token >= FIRST_SIGN + signs.length));
  }

  start(prompt: string | Uint32Array | undefined, options: EngineOptions) {
    const text = prompt ?? Uint32Array.from(this.#last);
    const tokens = typeof text === "string" ? this.tokenize(text, true, options.parseSpecial ?? false) : text;
    if (tokens.length === 0) throw coded("argument", "The prompt is empty.");
    this.#editing = options.editsLogits !== undefined;
    this.#nAlternatives = options.logprobs ?? 0;
    if (tokens.length > this.#nCtx) {
      throw coded("limit", `The prompt has ${tokens.length} tokens, the context ${this.#nCtx}: shorten the prompt.`);
    }
    if ((options.temperature ?? 0) < 0) throw coded("argument", "temperature must be 0 or more.");
    if (options.speculative === "draft" && !this.#hasDraft) throw coded("argument", "No draft model was loaded with this model.");
    this.#guessing = options.speculative !== undefined;
    const seed = options.seed ?? Math.floor(Math.random() * 2 ** 32);
    const shared = [...tokens].findIndex((token, idx) => this.#last[idx] !== token);
    const reusedTokens = shared < 0 ? tokens.length - 1 : shared;
    this.#prompt = this.detokenize(tokens);
    this.#pieces = (stories[seed % stories.length] as string).match(/[^]{1,4}/gu) as string[];
    if (this.#prompt.includes(spells.long)) this.#pieces = Array.from({ length: 100_000 }, (_, idx) => ` w${idx}`);
    if (this.#prompt.includes(spells.table)) this.#pieces = ["| name", " | age |", "\n| --- |", " ---: |", "\n| Tom  |   7 |"];
    if (this.#prompt.includes(spells.emoji)) this.#pieces = ["", "", "", "🙂", ""];
    [this.#produced, this.#promptDone, this.#promptTotal] = [0, reusedTokens, tokens.length];
    this.#limit = options.maxTokens ?? Infinity;
    this.#last = [...tokens];
    return { promptTokens: [...tokens], reusedTokens, seed, model: [0x01234567, 0x89abcdef] };
  }

  step(logits?: Float32Array, element?: Element): Step {
    const step = this.#step(logits);
    if (element && "text" in step) element.append(step.text);
    return step;
  }

  #step(logits?: Float32Array): Step {
    if (this.#promptDone < this.#promptTotal) {
      this.#promptDone = Math.min(this.#promptDone + 64, this.#promptTotal);
      return { kind: "prefill", done: this.#promptDone, total: this.#promptTotal };
    }
    if (this.#prompt.includes(spells.slow)) for (const at = performance.now(); performance.now() - at < 20; );
    if (this.#produced === 5 && this.#prompt.includes(spells.trap)) throw new WebAssembly.RuntimeError("unreachable");
    if (this.#produced === 5 && this.#prompt.includes(spells.fail)) throw coded("format", "The model computed no number.");
    const text = this.#pieces[this.#produced];
    const rest = this.#prompt.includes(spells.emoji) ? "\uFFFD" : "";
    if (this.#produced >= this.#limit) return { kind: "end", text: rest, stopReason: "maxTokens" };
    if (this.#produced === 8 && this.#prompt.includes(spells.full)) return { kind: "end", text: "", stopReason: "contextFull" };
    if (text === undefined) return { kind: "end", text: rest, stopReason: "eos" };
    if (this.#editing && !logits) return { kind: "logits", logits: Float32Array.of(1, 2, 3) };
    this.#produced += 1;
    const best = Array.from({ length: this.#nAlternatives }, (_, idx) => [idx, -1 - idx]);
    // what was chosen by other scores shows
    const token = 99 + this.#produced + (logits?.[0] === 7 ? 1000 : 0);
    this.#last.push(token);
    return { kind: "token", token, text, probability: 0.5, alternatives: Float32Array.from(best.flat()) };
  }

  cancel(): void {
    [this.#pieces, this.#promptDone, this.#promptTotal] = [[], 0, 0];
  }

  setDraft(other: Engine): void {
    if (other.info().fileBytes === ODD_DRAFT) throw coded("argument", "The draft model has another vocabulary.");
    this.#hasDraft = true;
  }

  drafted(): Uint32Array {
    return Uint32Array.of(this.#guessing ? 7 : 0, this.#guessing ? 5 : 0);
  }

  measure(tokens: Uint32Array, what: Measure): Float32Array<ArrayBuffer> {
    if (what === "embeddings") {
      const { nEmbd } = this.info();
      return Float32Array.from({ length: tokens.length * nEmbd }, (_, idx) => Math.sin((tokens[Math.floor(idx / nEmbd)] as number) * ((idx % nEmbd) + 1)));
    }
    if (what === "score") return Float32Array.from(tokens.subarray(1), () => -Math.LN2);
    return what === "logits" ? Float32Array.from(tokens) : Float32Array.of(what === "mean" ? 1 : 0, tokens.length);
  }

  trace(
    tokens: Uint32Array,
    sites: Uint32Array,
    layers: Uint32Array,
    heads: Uint32Array,
    positions: Uint32Array,
  ): Float32Array<ArrayBuffer>[] {
    const { nEmbd, nVocab } = this.info();
    // each intervention takes a tenth of everything
    const size = 0.9 ** (this.#interventions.length / 2);
    return [...sites].map((site) => {
      if (site === 11) throw coded("unsupported", "this model has no ffn_gate");
      if (site === 17) return letters(positions.length, nVocab, size);
      const isOne = site === 0 || site === 16;
      if (site !== 5 && site !== 6) {
        const at = (idx: number) => Math.sin(1 + Math.floor(idx / nEmbd) * 7 + (idx % nEmbd)) * size;
        return Float32Array.from({ length: (isOne ? 1 : layers.length) * positions.length * nEmbd }, (_, idx) => at(idx));
      }
      // of all positions up to its own, those near the head's number count double
      const rows = [...layers].flatMap(() => [...heads].flatMap((head) => [...positions].map((end) => ({ head, end }))));
      const weight = (idx: number, { head, end }: { head: number; end: number }): number => (idx > end ? 0 : idx % 6 === head ? 2 : 1);
      return Float32Array.from(
        rows.flatMap((row) => {
          const weights = Array.from(tokens, (_, idx) => weight(idx, row));
          const sum = weights.reduce((a, b) => a + b, 0);
          return weights.map((one) => (one / sum) * size);
        }),
      );
    });
  }

  project(vectors: Float32Array): Float32Array<ArrayBuffer> {
    const { nEmbd, nVocab } = this.info();
    return letters(vectors.length / nEmbd, nVocab, 1 + Math.abs(vectors[0] ?? 0));
  }

  textbookBlock([t = 0, d = 0, h = 0, f = 0]: Uint32Array, values: Float32Array): Float32Array<ArrayBuffer> {
    if (d % h !== 0) throw coded("argument", "heads must divide the width");
    // the input again and again
    const n = 10 * t * d + 2 * t * f + 2 * h * t * t;
    return Float32Array.from({ length: n }, (_, idx) => values[1 + (idx % (t * d))] as number);
  }

  intervene(list: readonly (Uint32Array | Float32Array)[]): void {
    if (list.some((numbers) => numbers.length === 8 && numbers[1] === 99)) throw coded("argument", "this model has no such place");
    this.#interventions = list;
  }

  save(): Uint8Array<ArrayBuffer> {
    return new TextEncoder().encode(JSON.stringify(this.#last));
  }

  restore(saved: Uint8Array): Uint32Array<ArrayBuffer> {
    if (saved[0] !== 0x5b) throw coded("format", "This is no saved text.");
    this.#last = JSON.parse(new TextDecoder().decode(saved));
    return Uint32Array.from(this.#last);
  }

  adapt(file: Uint8Array | undefined): void {
    if (file && file[0] !== 0x47) throw coded("format", "This is no adapter.");
  }

  fork(): Engine {
    const copy = new FakeEngine(this.#fileBytes, this.#nCtx, this.#cacheType);
    copy.#last = [...this.#last];
    return copy;
  }

  free(): void {}
}

class FakeHeader implements Header {
  #n = 0;

  /** A header is a thousand bytes long. */
  push(chunk: Uint8Array): boolean {
    this.#n += chunk.length;
    return this.#n >= 1000;
  }

  estimate(nCtx = 512): HeaderEstimate {
    if (this.#n < 1000) throw coded("format", "The file ends within its header.");
    const [fileBytes, parameters, weightBytes] = [this.#n, 10, 2 ** 32 - 1000];
    return { fileBytes, parameters, weightBytes, nFiles: 1, nCtx, nCtxTrain: 1024, sessionBytes: nCtx, architecture: "llama", name: "" };
  }

  free(): void {}
}

/** Takes the place of the glue's default export. */
export default async function init(): Promise<void> {}
export { FakeHeader as Header, FakeLoader as Loader };
export const selfTest = () => true;

/** The module as one value. */
export const fakeBinding: Binding = { default: init, Header: FakeHeader, Loader: FakeLoader, selfTest };
