"""`numasync envs`: which environments it names, in what order, as a table and as JSON."""

import json
import re
import subprocess
import sys
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete

from numasync.cli import main
from numasync.config import PRESETS
from numasync.envs import JITTED, listing, make_env


class Plain(gymnasium.Env):
    """Accepted, but not silent while it is made."""

    observation_space = Box(-1.0, 1.0, (2,), np.float32)
    action_space = Discrete(3)

    def __init__(self):
        print("Hello from the Plain community")
        warnings.warn("Plain is old", DeprecationWarning, stacklevel=2)


class Multi(Plain):
    action_space = MultiDiscrete([3, 2])


class DictObs(Plain):
    observation_space = Dict({"x": Box(0.0, 1.0, (2,))})


class Fails(Plain):
    def __init__(self):
        raise RuntimeError("no display")


REGISTERED = {
    "ListedPlain-v1": Plain,
    "ListedPlain-v2": Plain,
    "phys2d/ListedPlain-v0": Plain,
    "ListedMulti-v0": Multi,
    "ListedDict-v0": DictObs,
    "ListedFails-v0": Fails,
}


@pytest.fixture(scope="module", autouse=True)
def registered():
    for env_id, entry_point in REGISTERED.items():
        gymnasium.register(env_id, entry_point=entry_point)
    yield
    for env_id in REGISTERED:
        gymnasium.registry.pop(env_id)


@pytest.fixture
def printed(capsys):
    def run(*arguments):
        assert main(["envs", *arguments]) == 0
        captured = capsys.readouterr()
        assert captured.err == ""
        return captured.out

    return run


@pytest.mark.filterwarnings("ignore:Plain is old")
def test_json_lists_every_environment(printed):
    rows = json.loads(printed("--json"))
    assert all(list(row) == ["id", "observation", "actions", "runs", "preset"] for row in rows)
    assert {row["preset"] for row in rows} <= PRESETS.keys()
    by_id = {row["id"]: row for row in rows}
    assert len(by_id) == len(rows)
    catch = dict(id="Catch-v0", observation=[10, 5], actions=3, runs="jitted", preset="image")
    plain = dict(id="ListedPlain-v2", observation=[2], actions=3, runs="Gymnasium", preset="classic")
    lake = dict(id="FrozenLake-v1", observation=[16], actions=4, runs="Gymnasium", preset="classic")
    multi = dict(id="ListedMulti-v0", observation=[2], actions="3 x 2", runs="Gymnasium", preset="classic")
    for row in (catch, plain, lake, multi):
        assert by_id[row["id"]] == row
    for row in rows[:-1]:
        env = make_env(row["id"])
        env.close()
        actions = row["actions"].count("x") + 1 if env.spec.multi_discrete else row["actions"]
        assert (list(env.spec.observation.shape), env.spec.n_actions) == (row["observation"], actions)


def test_jitted_ones_come_first_and_the_games_of_ale_last(printed):
    rows = json.loads(printed("--json"))
    assert [row["id"] for row in rows[: len(JITTED)]] == list(JITTED)
    runs = [row["runs"] for row in rows]
    between = len(rows) - len(JITTED) - 1
    assert runs == ["jitted"] * len(JITTED) + ["Gymnasium"] * between + ["ALE"]
    ale = rows[-1]
    assert re.fullmatch(r"ALE/<Game>-v5 \(\d+ games\), <Game>NoFrameskip-v4 \(\d+ games\)", ale["id"])
    assert (ale["observation"], ale["actions"], ale["preset"]) == ([4, 84, 84], "3-18", "atari")


@pytest.mark.parametrize(
    "absent",
    [
        "ListedPlain-v1",  # not the latest version
        "phys2d/ListedPlain-v0",  # a duplicate
        "ListedDict-v0",  # Dict observations
        "ListedFails-v0",  # cannot be made
        "Pendulum-v1",  # there is a jitted one
        "Blackjack-v1",  # Tuple observations
        "ALE/Pong-v5",
        "PongNoFrameskip-v4",
    ],
)
def test_others_are_left_out(absent):
    rows = listing.list_envs()
    assert absent not in {row.id for row in rows if row.runs != "jitted"}


def test_the_table_aligns_its_columns(printed):
    out = printed()
    head, *lines = out.splitlines()
    assert head.split() == ["id", "observation", "actions", "runs", "preset"]
    starts = [head.index(name) for name in head.split()]
    assert len(lines) == len(listing.list_envs())
    for line in lines:
        assert all(start == 0 or (line[start - 1] == " " and line[start] != " ") for start in starts)
        assert line == line.rstrip()
    assert "Hello" not in out


def test_games_are_counted_in_the_registry():
    named = dict(v5=r"ALE/\w+-v5", v4=r"\w+NoFrameskip-v4")
    counts = {name: sum(bool(re.fullmatch(p, env_id)) for env_id in gymnasium.registry) for name, p in named.items()}
    games = listing.count_atari_games().id
    assert f"ALE/<Game>-v5 ({counts['v5']} games)" in games
    assert f"<Game>NoFrameskip-v4 ({counts['v4']} games)" in games
    assert counts["v5"] > 50 and counts["v4"] > 50


def test_bad_input_gets_one_sentence(capsys):
    with pytest.raises(SystemExit) as error:
        main(["envs", "--all"])
    assert error.value.code == 2
    assert capsys.readouterr().err == "numasync envs: unrecognized arguments: --all; see numasync envs --help.\n"


def test_listing_is_what_loads_gymnasium():
    check = "import sys, numasync.cli; print([m for m in ('gymnasium', 'ale_py', 'PIL') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
