import type { Engine, LoadJob } from "./engine.js";

/** This project's package, by its public interface; the worker measures its own steps. */
export async function load({ url, threads, build, choosesThreads = false, nCtx }: LoadJob): Promise<Engine> {
  const { Model } = await import("/pkg/index.js" as string);
  let arrivedAt = Number.NaN;
  const onProgress = ({ receivedBytes, totalBytes }: { receivedBytes: number; totalBytes?: number }) => {
    if (receivedBytes === totalBytes && Number.isNaN(arrivedAt)) arrivedAt = performance.now();
  };
  const model = await Model.load(url, { build, nCtx, onProgress, ...(threads > 1 && !choosesThreads && { threads }) });
  const ready = performance.now() - arrivedAt;
  return {
    readyAfterLastByteMs: Number.isNaN(ready) ? undefined : ready,
    async generate(prompt, nDecode) {
      const report = await model.generate(prompt, { maxTokens: nDecode + 1, temperature: 0 }).finish();
      // The first token is chosen from the prompt's logits: its step is the choice alone, next to nothing.
      const nPrefilled = report.promptTokens.length - report.reusedTokens;
      const { prefillMs, decodeMs } = report;
      return { nPrefilled, prefillMs, nDecoded: report.tokens.length - 1, decodeMs };
    },
    async tokenize(parts) {
      const options = (parseSpecial: boolean) => ({ addSpecial: false, parseSpecial });
      const tokens = parts.map(({ text, special }) => model.tokenize(text, options(special)) as Promise<Uint32Array>);
      return (await Promise.all(tokens)).flatMap((list) => [...list]);
    },
    async continueWith(prompt, nDecode, isGuessing) {
      const guessing = isGuessing ? { speculative: "lookup" } : {};
      const report = await model.generate(prompt, { maxTokens: nDecode + 1, temperature: 0, ...guessing }).finish();
      const { tokens, decodeMs, proposedTokens: proposed, acceptedTokens: accepted } = report;
      return { tokens, decodeMs, proposed, accepted };
    },
  };
}
