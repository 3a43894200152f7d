import { argmax, commonLength, type Engine, type LoadJob, stepwise } from "./engine.js";

/** What onnx_models.py notes beside each graph. */
interface Shape {
  n_layer: number;
  n_head_kv: number;
  head_dim: number;
}

/** onnxruntime-web's CPU provider, on a graph of the same shape: see ../onnx_models.py. */
export async function load({ url, threads }: LoadJob): Promise<Engine> {
  const ort = await import("/peers/onnxruntime-web/dist/ort.wasm.bundle.min.mjs" as string);
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.wasmPaths = new URL("/peers/onnxruntime-web/dist/", location.href).href;
  const [graph, weights, shape] = await Promise.all([
    fetch(url).then((response) => response.arrayBuffer()),
    fetch(`${url}.data`).then((response) => response.arrayBuffer()),
    fetch(`${url}.json`).then((response) => response.json() as Promise<Shape>),
  ]);
  const arrivedAt = performance.now();
  const session = await ort.InferenceSession.create(new Uint8Array(graph), {
    executionProviders: ["wasm"],
    graphOptimizationLevel: "all",
    externalData: [{ path: url.split("/").pop() + ".data", data: new Uint8Array(weights) }],
  });
  const empty = () => {
    const cache: Record<string, unknown> = {};
    for (let layer = 0; layer < shape.n_layer; layer++) {
      for (const kind of ["key", "value"]) {
        const dims = [1, shape.n_head_kv, 0, shape.head_dim];
        cache[`past_${kind}.${layer}`] = new ort.Tensor("float32", new Float32Array(0), dims);
      }
    }
    return cache;
  };
  let cache = empty();
  let text: number[] = [];
  const next = async (tokens: number[]): Promise<number> => {
    text.push(...tokens);
    const total = text.length;
    const results = await session.run({
      ...cache,
      input_ids: new ort.Tensor("int64", BigInt64Array.from(tokens, BigInt), [1, tokens.length]),
      seqlens_k: new ort.Tensor("int32", Int32Array.of(total - 1), [1]),
      total_length: new ort.Tensor("int32", Int32Array.of(total), []),
    });
    for (const name of Object.keys(cache)) cache[name] = results[name.replace("past", "present")];
    return argmax(results.logits.data as Float32Array);
  };
  return {
    readyAfterLastByteMs: performance.now() - arrivedAt,
    async generate(prompt, nDecode) {
      const goesOn = text.length > 0 && commonLength(text, prompt) === text.length;
      if (!goesOn) [cache, text] = [empty(), []];
      return stepwise(prompt.slice(text.length), nDecode, next);
    },
  };
}
