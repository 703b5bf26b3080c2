"""What is measured: three environments, each with its preset, and their networks."""

from numasync.envs import make_env
from numasync.nn.network import ARCHITECTURES, heads, network

CARTPOLE, MINATAR, PONG = "CartPole-v1", "MinAtar/Breakout-v1", "ALE/Pong-v5"


def networks():
    """{name: (the network of a3c, the rows of a segment)}: the paper's t_max for its network, that of the presets for the
    others. They are built without an environment, because ALE and its games may be missing."""
    return {
        "paper": (network((84, 84, 4), *ARCHITECTURES["nips"], heads(6, 1)), 5),
        "MinAtar": (network((10, 10, 4), *ARCHITECTURES["minatar"], heads(3, 1)), 20),
        "CartPole": (network((4,), *ARCHITECTURES["mlp"], heads(2, 1)), 20),
    }


def usable(*env_ids):
    """Those of the environments that can be made and reset here, and a sentence for each of the others."""
    found, notes = [], []
    for env_id in env_ids:
        try:
            make_env(env_id).close()
            found.append(env_id)
        # A package that is missing or too old, a game without its ROM: each raises errors of its own.
        except Exception as error:
            reason = " ".join(str(error).split()).rstrip(".")
            notes.append(f"{env_id} is left out, it cannot be made here: {type(error).__name__}: {reason}.")
    return found, notes
