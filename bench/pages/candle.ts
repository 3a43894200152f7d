import { commonLength, type Engine, fetchFile, type LoadJob, stepwise } from "./engine.js";

/** candle's quantized models, compiled by ../candle. Its cache cannot be cut, so a text goes on or begins anew. */
export async function load({ url }: LoadJob): Promise<Engine> {
  const { default: init, Model } = await import("/candle/pagelm_bench_candle.js" as string);
  await init();
  const { file, arrivedAt } = await fetchFile(url);
  const model = new Model(new Uint8Array(file));
  let text: number[] = [];
  return {
    readyAfterLastByteMs: performance.now() - arrivedAt,
    async generate(prompt, nDecode) {
      const goesOn = text.length > 0 && commonLength(text, prompt) === text.length;
      if (!goesOn) text = [];
      return stepwise(prompt.slice(text.length), nDecode, (tokens) => {
        const fromStart = text.length === 0;
        text.push(...tokens);
        return model.next(Uint32Array.from(tokens), fromStart);
      });
    },
  };
}
