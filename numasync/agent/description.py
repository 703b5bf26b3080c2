"""What the JSON text of a checkpoint says of an agent, checked as the options of the command line are.

Each function here raises InputError with a sentence for a value that is not allowed. It raises KeyError or TypeError
for what no version of this program wrote.
"""

import dataclasses
import math
from typing import Any

from numasync.config import Config, rename_options, validate_option
from numasync.envs.kwargs import as_kwargs
from numasync.envs.observation import Observation
from numasync.envs.spec import FAMILIES, Bounds, EnvSpec, is_dtype_of_numbers
from numasync.errors import InputError
from numasync.nn.network import Network
from numasync.nn.spec import Layer
from numasync.runtime.checks import LARGEST, MOST, SMALLEST, as_real_number, check_choice, check_whole_number, show

# How many dimensions the shape of an observation can have, by its kind.
DIMENSIONS = {
    "vector": range(65),
    "image": (2, 3),
    "channels_first": (3, 4),
    "stack": (4,),
    "frames": (3,),
    "discrete": (1,),
    "multi_discrete": range(1, 2**16),
}

# An agent from a file can ask for this many numbers of an observation, of a tape, and for this many layers.
MOST_NUMBERS, MOST_LAYERS = 2**25, 1_000
LONGEST_ID = 500

# What a result holds where it is complete, see `make_result`: whole numbers, numbers, texts.
COUNTS, NUMBERS, TEXTS = ("seed", "workers", "steps", "episodes"), ("wall_s", "steps_per_s"), ("algorithm", "env")


def parse_config(given: dict[str, Any]) -> Config:
    """Return the Config that a checkpoint describes, also one with old names of options."""
    fields = {own.name: own for own in dataclasses.fields(Config)}
    given = {**rename_options(given), "network": parse_network(given["network"])}
    if not {"algo", "env", "network"} <= given.keys() <= fields.keys():
        raise KeyError("an option is missing or unknown")
    check_name("env", given["env"])
    return Config(**{name: validate_option(fields[name], value) for name, value in given.items()})


def parse_network(given: Any) -> Any:
    """Return the option `network` of a checkpoint: layers as Layers. Anything else is left to the option's check."""
    if not isinstance(given, list):
        return given
    if len(given) > MOST_LAYERS:
        raise InputError(f"network has {len(given)} layers; an agent from a file can have {MOST_LAYERS}.")
    for layer in given:
        if layer.keys() != {"kind", "sizes"}:
            raise KeyError("a layer has a kind and sizes")
        check_name("The kind of a layer", layer["kind"])
        check_list(f"The sizes of {layer['kind']}", layer["sizes"], 0, MOST_LAYERS)
        for size in layer["sizes"]:
            check_whole_number(f"A size of {layer['kind']}", size, 1)
    return tuple(Layer(layer["kind"], tuple(layer["sizes"])) for layer in given)


def parse_spec(given: dict[str, Any]) -> EnvSpec:
    """Return the EnvSpec that a checkpoint describes. JSON has made lists of its tuples.

    The observation has no mean: that is an array of its own. A checkpoint of an earlier version does not have all
    fields; the others then have the values that its agent was made with. So an agent whose file has no
    `normalized_actions` acts in the environment's own units.
    """
    given = {"normalized_actions": False, **given}
    if not given.keys() <= set(EnvSpec._fields):
        raise KeyError("a field is unknown")
    check_name("id", given["id"])
    check_choice(given["family"], FAMILIES, "no family")
    check_whole_number("n_actions", given["n_actions"], 1, MOST_NUMBERS)
    observation, bounds = parse_observation(given["observation"]), parse_bounds(given.get("bounds"), given["n_actions"])
    nvec = parse_nvec(given.get("nvec"), given["n_actions"])
    spec = EnvSpec(**{**given, "observation": observation, "bounds": bounds, "nvec": nvec})
    if spec.continuous and spec.multi_discrete:
        raise InputError("it has both bounds and nvec; an action is real numbers or integers.")
    if not isinstance(spec.normalized_actions, bool):
        raise InputError(f"normalized_actions is {show(spec.normalized_actions)}; it must be true or false.")
    return spec._replace(
        action_start=parse_action_start(spec),
        action_shape=parse_action_shape(spec),
        action_dtype=parse_action_dtype(spec.action_dtype),
        env_kwargs=as_kwargs(spec.env_kwargs),
    )


def parse_observation(given: dict[str, Any]) -> Observation:
    """Return the Observation that a checkpoint describes, without its mean.

    A checkpoint of an earlier version has no `normalized`: its agent was trained on the numbers as they are.
    """
    if not {"kind", "shape"} <= given.keys() <= {own.name for own in dataclasses.fields(Observation)} - {"mean"}:
        raise KeyError("a field is missing or unknown")
    kind, shape, start = given["kind"], given["shape"], given.get("start", 0)
    check_choice(kind, DIMENSIONS, "no kind of an observation")
    check_list("shape", shape, 0, MOST_NUMBERS)
    if len(shape) not in DIMENSIONS[kind]:
        raise InputError(f"shape has {len(shape)} numbers, which no observation of the kind {show(kind)} has.")
    for size in shape:
        check_whole_number("A size of shape", size, 1, MOST_NUMBERS)
    starts = start if isinstance(start, list) else [start]
    if isinstance(start, list) and (kind != "multi_discrete" or len(start) != len(shape)):
        raise InputError(f"start has {len(start)} numbers; it must be a whole number, or one for each integer.")
    for number in starts:
        check_whole_number("start", number, -MOST, MOST)
    observation = Observation(**{**given, "shape": tuple(shape), "start": tuple(starts) if start is starts else start})
    as_real_number("scale", observation.scale, SMALLEST, LARGEST)
    for name in ("flattened", "normalized"):
        if not isinstance(getattr(observation, name), bool):
            raise InputError(f"{name} is {show(getattr(observation, name))}; it must be true or false.")
    return observation


def parse_bounds(bounds: Any, n_actions: int) -> Bounds | None:
    """Return the bounds of continuous actions, or None."""
    if bounds is None:
        return None
    check_list("bounds", bounds, 2, 2)
    for numbers in bounds:
        check_list("A bound", numbers, n_actions, n_actions)
        if not all(isinstance(number, (int, float)) and not isinstance(number, bool) for number in numbers):
            raise InputError("bounds must be numbers.")
    low, high = (tuple(map(float, numbers)) for numbers in bounds)
    if not all(a <= b and a < math.inf and b > -math.inf for a, b in zip(low, high, strict=True)):
        raise InputError("bounds must be the lowest and the highest values of an action.")
    return low, high


def parse_nvec(nvec: Any, n_actions: int) -> tuple[int, ...] | None:
    """Return how many values each integer of an action has, or None."""
    if nvec is None:
        return None
    check_list("nvec", nvec, n_actions, n_actions)
    for values in nvec:
        check_whole_number("A number of nvec", values, 1, MOST_NUMBERS)
    return tuple(nvec)


def parse_action_start(spec: EnvSpec) -> int | tuple[int, ...]:
    """Return the lowest integer, or of several integers the lowest of each. The spec still has a list for it."""
    start: Any = spec.action_start
    most = 0 if spec.continuous else MOST
    if not (spec.multi_discrete and isinstance(start, list)):
        check_whole_number("action_start", start, -most, most)
        return start
    check_list("action_start", start, spec.n_actions, spec.n_actions)
    for number in start:
        check_whole_number("action_start", number, -most, most)
    return tuple(start)


def parse_action_shape(spec: EnvSpec) -> tuple[int, ...] | None:
    """Return the shape of an action that is an array. The spec still has a list for it, or None."""
    shape: Any = spec.action_shape
    if shape is None:
        return None
    check_list("action_shape", shape, 0, 64)
    for size in shape:
        check_whole_number("A size of action_shape", size, 1, MOST_NUMBERS)
    if not (spec.continuous or spec.multi_discrete) or math.prod(shape) != spec.n_actions:
        raise InputError(f"action_shape is {tuple(shape)}; the numbers of an action do not fit it.")
    return tuple(shape)


def parse_action_dtype(name: Any) -> str:
    """Return the name of the dtype of an action that is an array."""
    if not is_dtype_of_numbers(name):
        raise InputError(f"action_dtype is {show(name)}; it must be the name of a dtype of numbers, such as 'float32'.")
    return name


def parse_result(result: Any) -> dict[str, Any] | None:
    """Return the result of a run, as in result.json, or None."""
    if result is None:
        return None
    if not isinstance(result, dict) or not {"steps", "evaluation"} <= result.keys():
        raise InputError("result must be null, or have steps and an evaluation, as in result.json.")
    for name, value in result.items():
        if name in COUNTS:
            check_whole_number(name, value, 0)
        elif name in NUMBERS:
            as_real_number(name, value, 0.0, LARGEST)
        elif name in TEXTS:
            check_name(name, value)
        elif name == "interrupted" and not isinstance(value, bool):
            raise InputError(f"interrupted is {show(value)}; it must be true or false.")
        elif name == "stopped_by" and value is not None:
            check_name(name, value)
        elif name in ("training", "evaluation") and value is not None:
            check_scores(name, value)
    return result


def check_scores(name: str, scores: Any) -> None:
    """Raise InputError unless `scores` are as `summarize` returns them."""
    if not isinstance(scores, dict) or not {"episodes", "mean", "std", "min", "max"} <= scores.keys():
        raise InputError(f"{name} must be null, or have episodes, mean, std, min and max.")
    for field, value in scores.items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not math.isfinite(value):
            raise InputError(f"The {field} of {name} is {show(value)}; it must be a finite number.")


def check_sizes(network: Network) -> None:
    """Raise InputError where an agent from a file needs more memory than an agent of this program."""
    for what, size in (("an observation", network.n_inputs), ("the outputs of the layers", network.width)):
        if size > MOST_NUMBERS:
            raise InputError(f"{what} has {size} numbers; an agent from a file can have {MOST_NUMBERS}.")


def check_name(name: str, text: Any) -> None:
    """Raise InputError unless `text` is a printable text of one line."""
    if not isinstance(text, str) or not 0 < len(text) <= LONGEST_ID or not text.isprintable():
        raise InputError(f"{name} is {show(text)}; it must be a printable text of at most {LONGEST_ID} characters.")


def check_list(name: str, numbers: Any, least: int, most: int) -> None:
    """Raise InputError unless `numbers` is a list with `least` to `most` elements."""
    if not isinstance(numbers, list) or not least <= len(numbers) <= most:
        raise InputError(f"{name} is {show(numbers)}; it must be a list of {least} to {most} numbers.")
