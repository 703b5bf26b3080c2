"""A whole run: what it writes down, its periodic evaluations, and how it ends."""

import threading
import time
import warnings
from contextlib import nullcontext

import gymnasium
import numpy as np
import pytest

import numasync
from numasync import NotFiniteError, WorkerError, dense, relu
from numasync.agent import evaluation
from numasync.agent.agent import Agent
from numasync.agent.evaluation import PERIODIC_EVAL_STREAM, play_episodes, summarize
from numasync.config import make_config
from numasync.envs.jitted.cartpole import CARTPOLE
from numasync.training import engine, supervisor
from numasync.training import run as run_module
from numasync.training import train as train_module
from numasync.training.background_evaluation import BackgroundEvaluator
from numasync.training.callbacks import Callback
from numasync.training.display import Silent
from numasync.training.records import read_run
from numasync.training.report import Report
from numasync.training.run import Run
from numasync.training.supervisor import Supervisor
from numasync.training.trainer import Trainer

ID = "Watched-v0"
LAYERS = (dense(16), relu())
SHORT = dict(network=LAYERS, steps=1000, workers=2, seed=3, final_eval_episodes=3, periodic_eval_episodes=2)
ENDLESS = 1_000_000_000
WAIT_SECONDS = 30


class InTurns(Supervisor):
    """Runs the workers in the thread of its caller and reports the progress after every turn of all workers."""

    def _run_threads(self, on_progress, on_checkpoint, on_pause):
        self.trainer.clock.start()
        workers = range(self.trainer.config.workers)
        while sum(self.trainer.run_segments_of(i, 1) for i in workers) == len(workers):  # all() would stop at the first
            on_progress(self.progress())
        self.trainer.clock.stop()


class Prompt(BackgroundEvaluator):
    """Has each score ready at once."""

    def poll(self, steps, seconds, theta):
        super().poll(steps, seconds, theta)
        self.finish()


@pytest.fixture
def in_turns(monkeypatch):
    """Runs that are the same every time, their evaluations too."""
    monkeypatch.setattr(engine, "Supervisor", InTurns)
    monkeypatch.setattr(run_module, "BackgroundEvaluator", Prompt)


@pytest.fixture
def trainers(monkeypatch):
    """The list of the trainers that runs make."""
    made = []
    monkeypatch.setattr(engine, "Trainer", lambda *arguments: made.append(Trainer(*arguments)) or made[-1])
    return made


@pytest.fixture
def threads_end():
    """Waits for the threads that have begun since the test began; true if all end."""
    before = threading.enumerate()

    def wait():
        begun = [thread for thread in threading.enumerate() if thread not in before]
        for thread in begun:
            thread.join(WAIT_SECONDS)
        return not any(thread.is_alive() for thread in begun)

    return wait


def names(folder):
    """Return the names of the files of a run, without its training states."""
    return sorted({path.name for path in folder.iterdir()} - {"training.npz", "training-previous.npz"})


# --- Episodes


@pytest.mark.parametrize("options", [dict(), dict(deterministic=True), dict(workers=1)], ids=str)
def test_the_monitor_has_exactly_the_episodes_of_the_run(tmp_path, options):
    given = {**SHORT, **options}
    result = numasync.train(out=tmp_path / "run", **given).result
    run = read_run(tmp_path / "run")
    scores, lengths, seconds, T = run.episodes.T
    assert 20 < len(scores) == result["episodes"] <= 100 and summarize(scores) == pytest.approx(result["training"])
    np.testing.assert_array_equal(scores, lengths)  # a reward of 1 a step
    assert 0 <= result["steps"] - lengths.sum() <= 500 * given["workers"], "an episode a worker may be unfinished"
    assert (lengths <= T).all() and T.max() <= result["steps"] == run.result["steps"]
    assert seconds.min() >= 0 and seconds.max() <= result["wall_s"] + 0.01


def test_one_worker_writes_its_episodes_one_after_the_other(tmp_path):
    numasync.train(out=tmp_path / "run", **{**SHORT, "workers": 1})
    table = np.loadtxt(tmp_path / "run" / "monitor.csv", delimiter=",", skiprows=2)
    np.testing.assert_array_equal(table[:, 3], np.cumsum(table[:, 1]))
    assert (np.diff(table[:, 2]) >= 0).all()


def test_episodes_are_written_while_the_run_lasts(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "Supervisor", InTurns)
    folder = tmp_path / "run"
    growing = []

    class Looks(Report):
        def print_progress(self, progress):
            growing.append(len(read_run(folder).episodes))

    monkeypatch.setattr(train_module, "Report", Looks)
    result = numasync.train(out=folder, **SHORT).result
    assert growing[0] == 0 < growing[len(growing) // 2] < result["episodes"] and growing == sorted(growing)


def test_the_monitor_is_complete_before_the_evaluation_begins(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        Agent, "evaluate", lambda *_, **__: seen.append(read_run(tmp_path / "run").episodes) or summarize([0])
    )
    numasync.train(out=tmp_path / "run", **SHORT)
    np.testing.assert_array_equal(seen, [read_run(tmp_path / "run").episodes])


def test_a_run_without_a_folder_writes_nothing(tmp_path, monkeypatch, in_turns):
    monkeypatch.chdir(tmp_path)
    agent = numasync.train(eval_every=200, **SHORT)
    assert agent.result["evaluation"]["episodes"] == 3 and not list(tmp_path.iterdir())


# --- Periodic evaluations


def test_each_crossing_is_evaluated_and_the_end_is_the_last_line(tmp_path, in_turns):
    agent = numasync.train(out=tmp_path / "run", eval_every=200, **SHORT)
    *periodic, last = read_run(tmp_path / "run").evaluations
    assert [int(line[0]) // 200 for line in periodic] == [1, 2, 3, 4] and {line[2] for line in periodic} == {2}
    assert last[0] == agent.result["steps"] >= 1000 and last[1] == pytest.approx(agent.result["wall_s"], abs=0.01)
    np.testing.assert_allclose(last[2:], list(agent.result["evaluation"].values()), rtol=1e-9)
    seconds = [line[1] for line in (*periodic, last)]
    assert seconds == sorted(seconds) and 0 <= seconds[0]


def test_the_best_agent_is_that_of_the_highest_evaluation(tmp_path, monkeypatch, in_turns):
    monkeypatch.setattr(Agent, "evaluate", lambda *_, **__: summarize([0.0]))
    numasync.train(out=tmp_path / "run", eval_every=100, **SHORT)
    evaluations = read_run(tmp_path / "run").evaluations
    best = numasync.load(tmp_path / "run" / "best.npz")
    highest = evaluations[evaluations[:, 3].argmax()]  # the first of equals
    assert len(set(evaluations[:, 3])) > 1
    assert best.result["steps"] == highest[0] and best.result["wall_s"] == pytest.approx(highest[1], abs=0.01)
    assert list(best.result["evaluation"].values()) == pytest.approx(highest[2:])
    again = play_episodes(best.spec, best.evaluation_policy(), best.theta, 2, best.config.seed, PERIODIC_EVAL_STREAM)
    assert summarize(again) == best.result["evaluation"]


@pytest.mark.parametrize("last, number", [(2.0, 1), (3.0, 1), (3.5, 4)])
def test_of_equal_evaluations_the_first_is_the_best(tmp_path, monkeypatch, in_turns, last, number):
    scores = iter([[1.0], [3.0], [3.0], [2.0]])
    thetas = []

    def scripted(spec, evaluation_policy, theta, *more):
        thetas.append(theta.copy())
        return next(scores)

    monkeypatch.setattr(run_module, "play_episodes", scripted)
    monkeypatch.setattr(Agent, "evaluate", lambda agent, *_, **__: thetas.append(agent.theta) or summarize([last]))
    numasync.train(out=tmp_path / "run", eval_every=200, **SHORT)
    means = read_run(tmp_path / "run").evaluations[:, 3]
    assert means.tolist() == [1, 3, 3, 2, last]
    best = numasync.load(tmp_path / "run" / "best.npz")
    assert [np.array_equal(best.theta, theta) for theta in thetas].index(True) == number
    assert best.result["evaluation"]["mean"] == max(means)


def test_without_periodic_evaluations_a_run_has_the_last_one_alone(tmp_path):
    agent = numasync.train(out=tmp_path / "run", **SHORT)
    ((steps, _, episodes, mean, *_),) = read_run(tmp_path / "run").evaluations
    assert (steps, episodes, mean) == (agent.result["steps"], 3, pytest.approx(agent.result["evaluation"]["mean"]))
    assert names(tmp_path / "run") == ["checkpoint.npz", "config.json", "evaluations.csv", "monitor.csv", "result.json"]


def test_periodic_evaluations_do_not_change_a_deterministic_run(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor, "POLL_SECONDS", 0.001)
    scored, run_segments_of, record = threading.Event(), Trainer.run_segments_of, Run._record_periodic_evaluation

    def play_on_once_one_is_scored(self, i, segments):  # which on a busy machine takes longer than the run
        if self.config.eval_every and self.steps > 5_000:
            assert scored.wait(WAIT_SECONDS)
        return run_segments_of(self, i, segments)

    def note_that_one_is_scored(self, *arguments):
        record(self, *arguments)
        scored.set()

    monkeypatch.setattr(Trainer, "run_segments_of", play_on_once_one_is_scored)
    monkeypatch.setattr(Run, "_record_periodic_evaluation", note_that_one_is_scored)
    options = {**SHORT, "steps": 10_000, "deterministic": True}
    alone = numasync.train(**options)
    evaluated = numasync.train(out=tmp_path / "run", eval_every=100, **options)
    assert len(read_run(tmp_path / "run").evaluations) > 1
    np.testing.assert_array_equal(evaluated.theta, alone.theta)
    assert {**evaluated.result, "wall_s": 0, "steps_per_s": 0} == {**alone.result, "wall_s": 0, "steps_per_s": 0}


def test_a_verbose_run_says_which_evaluation_is_the_best_so_far(capsys, monkeypatch, in_turns):
    scores = iter([[1.0], [3.0], [2.0], [3.0]])
    monkeypatch.setattr(run_module, "play_episodes", lambda *_: next(scores))
    numasync.train(verbose=True, eval_every=200, **SHORT)
    lines = [line for line in capsys.readouterr().out.splitlines() if "steps: evaluation mean" in line]
    assert [line.endswith(" (best).") for line in lines] == [True, True, False, False]


def test_an_evaluation_still_under_way_at_the_end_is_said_before_the_next_begins(capsys, monkeypatch):
    class Late(BackgroundEvaluator):
        def poll(self, steps, seconds, theta):
            if not self.future:
                super().poll(steps, seconds, theta)

    monkeypatch.setattr(engine, "Supervisor", InTurns)
    monkeypatch.setattr(run_module, "BackgroundEvaluator", Late)
    numasync.train(verbose=True, eval_every=200, **SHORT)
    kinds = [line.split()[0] for line in capsys.readouterr().out.splitlines() if "valuat" in line]
    assert kinds[-3:] == ["Evaluating", "Evaluation", "Best"] and len(kinds) == 4


def test_parameters_that_are_not_finite_are_never_the_best(tmp_path, monkeypatch, in_turns, trainers):
    class Poisons(Report):
        def print_progress(self, progress):
            # A unit that relu switches off for ever: no loss and no gradient ever sees it.
            if progress.steps > 500:
                (trainer,) = trainers
                trainer.network.views(trainer.theta)["dense1.bias"][0] = -np.inf

    monkeypatch.setattr(train_module, "Report", Poisons)
    means = iter(range(100))
    monkeypatch.setattr(run_module, "play_episodes", lambda *_: [next(means)])
    with pytest.raises(NotFiniteError, match="^A parameter became NaN or infinite"):
        numasync.train(out=tmp_path / "run", eval_every=100, **SHORT)
    assert read_run(tmp_path / "run").evaluations[-1, 0] < 510
    for name in ("checkpoint.npz", "best.npz"):
        assert np.isfinite(numasync.load(tmp_path / "run" / name).theta).all()


# --- How a run ends


class Watched(gymnasium.Env):
    """Episodes of 10 steps for workers, and long episodes with a nap a step for evaluators, which set `evaluating`.

    The first instance is only asked for its spaces. The next two are the workers'.
    """

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)
    limit = 5000

    def __init__(self, made, evaluating, fails):
        self.number, self.evaluating, self.fails = len(made), evaluating, fails
        self.steps, self.closed = 0, False
        made.append(self)

    def reset(self, *, seed=None, options=None):
        return np.zeros(2, np.float32), {}

    def step(self, action):
        assert not self.closed
        self.steps += 1
        evaluator = self.number > 2
        if evaluator:
            self.evaluating.set()
            time.sleep(0.001)
        elif self.fails and self.number == 1 and self.evaluating.is_set():
            raise ZeroDivisionError("the pole broke")
        return np.full(2, 0.1, np.float32), 1.0, self.steps % (self.limit if evaluator else 10) == 0, False, {}

    def close(self):
        self.closed = True


@pytest.fixture
def watched(monkeypatch):
    """Registers ID; returns the list of its instances and the event `evaluating`."""

    def register(kind=Watched, fails=False):
        made, evaluating = [], threading.Event()
        spec = gymnasium.envs.registration.EnvSpec(ID, entry_point=lambda: kind(made, evaluating, fails))
        monkeypatch.setitem(gymnasium.registry, ID, spec)
        return made, evaluating

    monkeypatch.setattr(supervisor, "POLL_SECONDS", 0.001)
    monkeypatch.setattr(evaluation, "CALL_STEPS", 50)
    return register


OPTIONS = {**SHORT, "steps": ENDLESS, "eval_every": 10, "periodic_eval_episodes": 4}


def test_ctrl_c_does_not_wait_for_a_periodic_evaluation(tmp_path, monkeypatch, watched, threads_end):
    made, evaluating = watched()

    class Interrupts(Report):
        def print_progress(self, progress):
            if evaluating.is_set():
                raise KeyboardInterrupt

    monkeypatch.setattr(train_module, "Report", Interrupts)
    agent = numasync.train(ID, out=tmp_path / "run", **OPTIONS)
    evaluators = made[3:]
    assert threads_end() and len(evaluators) == 4 and all(env.closed for env in made)
    assert {env.steps % 50 for env in evaluators} == {0} and max(env.steps for env in evaluators) < Watched.limit
    assert agent.result["interrupted"] is True and agent.result["evaluation"] is None
    assert names(tmp_path / "run") == ["checkpoint.npz", "config.json", "monitor.csv", "result.json"]


def test_ctrl_c_at_the_end_does_not_wait_for_it_either(tmp_path, monkeypatch, watched, threads_end, trainers):
    made, evaluating = watched()

    class Begins(Report):
        def print_progress(self, progress):
            (trainer,) = trainers
            trainer.shared.steps[0, 0] += trainer.config.steps * evaluating.is_set()  # as if all had been played

    def interrupted(background):
        raise KeyboardInterrupt

    monkeypatch.setattr(train_module, "Report", Begins)
    monkeypatch.setattr(BackgroundEvaluator, "finish", interrupted)
    agent = numasync.train(ID, out=tmp_path / "run", **OPTIONS)
    assert threads_end() and max(env.steps for env in made[3:]) < Watched.limit
    assert agent.result["interrupted"] is True and numasync.load(tmp_path / "run" / "checkpoint.npz").result


def test_a_failing_worker_ends_the_periodic_evaluation_too(tmp_path, watched, threads_end):
    made, evaluating = watched(fails=True)
    with pytest.raises(WorkerError, match="^Worker 0 failed with ZeroDivisionError: the pole broke"):
        numasync.train(ID, out=tmp_path / "run", **OPTIONS)
    assert evaluating.is_set() and threads_end() and all(env.closed for env in made)
    assert max(env.steps for env in made[3:]) < Watched.limit
    assert names(tmp_path / "run") == ["checkpoint.npz", "config.json", "failure.json", "monitor.csv"]


@pytest.mark.parametrize("reward", [1.0, np.nan])
def test_a_run_that_fails_has_written_all_its_episodes_down(tmp_path, watched, reward):
    class Fails(Watched):
        def step(self, action):
            if self.steps == 95 and np.isfinite(reward):
                raise ZeroDivisionError("the pole broke")
            obs, _, *more = super().step(action)
            return obs, reward if self.steps == 95 else 1.0, *more

    watched(Fails)
    with pytest.raises(WorkerError):
        numasync.train(ID, out=tmp_path / "run", **{**SHORT, "steps": ENDLESS, "workers": 1})
    episodes = read_run(tmp_path / "run").episodes
    assert episodes[:, 3].tolist() == list(range(10, 100, 10)) and set(episodes[:, 0]) == {10}


def test_an_evaluation_that_is_given_up_has_no_score_and_no_warning():
    agent = Agent(make_config("classic", eval_every=10, network=LAYERS), CARTPOLE.spec)
    run = Run(agent, None, Report(agent.config, display=Silent()))
    run.evaluator.close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run._evaluate_periodically(agent.theta, run.evaluator.stop) is None


def test_entropy_and_value_are_measured_for_callbacks_alone():
    agent = Agent(make_config("classic", network=LAYERS), CARTPOLE.spec)
    report = Report(agent.config, display=Silent())
    assert Run(agent, None, report).trainer.settings.measure == 0
    assert Run(agent, None, report, callbacks=[Callback()]).trainer.settings.measure != 0


@pytest.mark.parametrize("moment", ["print_end", "print_final_evaluation", "print_result"])
def test_where_the_reader_of_the_output_has_gone_the_record_is_whole(monkeypatch, tmp_path, moment):
    def gone(*arguments):
        raise BrokenPipeError

    monkeypatch.setattr(Report, moment, gone)
    with pytest.raises(BrokenPipeError) if moment == "print_result" else nullcontext():
        numasync.train("CartPole-v1", out=tmp_path / "run", **SHORT)
    result = read_run(tmp_path / "run").result
    assert result["steps"] >= 1000 and result["interrupted"] == (moment != "print_result")
    assert numasync.load(tmp_path / "run" / "checkpoint.npz").result == result
