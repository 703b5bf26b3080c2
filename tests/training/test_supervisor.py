"""A run from outside: its threads, its checkpoints, and how it ends when something fails."""

import signal
import sys
import threading
import time
import traceback

import numpy as np
import pytest
from support.scripted import ENDLESS, ID, LAYERS, WAIT_SECONDS, Scripted, fails_at, make_trainer, plain, register

import numasync
from numasync import InputError, NotFiniteError, WorkerError
from numasync.training import supervisor, trainer
from numasync.training.supervisor import Supervisor


@pytest.fixture
def scripted(monkeypatch):
    """Registers ID with a script and returns the list of the instances that are then made."""
    return lambda script: register(script, monkeypatch)


def not_finite_at(step, value, where):
    def script(number, n):
        obs, reward = plain(number, n)
        if n == step:
            return (value, reward) if where == "observation" else (obs, value)
        return obs, reward

    return script


def interrupt(progress):
    raise KeyboardInterrupt


def test_a_checkpoint_is_due_at_the_start_at_every_crossing_and_at_the_end(scripted, monkeypatch):
    monkeypatch.setattr(supervisor, "POLL_SECONDS", 0.001)
    monkeypatch.setattr(supervisor, "LEAST_SECONDS", 0.0)
    permits = threading.Semaphore(30)

    def script(number, n):
        assert permits.acquire(timeout=WAIT_SECONDS)
        return plain(number, n)

    def permit(progress):
        # Where the environment waits it may go on by 30 steps; the supervisor, who looks then, cannot miss a crossing.
        permits.release(1 if permits.acquire(blocking=False) else 30)

    scripted(script)
    run = make_trainer(workers=1, steps=400, checkpoint_every=100, deterministic=True)
    saved = []
    Supervisor(run).run(permit, lambda theta: saved.append(run.steps))
    first, *middle, last = saved
    assert first <= run.config.t_max and last == 400 and [steps // 100 for steps in middle] == [1, 2, 3]


@pytest.mark.parametrize("step, deterministic", [(1, False), (50, False), (50, True)])
def test_a_failing_worker_ends_the_run_and_the_agent_is_saved(scripted, tmp_path, step, deterministic):
    made = scripted(fails_at(step, worker=2))  # numasync.train makes instance 0 to ask for its spaces
    with pytest.raises(WorkerError, match=r"^Worker 1 failed with ZeroDivisionError: the pole broke") as caught:
        numasync.train(ID, out=tmp_path / "run", network=LAYERS, workers=3, steps=ENDLESS, deterministic=deterministic)
    cause = caught.value.__cause__
    assert isinstance(cause, ZeroDivisionError)
    assert traceback.extract_tb(cause.__traceback__)[-1].name == "script", "it ends where the environment failed"
    assert len(made) == 4 and all(env.closed for env in made)
    # An episode is 10 steps: others may have ended some even where worker 1 fails at its first.
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names - {"monitor.csv"} == {"checkpoint.npz", "config.json", "failure.json", "training.npz"}
    assert "monitor.csv" in names or step == 1
    assert np.isfinite(numasync.load(tmp_path / "run" / "checkpoint.npz").theta).all()


def test_an_environment_that_leaves_the_program_is_a_failing_worker(scripted):
    def script(number, n):
        return sys.exit("the window was closed") if n == 50 else plain(number, n)

    scripted(script)
    sentence = r"^Worker [01] failed: step of Scripted-v0 called sys.exit\('the window was closed'\)\.$"
    with pytest.raises(WorkerError, match=sentence):
        Supervisor(make_trainer(steps=ENDLESS)).run()


def test_what_a_thread_dies_of_ends_the_run(scripted, monkeypatch):
    scripted(plain)
    run = make_trainer(steps=ENDLESS)
    run_segments_of = run.run_segments_of

    def broken(i, segments):
        if i == 1:
            raise MemoryError("outside the environment")
        return run_segments_of(i, segments)

    monkeypatch.setattr(run, "run_segments_of", broken)
    with pytest.raises(MemoryError, match="outside"):
        Supervisor(run).run()
    assert run.steps < ENDLESS


@pytest.mark.parametrize("worker", [0, 1])
def test_the_checkpoint_after_a_failure_holds_what_was_learned_before_it(scripted, worker):
    scripted(fails_at(120, worker))
    run = make_trainer(steps=ENDLESS)
    saved = []
    with pytest.raises(WorkerError, match=f"^Worker {worker} "):
        Supervisor(run).run(on_checkpoint=lambda theta: saved.append((run.steps, theta.copy())))
    assert len(saved) == 2 and saved[0][0] <= run.config.t_max < saved[1][0] == run.steps < ENDLESS
    assert np.array_equal(saved[1][1], run.theta) and not np.array_equal(saved[0][1], run.theta)


@pytest.mark.parametrize(
    "where, value, clip",
    [
        ("reward", np.nan, 0.0),
        ("reward", np.nan, 1.0),
        ("reward", np.inf, 0.0),
        ("observation", np.nan, 0.0),
        ("observation", np.inf, 0.0),
    ],
)
@pytest.mark.parametrize("algo", ["nstep_q", "a3c", "one_step_sarsa"])
def test_what_is_not_finite_ends_the_run_and_keeps_the_last_good_agent(scripted, tmp_path, algo, where, value, clip):
    made = scripted(not_finite_at(53, value, where))
    options = dict(network=LAYERS, workers=2, steps=ENDLESS, reward_clip=clip)
    with pytest.raises(WorkerError, match=r"^Worker \d failed: step 53 of Scripted-v0 returned .*(nan|inf)"):
        numasync.train(ID, algo, out=tmp_path / "run", **options)
    assert np.isfinite(numasync.load(tmp_path / "run" / "checkpoint.npz").theta).all()
    assert not (tmp_path / "run" / "result.json").exists() and all(env.closed for env in made)


@pytest.mark.parametrize("options", [dict(lr=1e38, clip_norm=0.0), dict(rms_eps=1e-300)], ids=str)
def test_no_checkpoint_is_written_with_parameters_that_are_not_finite(scripted, tmp_path, options):
    # The very first update makes them so, before the checkpoint at the start of the run.
    scripted(lambda number, n: (0.1, 1e3))
    with pytest.raises((NotFiniteError, InputError)):
        numasync.train(ID, out=tmp_path / "run", network=LAYERS, steps=2000, reward_clip=0.0, **options)
    for path in tmp_path.glob("run/checkpoint.npz"):
        assert np.isfinite(numasync.load(path).theta).all()


@pytest.mark.parametrize("moment", ["while the run lasts", "at its end"])
def test_a_poisoned_parameter_is_found_from_outside(scripted, monkeypatch, moment):
    poisoned = threading.Event()

    def script(number, n):
        assert n < 50 or poisoned.wait(WAIT_SECONDS)
        return plain(number, n)

    scripted(script)
    endless = moment == "while the run lasts"
    monkeypatch.setattr(supervisor, "PARAMETER_CHECK_SECONDS", 0.05 if endless else 1e9)
    monkeypatch.setattr(supervisor, "POLL_SECONDS", 0.01)
    run = make_trainer(steps=ENDLESS if endless else 5000, checkpoint_every=ENDLESS)
    saved = []

    def poison(progress):
        # A unit that relu switches off for ever: no loss and no gradient ever sees it.
        run.network.views(run.theta)["dense1.bias"][0] = -np.inf
        poisoned.set()

    with pytest.raises(NotFiniteError, match=r"^A parameter became NaN or infinite"):
        Supervisor(run).run(poison, lambda theta: saved.append(theta.copy()))
    assert len(saved) == 1 and np.isfinite(saved[0]).all(), "only the checkpoint at the start"
    assert run.steps < ENDLESS


@pytest.mark.parametrize(
    "script, steps, on_progress, raises",
    [
        (plain, 200, None, None),
        (plain, ENDLESS, interrupt, None),
        (fails_at(50), ENDLESS, None, WorkerError),
        (not_finite_at(50, np.nan, "reward"), ENDLESS, None, WorkerError),
        (fails_at(1, worker=0), ENDLESS, None, WorkerError),
    ],
    ids=["done", "interrupted", "failed", "not finite", "failed at once"],
)
@pytest.mark.parametrize("deterministic", [False, True])
def test_the_environments_are_closed_however_a_run_ends(scripted, script, steps, on_progress, raises, deterministic):
    made = scripted(script)
    run = make_trainer(steps=steps, deterministic=deterministic)
    before = threading.active_count()
    if raises:
        with pytest.raises(raises):
            Supervisor(run).run()
    else:
        Supervisor(run).run(on_progress or (lambda progress: None))
    assert len(made) == 2 and all(env.closed for env in made)
    assert threading.active_count() == before, "and the threads have ended"


def test_the_environments_are_closed_if_one_cannot_be_made(scripted, monkeypatch):
    made = scripted(plain)
    make_env = trainer.make_env

    def second_fails(*arguments, **named):
        if made:
            raise InputError("no more")
        return make_env(*arguments, **named)

    monkeypatch.setattr(trainer, "make_env", second_fails)
    with pytest.raises(InputError, match="no more"):
        Supervisor(make_trainer()).run()
    assert len(made) == 1 and made[0].closed


def test_a_reset_that_fails_is_a_failing_worker(scripted, monkeypatch):
    scripted(plain)

    def reset(env, *, seed=None, options=None):
        if env.steps == 20:
            raise ZeroDivisionError("no new pole")
        return np.zeros(2, np.float32), {}

    monkeypatch.setattr(Scripted, "reset", reset)
    with pytest.raises(WorkerError, match=r"^Worker \d failed with ZeroDivisionError: no new pole"):
        Supervisor(make_trainer(steps=ENDLESS)).run()


def test_the_first_interrupt_ends_the_run_and_saves(scripted):
    scripted(plain)
    run = make_trainer(steps=ENDLESS)
    saved = []
    watched = Supervisor(run)
    watched.run(interrupt, lambda theta: saved.append(theta.copy()))
    assert watched.interrupted and watched.progress().interrupted and 0 < run.steps < ENDLESS
    assert len(saved) == 2 and np.array_equal(saved[1], run.theta)


def test_a_slow_environment_is_soon_interrupted(scripted):
    def script(number, n):
        time.sleep(0.002)
        return plain(number, n)

    scripted(script)
    run = make_trainer(steps=ENDLESS)
    interrupted_at = []

    def interrupt_later(progress):
        # Calls of the loop have by then grown as long as they get.
        if progress.seconds > 1:
            interrupted_at.append(progress.seconds)
            raise KeyboardInterrupt

    Supervisor(run).run(interrupt_later)
    assert run.steps > 100 and run.clock.seconds - interrupted_at[0] < 1


@pytest.mark.parametrize("deterministic", [False, True])
def test_what_a_callback_raises_ends_the_run_after_a_last_checkpoint(scripted, deterministic):
    made = scripted(plain)
    run = make_trainer(steps=ENDLESS, deterministic=deterministic)
    watched = Supervisor(run)
    error, saved = LookupError("the score is lost"), []

    def fails(progress):
        raise error

    with pytest.raises(LookupError) as caught:
        watched.run(fails, lambda theta: saved.append((run.steps, theta.copy())))
    assert caught.value is error and not watched.interrupted and all(env.closed for env in made)
    assert len(saved) == 2 and saved[1][0] == run.steps < ENDLESS and np.array_equal(saved[1][1], run.theta)


def test_an_interrupted_run_waits_for_its_workers(scripted):
    inside = []

    def script(number, n):
        if n == 20:
            inside.append(True)
            time.sleep(0.05)  # the main thread now waits for this one
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            time.sleep(0.5)
            inside.clear()
        return plain(number, n)

    made = scripted(script)
    run = make_trainer(workers=1, steps=2000)
    watched = Supervisor(run)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        watched.run()
    finally:
        signal.signal(signal.SIGINT, before)
    assert watched.interrupted and 20 <= run.steps < 2000 and made[0].closed
    assert not inside, "the environment was closed and the agent saved while a worker was still in its step"


@pytest.mark.parametrize(
    "cores, deterministic, groups", [(2, False, [{0, 2, 4}, {1, 3}]), (8, False, None), (2, True, [set(range(5))])]
)
def test_workers_beyond_the_cores_share_threads_and_take_turns(scripted, monkeypatch, cores, deterministic, groups):
    """None: a thread for each of the five."""
    scripted(plain)
    monkeypatch.setattr(trainer, "cores", lambda: cores)
    run, played = make_trainer(workers=5, deterministic=deterministic, steps=3_000), {}
    alone = [True]  # the first call plays nothing, before the threads run at the same time
    run_segments_of = run.run_segments_of

    def recorded(i, segments):
        if not alone or alone.clear():
            played.setdefault(threading.get_ident(), []).append(i)
        return run_segments_of(i, segments)

    monkeypatch.setattr(run, "run_segments_of", recorded)
    Supervisor(run).run()
    groups = groups or [{i} for i in range(5)]
    assert sorted(map(set, played.values()), key=min) == groups
    for turns in played.values():
        assert all(turns[at] == turns[at % len(set(turns))] for at in range(len(turns)))
