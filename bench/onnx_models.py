"""Makes ONNX files of the synthetic models' shapes, for onnxruntime-web: `python3 bench/onnx_models.py [--only 135M-int8 …]`

The graphs are what exporters make for that runtime: its fused attention with a cache, its fused norms, and its integer
products: `int8` multiplies by 8-bit weights after quantizing the activations on the fly (DynamicQuantizeMatMul), `q4` by
4-bit weights with a scale for each 32 (MatMulNBits). Only the last position's logits are computed. Weights are random,
since nothing here depends on their values: texts are not compared.

Each model is `target/bench/onnx/ID.onnx`, its weights in `ID.onnx.data`, and what a caller must know in `ID.onnx.json`.
"""

import argparse
import json
from pathlib import Path

import environment
import models

KINDS = ["int8", "q4"]
BLOCK = 32
OPSETS = [("", 17), ("com.microsoft", 1)]


class Graph:
    """A graph under construction. Every weight goes to the file of weights as it is made."""

    def __init__(self, data, kind: str):
        import numpy

        self.data, self.kind = data, kind
        self.draw = numpy.random.Generator(numpy.random.PCG64(models.SEED))
        self.nodes, self.weights = [], []

    def op(self, name: str, inputs: list[str], output: str, domain: str = "", **attributes) -> str:
        """Adds a node with one output that is used, and returns that output's name."""
        return self.node(name, inputs, [output], domain, **attributes)[0]

    def node(self, name: str, inputs: list[str], outputs: list[str], domain: str = "", **attributes) -> list[str]:
        from onnx import helper

        self.nodes.append(helper.make_node(name, inputs, outputs, domain=domain, **attributes))
        return outputs

    def weight(self, name: str, values) -> str:
        """Adds a constant."""
        from onnx import TensorProto, helper

        tensor = TensorProto(name=name, data_type=helper.np_dtype_to_tensor_dtype(values.dtype), dims=values.shape)
        if values.nbytes < 1024:
            tensor.raw_data = values.tobytes()
        else:
            tensor.data_location = TensorProto.EXTERNAL
            self.data.write(b"\0" * (-self.data.tell() % 4096))
            where = {"location": Path(self.data.name).name, "offset": self.data.tell(), "length": values.nbytes}
            for key, value in where.items():
                tensor.external_data.add(key=key, value=str(value))
            self.data.write(values.tobytes())
        self.weights.append(tensor)
        return name

    def ones(self, name: str, count: int) -> str:
        import numpy

        return self.weight(name, numpy.ones(count, numpy.float32))

    def small(self, name: str, count: int) -> str:
        import numpy

        return self.weight(name, self.draw.standard_normal(count, dtype=numpy.float32) * numpy.float32(0.1))

    def matmul(self, x: str, name: str, n_in: int, n_out: int, bias: str = "") -> str:
        """`x` times a matrix of n_in × n_out, in the graph's kind of weights."""
        import numpy

        if self.kind == "int8":
            values = self.draw.integers(-127, 128, (n_in, n_out), numpy.int8)
            scale = self.weight(f"{name}.scale", numpy.array([n_in**-0.5 / 73], numpy.float32))
            zero = self.weight(f"{name}.zero", numpy.zeros(1, numpy.int8))
            inputs = [x, self.weight(name, values), scale, zero, bias]
            return self.op("DynamicQuantizeMatMul", inputs, f"{name}.out", "com.microsoft")
        n_blocks = n_in // BLOCK
        values = self.draw.integers(0, 256, (n_out, n_blocks, BLOCK // 2), numpy.uint8)
        scales = numpy.full(n_out * n_blocks, n_in**-0.5 / 4.6, numpy.float32)
        inputs = [x, self.weight(name, values), self.weight(f"{name}.scales", scales)]
        # accuracy_level 4: activations are quantized to 8 bits as well, its fastest way
        attributes = {"K": n_in, "N": n_out, "bits": 4, "block_size": BLOCK, "accuracy_level": 4}
        out = self.op("MatMulNBits", inputs, f"{name}.out", "com.microsoft", **attributes)
        return self.op("Add", [out, bias], f"{name}.biased") if bias else out


def embed(graph: Graph, shape) -> str:
    """The tokens' rows, from a table of 8-bit numbers in either kind."""
    import numpy

    table = graph.weight("embed", graph.draw.integers(-127, 128, (shape.n_vocab, shape.n_embd), numpy.int8))
    rows = graph.op("Gather", [table, "input_ids"], "rows")
    scale = graph.weight("embed.scale", numpy.array(1 / 73, numpy.float32))
    return graph.op("DequantizeLinear", [rows, scale, graph.weight("embed.zero", numpy.array(0, numpy.int8))], "embedded")


def rotary_tables(graph: Graph, shape) -> list[str]:
    import numpy

    half = shape.n_embd // shape.n_head // 2
    angles = numpy.outer(numpy.arange(models.N_CTX), shape.freq_base ** -(numpy.arange(half) / half))
    cos, sin = numpy.cos(angles).astype(numpy.float32), numpy.sin(angles).astype(numpy.float32)
    return [graph.weight("cos", cos), graph.weight("sin", sin)]


def norm(graph: Graph, x: str, branch: str, name: str, shape) -> tuple[str, str]:
    """`x + branch`, and that normed."""
    inputs = [x, branch, graph.ones(name, shape.n_embd)]
    outputs = [f"{name}.out", "", "", f"{name}.sum"]
    graph.node("SkipSimplifiedLayerNormalization", inputs, outputs, "com.microsoft", epsilon=shape.rms_eps)
    return f"{name}.sum", f"{name}.out"


def attention(graph: Graph, x: str, layer: int, tables: list[str], shape) -> str:
    head_dim = shape.n_embd // shape.n_head
    sizes = {"q": shape.n_embd, "k": head_dim * shape.n_head_kv, "v": head_dim * shape.n_head_kv}
    parts = []
    for part, size in sizes.items():
        name = f"{layer}.attn_{part}"
        bias = graph.small(f"{name}.bias", size) if shape.architecture == "qwen2" else ""
        parts.append(graph.matmul(x, name, shape.n_embd, size, bias))
    caches = [f"past_key.{layer}", f"past_value.{layer}"]
    outputs = [f"{layer}.attended", f"present_key.{layer}", f"present_value.{layer}"]
    heads = {"num_heads": shape.n_head, "kv_num_heads": shape.n_head_kv, "do_rotary": 1}
    inputs = [*parts, *caches, "seqlens_k", "total_length", *tables]
    graph.node("GroupQueryAttention", inputs, outputs, "com.microsoft", **heads)
    return graph.matmul(outputs[0], f"{layer}.attn_output", shape.n_embd, shape.n_embd)


def feed_forward(graph: Graph, x: str, layer: int, shape) -> str:
    gate = graph.matmul(x, f"{layer}.ffn_gate", shape.n_embd, shape.n_ff)
    up = graph.matmul(x, f"{layer}.ffn_up", shape.n_embd, shape.n_ff)
    sigmoid = graph.op("Sigmoid", [gate], f"{layer}.sigmoid")
    silu = graph.op("Mul", [gate, sigmoid], f"{layer}.silu")
    return graph.matmul(graph.op("Mul", [silu, up], f"{layer}.gated"), f"{layer}.ffn_down", shape.n_ff, shape.n_embd)


def build(graph: Graph, shape):
    """The whole decoder."""
    import numpy
    from onnx import TensorProto, helper

    tables = rotary_tables(graph, shape)
    x = embed(graph, shape)
    norm_inputs = [x, graph.ones("0.attn_norm", shape.n_embd)]
    normed = graph.op("SimplifiedLayerNormalization", norm_inputs, "0.attn_norm.out", axis=-1, epsilon=shape.rms_eps)
    for layer in range(shape.n_layer):
        x, normed = norm(graph, x, attention(graph, normed, layer, tables, shape), f"{layer}.ffn_norm", shape)
        x, normed = norm(graph, x, feed_forward(graph, normed, layer, shape), f"{layer + 1}.attn_norm", shape)
    last = graph.weight("last", numpy.array([-1], numpy.int64))
    graph.op("Identity", [graph.matmul(graph.op("Gather", [normed, last], "end", axis=1), "output", shape.n_embd, shape.n_vocab)], "logits")
    float32, int32 = TensorProto.FLOAT, TensorProto.INT32
    cache = [1, shape.n_head_kv, None, shape.n_embd // shape.n_head]
    names = [(kind, layer) for layer in range(shape.n_layer) for kind in ("key", "value")]
    value = helper.make_tensor_value_info
    inputs = [value("input_ids", TensorProto.INT64, [1, None]), value("seqlens_k", int32, [1]), value("total_length", int32, [])]
    inputs += [value(f"past_{kind}.{layer}", float32, cache) for kind, layer in names]
    outputs = [value("logits", float32, None)] + [value(f"present_{kind}.{layer}", float32, cache) for kind, layer in names]
    made = helper.make_graph(graph.nodes, "decoder", inputs, outputs, graph.weights)
    opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS]
    return helper.make_model(made, opset_imports=opsets, ir_version=9)


def make(path: Path, name: str, kind: str) -> None:
    shape = models.SHAPES[name]
    environment.say(f"writing {path}")
    with Path(f"{path}.data").open("wb") as data:
        path.write_bytes(build(Graph(data, kind), shape).SerializeToString())
    sizes = {"n_layer": shape.n_layer, "n_head_kv": shape.n_head_kv, "head_dim": shape.n_embd // shape.n_head}
    # Last of all: a model without it was not finished.
    Path(f"{path}.json").write_text(json.dumps({**sizes, "recipe": recipe()}))


def recipe() -> str:
    """What the files are made from."""
    return " ".join(environment.digest(environment.HERE / source) for source in ("onnx_models.py", "models.py"))


def is_made(path: Path) -> bool:
    note = Path(f"{path}.json")
    return note.is_file() and json.loads(note.read_text())["recipe"] == recipe()


def main() -> None:
    environment.enter()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="ID", help="of these models, such as 135M-int8")
    only = parser.parse_args().only
    folder = environment.TARGET / "onnx"
    folder.mkdir(parents=True, exist_ok=True)
    for name in models.SHAPES:
        for kind in KINDS:
            path = folder / f"{name}-{kind}.onnx"
            if (only is None or f"{name}-{kind}" in only) and not is_made(path):
                make(path, name, kind)


if __name__ == "__main__":
    main()
