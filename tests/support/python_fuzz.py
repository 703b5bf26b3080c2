"""Calls of the public interface with odd arguments. `python -m support.python_fuzz SEED CALLS` makes them.

Each call has the right number of arguments, and at least one odd argument. It must return, or raise an InputError. An
InputError has one sentence, and the call then writes nothing. The program writes what went wrong to the standard
output, as JSON.
"""

import contextlib
import io
import json
import os
import random
import resource
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from inspect import Parameter, isfunction, signature
from types import SimpleNamespace
from typing import Any

import numasync
from numasync import envs
from numasync.agent.agent import Agent
from numasync.config import make_config
from numasync.envs.jitted.cartpole import CARTPOLE
from numasync.nn.network import Network
from numasync.runtime.checks import as_number
from numasync.tools import human_scores
from support.odd_values import odd_values

LAYERS = (numasync.dense(4), numasync.relu())
AGENT = Agent(make_config("classic", network=LAYERS), CARTPOLE.spec)
NETWORK = numasync.network((4,), *LAYERS, numasync.heads(2))

# Good arguments by the name of the function, and by the name of the argument. Others have a default, or are odd.
GOOD: dict[str, dict[str, Any]] = {
    "Agent": dict(config=AGENT.config, spec=AGENT.spec),
    "Agent.check_env": dict(env_id="CartPole-v1"),
    "Agent.evaluate": dict(episodes=1),
    "Agent.policy": dict(obs=[0.0, 0.0, 0.0, 0.0]),
    "Agent.predict": dict(obs=[0.0, 0.0, 0.0, 0.0]),
    "Agent.save": dict(path="agent.npz"),
    "Agent.to_onnx": dict(path="agent.onnx"),
    "Network": dict(input_shape=(4,), layers=LAYERS),
    "Network.initial": dict(seed=1),
    "Network.table_for": dict(dtype="float32"),
    "Network.tape": dict(capacity=1),
    "Network.views": dict(theta=NETWORK.initial(1)),
    "choice": dict(n=3),
    "conv": dict(filters=2, kernel_size=3),
    "dense": dict(units=3),
    "envs.make_env": dict(env_id="CartPole-v1"),
    "explain": dict(env="CartPole-v1", html="page.html"),
    "human_normalized": dict(env_id="Pong-v4", score=3.0),
    "load": dict(path="missing.npz"),
    "lstm": dict(units=3),
    "network": dict(input_shape=(4,)),
    "plot": dict(folders=["folder"], out="curves"),
    "reference_scores": dict(env_id="Pong-v4"),
    "register": dict(env_id="Odd-v0", observation_shape=(2,), n_actions=2, state_size=1),
    "resume": dict(run="missing"),
    "study": dict(name="lr", env="CartPole-v1", out="study"),
    "sweep": dict(grid={"env": "CartPole-v1", "steps": 100}, out="sweep"),
    "towers": dict(first=LAYERS, second=LAYERS),
    "train": dict(env="CartPole-v1", out="run"),
    "tune": dict(env="CartPole-v1", out="tuning"),
    "warmup": dict(env="CartPole-v1"),
    "watch": dict(env_id="CartPole-v1", steps=2, fps=50),
}
# The first ones would begin a run, and others compile. So one of these arguments is always refused.
REFUSED: dict[str, list[tuple[str, Any]]] = {
    "study": [("env", "Nope-v0"), ("lr_low", 2.0), ("algos", "nope"), ("runs", 0), ("jobs", 0), ("executor", 3)],
    "sweep": [("grid", 3), ("grid", {"lr": "x"}), ("grid", {"seed": []}), ("jobs", 0), ("executor", 3), ("out", 3)],
    "tune": [("env", "Nope-v0"), ("algo", "nope"), ("trials", 0), ("jobs", 0), ("executor", 3), ("steps", 0)],
    "train": [
        ("env", "Nope-v0"),
        ("algo", "nope"),
        ("steps", 0),
        ("lr", -1),
        ("out", 3),
        ("callbacks", 3),
        ("network", "nope"),
    ],
    "explain": [
        ("env", "Nope-v0"),
        ("algo", "nope"),
        ("after", -1),
        ("html", "x"),
        ("episode_end", 3),
        ("from_agent", 3),
    ],
    "warmup": [("env", "Nope-v0"), ("env", ()), ("algo", "nope"), ("verbose", 3), ("network", "nope")],
    "register": [("reset", print), ("step", None), ("observation_shape", ()), ("n_actions", 0)],
    "plot": [("folders", ["missing"]), ("window", 0)],
}
KEYWORDS = {
    "study": ("algos", "runs", "steps", "workers", "seed", "lr_low", "lr_high"),
    "tune": ("steps", "seed", "lr"),
}
# An accepted value of one of these makes a call long. So only small ones are given.
COUNTS = ("episodes", "steps")
MOST_COUNT = 3
SKIPPED_MODULE_FUNCTIONS = ("one_line", "replace", "as_switch", "check_choice", "check_kind", "check_text")


def public_functions() -> dict[str, Callable]:
    """Return every public function, class and method by name: of the package, of an Agent, a Network and `envs`."""
    found = {name: getattr(numasync, name) for name in numasync.__all__ if callable(getattr(numasync, name))}
    found |= {f"Agent.{name}": getattr(AGENT, name) for name in methods_of(Agent)}
    found |= {"Network": Network} | {f"Network.{name}": getattr(NETWORK, name) for name in methods_of(Network)}
    own = {name: value for name, value in vars(envs).items() if isfunction(value)}
    found |= {f"envs.{name}": value for name, value in own.items() if name not in SKIPPED_MODULE_FUNCTIONS}
    for function in (human_scores.human_normalized, human_scores.reference_scores):
        found[function.__name__] = function
    return found


def methods_of(kind: type) -> list[str]:
    """Return the names of the public methods of a class."""
    return [name for name, value in vars(kind).items() if isfunction(value) and not name.startswith("_")]


class Calls:
    """Generates calls from a seed.

    seed  of the choices
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.values = odd_values()
        self.functions = public_functions()

    def generate(self, calls: int) -> Iterator[tuple[str, list[Any], dict[str, Any]]]:
        """Yield (name of a function, its arguments, its keywords). Every function comes as often as every other."""
        names = sorted(self.functions)
        for i in range(calls):
            yield names[i % len(names)], *self.arguments_of(names[i % len(names)])

    def arguments_of(self, name: str) -> tuple[list[Any], dict[str, Any]]:
        """Return arguments and keywords for a function. At least one is odd. The others are good or left out."""
        try:
            parameters = list(signature(self.functions[name]).parameters.values())
        except ValueError:  # a class of C, such as an exception
            parameters = [Parameter("arguments", Parameter.VAR_POSITIONAL)]
        arguments = [self.odd("sizes") for p in parameters if p.kind is p.VAR_POSITIONAL for _ in range(self.count())]
        if arguments:  # whatever stands before them is given by place too
            before = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
            good = GOOD.get(name, {})
            kept = [key in good and self.random.random() < 0.7 for key in before]
            return [good[key] if keep else self.odd(key) for key, keep in zip(before, kept)] + arguments, {}
        names = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        names += KEYWORDS.get(name, ())
        needed = {p.name for p in parameters if p.default is p.empty and p.name in names}
        good = {key: value for key, value in GOOD.get(name, {}).items() if key in names}
        odd = set(self.random.sample(names, min(len(names), self.count()))) | (needed - good.keys())
        given = good | {key: self.odd(key) for key in names if key in odd}
        if name in REFUSED:
            key, value = self.random.choice(REFUSED[name])
            given[key] = value
        return [], given

    def count(self) -> int:
        """Return a number of odd arguments: mostly 1."""
        return self.random.choice((1, 1, 1, 1, 2, 3))

    def odd(self, name: str) -> Any:
        """Return an odd value for an argument of this name."""
        while True:
            value = self.random.choice(self.values)
            if name not in COUNTS or as_number(value, MOST_COUNT + 1, 2**53) is None:
                return value


def describe_fault(call: Callable[[], Any], before: list[str]) -> str:
    """Make a call. Return what is wrong with how it ends, or an empty text.

    before: the files in the folder
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            call()
    except numasync.InputError as error:
        message = str(error)
        if not message.isprintable() or not message.endswith(".") or len(message) > 2_000:
            return f"is refused with no sentence: {message[:300]!r}"
        return "is refused and writes" if files() != before else ""
    except BaseException as error:
        return f"ends in {type(error).__name__}: {str(error)[:300]!r}"
    return ""


def files() -> list[str]:
    """Return the files and folders in the current folder, and in the folders there."""
    return sorted(os.path.join(folder, name) for folder, folders, names in os.walk(".") for name in (*folders, *names))


def main(seed: int, calls: int) -> None:
    """Make the calls in the current folder, which must be empty, and print the result as JSON."""
    os.mkdir("folder")
    os.symlink("loop", "loop")
    os.mkfifo("pipe")
    with open("file.txt", "w") as file:
        file.write("text")
    before = files()
    result = SimpleNamespace(calls=0, functions=set(), faults=[])
    generator = Calls(seed)
    for name, arguments, keywords in generator.generate(calls):
        result.calls += 1
        result.functions.add(name)
        fault = describe_fault(lambda: generator.functions[name](*arguments, **keywords), before)
        if fault:
            result.faults.append(f"{name}(*{shown(arguments)}, **{shown(keywords)}) {fault}")
        numasync.envs.REGISTERED.clear()
        for path in set(files()) - set(before):  # of a call that was accepted
            shutil.rmtree(path) if os.path.isdir(path) else os.path.exists(path) and os.remove(path)
    print(json.dumps({**vars(result), "functions": sorted(result.functions), "megabytes": peak_megabytes()}))


def peak_megabytes() -> int:
    """Return the most memory that this process has had. What `getrusage` says includes its parent's."""
    with contextlib.suppress(OSError), open("/proc/self/status") as status:
        return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def shown(value: Any) -> str:
    """Return the text of arguments, of those too that have none."""
    try:
        return repr(value)[:300]
    except Exception:
        return object.__repr__(value)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(int(sys.argv[1]), int(sys.argv[2]))
