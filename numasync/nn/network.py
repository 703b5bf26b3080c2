"""The builder: from a tuple of layers to a layer table, and what follows from it."""

import math
from typing import Any

import numpy as np

from numasync.errors import InputError
from numasync.nn.layers import KINDS
from numasync.nn.spec import Layer, as_layers
from numasync.nn.table import (
    BACKWARD,
    BIAS_AT,
    COLUMNS,
    FORWARD,
    IN_AT,
    IN_SIZE,
    INPUT_IS_RELU,
    KEPT_AT,
    KEPT_SIZE,
    NEEDS_DX,
    OUT_AT,
    OUT_SIZE,
    OWN,
    STATE_AT,
    STATE_SIZE,
    WEIGHT_AT,
    WEIGHT_COLUMNS,
    WEIGHT_ROWS,
)
from numasync.runtime.checks import as_switch, as_whole_number, check_array, check_choice, show
from numasync.runtime.compilers import Job
from numasync.runtime.jit import COMPILING, FLOAT, int64
from numasync.runtime.memory import aligned_zeros
from numasync.runtime.pointers import address_of, pointer_to

FLOAT_DTYPE = np.dtype(FLOAT)

# Arguments of a layer's forward and backward: pointers to real numbers, a pointer to the row of the table, integers.
FORWARD_ARGUMENTS, BACKWARD_ARGUMENTS = (3, 3), (6, 2)

# A network may have this many inputs, parameters and numbers of a step: 1 GiB of float32 each.
MOST_NUMBERS = 2**28


class Network:
    """The layer table, and what follows from it.

    input_shape: of one observation.
    layers: the Layers that it was made of. normalize: whether a row before them normalises the observation.
    names: of the rows of the table, such as "conv1" or "tower2.dense1". kinds: their names in the registry.
    n_parameters: length of theta.
    n_inputs, n_outputs: numbers of an observation and of the outputs.
    width: numbers of the tape a step.
    n_work: numbers that `backward` needs to work with.
    """

    def __init__(self, input_shape: tuple[int, ...], layers: tuple[Layer, ...], normalize: bool = False) -> None:
        self.input_shape = parse_input_shape(input_shape)
        self.layers = as_layers("layers", layers)
        self.normalize = as_switch("normalize", normalize)
        self.names: list[str] = []
        self.kinds: list[str] = []
        self.rows: list[list[int]] = []
        self._weight_shapes: list[tuple[int, ...]] = []
        self._tables: dict[np.dtype[Any], np.ndarray] = {}
        self.n_inputs = math.prod(self.input_shape)
        self.n_parameters = self.width = self.n_work = 0
        if self.normalize:
            self._add_row(Layer("normalize"), "", self.input_shape, -1, "")
        if len(self.layers) == 1 and self.layers[0].kind == "towers":
            self._add_towers(*self.layers[0].sizes)
        else:
            self._add_stack(self.layers)
        self.n_outputs = self.rows[-1][OUT_SIZE]
        check_numbers("inputs", self.n_inputs)
        check_numbers("parameters", self.n_parameters)
        check_numbers("numbers of a step", self.width)

    def __reduce__(self) -> tuple[Any, ...]:
        # The addresses in a table are valid in one process only.
        return Network, (self.input_shape, self.layers, self.normalize)

    @property
    def table(self) -> np.ndarray:
        """The layer table for float32, int64 (layers, COLUMNS). The first call compiles the layers."""
        table = self._tables.get(FLOAT_DTYPE)  # `Agent.predict` needs it in a fraction of a microsecond
        return self.table_for(FLOAT_DTYPE) if table is None else table

    def table_for(self, dtype: Any) -> np.ndarray:
        """Return the layer table whose kernels take parameters and activations of this dtype, float32 or float64."""
        dtype = parse_dtype(dtype)
        if dtype not in self._tables:
            with COMPILING:
                self._tables.setdefault(dtype, self._make_table(dtype))
        return self._tables[dtype]

    def jobs(self, dtype: Any = FLOAT_DTYPE) -> list[Job]:
        """Return what the layers must be compiled for: forward and backward of each kind, for float32 or float64."""
        number, row = pointer_to(parse_dtype(dtype)), pointer_to(np.int64)
        kinds = [KINDS[name] for name in dict.fromkeys(self.kinds)]
        jobs = []
        for kernels, (numbers, integers) in (
            ([kind.forward for kind in kinds], FORWARD_ARGUMENTS),
            ([kind.backward for kind in kinds], BACKWARD_ARGUMENTS),
        ):
            jobs += [Job(kernel, (*[number] * numbers, row, *[int64] * integers)) for kernel in dict.fromkeys(kernels)]
        return jobs

    def _make_table(self, dtype: np.dtype[Any]) -> np.ndarray:
        """Compile the layers for this dtype, and return the table with their addresses."""
        table = np.array(self.rows, np.int64)
        addresses = {job.kernel: address_of(job.kernel, *job.signature) for job in self.jobs(dtype)}
        for row, name in zip(table, self.kinds, strict=True):
            row[FORWARD], row[BACKWARD] = addresses[KINDS[name].forward], addresses[KINDS[name].backward]
        return table

    def _add_stack(self, layers: tuple[Layer, ...], prefix: str = "") -> None:
        """Add the rows of `layers`. The first layer reads the observation, or the normalised observation."""
        shape, read_at, below = self.input_shape, self.rows[0][OUT_AT] if self.normalize else -1, ""
        for layer in layers:
            check_layer(layer)
            shape = self._add_row(layer, prefix, shape, read_at, below)
            read_at, below = self.rows[-1][OUT_AT], layer.kind

    def _add_towers(self, first: tuple[Layer, ...], second: tuple[Layer, ...]) -> None:
        """Add the rows of both towers, and a row that concatenates their outputs."""
        self._add_stack(first, "tower1.")
        first_row = self.rows[-1]
        self._add_stack(second, "tower2.")
        concat = Layer("concat", (self.rows[-1][OUT_SIZE], self.rows[-1][OUT_AT]))
        self._add_row(concat, "", (first_row[OUT_SIZE],), first_row[OUT_AT], "")

    def _add_row(
        self, layer: Layer, prefix: str, in_shape: tuple[int, ...], read_at: int, below: str
    ) -> tuple[int, ...]:
        """Add a layer's row of the table and return the shape of its output.

        prefix: of its name.
        in_shape: of its input.
        read_at: where its input lies on the tape; -1 if it reads the observation.
        below: the kind of the layer that it reads; "" if it reads the observation.
        """
        plan = KINDS[layer.kind].plan(layer.sizes, in_shape)
        if plan.in_place and not below:
            raise InputError(f"{layer.kind}() cannot be the first layer; put it after conv() or dense().")
        row = [0] * COLUMNS
        row[IN_AT], row[IN_SIZE], row[INPUT_IS_RELU] = read_at, math.prod(in_shape), int(below == "relu")
        row[OUT_AT], row[OUT_SIZE], row[NEEDS_DX] = read_at, math.prod(plan.out_shape), int(below != "")
        if not plan.in_place:
            row[OUT_AT] = self._new_block(row[OUT_SIZE])
        row[KEPT_AT], row[KEPT_SIZE] = self._new_block(plan.kept_size), plan.kept_size
        row[STATE_AT], row[STATE_SIZE] = self._new_block(plan.state_size), plan.state_size
        if plan.weight_shape:
            fan_in, units = math.prod(plan.weight_shape[:-1]), plan.weight_shape[-1]
            row[WEIGHT_AT], row[WEIGHT_ROWS], row[WEIGHT_COLUMNS] = self.n_parameters, fan_in, units
            row[BIAS_AT] = self.n_parameters + fan_in * units
            self.n_parameters = row[BIAS_AT] + units
        row[OWN : OWN + len(plan.own)] = plan.own
        if row[NEEDS_DX]:
            self.n_work = max(self.n_work, plan.work_size)
        self.names.append(self._new_name(prefix, layer.kind, numbered=bool(plan.weight_shape)))
        self.kinds.append(layer.kind)
        self.rows.append(row)
        self._weight_shapes.append(plan.weight_shape)
        return plan.out_shape

    def _new_name(self, prefix: str, kind: str, numbered: bool) -> str:
        """Return a name such as "tower1.dense2". There is one layer of heads and one that normalises: no number."""
        number = sum(name.startswith(f"{prefix}{kind}") for name in self.names) + 1
        return f"{prefix}{kind}{number if numbered and kind not in ('heads', 'normalize') else ''}"

    def _new_block(self, size: int) -> int:
        """Return the place on the tape of one more block of `size` columns."""
        self.width += size
        return self.width - size

    def tape(self, capacity: int, dtype: Any = FLOAT) -> np.ndarray:
        """Make a tape for `capacity` steps, of zeros: no hidden state remembers anything.

        Raises InputError where there is no memory for it.
        """
        rows = as_whole_number("capacity", capacity, 1) + 1
        dtype = parse_dtype(dtype)
        try:
            return aligned_zeros((rows * self.width,), dtype)
        except (MemoryError, OSError, OverflowError, ValueError) as error:  # NumPy and mmap refuse in their own ways
            raise InputError(f"A tape for {capacity} steps needs more memory than there is.") from error

    def views(self, theta: np.ndarray) -> dict[str, np.ndarray]:
        """Return named views into a flat vector, for reading or for setting by hand.

        'conv1.weight' is (kernel, kernel, channels, filters), 'dense1.weight' (inputs, units), '*.bias' (units,).
        'lstm1.weight' is (inputs + units, 4 units), columns in the order input, forget and output gate, candidate.
        In towers the names begin with the tower: 'tower1.dense1.weight'. 'normalize.moments' is (2, inputs), the mean
        and the deviation of each number, and 'normalize.counts' (inputs,) the observations that they were measured on.
        Raises InputError unless theta is an array of real numbers, (n_parameters,).
        """
        check_array("theta", theta, (self.n_parameters,))
        named = {}
        for name, kind, row, shape in zip(self.names, self.kinds, self.rows, self._weight_shapes, strict=True):
            if shape:
                weight, bias = KINDS[kind].parts
                end = row[BIAS_AT] + row[WEIGHT_COLUMNS]
                named[f"{name}.{weight}"] = theta[row[WEIGHT_AT] : row[BIAS_AT]].reshape(shape)
                named[f"{name}.{bias}"] = theta[row[BIAS_AT] : end]
        return named

    def initial(self, seed: int | np.random.SeedSequence) -> np.ndarray:
        """Draw a fresh theta, float32 (n_parameters,).

        Weights and biases of a layer come from U(-1/sqrt(fan_in), 1/sqrt(fan_in)), as Torch 7 did for the paper. The
        forget gate of an LSTM has the bias 1. Where observations are normalised, their mean is 0 and their deviation 1.
        Raises InputError where the seed is neither a whole number from 0 on nor a SeedSequence.
        """
        if not isinstance(seed, np.random.SeedSequence):
            seed = as_whole_number("seed", seed, 0)
        generator = np.random.default_rng(seed)
        theta = np.empty(self.n_parameters, FLOAT)
        for row, kind in zip(self.rows, self.kinds, strict=True):
            if row[WEIGHT_ROWS] > 0:
                bound = 1.0 / np.sqrt(row[WEIGHT_ROWS])
                end = row[BIAS_AT] + row[WEIGHT_COLUMNS]
                theta[row[WEIGHT_AT] : end] = generator.uniform(-bound, bound, end - row[WEIGHT_AT])
                KINDS[kind].initialize(theta[row[WEIGHT_AT] : row[BIAS_AT]], theta[row[BIAS_AT] : end])
        return theta


def outputs_on(tape: np.ndarray, network: Network, capacity: int) -> np.ndarray:
    """Return the network's outputs on a tape: a view (capacity, n_outputs). capacity: the steps that it was filled for.

    In kernels it is `outputs_of`, see `passes.py`.
    """
    start = (capacity + 1) * network.rows[-1][OUT_AT]
    return tape[start : start + capacity * network.n_outputs].reshape(capacity, network.n_outputs)


def hidden_states(network: Network, tape: np.ndarray, capacity: int) -> list[np.ndarray]:
    """Return views of the hidden states before step 0 on a tape: one (units,) for each layer that has a state.

    capacity: the steps that the tape was made for.
    """
    starts = [(capacity + 1) * row[STATE_AT] for row in network.rows]
    return [tape[at : at + row[STATE_SIZE]] for at, row in zip(starts, network.rows) if row[STATE_SIZE]]


def parse_input_shape(shape: Any) -> tuple[int, ...]:
    """Return an input shape as a tuple of ints. Raises InputError if it is not one."""
    listed = isinstance(shape, (tuple, list)) or (isinstance(shape, np.ndarray) and shape.ndim == 1)
    if not listed or not len(shape):
        raise InputError(
            f"input_shape is {show(shape)}; it must be (n,) or (height, width, channels), whole numbers above 0."
        )
    return tuple(as_whole_number("A size of input_shape", size, 1) for size in shape)


def parse_dtype(dtype: Any) -> np.dtype:
    """Return a dtype that kernels compute in, float32 or float64. Raises InputError for another one."""
    for known in (np.float32, np.float64):
        if dtype is known or (isinstance(dtype, (str, np.dtype)) and str(dtype) == known.__name__):
            return np.dtype(known)
    raise InputError(f"dtype is {show(dtype)}; it must be float32 or float64.")


def check_numbers(what: str, number: int) -> None:
    """Raise InputError unless the memory of a machine can hold a network with this number of something."""
    if number > MOST_NUMBERS:
        raise InputError(f"The network has {number} {what}; it can have {MOST_NUMBERS} at most.")


def check_layer(layer: Layer) -> None:
    """Raise InputError unless there is such a layer for users, with as many sizes, each above 0."""
    if layer.kind == "towers":
        raise InputError("towers() are a whole network; no layer can stand before or behind them.")
    users_kinds = [name for name in KINDS if name not in ("concat", "normalize")]  # only the builder adds these
    check_choice(layer.kind, users_kinds, "no layer")
    n_sizes = KINDS[layer.kind].n_sizes
    right_number = len(layer.sizes) >= 1 if n_sizes is None else len(layer.sizes) == n_sizes
    if not right_number:
        needed = "one or more" if n_sizes is None else n_sizes
        raise InputError(f"{layer.kind}{show(layer.sizes)} has {len(layer.sizes)} sizes; it needs {needed}.")
    if any(size < 1 for size in layer.sizes):
        raise InputError(f"{layer.kind}{show(layer.sizes)} has a size below 1.")


def network(input_shape: tuple[int, ...], *layers: Layer, normalize: bool = False) -> Network:
    """Make a network on observations of one shape.

    input_shape: (height, width, channels), or (n,). layers: from the inputs to the outputs, see `spec.py`.
    normalize: whether the first layer gets the observation by its mean and deviation, see `layers/normalize.py`.
    Raises InputError where the layers do not fit the shape, or the network is too large for the memory of a machine.
    """
    return Network(input_shape, layers, normalize)
