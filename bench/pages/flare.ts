import { type Engine, fetchFile, type LoadJob } from "./engine.js";

/** Flare, by its streaming interface: `begin_stream` works through the prompt, `next_token` is a step. */
export async function load({ url }: LoadJob): Promise<Engine> {
  const { default: init, FlareEngine } = await import("/peers/@sauravpanda/flare/pkg/flare_web.js" as string);
  await init();
  const { file, arrivedAt } = await fetchFile(url);
  const bytes = new Uint8Array(file);
  const engine = FlareEngine.load(bytes);
  // Without its second copy of the weights, as they stand in the file, it would multiply dequantized floats.
  engine.load_raw_weights(bytes);
  return {
    readyAfterLastByteMs: performance.now() - arrivedAt,
    async generate(prompt, nDecode) {
      engine.reset();
      const begun = performance.now();
      engine.begin_stream_with_params(Uint32Array.from(prompt), nDecode + 1, 0, 1, 0, 1, 0);
      const prefilled = performance.now();
      let nDecoded = 0;
      // An end of the text is the end here: there is no way to go on.
      while (nDecoded < nDecode && engine.next_token() !== undefined) nDecoded += 1;
      const decodeMs = performance.now() - prefilled;
      return { nPrefilled: prompt.length, prefillMs: prefilled - begun, nDecoded, decodeMs };
    },
  };
}
