"""Every default of a run on one screen: one frozen dataclass that is config, help text and record at once."""

import dataclasses
from dataclasses import dataclass, field

import numpy as np

from numasync.algorithms import ALGORITHMS
from numasync.errors import InputError
from numasync.learner.optim import OPTIMIZERS
from numasync.nn.network import ARCHITECTURES, Layer
from numasync.runtime.checks import LARGEST, MOST, SMALLEST, check_real_number, check_whole_number


def option(default, text, low=None, high=None, choices=None):
    """A field with its help text, and the least and greatest value that it may have, or the values to choose from."""
    if high is None:
        high = LARGEST if isinstance(default, float) else MOST
    return field(default=default, metadata={"help": text, "low": low, "high": high, "choices": choices})


@dataclass(frozen=True)
class Config:
    """The options of a run. The defaults are the paper's; PRESETS says what each family of environments changes, unless
    preset is 'paper'.

    An action is one decision of one worker, on Atari 4 frames. Counts are over all workers unless said otherwise.
    """

    algo: str = option("nstep_q", "algorithm", choices=tuple(ALGORITHMS))
    env: str = option("CartPole-v1", "environment id; 'gymnasium:ID' asks for Gymnasium's where a jitted twin exists")
    preset: str = option(
        "default",
        "what is not given: tuned for the family of environments, or the paper's",
        choices=("default", "paper"),
    )
    steps: int = option(80_000_000, "actions to train for (T_max)", 1)
    workers: int = option(16, "actor-learners, on a thread a core", 1, 1024)
    seed: int = option(1, "seed of initial parameters, exploration and environments", 0)
    lr: float = option(7e-4, "initial learning rate, annealed linearly to 0 over the run (eta)", SMALLEST)
    gamma: float = option(0.99, "discount per action (gamma)", 0.0, 1.0)
    t_max: int = option(5, "actions of a worker between updates (t_max; I_AsyncUpdate of one-step methods)", 1, 10_000)
    optimizer: str = option("shared_rmsprop", "optimiser", choices=tuple(OPTIMIZERS))
    rms_decay: float = option(0.99, "decay of RMSProp's g, or of the momentum (alpha)", 0.0, 0.999999)
    rms_eps: float = option(0.1, "constant inside RMSProp's root (epsilon of RMSProp)", SMALLEST)
    clip_norm: float = option(40.0, "largest L2 norm of an update's gradient; 0 for no limit", 0.0)
    reward_clip: float = option(1.0, "rewards are clipped to [-c, c] for learning, never in scores; 0 for no clip", 0.0)
    beta: float = option(0.01, "weight of the entropy bonus of a3c (beta)", 0.0)
    target_interval: int = option(10_000, "actions between copies to the target network (I_target)", 1)
    epsilon_steps: int = option(1_000_000, "actions over which epsilon falls from 1 to each worker's final value", 1)
    network: str | tuple = option(
        "nips", "hidden layers by name; in Python also a tuple of layers", choices=tuple(ARCHITECTURES)
    )
    separate_value: bool = option(False, "policy and value (a3c) in networks of their own that share nothing")
    flatten: bool = option(False, "make one row of numbers of a Dict or Tuple observation (Gymnasium's own wrapper)")
    normalize: bool = option(False, "centre and scale screens by the mean and deviation of 1,000 random frames")
    terminal_on_life_loss: bool = option(False, "treat a lost life as terminal while learning (Atari)")
    deterministic: bool = option(False, "give workers their turns from one thread: repeatable bit for bit, slower")
    checkpoint_every: int = option(1_000_000, "actions between checkpoints", 1)
    final_eval_episodes: int = option(100, "episodes of the evaluation at the end", 1)
    eval_every: int = option(0, "actions between evaluations beside the training; 0 for none", 0)
    periodic_eval_episodes: int = option(10, "episodes of an evaluation beside the training", 1)
    eval_epsilon: float = option(0.05, "epsilon in evaluation (Q methods)", 0.0, 1.0)
    eval_greedy: bool = option(False, "take the most probable action in evaluation instead of sampling (a3c)")


SMALL = dict(workers=8, reward_clip=0.0, checkpoint_every=250_000, eval_epsilon=0.0, eval_greedy=True)
ATARI_Q = dict(workers=16, target_interval=5_000, epsilon_steps=400_000)
ATARI_ONE_STEP = dict(ATARI_Q, lr=5e-4, rms_eps=0.01, target_interval=2_500)

# What each family of environments changes, and each algorithm within it. Chosen on other seeds than those reported.
PRESETS = {
    "classic": dict(SMALL, network="mlp", steps=1_000_000, epsilon_steps=100_000, target_interval=1_000, lr=1e-3),
    "image": dict(SMALL, network="minatar", steps=500_000, epsilon_steps=50_000, target_interval=1_000, lr=1e-3),
    "minatar": dict(SMALL, network="minatar", steps=5_000_000, epsilon_steps=500_000, lr=3e-3, rms_eps=0.01, t_max=20),
    "continuous": dict(
        SMALL,
        network="mlp",
        steps=3_000_000,
        lr=3e-3,
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


# Where the paper's numbers are others than those for Atari: for MuJoCo, section 9.
PAPER = {"continuous": dict(beta=1e-4, reward_clip=0.0, separate_value=True)}


def make_config(family, **given):
    """The Config of a run on an environment of `family`, one of `interface.FAMILIES`: what is given, then the family's and
    the algorithm's presets, then the defaults, which are the paper's for Atari. With preset='paper' the network is the
    family's, and PAPER says what else is. Raises InputError, one sentence, for an option that is out of range."""
    given = checked(given)
    algo = given.get("algo", Config.algo)
    preset = {**PRESETS[family], **PRESETS.get((family, algo), {})}
    if given.get("preset") == "paper":
        preset = {"network": preset.get("network", Config.network), **PAPER.get(family, {})}
    return Config(**{**preset, **given})


def checked(given):
    """The options that are given, NumPy's numbers turned into Python's. Raises InputError for a name that is no
    option or a value that its field does not allow."""
    fields = {f.name: f for f in dataclasses.fields(Config)}
    for name in given:
        if name not in fields:
            raise InputError(f"{name!r} is no option of a run; the options are {', '.join(fields)}.")
    return {name: checked_value(fields[name], value) for name, value in given.items()}


def checked_value(option_field, value):
    name, low, high, choices = option_field.name, *(option_field.metadata[key] for key in ("low", "high", "choices"))
    if name == "network" and not isinstance(value, str):
        if not isinstance(value, (list, tuple)) or not all(isinstance(layer, Layer) for layer in value):
            raise InputError(
                f"network is {value!r}; it must be a name or a tuple of layers such as (dense(64), relu())."
            )
        return tuple(value)
    if isinstance(value, np.generic):
        value = value.item()
    if choices and value not in choices:
        raise InputError(f"{value!r} is no {name}; choose one of {', '.join(choices)}.")
    if option_field.type is str and not isinstance(value, str):
        raise InputError(f"{name} is {value!r}; it must be a text.")
    if option_field.type is bool and not isinstance(value, bool):
        raise InputError(f"{name} is {value!r}; it must be True or False.")
    if option_field.type is int:
        check_whole_number(name, value, low, high)
    if option_field.type is float:
        check_real_number(name, value, low, high)
    return value
