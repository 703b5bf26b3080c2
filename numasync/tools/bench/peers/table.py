"""What is compared: the programs with their settings, and what each does not do as numasync does."""

from typing import Any, NamedTuple

from numasync.tools.bench.workloads import CARTPOLE, MINATAR

# Without sticky actions: stable-baselines3 prepares the games whose own frame skip is 1.
PONG = "PongNoFrameskip-v4"

JAX_PACKAGES = "jax gymnax six"
SB3_PACKAGES = "stable-baselines3 gymnasium ale-py opencv-python-headless"
TORCH_PACKAGES = "torch gymnasium ale-py"


class Program(NamedTuple):
    """A program with its settings.

    name              what it is called in tables
    setting           what tells it from the same program with other settings
    module            its file in `programs/`
    environment       the id, as numasync calls it
    t_max             steps of one environment between two updates
    environments      how many environments play for one update
    options           further options by name; `session.options_of` adds what every program gets
    variables         variables of its environment
    packages          what pip must install for it
    """

    name: str
    setting: str
    module: str
    environment: str
    t_max: int
    environments: int = 1
    options: tuple[tuple[str, Any], ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    packages: str = ""

    @property
    def label(self) -> str:
        """Its name and setting."""
        return f"{self.name}, {self.setting}" if self.setting else self.name

    @property
    def steps_per_update(self) -> int:
        """The steps between two updates, where no episode ends."""
        return self.t_max * self.environments


class Pair(NamedTuple):
    """A peer, and what of numasync it is compared with."""

    peer: Program
    ours: Program


def ours(environment: str, t_max: int) -> Program:
    """Return numasync's A3C with its preset."""
    return Program("numasync A3C", f"t_max {t_max}", "numasync_a3c", environment, t_max)


def jax_a2c(environment: str, t_max: int, environments: int, devices: int) -> Program:
    """Return A2C in JAX."""
    setting = f"{environments} environments, t {t_max}" + (f", {devices} devices" if devices > 1 else "")
    theirs = {CARTPOLE: "CartPole-v1", MINATAR: "Breakout-MinAtar"}[environment]
    options = (("environment", theirs),)
    variables = (("JAX_NUM_CPU_DEVICES", str(devices)),)
    return Program("JAX A2C", setting, "jax_a2c", environment, t_max, environments, options, variables, JAX_PACKAGES)


def sb3_a2c(environment: str, t_max: int, environments: int) -> Program:
    """Return A2C of stable-baselines3. One thread of PyTorch is the fastest: more of them wait for one another."""
    setting = f"{environments} environments, t {t_max}"
    options = (("threads", 1),)
    return Program("SB3 A2C", setting, "sb3_a2c", environment, t_max, environments, options, packages=SB3_PACKAGES)


def hogwild(environment: str, t_max: int) -> Program:
    """Return A3C in PyTorch by processes."""
    return Program("PyTorch Hogwild", f"t_max {t_max}", "torch_hogwild", environment, t_max, packages=TORCH_PACKAGES)


def make_pairs(cores: int) -> tuple[Pair, ...]:
    """Return what is compared on a number of cores.

    JAX gets one device, and where there are more cores also the largest power of 2 that fits: 256 environments are
    split between them. Which is faster differs from one environment and machine to another.
    """
    devices = sorted({1, 2 ** (min(cores, 256).bit_length() - 1)})
    return (
        *(Pair(jax_a2c(CARTPOLE, 20, 256, n), ours(CARTPOLE, 20)) for n in devices),
        Pair(jax_a2c(CARTPOLE, 5, 8, 1), ours(CARTPOLE, 5)),
        Pair(sb3_a2c(CARTPOLE, 5, 64), ours(CARTPOLE, 5)),
        Pair(sb3_a2c(CARTPOLE, 5, 8), ours(CARTPOLE, 5)),
        Pair(hogwild(CARTPOLE, 20), ours(CARTPOLE, 20)),
        *(Pair(jax_a2c(MINATAR, 20, 256, n), ours(MINATAR, 20)) for n in devices),
        Pair(jax_a2c(MINATAR, 5, 8, 1), ours(MINATAR, 5)),
        Pair(sb3_a2c(PONG, 5, 16), ours(PONG, 5)),
        Pair(hogwild(PONG, 20), ours(PONG, 20)),
    )


# What each peer does not do as numasync does. A sentence or two about one thing each.
NOT_THE_SAME = {
    "JAX A2C": (
        "JAX A2C: all environments act with the same parameters, and one update is made from all their segments.",
        "JAX A2C: with 256 environments and t 20 there is one update in 5,120 steps; numasync makes one in 20.",
        "JAX A2C: devices share the environments between cores. One uses several for large products alone.",
        "JAX A2C: the environments are gymnax's. Its Breakout has no sticky actions and ends after 1,000 steps.",
        "JAX A2C: a time limit counts as the end of a game, as in many programs on gymnax.",
        "JAX A2C: a start includes the import of gymnax. The full cache is JAX's own, which is off by default.",
    ),
    "SB3 A2C": (
        "SB3 A2C: all environments act with the same parameters, and one update is made from all their segments.",
        "SB3 A2C: CartPole is Gymnasium's, in Python. Pong is prepared in Python and OpenCV, a process for each game.",
        "SB3 A2C: pixels are scaled to [0, 1]; numasync also subtracts the mean of each pixel.",
        "SB3 A2C: it keeps no compiled code, so that both starts do the same.",
    ),
    "PyTorch Hogwild": (
        "PyTorch Hogwild: the algorithm, the network, the optimiser and the number of workers are the same.",
        "PyTorch Hogwild: CartPole is Gymnasium's, in Python. Pong is the same ALE interface as numasync's.",
        "PyTorch Hogwild: pixels are scaled to [0, 1]; numasync also subtracts the mean of each pixel.",
        "PyTorch Hogwild: it keeps no compiled code, so that both starts do the same.",
    ),
    "numasync A3C": (
        "numasync A3C: on Pong a start includes 1,000 steps of random play, which measure the mean of each pixel.",
    ),
}
