"""A run that goes on: from where it was, with which options, and what is refused."""

import json
import re
import shutil
import warnings

import numpy as np
import pytest
from support.stops import check_equal, look_often, rows, stop_at, train_in_pieces

import numasync
from numasync import InputError, dense, lstm, relu
from numasync.algorithms import ALGORITHMS
from numasync.errors import TroubleWarning
from numasync.learner.optim import OPTIMIZERS
from numasync.runtime.jit import DISABLED
from numasync.training import engine
from numasync.training import run as run_module
from numasync.training.records import read_run
from numasync.training.schedule import NEVER, Schedule
from numasync.training.state import read_state
from numasync.training.supervisor import Supervisor

SMALL, MEMORY = (dense(16), relu()), (dense(16), relu(), lstm(8))
STEPS = 600 if DISABLED else 6_000
LONG = 2_000 if DISABLED else 200_000  # long enough for the supervisor to look at it
RUN = dict(
    env="Catch-v0",
    workers=4,
    steps=STEPS,
    seed=3,
    network=SMALL,
    deterministic=True,
    checkpoint_every=STEPS // 20,
    eval_every=STEPS // 6,
    periodic_eval_episodes=2,
    final_eval_episodes=2,
    epsilon_steps=STEPS,
    target_interval=50,
)


@pytest.fixture(autouse=True)
def often(monkeypatch):
    look_often(monkeypatch)


def stopped_run(monkeypatch, folder, at=STEPS // 2, **options):
    """Make a run that was stopped once, and return its folder."""
    with monkeypatch.context() as context:
        stop_at(context, at)
        assert numasync.train(out=folder, **{**RUN, **options}).result["interrupted"]
    return folder


# --- As if nothing had happened


@pytest.mark.parametrize("network", [SMALL, MEMORY], ids=["feedforward", "lstm"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("algo", ALGORITHMS)
def test_a_deterministic_run_goes_on_bit_for_bit(monkeypatch, tmp_path, algo, optimizer, network):
    options = {**RUN, "algo": algo, "optimizer": optimizer, "network": network}
    numasync.train(out=tmp_path / "whole", **options)
    stop_at(monkeypatch, STEPS // 5, STEPS // 2, STEPS * 4 // 5)
    _, times = train_in_pieces(tmp_path / "pieces", **options)
    assert times == 3
    check_equal(tmp_path / "whole", tmp_path / "pieces")
    assert len(rows(tmp_path / "whole" / "evaluations.csv", (0,))) == 1 + 5 + 1


def test_a_killed_run_goes_on_from_its_last_state_and_no_episode_counts_twice(monkeypatch, tmp_path):
    options = {**RUN, "steps": LONG, "eval_every": LONG // 6, "checkpoint_every": LONG // 20}
    numasync.train(out=tmp_path / "whole", **options)
    copied = []

    def copy(run, progress):
        # What a kill would leave at this moment.
        if progress.steps >= len(copied) * LONG // 4:
            copied.append(shutil.copytree(tmp_path / "run", tmp_path / f"copy{len(copied)}"))

    progress = run_module.Run._progress
    monkeypatch.setattr(run_module.Run, "_progress", lambda run, found: (progress(run, found), copy(run, found)))
    numasync.train(out=tmp_path / "run", **options)
    monkeypatch.undo()
    assert len(copied) >= 2
    for folder in copied:
        with open(folder / "monitor.csv", "a") as monitor:
            monitor.write("1,2,3.0,4\n5,")  # beyond the state, the last line not whole
        assert numasync.resume(folder).result["steps"] >= LONG
        check_equal(tmp_path / "whole", folder)


def test_an_evaluation_that_had_begun_is_played_again(monkeypatch, tmp_path):
    whole = numasync.train(out=tmp_path / "whole", **RUN)
    interrupted, play = [], run_module.play_episodes

    def slow(*arguments):
        # The second evaluation is still under way when the run is stopped.
        stop = arguments[-1]
        interrupted.append(arguments[2].copy())
        if len(interrupted) == 2:
            assert stop.wait(30)
        return play(*arguments)

    monkeypatch.setattr(run_module, "play_episodes", slow)
    stop_at(monkeypatch, STEPS * 2 // 6 + 1)
    numasync.train(out=tmp_path / "run", **RUN)
    _, state = read_state(tmp_path / "run" / "training.npz")
    assert state.numbers.pending and STEPS * 2 // 6 <= state.numbers.pending[0] < STEPS * 3 // 6
    np.testing.assert_array_equal(state.arrays["pending_theta"], interrupted[1])
    monkeypatch.undo()
    agent = numasync.resume(tmp_path / "run")
    assert agent.result["evaluation"] == whole.result["evaluation"]
    check_equal(tmp_path / "whole", tmp_path / "run")


def test_a_run_that_was_stopped_before_its_first_state_begins_again(monkeypatch, tmp_path):
    whole = numasync.train(out=tmp_path / "whole", **RUN)

    def stopped(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as context, pytest.raises(KeyboardInterrupt):
        context.setattr(Supervisor, "_call", stopped)
        numasync.train(out=tmp_path / "run", **RUN)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["config.json"]
    assert np.array_equal(numasync.resume(tmp_path / "run").theta, whole.theta)


@pytest.mark.compiled
def test_with_threads_steps_episodes_and_time_add_up(monkeypatch, tmp_path):
    stop_at(monkeypatch, 100_000, 300_000)
    steps = 2_000_000  # seconds
    options = {**RUN, "deterministic": False, "workers": 2, "steps": steps, "eval_every": 0}
    _, times = train_in_pieces(tmp_path / "run", **options)
    run = read_run(tmp_path / "run")
    assert times == 2 and steps <= run.result["steps"] < steps + 2 * 5
    lengths = run.episodes[:, 1].sum()
    assert run.result["episodes"] == len(run.episodes) and 0 <= run.result["steps"] - lengths < 2 * 10
    assert np.median(run.episodes[-1000:, 2]) > np.median(run.episodes[:1000, 2]), "the seconds go on"
    assert run.result["wall_s"] >= run.episodes[-1, 2] - 0.01


def test_the_best_agent_stays_the_best(monkeypatch, tmp_path):
    scores = iter([5.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    monkeypatch.setattr(run_module, "play_episodes", lambda *_: [next(scores)])
    folder = stopped_run(monkeypatch, tmp_path / "run")
    best = numasync.load(folder / "best.npz")
    numasync.resume(folder)
    again = numasync.load(folder / "best.npz")
    assert best.result == again.result and best.result["evaluation"]["mean"] == 5.0


# --- Environments


@pytest.mark.compiled
def test_an_episode_of_gymnasium_begins_anew_and_it_is_said_once(monkeypatch, tmp_path):
    folder = stopped_run(monkeypatch, tmp_path / "run", env="gymnasium:CartPole-v1", eval_every=0)
    with pytest.warns(TroubleWarning) as caught:
        agent = numasync.resume(folder)
    (text,) = [str(warning.message) for warning in caught]
    assert text.startswith("The episodes of gymnasium:CartPole-v1 that were under way begin anew")
    run = read_run(folder)
    assert agent.result["steps"] >= STEPS and run.result["episodes"] == len(run.episodes)


# --- More steps


@pytest.mark.parametrize("schedule", ["stretch", "hold"])
def test_more_steps_stretch_or_hold_the_learning_rate(monkeypatch, tmp_path, schedule):
    folder = stopped_run(monkeypatch, tmp_path / "run")
    _, state = read_state(folder / "training.npz")
    made, make = [], engine.Trainer
    monkeypatch.setattr(engine, "Trainer", lambda *arguments: made.append(make(*arguments)) or made[-1])
    numasync.resume(folder, steps=2 * STEPS, schedule=schedule)
    (trainer,) = made
    lr = trainer.config.lr
    held = lr * (1 - state.steps / STEPS)
    expected = Schedule(lr, 2 * STEPS) if schedule == "stretch" else Schedule(pytest.approx(held), NEVER)
    assert trainer.schedule == expected
    assert trainer.settings.lr_steps == expected.steps and trainer.steps >= 2 * STEPS
    assert read_run(folder).config["steps"] == 2 * STEPS and read_run(folder).result["steps"] >= 2 * STEPS


def test_a_held_learning_rate_is_held_by_the_next_resume_too(monkeypatch, tmp_path):
    folder = stopped_run(monkeypatch, tmp_path / "run")
    with monkeypatch.context() as context:
        stop_at(context, STEPS)
        numasync.resume(folder, steps=2 * STEPS, schedule="hold")
    _, state = read_state(folder / "training.npz")
    numasync.resume(folder)
    _, last = read_state(folder / "training.npz")
    assert state.steps < last.steps and last.numbers.lr == state.numbers.lr and last.numbers.lr_steps == NEVER


def test_a_finished_run_goes_on_for_more_steps_and_keeps_its_evaluations(tmp_path):
    numasync.train(out=tmp_path / "run", **RUN)
    before = (tmp_path / "run" / "evaluations.csv").read_text()
    with pytest.raises(InputError, match=f"has finished its {STEPS} steps; give more steps"):
        numasync.resume(tmp_path / "run")
    agent = numasync.resume(tmp_path / "run", steps=STEPS + 200)
    assert agent.result["steps"] >= STEPS + 200
    assert (tmp_path / "run" / "evaluations.csv").read_text().startswith(before)


def test_a_resume_plays_the_final_evaluation_that_was_stopped(monkeypatch, tmp_path):
    whole = numasync.train(out=tmp_path / "whole", **RUN)

    def stopped(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(numasync.Agent, "evaluate", stopped)
        assert numasync.train(out=tmp_path / "run", **RUN).result["interrupted"]
    assert numasync.resume(tmp_path / "run").result["evaluation"] == whole.result["evaluation"]
    check_equal(tmp_path / "whole", tmp_path / "run")


# --- States on the disk


def test_a_damaged_state_is_said_and_the_one_before_it_is_used(monkeypatch, tmp_path):
    numasync.train(out=tmp_path / "whole", **RUN)
    folder = stopped_run(monkeypatch, tmp_path / "run")
    content = bytearray((folder / "training.npz").read_bytes())
    content[len(content) // 2] ^= 255
    (folder / "training.npz").write_bytes(content)
    with pytest.warns(TroubleWarning, match=r"training\.npz is .*; the run goes on from the state before it"):
        numasync.resume(folder)
    check_equal(tmp_path / "whole", folder)


def test_a_kill_between_two_renames_leaves_the_state_before(monkeypatch, tmp_path):
    numasync.train(out=tmp_path / "whole", **RUN)
    folder = stopped_run(monkeypatch, tmp_path / "run")
    (folder / "training.npz").unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("error", TroubleWarning)
        numasync.resume(folder)
    check_equal(tmp_path / "whole", folder)


def test_the_agents_of_the_last_checkpoints_are_kept(tmp_path):
    numasync.train(out=tmp_path / "run", keep_checkpoints=3, **RUN)
    kept = sorted((tmp_path / "run" / "checkpoints").iterdir())
    steps = [int(path.stem) for path in kept]
    assert len(kept) == 3 and steps[-1] >= STEPS and steps == sorted(steps)
    last = numasync.load(tmp_path / "run" / "checkpoint.npz")
    assert np.array_equal(numasync.load(kept[-1]).theta, last.theta)
    assert not np.array_equal(numasync.load(kept[0]).theta, last.theta)


def test_minutes_between_checkpoints_count_too(monkeypatch, tmp_path):
    saved = []
    write = run_module.write_state
    monkeypatch.setattr(run_module, "write_state", lambda *arguments: (saved.append(1), write(*arguments)))
    options = {**RUN, "checkpoint_every": 10**9, "eval_every": 0, "steps": LONG}
    numasync.train(**options, out=tmp_path / "steps")
    few = len(saved)
    numasync.train(**options, out=tmp_path / "minutes", checkpoint_minutes=1e-6)
    assert few == 3 and len(saved) - few > few, "at the start, at the end of the training, and after the evaluation"


# --- What is refused


@pytest.mark.parametrize(
    "damage, sentence",
    [
        (lambda folder: shutil.rmtree(folder), "is no folder of a run; there is no config.json in it"),
        (lambda folder: (folder / "config.json").write_text("{}"), "The records in .* are damaged"),
        (lambda folder: [path.unlink() for path in folder.glob("training*")], "has no training state"),
        (lambda folder: [path.write_bytes(b"PK") for path in folder.glob("training*")], "is no numasync checkpoint"),
        (
            lambda folder: [shutil.copy(folder / "checkpoint.npz", path) for path in folder.glob("training*")],
            "is damaged: it holds no training state",
        ),
    ],
    ids=["no folder", "no options", "no state", "no file of ours", "a state without numbers"],
)
def test_a_folder_that_cannot_go_on_is_one_sentence(monkeypatch, tmp_path, damage, sentence):
    folder = stopped_run(monkeypatch, tmp_path / "run")
    damage(folder)
    with warnings.catch_warnings(), pytest.raises(InputError, match=sentence):
        warnings.simplefilter("ignore", TroubleWarning)
        numasync.resume(folder)


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (dict(steps=1), r"steps is 1; the run in .* has made \d+ steps already"),
        (dict(steps=0), "steps is 0; it must be a whole number"),
        (dict(steps="many"), "steps is 'many'"),
        (dict(schedule="fall"), "'fall' is no schedule; choose one of stretch, hold"),
        (dict(verbose=1), "verbose is 1"),
        (dict(run=3), "run is 3; it must be a path"),
    ],
    ids=str,
)
def test_bad_input_is_one_sentence(monkeypatch, tmp_path, arguments, sentence):
    folder = stopped_run(monkeypatch, tmp_path / "run")
    before = sorted((path.name, path.read_bytes()) for path in folder.iterdir())
    with pytest.raises(InputError, match=sentence):
        numasync.resume(**{"run": folder, **arguments})
    assert before == sorted((path.name, path.read_bytes()) for path in folder.iterdir())


def test_a_learning_rate_of_0_is_not_held(tmp_path):
    numasync.train(out=tmp_path / "run", **RUN)
    with pytest.raises(InputError, match="The learning rate is 0 after .* 'hold' would keep it"):
        numasync.resume(tmp_path / "run", steps=2 * STEPS, schedule="hold")


def test_a_second_start_in_a_folder_is_refused_by_name(monkeypatch, tmp_path):
    folder, refused = stopped_run(monkeypatch, tmp_path / "run", steps=LONG), []
    progress = run_module.Run._progress

    def start_again(run, found):
        progress(run, found)
        if refused:
            return
        for start in (lambda: numasync.resume(folder), lambda: numasync.train(out=folder, **RUN)):
            with pytest.raises(InputError, match=re.escape(str(folder))) as caught:
                start()
            refused.append(str(caught.value))

    monkeypatch.setattr(run_module.Run, "_progress", start_again)
    for options in ({}, {"steps": 2 * LONG}):  # which writes config.json again
        refused.clear()
        numasync.resume(folder, **options)
        assert len(refused) == 2 and refused[0].startswith(f"Another program trains in {folder} now")


@pytest.mark.parametrize(
    "name, change",
    [
        ("next_action", lambda array: array + 100),
        ("rng", lambda array: array[:1]),
        ("obs", lambda array: array * np.float32(np.nan)),
        ("theta_target", lambda array: array[:, :5]),
        ("updates", lambda array: array - 10**6),
        ("steps", lambda array: array[:2]),
        ("values", None),
    ],
)
def test_arrays_that_do_not_fit_are_one_sentence(monkeypatch, tmp_path, name, change):
    folder = stopped_run(monkeypatch, tmp_path / "run", algo="one_step_sarsa")
    with np.load(folder / "training.npz") as file:
        arrays = dict(file)
    if change:
        arrays[name] = change(arrays[name])
    else:
        del arrays[name]
    for path in folder.glob("training*.npz"):
        np.savez(path, **arrays)
    with warnings.catch_warnings(), pytest.raises(InputError, match="damaged|does not fit the run"):
        warnings.simplefilter("ignore", TroubleWarning)
        numasync.resume(folder)


def test_the_options_of_a_resumed_run_are_whole(monkeypatch, tmp_path):
    folder = stopped_run(monkeypatch, tmp_path / "run")
    before = json.loads((folder / "config.json").read_text())
    numasync.resume(folder, steps=STEPS + 100)
    assert json.loads((folder / "config.json").read_text()) == {**before, "steps": STEPS + 100}
