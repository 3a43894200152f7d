import { expect, test } from "vitest";
import { readable, sharesByThread, type TraceEvent } from "../src/profile.js";

const node = (id: number, functionName: string) => ({ id, callFrame: { functionName } });
const chunk = (id: string, nodes: ReturnType<typeof node>[], samples: number[], timeDeltas: number[]): TraceEvent => ({
  name: "ProfileChunk",
  id,
  args: { data: { cpuProfile: { nodes, samples }, timeDeltas } },
});

test("a symbol is read as its path", () => {
  expect(readable("_RNvNtCsgKI2Teuwx5o_14pagelm_kernels4gemm8add_tile")).toBe("kernels::gemm::add_tile");
  expect(readable("_RINvNtCs5a74_14pagelm_kernels6matmul10quant_tileNtNtB4_6packed4Q8x8EB4_")).toBe(
    "kernels::matmul::quant_tile::packed::Q8x8",
  );
  expect(readable("(program)")).toBe("(program)");
});

test("time is added up by function and thread, over all pieces of a profile", () => {
  const events = [
    chunk("0x1", [node(1, "(root)"), node(2, "_RNvNtCsgK_14pagelm_kernels4gemm8add_tile")], [2, 2], [100, 300]),
    chunk("0x2", [node(1, "help"), node(2, "_RNvNtCsgK_14pagelm_kernels4gemm8add_tile")], [1, 2], [10, 30]),
    chunk("0x1", [node(3, "_RNvNtCsgK_14pagelm_kernels6reduce3sum")], [3], [600]),
    chunk("0x3", [node(1, "of a thread that has nothing to do with it")], [1], [50]),
  ];
  const [owner, helper, ...others] = sharesByThread(events);
  expect(others).toEqual([]);
  expect(owner).toEqual({
    thread: "owner",
    functions: [["kernels::reduce::sum", 0.6], ["kernels::gemm::add_tile", 0.4], ["everything else", 0]],
  });
  expect(helper).toEqual({ thread: "helper", functions: [["kernels::gemm::add_tile", 0.75], ["help", 0.25], ["everything else", 0]] });
});
