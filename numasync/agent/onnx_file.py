"""An agent as an ONNX file, which other programs and languages run. The package `onnx` writes it.

The file computes what `Agent.policy` and a greedy `Agent.predict` compute, from observations as the environment returns
them: normalisation and one-hots are inside. Images of ONNX have their channels first, so that a picture is transposed
where it comes in with its channels last, and where a dense layer takes it as a row of numbers.
"""

import importlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import numasync
from numasync.algorithms.policy import EPSILON_GREEDY, SMALLEST_VARIANCE
from numasync.envs.observation import Observation
from numasync.envs.spec import CENTRE, HALF_RANGE, HIGHEST, LOWEST
from numasync.errors import InputError
from numasync.nn.layers import concat, conv
from numasync.nn.layers.normalize import CLIP
from numasync.nn.table import IN_AT, OUT_AT
from numasync.runtime.jit import FLOAT

if TYPE_CHECKING:
    from numasync.agent.agent import Agent

# Operators as they were in 2021, so that older programs run the file too.
OPERATORS, FORMAT = 17, 8

# The name of the axis of the batch. It can have any length.
BATCH = "n"


class Graph:
    """The graph of an ONNX file while it is made. Tensors have names.

    onnx  the module
    """

    def __init__(self, onnx: Any) -> None:
        self.onnx, self.helper = onnx, onnx.helper
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []

    def add(self, operator: str, *inputs: "str | np.ndarray", **attributes: Any) -> str:
        """Add an operator on tensors and constants, and return the name of its first output.

        outputs: among the attributes, the names of its outputs; by default one new name
        """
        outputs = attributes.pop("outputs", [f"{operator.lower()}_{len(self.nodes)}"])
        names = [self.constant(value) if isinstance(value, np.ndarray) else value for value in inputs]
        self.nodes.append(self.helper.make_node(operator, names, outputs, **attributes))
        return outputs[0]

    def constant(self, array: np.ndarray) -> str:
        """Add a constant and return its name."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def input(self, name: str, dtype: Any, *shape: int) -> str:
        """Add an input of the file and return its name. shape: of one row of the batch."""
        self.inputs.append(self._describe(name, dtype, shape))
        return name

    def output(self, name: str, tensor: str, dtype: Any, *shape: int) -> None:
        """Let a tensor be an output of the file. shape: of one row of the batch."""
        self.add("Reshape", tensor, np.array([-1, *shape]), outputs=[name])
        self.outputs.append(self._describe(name, dtype, shape))

    def _describe(self, name: str, dtype: Any, shape: tuple[int, ...]) -> Any:
        kind = self.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.helper.make_tensor_value_info(name, kind, [BATCH, *shape])


class Block(NamedTuple):
    """A layer's outputs: the name of a tensor, and its shape for one row, (size,) or (channels, height, width)."""

    tensor: str
    shape: tuple[int, ...]


def to_bytes(agent: "Agent") -> bytes:
    """Return the ONNX file of an agent. Raises InputError where the package onnx is not installed."""
    try:
        onnx = importlib.import_module("onnx")
    except ImportError as error:
        raise InputError('Writing an ONNX file needs onnx; pip install "numasync[onnx]" installs it.') from error
    graph = Graph(onnx)
    outputs = add_network(graph, agent, add_observation(graph, agent.spec.observation))
    add_outputs(graph, agent, outputs)
    made = onnx.helper.make_graph(graph.nodes, "agent", graph.inputs, graph.outputs, graph.constants)
    model = onnx.helper.make_model(
        made,
        opset_imports=[onnx.helper.make_opsetid("", OPERATORS)],
        ir_version=FORMAT,
        producer_name="numasync",
        producer_version=numasync.__version__,
    )
    onnx.helper.set_model_props(model, {"env": agent.spec.id, "algo": agent.config.algo})
    onnx.checker.check_model(model)
    return model.SerializeToString()


def add_observation(graph: Graph, observation: Observation) -> Block:
    """Add the input `obs`, and what `Observation.encode` does. Return the network's input."""
    if not observation.is_image:
        return Block(add_vector(graph, observation), observation.network_shape)
    height, width, channels = observation.network_shape
    obs = graph.input("obs", np.uint8 if observation.is_screen else FLOAT, *observation.shape)
    x = graph.add("Cast", obs, to=graph.onnx.TensorProto.FLOAT)
    if observation.kind == "image":
        x = graph.add("Reshape", x, np.array([-1, height, width, channels]))
        x = graph.add("Transpose", x, perm=[0, 3, 1, 2])
    elif observation.kind == "stack":
        x = graph.add("Transpose", x, perm=[0, 1, 4, 2, 3])
    raw = x = graph.add("Reshape", x, np.array([-1, channels, height, width]))
    if observation.mean is not None:
        mean = observation.mean.reshape(height, width, -1).transpose(2, 0, 1)
        x = graph.add("Sub", x, mean.astype(FLOAT))
    if observation.scale != 1:
        x = graph.add("Mul", x, np.array(observation.scale, FLOAT))
    if observation.kind == "frames":  # a blank frame stays 0
        brightest = graph.add("ReduceMax", raw, axes=[2, 3], keepdims=1)
        x = graph.add("Mul", x, graph.add("Sign", brightest))
    return Block(x, (channels, height, width))


def add_vector(graph: Graph, observation: Observation) -> str:
    """Add the input `obs` of numbers, or of integers, which become one-hots. Return the network's input."""
    inputs = observation.network_shape[0]
    if observation.kind == "vector":
        obs = graph.input("obs", FLOAT, *observation.shape)
        x = graph.add("Reshape", obs, np.array([-1, inputs]))
        return graph.add("Mul", x, np.array(observation.scale, FLOAT)) if observation.scale != 1 else x
    # Each number of the one-hots is 1 where its integer has its value.
    if observation.kind == "discrete":
        obs = graph.input("obs", np.int64)
        x = graph.add("Reshape", obs, np.array([-1, 1]))
    else:
        x = graph.input("obs", np.int64, len(observation.shape))
    starts = np.broadcast_to(observation.start, len(observation.shape))
    integers = np.repeat(np.arange(len(observation.shape)), observation.shape)
    values = np.concatenate([start + np.arange(n) for start, n in zip(starts, observation.shape, strict=True)])
    equal = graph.add("Equal", graph.add("Gather", x, integers, axis=1), values.astype(np.int64))
    return graph.add("Cast", equal, to=graph.onnx.TensorProto.FLOAT)


def add_network(graph: Graph, agent: "Agent", obs: Block) -> str:
    """Add the layers, and return the network's outputs. Blocks are found by their place on the tape, as layers do."""
    network, parameters = agent.network, agent.network.views(agent.theta)
    blocks = {-1: obs}
    for name, kind, row in zip(network.names, network.kinds, network.rows, strict=True):
        x = blocks[row[IN_AT]]
        weight, bias = parameters.get(f"{name}.weight"), parameters.get(f"{name}.bias")
        if kind == "relu":
            made = x._replace(tensor=graph.add("Relu", x.tensor))
        elif kind == "concat":
            other = blocks[row[concat.SECOND_AT]]
            made = Block(graph.add("Concat", x.tensor, other.tensor, axis=1), (x.shape[0] + other.shape[0],))
        elif kind == "normalize":
            made = add_normalization(graph, x, parameters[f"{name}.moments"])
        elif weight is None or bias is None:
            raise NotImplementedError(f"ONNX has no {kind} yet")
        elif kind == "conv":
            made = add_conv(graph, x, weight, bias, row[conv.STRIDE])
        elif kind == "lstm":
            made = add_lstm(graph, name.replace(".", "_"), flatten(graph, x), weight, bias)
        else:
            made = Block(graph.add("Gemm", flatten(graph, x), weight, bias), bias.shape)
        blocks[row[OUT_AT]] = made
    return made.tensor


def add_normalization(graph: Graph, x: Block, moments: np.ndarray) -> Block:
    """Add (x - mean) / deviation, clipped. moments: mean and deviation of each number, (2, inputs)."""
    z = graph.add("Div", graph.add("Sub", x.tensor, moments[0]), moments[1])
    return x._replace(tensor=graph.add("Clip", z, np.array(-CLIP), np.array(CLIP)))


def flatten(graph: Graph, block: Block) -> str:
    """Return a block as rows of numbers. A picture's are in the order height, width, channels."""
    if len(block.shape) == 1:
        return block.tensor
    channels_last = graph.add("Transpose", block.tensor, perm=[0, 2, 3, 1])
    return graph.add("Reshape", channels_last, np.array([-1, int(np.prod(block.shape))]))


def add_conv(graph: Graph, x: Block, weight: np.ndarray, bias: np.ndarray, stride: int) -> Block:
    """Add a convolution. weight: (kernel_size, kernel_size, channels, filters)."""
    kernel_size, filters = len(weight), bias.size
    y = graph.add("Conv", x.tensor, weight.transpose(3, 2, 0, 1), bias, strides=[stride, stride])
    height, width = ((n - kernel_size) // stride + 1 for n in x.shape[1:])
    return Block(y, (filters, height, width))


def add_lstm(graph: Graph, name: str, x: str, weight: np.ndarray, bias: np.ndarray) -> Block:
    """Add one step of an LSTM: the inputs NAME_h and NAME_c, the outputs NAME_h_next and NAME_c_next."""
    units = bias.size // 4
    h, c = (graph.input(f"{name}_{state}", FLOAT, units) for state in "hc")
    sums = graph.add("Gemm", graph.add("Concat", x, h, axis=1), weight, bias)
    parts = [f"{name}_{part}" for part in ("input", "forget", "output", "candidate")]
    graph.add("Split", sums, np.array([units] * 4), axis=1, outputs=[f"{part}_sum" for part in parts])
    i, f, o = (graph.add("Sigmoid", f"{part}_sum") for part in parts[:3])
    u = graph.add("Tanh", f"{parts[3]}_sum")
    c_next = graph.add("Add", graph.add("Mul", f, c), graph.add("Mul", i, u))
    h_next = graph.add("Mul", o, graph.add("Tanh", c_next))
    graph.output(f"{name}_h_next", h_next, FLOAT, units)
    graph.output(f"{name}_c_next", c_next, FLOAT, units)
    return Block(h_next, (units,))


def add_outputs(graph: Graph, agent: "Agent", outputs: str) -> None:
    """Add the outputs: the greedy `action`, and what the network says, with names."""
    spec, algorithm = agent.spec, agent.algorithm
    if spec.continuous:
        add_continuous_outputs(graph, agent, outputs)
        return
    scores, name, numbers = outputs, "q", sum(spec.action_heads)
    if algorithm.policy != EPSILON_GREEDY:
        scores, name = "logits_part", "logits"
        graph.add("Split", outputs, np.array([numbers, 1]), axis=1, outputs=[scores, "value_part"])
    if spec.multi_discrete:
        add_greedy_integers(graph, agent, scores)
    else:
        best = graph.add("ArgMax", scores, axis=1, keepdims=0)
        graph.output("action", graph.add("Add", best, np.array(spec.action_start)), np.int64)
    graph.output(name, scores, FLOAT, numbers)
    value = "value_part" if name == "logits" else graph.add("ReduceMax", scores, axes=[1], keepdims=0)
    graph.output("value", value, FLOAT)


def add_greedy_integers(graph: Graph, agent: "Agent", logits: str) -> None:
    """Add `action` of several integers: the most probable value of each, from the start of its space."""
    spec = agent.spec
    parts = [f"{logits}_{j}" for j in range(spec.n_actions)]
    graph.add("Split", logits, np.array(spec.action_heads), axis=1, outputs=parts)
    best = graph.add("Concat", *[graph.add("ArgMax", part, axis=1) for part in parts], axis=1)
    dtype = np.dtype(spec.action_dtype)
    action = graph.add("Add", best, np.broadcast_to(np.array(spec.action_start), spec.n_actions))
    action = graph.add("Cast", action, to=graph.helper.np_dtype_to_tensor_dtype(dtype))
    graph.output("action", action, dtype, *((spec.n_actions,) if spec.action_shape is None else spec.action_shape))


def add_continuous_outputs(graph: Graph, agent: "Agent", outputs: str) -> None:
    """Add `action`, `mean`, `std` and `value`, in the environment's own units."""
    spec = agent.spec
    shape = (spec.n_actions,) if spec.action_shape is None else spec.action_shape
    action_map, parts = spec.action_map, ["mean_part", "variance_part", "value_part"]
    graph.add("Split", outputs, np.array([spec.n_actions, 1, 1]), axis=1, outputs=parts)
    mean = graph.add("Add", graph.add("Mul", parts[0], action_map[HALF_RANGE]), action_map[CENTRE])
    variance = graph.add("Add", graph.add("Softplus", parts[1]), np.array(SMALLEST_VARIANCE))
    std = graph.add("Mul", graph.add("Sqrt", variance), action_map[HALF_RANGE])
    within = graph.add("Min", graph.add("Max", mean, action_map[LOWEST]), action_map[HIGHEST])
    dtype = np.dtype(spec.action_dtype)
    action = graph.add("Cast", within, to=graph.helper.np_dtype_to_tensor_dtype(dtype))
    graph.output("action", action, dtype, *shape)
    graph.output("mean", mean, FLOAT, *shape)
    graph.output("std", std, FLOAT, *shape)
    graph.output("value", parts[2], FLOAT)
