import { expect, test } from "vitest";
import { compareTensors } from "../src/tensors.js";
import { load } from "./pair.js";

const argument = expect.objectContaining({ code: "argument" });

test("a trace has the shapes of what was selected, and arrays of its own", async () => {
  const { model } = await load();
  const { tokens, sites, positions } = await model.trace("abc", {
    sites: ["inp_embd", "kq_soft_max", "l_out"],
    layers: [5, 0],
    heads: [1, 2, 3],
  });
  expect([...tokens]).toEqual([1, 97, 98, 99]);
  expect(positions).toEqual([0, 1, 2, 3]);
  expect(sites.inp_embd?.shape).toEqual([1, 4, 192]);
  expect(sites.kq_soft_max?.shape).toEqual([2, 3, 4, 4]);
  expect(sites.l_out?.shape).toEqual([2, 4, 192]);
  expect(sites.l_out?.data).toHaveLength(2 * 4 * 192);
  expect(sites.kq).toBeUndefined();
});

test("what a trace cannot have is refused before it is computed, or by the engine", async () => {
  const { model } = await load();
  await expect(model.trace("a", { sites: ["nowhere" as "l_out"] })).rejects.toEqual(argument);
  await expect(model.trace("a", { sites: ["l_out"], layers: [6] })).rejects.toEqual(argument);
  await expect(model.trace("a", { sites: ["l_out"], positions: [-1] })).rejects.toEqual(argument);
  await expect(model.trace("a", { sites: ["ffn_gate"] })).rejects.toMatchObject({ code: "unsupported" });
});

test("interventions add up, and each is undone by its own handle", async () => {
  const { model, worker } = await load();
  // the fake takes a tenth away for each
  const installed = async () => {
    const { sites } = await model.trace("a", { sites: ["inp_embd"], positions: [0] });
    return Math.round(Math.log((sites.inp_embd?.data[0] ?? 0) / Math.sin(1)) / Math.log(0.9));
  };
  const first = await model.intervene([{ site: "kqv_out", layer: 2, head: 3, scale: 0 }]);
  const sent = worker.heard.find((request) => request.type === "intervene");
  expect(sent).toMatchObject({ list: [Uint32Array.of(7, 2, 0xffff_ffff, 0, 0xffff_ffff, 96, 128, 0), Float32Array.of(0)] });
  const second = await model.intervene([{ site: "kq_soft_max", head: 3, positions: [1, 2], scale: 2 }, { site: "result_output", force: 7 }]);
  expect(await installed()).toBe(3);
  await first.dispose();
  expect(await installed()).toBe(2);
  await first.dispose();
  await second.dispose();
  expect(await installed()).toBe(0);
});

test("an intervention that cannot be leaves the others", async () => {
  const { model } = await load();
  await model.intervene([{ site: "l_out", add: [1, 2] }]);
  for (const wrong of [{ site: "l_out" }, { site: "l_out", scale: 1, force: 2 }, { site: "x", scale: 1 }, { site: "l_out", layer: -1, scale: 1 }]) {
    await expect(model.intervene([wrong as never])).rejects.toEqual(argument);
  }
  await expect(model.intervene([{ site: "l_out", layer: 99, scale: 0 }])).rejects.toEqual(argument);
  const { sites } = await model.trace("a", { sites: ["inp_embd"] });
  expect(sites.inp_embd?.data[0]).toBeCloseTo(0.9 * Math.sin(1));
});

test("vectors are projected, and tokens have embeddings", async () => {
  const { model } = await load();
  expect(await model.project(new Float32Array(2 * 192))).toHaveLength(2 * 65_536);
  expect(await model.embeddings([1, 2])).toHaveLength(2 * 192);
});

test("matrices are listed, and one is read as floats", async () => {
  const { model } = await load();
  expect(model.tensors.map(({ name, format, columns, rows }) => [name, format, columns, rows])).toEqual([
    ["token_embd.weight", "Q8_0", 192, 65_536],
    ["blk.0.ffn_up.weight", "Q8_0", 192, 2],
  ]);
  expect(await model.tensor("blk.0.ffn_up.weight")).toHaveLength(2 * 192);
  await expect(model.tensor("blk.9.ffn_up.weight")).rejects.toEqual(argument);
  expect("tensors" in model.info).toBe(false);
});

test("what a tensor has lost of its original is a root mean square, a largest difference and a share", () => {
  expect(compareTensors(Float32Array.of(1, 2, 3, 4), Float32Array.of(1, 2, 3, 4))).toEqual({ rmse: 0, largest: 0, relative: 0 });
  const { rmse, largest, relative } = compareTensors(Float32Array.of(3, -4, 0, 2), Float32Array.of(3, -4, 0, 0));
  expect([rmse, largest, relative]).toEqual([1, 2, 0.4]);
  expect(compareTensors(Float32Array.of(1), Float32Array.of(0)).relative).toBe(Infinity);
  expect(() => compareTensors(Float32Array.of(1), Float32Array.of(1, 2))).toThrow(argument);
  expect(() => compareTensors(new Float32Array(), new Float32Array())).toThrow(argument);
});

test("a textbook's block is told step by step, each with its shape", async () => {
  const { model, worker } = await load();
  const block = { nTokens: 2, nEmbd: 4, nHead: 2, nFf: 3, x: [1, 2, 3, 4, 5, 6, 7, 8], weights: new Float32Array(64 + 24 + 36 + 3) };
  const steps = await model.textbookBlock(block);
  expect(Object.values(steps).map(({ shape }) => shape.join())).toEqual([
    ...["2,4", "2,4", "2,4", "2,2,2", "2,2,2", "2,4", "2,4", "2,4", "2,4", "2,3", "2,3", "2,4", "2,4", "2,4"],
  ]);
  expect([...steps.q.data]).toEqual(block.x);
  expect(steps.out.data.byteOffset + steps.out.data.byteLength).toBe(steps.out.data.buffer.byteLength);
  const sent = worker.heard.find((request) => request.type === "block");
  expect(sent).toMatchObject({ shape: Uint32Array.of(2, 4, 2, 3, 1) });
  expect(sent?.values[0]).toBeCloseTo(Math.SQRT1_2);
  await expect(model.textbookBlock({ ...block, nHead: 3 })).rejects.toEqual(argument);
});
