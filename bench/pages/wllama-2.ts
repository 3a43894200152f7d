import { commonLength, type Engine, fetchFile, type LoadJob, stepwise } from "./engine.js";

/** wllama 2: llama.cpp in a worker, driven token by token: decode, then sample greedily. */
export async function load({ url, threads, nCtx }: LoadJob): Promise<Engine> {
  const { Wllama } = await import("/peers/wllama-2/esm/index.js" as string);
  const builds = ["single-thread/wllama.wasm", "multi-thread/wllama.wasm"];
  const paths = builds.map((build) => [build, new URL(`/peers/wllama-2/esm/${build}`, location.href).href]);
  const wllama = new Wllama(Object.fromEntries(paths), { suppressNativeLog: true });
  const { file, arrivedAt } = await fetchFile(url);
  await wllama.loadModel([new Blob([file])], { n_ctx: nCtx, n_threads: threads, n_batch: 512 });
  await wllama.samplingInit({ temp: 0 });
  const readyAfterLastByteMs = performance.now() - arrivedAt;
  if (wllama.isMultithread() !== threads > 1) throw new Error("wllama chose its other build");
  let past: number[] = [];
  return {
    readyAfterLastByteMs,
    async generate(prompt, nDecode) {
      const nKeep = commonLength(past, prompt);
      if (nKeep === 0) await wllama.kvClear();
      // Removes what follows the kept part.
      else await wllama.kvRemove(nKeep, -1);
      past = [...prompt];
      return stepwise(prompt.slice(nKeep), nDecode, async (tokens) => {
        await wllama.decode(tokens, {});
        const { token } = await wllama.samplingSample();
        return token;
      });
    },
  };
}
