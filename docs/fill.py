"""Fill the blocks of pages that come from the package: equations, options, results, environments, extras.

`python docs/fill.py` writes the blocks of all pages again. A block begins with `<!-- fill: WHAT -->` or
`<!-- fill: WHAT OF -->`, such as `<!-- fill: options a3c -->`, and ends with `<!-- end -->`. A test compares the pages
with what the package says.
"""

import configparser
import importlib
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

from numasync.config import make_config
from numasync.envs import JITTED
from numasync.envs.listing import make_row
from numasync.nn.architectures import ARCHITECTURES
from numasync.nn.spec import Layer

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "reports"))

import state  # noqa: E402  (docs/reports/state.py)

BLOCK = re.compile(r"(<!-- fill: (\w+)(?: (\w+))? -->\n).*?(<!-- end -->)", re.S)

# The families of presets that a table shows, and their titles.
FAMILIES = {"classic": "CartPole and the like", "image": "Catch", "minatar": "MinAtar", "atari": "Atari"}
COMMON = ("steps", "workers", "lr", "t_max", "rms_eps", "clip_norm", "gamma", "network")
Q_OPTIONS = ("target_interval", "epsilon_steps", "eval_epsilon")
OWN = {
    "one_step_q": Q_OPTIONS,
    "one_step_sarsa": Q_OPTIONS,
    "nstep_q": Q_OPTIONS,
    "a3c": ("beta", "separate_value", "eval_greedy"),
}
EXTRAS = {
    "plot": "`numasync plot`, and the figures of studies",
    "tensorboard": "[curves for TensorBoard](callbacks.md#tensorboard)",
    "tune": "[`numasync tune`](tuning.md)",
    "progress": "[a bar with colours](follow_a_run.md)",
    "gif": "[`--gif` of `numasync watch`](watch_an_agent.md)",
    "video": "[`--video` of `numasync watch`](watch_an_agent.md)",
    "notebook": "the notebooks, [train and look](../notebooks/train_and_look.ipynb) and others",
    "onnx": "[`numasync export`](deploy_an_agent.md#onnx)",
    "box2d": "Gymnasium's `LunarLander-v3` and the like",
    "mujoco": "Gymnasium's `InvertedPendulum-v5` and the like",
    "peers": "[`numasync bench --peers`](../reports/peers.md)",
    "ray": "[several machines](several_machines.md)",
    "docs": "[the site of this documentation](../CONTRIBUTING.md#documentation)",
    "test": "[the tests](../CONTRIBUTING.md)",
    "dev": "the linter, the type checker and the hooks of git",
}


def fill(folder: Path) -> None:
    """Fill the blocks of every page in a folder and below it."""
    for page in sorted(folder.rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        if filled(text) != text:
            page.write_text(filled(text), encoding="utf-8")


def filled(text: str) -> str:
    """Return a page with its blocks written again."""

    def write(match: re.Match[str]) -> str:
        given = [match[3]] if match[3] else []
        return "\n".join([match[1], *WRITERS[match[2]](*given), "", match[4]])

    return BLOCK.sub(write, text)


def equation(module: str) -> Iterator[str]:
    """Yield the equations of an algorithm: the indented lines of its module's docstring. module: its name."""
    doc = importlib.import_module(f"numasync.algorithms.{module}").__doc__ or ""
    parts = re.findall(r"(?:^    .*\n)+", doc, re.M)
    yield from ("```text", *"\n".join(map(textwrap.dedent, parts)).splitlines(), "```")


def options(algo: str) -> Iterator[str]:
    """Yield a table of the options that matter to an algorithm: the paper's values, and the presets'."""
    families = {**FAMILIES, **({"continuous": "continuous actions"} if algo == "a3c" else {})}
    configs = [make_config("atari", algo=algo, preset="paper"), *(make_config(f, algo=algo) for f in families)]
    yield f"| option | paper, Atari | {' | '.join(families.values())} |"
    yield "|---" * (len(families) + 2) + "|"
    for name in COMMON + OWN[algo]:
        yield f"| `{name}` | {' | '.join(show(getattr(config, name)) for config in configs)} |"


def show(value: object) -> str:
    """Return the value of an option as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else f"`{value}`"


def networks() -> Iterator[str]:
    """Yield a table of the named networks."""
    yield from ("| name | layers |", "|---|---|")
    yield from (f"| `{name}` | `({', '.join(map(written, layers))})` |" for name, layers in ARCHITECTURES.items())


def written(layer: Layer) -> str:
    """Return a layer as a user writes it."""
    return f"{layer.kind}({', '.join(map(str, layer.sizes))})"


def environments() -> Iterator[str]:
    """Yield a table of the jitted environments."""
    yield from ("| id | observation | actions | preset |", "|---|---|---|---|")
    for env in JITTED.values():
        row = make_row(env.spec, "jitted")
        observation = " x ".join(map(str, row.observation)) + (" numbers" if len(row.observation) == 1 else "")
        actions = f"{row.actions} real number" if row.preset == "continuous" else row.actions
        yield f"| `{row.id}` | {observation} | {actions} | `{row.preset}` |"


def extras() -> Iterator[str]:
    """Yield a table of the extras in setup.cfg."""
    setup = configparser.ConfigParser()
    setup.read(HERE.parent / "setup.cfg", encoding="utf-8")
    yield from ("| extra | is for | installs |", "|---|---|---|")
    for extra, packages in setup["options.extras_require"].items():
        names = [re.match(r"[\w.-]+(\[\w+\])?", line)[0] for line in packages.split("\n") if line]
        yield f"| `{extra}` | {EXTRAS[extra]} | {', '.join(names)} |"


WRITERS = {
    "equation": equation,
    "options": options,
    "results": state.results_of,
    "networks": networks,
    "environments": environments,
    "extras": extras,
}

if __name__ == "__main__":
    fill(HERE)
