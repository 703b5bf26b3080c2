"""The runs of a study: how many, in which order, with which rates, seeds and workers."""

import numpy as np
import pytest
from gymnasium import spaces
from support.gym_envs import registered_env
from support.studies import FakeExecutor, runs

import numasync
from numasync import InputError
from numasync.algorithms import ALGORITHMS
from numasync.learner.optim import OPTIMIZERS
from numasync.tools.studies.plan import LR_HIGH, LR_LOW, STUDIES, THREADS, TURNS, WORKERS, make_settings, runs_of
from numasync.tools.studies.table import identity


def test_defaults_are_those_of_the_paper():
    assert len(runs("lr")) == 4 * 50 and {run["optimizer"] for run in runs("lr")} == {"shared_rmsprop"}
    optimizers = runs("optimizers")
    assert {run["algo"] for run in optimizers} == {"a3c", "nstep_q"} and len(optimizers) == 2 * 3 * 50
    assert {run["optimizer"] for run in optimizers} == OPTIMIZERS.keys()
    threads = runs("threads")
    assert len([run for run in threads if run["mode"] == TURNS]) == 4 * 5 * len(WORKERS)
    assert WORKERS == (1, 2, 4, 8, 16) and {run["algo"] for run in threads} == ALGORITHMS.keys()


def test_what_is_not_given_comes_from_the_preset():
    (run, *_) = runs("lr", algos="a3c")
    assert (run["workers"], run["max_steps"], run["mode"]) == (8, 1_000_000, TURNS)
    (run, *_) = runs_of(make_settings("threads", "MinAtar/Breakout-v1", algos=["a3c"], steps=7))
    assert (run["lr"], run["max_steps"], run["workers"]) == (3e-3, 7, 1)


def test_every_optimiser_and_algorithm_gets_the_same_rates_and_seeds():
    pairs = {}
    for run in runs("optimizers", runs=20, seed=5):
        pairs.setdefault((run["algo"], run["optimizer"]), []).append((run["lr"], run["seed"]))
    assert len(pairs) == 6 and len({tuple(of_one) for of_one in pairs.values()}) == 1
    assert [seed for _, seed in pairs["a3c", "rmsprop"]] == list(range(5, 25))


def test_rates_are_drawn_from_the_seed_evenly_over_the_logarithm():
    rates = [run["lr"] for run in runs("lr", algos="a3c", runs=1000, seed=3)]
    assert LR_LOW <= min(rates) < 1.1 * LR_LOW and 0.9 * LR_HIGH < max(rates) <= LR_HIGH
    assert np.histogram(np.log10(rates), [-4, -3.5, -3, -2.5, -2])[0] == pytest.approx([250] * 4, abs=50)
    assert rates[:7] == [run["lr"] for run in runs("lr", algos="a3c", runs=7, seed=3)]
    assert rates[:7] != [run["lr"] for run in runs("lr", algos="a3c", runs=7, seed=4)]
    narrow = [run["lr"] for run in runs("lr", algos="a3c", lr_low=0.02, lr_high=0.03)]
    assert 0.02 <= min(narrow) and max(narrow) <= 0.03


def test_only_as_many_threads_as_cores_are_timed_and_they_come_last():
    found = runs("threads", runs=2, algos="a3c")
    assert [run["mode"] for run in found] == 10 * [TURNS] + 4 * [THREADS]
    assert [(run["workers"], run["seed"]) for run in found[10:]] == [(1, 1), (2, 1), (1, 2), (2, 2)]


def test_actions_of_several_integers_have_one_algorithm():
    with registered_env(spaces.Discrete(2), spaces.MultiBinary(2)) as env_id:
        assert list(make_settings("lr", env_id)["presets"]) == ["a3c"]


def test_continuous_actions_have_one_algorithm():
    assert list(make_settings("lr", "Pendulum-v1")["presets"]) == ["a3c"]
    with pytest.raises(InputError, match="Pendulum-v1 has continuous actions, and nstep_q needs"):
        make_settings("lr", "Pendulum-v1", algos="nstep_q")


@pytest.mark.parametrize("name", STUDIES)
def test_no_two_runs_are_the_same(name):
    found = [identity(run) for run in runs(name)]
    assert len(set(found)) == len(found)


def test_algorithms_are_in_one_order_however_they_are_given():
    assert make_settings("lr", "Catch-v0", "a3c,nstep_q") == make_settings("lr", "Catch-v0", ("nstep_q", "a3c", "a3c"))


@pytest.mark.parametrize("algos", [[], 5, {"a3c"}, [["a3c"]], [5]])
def test_algorithms_that_are_no_names_are_refused(tmp_path, algos):
    with pytest.raises(InputError, match=r"^(algos is .+; it must be names|.+ is no algo; choose one) .+\.$"):
        numasync.study("lr", algos=algos, out=tmp_path / "study", executor=FakeExecutor())
    assert not list(tmp_path.iterdir())
