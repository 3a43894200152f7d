import { type Engine, fetchFile, type LoadJob } from "./engine.js";

/**
 * wllama 3: llama.cpp's server in a worker. Its completion takes only text, and reports how many tokens it
 * computed and how long that took.
 */
export async function load({ url, threads, nCtx, words }: LoadJob): Promise<Engine> {
  const { Wllama } = await import("/peers/@wllama/wllama/esm/index.js" as string);
  const wasm = "/peers/@wllama/wllama/esm/wasm/wllama.wasm";
  const wllama = new Wllama({ default: new URL(wasm, location.href).href }, { suppressNativeLog: true });
  wllama.setCompat(null);
  const { file, arrivedAt } = await fetchFile(url);
  await wllama.loadModel([new Blob([file])], { n_ctx: nCtx, n_threads: threads, n_parallel: 1, n_gpu_layers: 0 });
  const readyAfterLastByteMs = performance.now() - arrivedAt;
  if (wllama.getNumThreads() !== threads) throw new Error(`wllama runs ${wllama.getNumThreads()} threads`);
  return {
    readyAfterLastByteMs,
    async generate(prompt, nDecode) {
      const text = prompt.map((token) => ` ${words[token % words.length]}`).join("");
      const sampling = { max_tokens: nDecode + 1, temperature: 0, top_k: 1, ignore_eos: true };
      const { timings } = await wllama.createCompletion({ prompt: text, ...sampling });
      // Its clock for generated tokens starts when the first has been chosen.
      return {
        nPrefilled: timings.prompt_n,
        prefillMs: timings.prompt_ms,
        nDecoded: timings.predicted_n - 1,
        decodeMs: timings.predicted_ms,
      };
    },
  };
}
