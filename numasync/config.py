"""Every default of a run on one screen: one frozen dataclass that is config, help text and record at once."""

import dataclasses
import math
from dataclasses import dataclass, field

from numasync.algorithms import ALGORITHMS
from numasync.errors import InputError
from numasync.nn.network import HIDDEN, Layer
from numasync.optim import OPTIMIZERS


def option(default, text, low=None, choices=None):
    """A field with its help text and the least value that it may have (`low`), or the values to choose from."""
    return field(default=default, metadata={"help": text, "low": low, "choices": choices})


ABOVE_ZERO = math.ulp(0.0)


@dataclass(frozen=True)
class Config:
    """The options of a run. The defaults are the paper's, those of the 'atari' family; PRESETS says what others change.

    An action is one decision of one worker; on Atari it is 4 frames. Counts are over all workers unless said otherwise.
    """

    algo: str = option("nstep_q", "algorithm", choices=tuple(ALGORITHMS))
    env: str = option("CartPole-v1", "environment id; 'gymnasium:ID' asks for Gymnasium's where a jitted twin exists")
    steps: int = option(10_000_000, "actions to train for (T_max)", 1)
    workers: int = option(8, "actor-learner threads", 1)
    seed: int = option(1, "seed of initial parameters, exploration and environments", 0)
    lr: float = option(7e-4, "initial learning rate, annealed linearly to 0 over the run (eta)", ABOVE_ZERO)
    gamma: float = option(0.99, "discount per action (gamma)", 0.0)
    t_max: int = option(5, "actions of a worker between updates (t_max; I_AsyncUpdate of one-step methods)", 1)
    optimizer: str = option("shared_rmsprop", "optimiser", choices=tuple(OPTIMIZERS))
    decay: float = option(0.99, "decay of RMSProp's g, or of the momentum (alpha)", 0.0)
    rms_eps: float = option(0.1, "constant inside RMSProp's root (epsilon of RMSProp)", ABOVE_ZERO)
    clip_norm: float = option(40.0, "largest L2 norm of an update's gradient; 0 for no limit", 0.0)
    reward_clip: float = option(1.0, "rewards are clipped to [-c, c] for learning, never in scores; 0 for no clip", 0.0)
    beta: float = option(0.01, "weight of the entropy bonus of a3c (beta)", 0.0)
    target_interval: int = option(10_000, "actions between copies to the target network (I_target)", 1)
    epsilon_steps: int = option(1_000_000, "actions over which epsilon falls from 1 to each worker's final value", 1)
    network: str | tuple = option("nips", "hidden layers by name; in Python also a tuple of layers", choices=tuple(HIDDEN))
    life_loss: bool = option(False, "treat a lost life as terminal while learning (Atari)")
    deterministic: bool = option(False, "give workers their turns from one thread: repeatable bit for bit, slower")
    checkpoint_every: int = option(1_000_000, "actions between checkpoints", 1)
    eval_episodes: int = option(100, "episodes of the evaluation at the end", 1)
    eval_epsilon: float = option(0.05, "epsilon in evaluation (Q methods)", 0.0)
    eval_greedy: bool = option(False, "take the most probable action in evaluation instead of sampling (a3c)")


SMALL = dict(reward_clip=0.0, checkpoint_every=250_000, eval_epsilon=0.0, eval_greedy=True)

# What each family of environments changes, and each algorithm within it. Chosen on other seeds than those reported.
PRESETS = {
    "classic": dict(SMALL, network="mlp", steps=1_000_000, epsilon_steps=100_000, target_interval=1_000, lr=1e-3),
    "image": dict(SMALL, network="minatar", steps=500_000, epsilon_steps=50_000, target_interval=1_000, lr=1e-3),
    "atari": {},
    ("classic", "a3c"): dict(t_max=20),
}


def make_config(family, **given):
    """The Config of a run on an environment of `family` ('classic', 'image', 'atari'): what is given, then the family's and
    the algorithm's presets, then the defaults. Raises InputError, one sentence, for an option that is out of range."""
    check(given)
    algo = given.get("algo", Config.algo)
    return Config(**{**PRESETS[family], **PRESETS.get((family, algo), {}), **given})


def check(given):
    """Raise InputError for an unknown option or a value that its field does not allow."""
    fields = {f.name: f for f in dataclasses.fields(Config)}
    for name, value in given.items():
        if name not in fields:
            raise InputError(f"{name!r} is no option of a run; the options are {', '.join(fields)}.")
        check_value(fields[name], value)
    if not 0.0 <= given.get("gamma", 0.0) <= 1.0:
        raise InputError(f"gamma is {given['gamma']}; it must be from 0 to 1.")
    if not 0.0 <= given.get("decay", 0.0) < 1.0:
        raise InputError(f"decay is {given['decay']}; it must be at least 0 and below 1.")
    if not 0.0 <= given.get("eval_epsilon", 0.0) <= 1.0:
        raise InputError(f"eval_epsilon is {given['eval_epsilon']}; it must be from 0 to 1.")


def check_value(option_field, value):
    name, low, choices = option_field.name, option_field.metadata["low"], option_field.metadata["choices"]
    if name == "network" and not isinstance(value, str):
        if not all(isinstance(layer, Layer) for layer in value):
            raise InputError("network must be a name or a tuple of layers such as (dense(64), relu()).")
        return
    if choices and value not in choices:
        raise InputError(f"{value!r} is no {name}; choose one of {', '.join(choices)}.")
    if option_field.type is bool and not isinstance(value, bool):
        raise InputError(f"{name} is {value!r}; it must be True or False.")
    if option_field.type is int and (isinstance(value, bool) or not hasattr(value, "__index__")):
        raise InputError(f"{name} is {value!r}; it must be a whole number.")
    if low is None:
        return
    if not isinstance(value, (int, float)) or not math.isfinite(value) or value < low:
        bound = "above 0" if low == ABOVE_ZERO else f"{low} or more"
        raise InputError(f"{name} is {value}; it must be a finite number, {bound}.")
