"""What is measured: three environments, each with its preset, and their networks."""

from numasync.envs import make_env
from numasync.errors import one_line
from numasync.nn.architectures import ARCHITECTURES
from numasync.nn.network import Network, network
from numasync.nn.spec import heads

CARTPOLE, MINATAR, PONG = "CartPole-v1", "MinAtar/Breakout-v1", "ALE/Pong-v5"


def make_networks() -> dict[str, tuple[Network, int]]:
    """Return {name: (a network of a3c, the rows of a segment)}.

    The paper's network has the paper's t_max, the others have the t_max of their presets. They are built without an
    environment, because ALE and its games may be missing.
    """
    return {
        "paper": (network((84, 84, 4), *ARCHITECTURES["nips"], heads(6, 1)), 5),
        "MinAtar": (network((10, 10, 4), *ARCHITECTURES["minatar"], heads(3, 1)), 20),
        "CartPole": (network((4,), *ARCHITECTURES["mlp"], heads(2, 1)), 20),
    }


def find_usable(*env_ids: str) -> tuple[list[str], list[str]]:
    """Return the environments that can be made here, and a sentence for each of the others."""
    found, notes = [], []
    for env_id in env_ids:
        try:
            make_env(env_id).close()
            found.append(env_id)
        # A package may be missing or too old, or a game without its ROM. Each raises errors of its own.
        except Exception as error:
            notes.append(
                f"{env_id} is left out, because it cannot be made here: {type(error).__name__}: {one_line(error)}"
            )
    return found, notes
