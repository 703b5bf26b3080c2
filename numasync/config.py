"""The options of a run: their defaults, presets, help texts and checks, in one frozen dataclass."""

import dataclasses
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

from numasync.agent.other_names import OTHER_NAMES, OTHER_OPTIONS
from numasync.algorithms import ALGORITHMS
from numasync.envs import CHANNELS
from numasync.envs.kwargs import as_kwargs
from numasync.errors import InputError
from numasync.learner.optim import OPTIMIZERS
from numasync.nn.architectures import ARCHITECTURES
from numasync.nn.spec import Layer
from numasync.runtime.checks import (
    LARGEST,
    MOST,
    SMALLEST,
    as_real_number,
    as_switch,
    as_whole_number,
    check_choice,
    check_text,
    show,
)
from numasync.runtime.hints import check_keywords


def option(default: Any, text: str, low: float | None = None, high: float | None = None, choices: Any = None) -> Any:
    """Return a dataclass field for one option.

    default  the paper's value
    text     the help text
    low      the least value that is allowed, of a number
    high     the greatest value that is allowed, of a number; by default the greatest that kernels can hold
    choices  the values to choose from, a tuple of names; None for any value
    """
    if high is None:
        high = LARGEST if isinstance(default, float) else MOST
    return field(default=default, metadata={"help": text, "low": low, "high": high, "choices": choices})


@dataclass(frozen=True)
class Config:
    """The options of a run. The defaults are the paper's. PRESETS lists what each family of environments changes.

    A step is one action of one worker, on Atari 4 frames. A number of steps counts the steps of all workers, unless its
    text says otherwise.

    Raises InputError for a value that is not allowed.
    """

    algo: str = option("nstep_q", "algorithm", choices=tuple(ALGORITHMS))
    env: str = option(
        "CartPole-v1",
        "environment id; 'gymnasium:ID' asks for Gymnasium's version of a jitted environment, 'module:name' for what a "
        "function or a class makes",
    )
    env_kwargs: dict[str, Any] | None = option(
        None, "keywords for the environment, such as mode=1; jitted environments take none"
    )
    preset: str = option(
        "default",
        "where defaults come from: 'default' (tuned per environment family) or 'paper'",
        choices=("default", "paper"),
    )
    steps: int = option(80_000_000, "steps to train for, over all workers (T_max)", 1)
    workers: int = option(16, "number of actor-learners; they share one thread per core", 1, 1024)
    seed: int = option(1, "seed of the initial parameters, the exploration and the environments", 0)
    lr: float = option(7e-4, "initial learning rate; it falls linearly to 0 over the run (eta)", SMALLEST)
    gamma: float = option(0.99, "discount per step (gamma)", 0.0, 1.0)
    t_max: int = option(5, "steps of a worker between updates (t_max; I_AsyncUpdate of one-step methods)", 1, 10_000)
    optimizer: str = option("shared_rmsprop", "optimiser of the shared parameters", choices=tuple(OPTIMIZERS))
    rms_decay: float = option(0.99, "decay of RMSProp's g, or of the momentum (alpha)", 0.0, 0.999999)
    rms_eps: float = option(0.1, "constant inside RMSProp's root (epsilon of RMSProp)", SMALLEST)
    clip_norm: float = option(40.0, "largest L2 norm of an update's gradient; 0 for no limit", 0.0)
    reward_clip: float = option(1.0, "clip rewards to [-c, c] for learning, never in scores; 0 for no clip", 0.0)
    beta: float = option(0.01, "weight of the entropy bonus of a3c (beta)", 0.0)
    target_interval: int = option(10_000, "steps between copies to the target network (I_target)", 1)
    epsilon_steps: int = option(1_000_000, "steps over which epsilon falls from 1 to each worker's final value", 1)
    network: str | tuple[Layer, ...] = option(
        "nips", "hidden layers by name; in Python also a tuple of layers", choices=tuple(ARCHITECTURES)
    )
    separate_value: bool = option(False, "use two networks that share nothing for policy and value (a3c)")
    flatten: bool = option(False, "turn a Dict or Tuple observation into one vector (Gymnasium's FlattenObservation)")
    channels: str = option(
        "auto", "which axis of an image holds its channels, by default by its shape", choices=CHANNELS
    )
    normalize: bool = option(False, "normalise screens by 1,000 random frames, vectors by a running mean and deviation")
    terminal_on_life_loss: bool = option(False, "treat a lost life as terminal while learning (Atari)")
    deterministic: bool = option(False, "run all workers in turn on one thread: repeatable bit for bit, but slower")
    checkpoint_every: int = option(1_000_000, "steps between checkpoints, which are a second apart at least", 1)
    checkpoint_minutes: float = option(0.0, "most minutes between checkpoints; 0 for no limit", 0.0)
    keep_checkpoints: int = option(0, "keep the agents of this many checkpoints, each with its steps in its name", 0)
    final_eval_episodes: int = option(100, "episodes of the final evaluation, after training", 1)
    eval_every: int = option(0, "steps between periodic evaluations during training; 0 for none", 0)
    periodic_eval_episodes: int = option(10, "episodes of each periodic evaluation", 1)
    eval_epsilon: float = option(0.05, "epsilon in evaluations (Q methods)", 0.0, 1.0)
    eval_greedy: bool = option(False, "take the most probable action in evaluations instead of sampling (a3c)")
    stop_at: float | None = option(
        None,
        "stop at this mean of a periodic evaluation, or without them of 100 training episodes",
        -LARGEST,
        LARGEST,
    )
    patience: int = option(0, "stop after this many periodic evaluations without a new best one; 0 for never", 0)
    max_minutes: float = option(0.0, "stop after this many minutes of training, at every start; 0 for no limit", 0.0)
    tensorboard: bool = option(False, "write curves for TensorBoard into the folder of the run")
    ray: str | None = option(
        None, "Ray cluster to train on: HOST:PORT of its head, 'auto', or 'local' for this machine alone"
    )
    nodes: int = option(1, "machines of the cluster that train together, each with its own workers", 1, 1024)
    sync_steps: int = option(500, "steps of a machine between two exchanges of theta with the others", 1)
    delta_weight: float | None = option(
        None,
        "weight of what a machine adds; by default 2 / nodes, and 1 for one node",
        SMALLEST,
        1.0,
    )
    shards: int = option(1, "processes of the cluster that hold the parameters, a part each", 1, 64)

    def __post_init__(self) -> None:
        """Check every option, and keep it as a Python value."""
        for own in dataclasses.fields(self):
            object.__setattr__(self, own.name, validate_option(own, getattr(self, own.name)))
        if self.patience and not self.eval_every:
            given = f"patience is {self.patience}"
            raise InputError(f"{given}, and there are no periodic evaluations; give eval_every (--eval-every) too.")
        if self.ray is None and (self.nodes, self.shards) != (1, 1):
            raise InputError("Several nodes or shards need a Ray cluster; give ray (--ray), such as ray='local'.")
        if self.ray is not None and self.deterministic:
            raise InputError("A run on a Ray cluster does not repeat; leave out deterministic or ray.")


class TrainOptions(TypedDict, total=False):
    """The options that `train` takes after env and algo, for editors and type checkers: fields of Config."""

    env_kwargs: dict[str, Any] | None
    preset: str
    steps: int
    workers: int
    seed: int
    lr: float
    gamma: float
    t_max: int
    optimizer: str
    rms_decay: float
    rms_eps: float
    clip_norm: float
    reward_clip: float
    beta: float
    target_interval: int
    epsilon_steps: int
    network: str | tuple[Layer, ...]
    separate_value: bool
    flatten: bool
    channels: str
    normalize: bool
    terminal_on_life_loss: bool
    deterministic: bool
    checkpoint_every: int
    checkpoint_minutes: float
    keep_checkpoints: int
    final_eval_episodes: int
    eval_every: int
    periodic_eval_episodes: int
    eval_epsilon: float
    eval_greedy: bool
    stop_at: float | None
    patience: int
    max_minutes: float
    tensorboard: bool
    ray: str | None
    nodes: int
    sync_steps: int
    delta_weight: float | None
    shards: int


class Options(TrainOptions, total=False):
    """All options of a run, for editors and type checkers: the fields of Config. `train(**options)` takes them."""

    algo: str
    env: str


# Old names of options, which are still accepted, and their new names.
RENAMED = {
    "decay": "rms_decay",
    "life_loss": "terminal_on_life_loss",
    "eval_episodes": "final_eval_episodes",
    "sideline_episodes": "periodic_eval_episodes",
}

SMALL = dict(workers=8, reward_clip=0.0, checkpoint_every=250_000, eval_epsilon=0.0, eval_greedy=True)
ATARI_Q = dict(workers=16, target_interval=5_000, epsilon_steps=400_000)
ATARI_ONE_STEP = dict(ATARI_Q, lr=5e-4, rms_eps=0.01, target_interval=2_500)

# What each family of environments changes, and within a family each algorithm. These values were chosen on other seeds
# than the seeds of the reported results.
PRESETS: dict[str | tuple[str, str], dict[str, Any]] = {
    "classic": dict(SMALL, network="mlp", steps=1_000_000, epsilon_steps=100_000, target_interval=1_000, lr=1e-3),
    "image": dict(SMALL, network="minatar", steps=500_000, epsilon_steps=50_000, target_interval=1_000, lr=1e-3),
    "minatar": dict(SMALL, network="minatar", steps=5_000_000, epsilon_steps=500_000, lr=3e-3, rms_eps=0.01, t_max=20),
    "continuous": dict(
        SMALL,
        network="mlp",
        steps=3_000_000,
        lr=1e-3,
        rms_eps=1e-5,
        gamma=0.9,
        t_max=20,
        beta=0.1,
        clip_norm=0.0,
        separate_value=True,
    ),
    "atari": dict(workers=8, steps=5_000_000, normalize=True, t_max=20, lr=3e-4, rms_eps=1e-5, eval_every=250_000),
    ("classic", "one_step_q"): dict(lr=3e-3, rms_eps=1e-5, clip_norm=10.0),
    ("classic", "one_step_sarsa"): dict(t_max=20, rms_eps=1e-3),
    ("classic", "a3c"): dict(t_max=20),
    ("atari", "one_step_q"): ATARI_ONE_STEP,
    ("atari", "one_step_sarsa"): ATARI_ONE_STEP,
    ("atari", "nstep_q"): ATARI_Q,
}


# What preset='paper' changes besides the network: for MuJoCo, section 9 gives other numbers than for Atari.
PAPER: dict[str, dict[str, Any]] = {"continuous": dict(beta=1e-4, reward_clip=0.0, separate_value=True)}


def make_config(family: str, **given: Any) -> Config:
    """Return the Config of a run on an environment of `family`, one of `envs.spec.FAMILIES`.

    An option that is not given comes from the preset of the algorithm in this family, else from the preset of the
    family, else from the defaults of Config. With preset='paper' only the network comes from the family, and PAPER
    replaces the other presets. Raises InputError for a name that is no option, for a value that is not allowed, and for
    a network with an output layer.
    """
    given = validate_options(given)
    check_hidden_layers(given.get("network"))
    algo = given.get("algo", Config.algo)
    preset: dict[str, Any] = {**PRESETS[family], **PRESETS.get((family, algo), {})}
    if given.get("preset") == "paper":
        preset = {"network": preset.get("network", Config.network), **PAPER.get(family, {})}
    return Config(**{**preset, **given})


def check_hidden_layers(network: Any) -> None:
    """Raise InputError where the option `network` of a new agent has an output layer, because one is added.

    An agent from a file keeps what an earlier version has made of it.
    """
    for layer in () if isinstance(network, str) or network is None else network:
        if layer.kind == "heads":
            found = f"network has heads({', '.join(map(str, layer.sizes))})"
            raise InputError(
                f"{found}; give the hidden layers alone, because the heads that the algorithm needs are added."
            )
        if layer.kind == "towers":
            raise InputError(
                "network has towers(...); give the hidden layers of one tower, because separate_value=True makes two."
            )


def validate_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Check options by name and return them, with NumPy's numbers turned into Python's and old names into new ones.

    Raises InputError for a name that is no option and for a value that is not allowed. Warns of an old name.
    """
    fields = {f.name: f for f in dataclasses.fields(Config)}
    check_keywords([name for name in given if name not in RENAMED], fields, "no option of a run", OTHER_OPTIONS)
    options = {}
    for given_name, value in given.items():
        name = RENAMED.get(given_name, given_name)
        if name != given_name:
            if name in given:
                raise InputError(f"{given_name} is the old name of {name}; give {name} alone.")
            text = f"The option {given_name} is now called {name}; the next release no longer accepts the old name."
            warnings.warn(text, FutureWarning, stacklevel=2)
        options[name] = validate_option(fields[name], value)
    return options


def validate_option(option_field: dataclasses.Field, value: Any) -> Any:
    """Check the value of one option, a field of Config, and return it as a Python value. Raises InputError."""
    name, low, high, choices = option_field.name, *(option_field.metadata[key] for key in ("low", "high", "choices"))
    if name == "network" and not isinstance(value, str):
        if not isinstance(value, (list, tuple)) or not all(isinstance(layer, Layer) for layer in value):
            raise InputError(
                f"network is {show(value)}; it must be a name or a tuple of layers such as (dense(64), relu())."
            )
        return tuple(value)
    if name == "env_kwargs":
        return as_kwargs(value)
    if option_field.type == float | None:
        return None if value is None else as_real_number(name, value, low, high)
    if option_field.type == str | None and value is None:
        return None
    if option_field.type is int:
        return as_whole_number(name, value, low, high)
    if option_field.type is float:
        return as_real_number(name, value, low, high)
    if option_field.type is bool:
        return as_switch(name, value)
    if choices:
        check_choice(value, choices, f"no {name}", OTHER_NAMES.get(name))
    check_text(name, value)
    return str(value)


def rename_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options that an earlier version wrote to a file, old names replaced by new ones."""
    return {RENAMED.get(name, name): value for name, value in options.items()}
