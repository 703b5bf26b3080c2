"""numasync: asynchronous deep reinforcement learning (Mnih et al. 2016) with nothing but NumPy and Numba.

    agent = numasync.train("CartPole-v1", algo="nstep_q", seed=1)
    agent.predict(obs); agent.evaluate(episodes=100); agent.save("cartpole.npz"); numasync.load("cartpole.npz")

The command line is the same program: `numasync --help`.
"""

import numasync.runtime.interrupts  # noqa: F401  (the first import: Ctrl-C can come during the others)
from numasync.runtime.garbage import rarely_collect as _rarely_collect

with _rarely_collect(300_000):  # it makes fewer objects
    from numasync import envs
    from numasync.agent.agent import Agent, load
    from numasync.config import Config
    from numasync.distributed.downpour.engine import add_engine as _add_engine
    from numasync.envs.custom.registration import register
    from numasync.envs.spec import LIFE_LOST, RUNNING, TERMINATED, TRUNCATED
    from numasync.errors import CallbackError, InputError, NotFiniteError, WorkerError
    from numasync.nn import reference
    from numasync.nn.network import network
    from numasync.nn.spec import conv, dense, heads, lstm, relu, towers
    from numasync.runtime.rng import choice, normal, uniform
    from numasync.tools.explain import explain
    from numasync.tools.plots import plot
    from numasync.tools.studies import study
    from numasync.tools.sweeps import sweep
    from numasync.tools.tuning import tune
    from numasync.tools.warmup import warmup
    from numasync.tools.watch import watch
    from numasync.training import callbacks
    from numasync.training.callbacks import Callback
    from numasync.training.record_callbacks import CSVLog, TensorBoard
    from numasync.training.resume import resume
    from numasync.training.stopping import StopAfterMinutes, StopAtScore, StopWithoutImprovement
    from numasync.training.train import train

_add_engine()

__version__ = "0.2.0.dev0"
__all__ = [
    "LIFE_LOST",
    "RUNNING",
    "TERMINATED",
    "TRUNCATED",
    "Agent",
    "CSVLog",
    "Callback",
    "CallbackError",
    "Config",
    "InputError",
    "NotFiniteError",
    "StopAfterMinutes",
    "StopAtScore",
    "StopWithoutImprovement",
    "TensorBoard",
    "WorkerError",
    "callbacks",
    "choice",
    "conv",
    "dense",
    "envs",
    "explain",
    "heads",
    "load",
    "lstm",
    "network",
    "normal",
    "plot",
    "reference",
    "register",
    "relu",
    "resume",
    "study",
    "sweep",
    "towers",
    "train",
    "tune",
    "uniform",
    "warmup",
    "watch",
]


def __dir__() -> list[str]:
    """List the public names, and not the modules that Python puts beside them."""
    return [*__all__, "__version__", "__doc__", "__file__", "__name__", "__path__"]
