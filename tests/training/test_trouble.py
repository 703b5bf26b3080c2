"""Trouble around a run: the run goes on where it can, and its last parameters are kept."""

import errno
import os
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import gymnasium
import numpy as np
import pytest
from support.scripted import ID, LAYERS, Scripted, plain, register
from support.text import is_one_sentence

import numasync
from numasync import InputError, WorkerError
from numasync.agent.agent import Agent
from numasync.config import make_config
from numasync.errors import EvaluationError, TroubleWarning
from numasync.training import folders, records, supervisor, trainer
from numasync.training import train as train_module
from numasync.training.folders import FolderTakenError
from numasync.training.records import RunFolder, read_run
from numasync.training.report import Report

SHORT = dict(network=LAYERS, steps=2000, workers=2, seed=3, final_eval_episodes=4, periodic_eval_episodes=2)
FULL_DISK = OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def scripted(monkeypatch):
    """Registers ID with a script and returns the list of the instances that are then made."""
    monkeypatch.setattr(supervisor, "POLL_SECONDS", 0.001)
    return lambda script=plain: register(script, monkeypatch)


def during_the_run(monkeypatch, action):
    """Have `action` called once, as soon as some steps are played."""
    called = []

    class Acts(Report):
        def print_progress(self, progress):
            if progress.steps > 100 and not called:
                called.append(True)
                action()

    monkeypatch.setattr(train_module, "Report", Acts)


def slow(number, n):
    time.sleep(0.0002)
    return plain(number, n)


def one_warning(caught):
    (sentence,) = {str(warning.message) for warning in caught if warning.category is TroubleWarning}
    assert is_one_sentence(sentence)
    return sentence


# --- Environments


def test_an_environment_that_cannot_be_closed_is_a_warning(scripted, monkeypatch):
    made = scripted()

    def fails(env):
        env.closed = True
        raise OSError("the socket is gone")

    monkeypatch.setattr(Scripted, "close", fails)
    with pytest.warns(TroubleWarning) as caught:
        agent = numasync.train(ID, **SHORT)
    assert one_warning(caught) == f"{ID} failed to close with OSError: the socket is gone."
    assert agent.result["evaluation"]["mean"] == 10 and all(env.closed for env in made)


def test_where_one_environment_alone_can_be_made_the_score_is_the_same(scripted, monkeypatch):
    scripted()
    wanted = numasync.train(ID, **{**SHORT, "workers": 1}).result["evaluation"]
    lock = threading.Lock()

    class Single(Scripted):
        def __init__(self, *arguments):
            if not lock.acquire(blocking=False):
                raise OSError("the port is in use")
            super().__init__(*arguments)

        def close(self):
            super().close()
            lock.release()

    spec = gymnasium.envs.registration.EnvSpec(ID, entry_point=lambda: Single(plain, []))
    monkeypatch.setitem(gymnasium.registry, ID, spec)
    assert numasync.train(ID, **{**SHORT, "workers": 1}).result["evaluation"] == wanted


def test_a_run_whose_second_environment_cannot_be_made_leaves_no_folder(scripted, monkeypatch, tmp_path):
    made = scripted()
    make_env = trainer.make_env

    def second_fails(*arguments, **named):
        if len(made) > 1:
            raise InputError("There is no second one.")
        return make_env(*arguments, **named)

    monkeypatch.setattr(trainer, "make_env", second_fails)
    with pytest.raises(InputError, match="no second"):
        numasync.train(ID, out=tmp_path / "runs" / "run", **SHORT)
    assert not list(tmp_path.iterdir())


def fails_in_evaluation(number, n):
    """Instance 0 is asked for its spaces, 1 and 2 are the workers'."""
    if number > 2:
        raise ZeroDivisionError("the pole broke")
    return slow(number, n)


def test_a_final_evaluation_that_fails_is_said_after_the_agent_is_saved(scripted, tmp_path):
    scripted(fails_in_evaluation)
    with pytest.raises(EvaluationError) as caught:
        numasync.train(ID, out=tmp_path / "run", **SHORT)
    assert is_one_sentence(str(caught.value).replace("test_trouble.py, line", ""))
    assert "ZeroDivisionError: the pole broke (test_trouble.py, line" in str(caught.value)
    result = read_run(tmp_path / "run").result
    assert result["steps"] >= 2000 and result["evaluation"] is None and result["interrupted"] is False
    assert numasync.load(tmp_path / "run" / "checkpoint.npz").result == result


def test_a_final_evaluation_that_cannot_begin_is_no_bad_input(scripted, monkeypatch, tmp_path):
    scripted()
    during_the_run(monkeypatch, lambda: monkeypatch.delitem(gymnasium.registry, ID))
    with pytest.raises(WorkerError, match="^The final evaluation cannot be played: ") as caught:
        numasync.train(ID, out=tmp_path / "run", **SHORT)
    assert isinstance(caught.value.__cause__, InputError) and read_run(tmp_path / "run").result["steps"] >= 2000


def test_periodic_evaluations_that_fail_do_not_end_the_run(scripted, monkeypatch, tmp_path):
    scripted(fails_in_evaluation)
    monkeypatch.setattr(Agent, "evaluate", lambda *_, **__: dict(episodes=1, mean=5.0, std=0.0, min=5.0, max=5.0))
    with pytest.warns(TroubleWarning) as caught:
        agent = numasync.train(ID, out=tmp_path / "run", eval_every=100, **SHORT)
    assert "the pole broke" in str(caught[0].message) and "the run goes on" in str(caught[0].message)
    assert len({str(warning.message) for warning in caught}) == 1
    assert agent.result["steps"] >= 2000 and len(read_run(tmp_path / "run").evaluations) == 1


@pytest.mark.parametrize("where", ["evaluate", "watch"])
def test_an_environment_that_fails_for_an_agent_is_one_sentence(scripted, where):
    scripted()
    agent = numasync.train(ID, **SHORT)
    scripted(lambda number, n: 1 / 0)
    with pytest.raises(EvaluationError, match=r"ZeroDivisionError: division by zero \(test_trouble.py, line \d+\)\.$"):
        agent.evaluate(2) if where == "evaluate" else numasync.watch(ID, agent)


# --- Files


@pytest.mark.parametrize("forever", [False, True])
def test_a_full_disk_does_not_end_the_run(scripted, monkeypatch, tmp_path, forever):
    scripted(slow)
    full, write_all = threading.Event(), records.append

    def append(path, head, lines):
        if full.is_set():
            full.clear() if not forever else None
            raise FULL_DISK
        write_all(path, head, lines)

    save = Agent.save

    def save_unless_full(agent, path, half=False):
        if forever and full.is_set() and str(tmp_path / "run") in str(path):
            raise FULL_DISK
        save(agent, path, half)

    monkeypatch.setattr(records, "append", append)
    monkeypatch.setattr(Agent, "save", save_unless_full)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    during_the_run(monkeypatch, full.set)
    with pytest.warns(TroubleWarning) as caught:
        agent = numasync.train(ID, out=tmp_path / "run", **SHORT)
    sentences = list(dict.fromkeys(str(warning.message) for warning in caught))
    assert sentences[0] == f"{tmp_path / 'run'} cannot be written: No space left on device; the run goes on."
    if not forever:
        assert len(sentences) == 1 and len(read_run(tmp_path / "run").episodes) == agent.result["episodes"]
    else:
        assert not (tmp_path / "run" / "result.json").exists() and len(sentences) == 2
        (kept,) = tmp_path.glob("numasync-*/checkpoint.npz")
        assert sentences[1] == f"The agent with the last parameters is in {kept}."
        assert np.array_equal(numasync.load(kept).theta, agent.theta)


def test_a_folder_that_is_removed_is_made_again(scripted, monkeypatch, tmp_path):
    scripted(slow)
    during_the_run(monkeypatch, lambda: shutil.rmtree(tmp_path / "run"))
    agent = numasync.train(ID, out=tmp_path / "run", **SHORT)
    names = {path.name for path in (tmp_path / "run").iterdir()} - {"training-previous.npz"}
    assert names == {"training.npz", "checkpoint.npz", "config.json", "evaluations.csv", "monitor.csv", "result.json"}
    assert np.array_equal(numasync.load(tmp_path / "run" / "checkpoint.npz").theta, agent.theta)


def test_the_parameters_are_written_before_their_score(scripted, monkeypatch, tmp_path):
    scripted(slow)
    order = []
    monkeypatch.setattr(RunFolder, "add_evaluation", lambda folder, *_: order.append(folder.best.exists()))
    numasync.train(ID, out=tmp_path / "run", eval_every=100, **SHORT)
    assert order and order[0]


# --- The folder


CONFIG = make_config("classic", env="CartPole-v1")


def test_a_folder_in_which_a_run_could_not_begin_is_taken_again(tmp_path):
    first = RunFolder(tmp_path / "run", CONFIG)
    (first.path / "config.json").write_text("{")  # killed while it wrote
    (first.path / ".numasync-0123abcd").write_bytes(b"half a checkpoint")
    first.close()
    again = RunFolder(tmp_path / "run", CONFIG)
    assert [path.name for path in again.path.iterdir()] == ["config.json"] and read_run(again.path).config


def test_a_folder_in_which_a_run_begins_is_refused(tmp_path):
    first = RunFolder(tmp_path / "run", CONFIG)
    with pytest.raises(FolderTakenError, match=r"^Another run begins in .+run; give another --out, "):
        RunFolder(tmp_path / "run", CONFIG)
    first.close()
    RunFolder(tmp_path / "run", CONFIG).close()


@pytest.mark.parametrize("name", ["checkpoint.npz", "monitor.csv", "notes.txt", ".hidden"])
def test_a_folder_with_more_than_the_options_is_not_taken_again(tmp_path, name):
    RunFolder(tmp_path / "run", CONFIG).close()
    (tmp_path / "run" / name).write_text("precious")
    with pytest.raises(FolderTakenError, match="already exists and is not empty"):
        RunFolder(tmp_path / "run", CONFIG)
    assert (tmp_path / "run" / name).read_text() == "precious"


@pytest.mark.parametrize("empty", [False, True])
def test_of_many_that_want_a_folder_at_once_one_gets_it(tmp_path, empty):
    for i in range(20):
        if empty:
            (tmp_path / str(i)).mkdir()
        barrier = threading.Barrier(8)

        def claim(folder, barrier=barrier):
            barrier.wait()
            try:
                return RunFolder(folder, CONFIG)
            except FolderTakenError:
                return None

        with ThreadPoolExecutor(8) as pool:
            claimed = [folder for folder in pool.map(claim, [tmp_path / str(i)] * 8) if folder]
        assert len(claimed) == 1 and read_run(tmp_path / str(i)).config["env"] == "CartPole-v1"


def test_a_disk_without_room_for_the_options_is_one_sentence(monkeypatch, tmp_path):
    def full(*_):
        raise FULL_DISK

    monkeypatch.setattr(folders, "write_all", full)
    with pytest.raises(InputError, match=r"run cannot be made or written: No space left on device\.$"):
        RunFolder(tmp_path / "new" / "run", CONFIG)
    assert not list(tmp_path.iterdir())


# --- Memory, threads, Ctrl-C


@pytest.mark.parametrize("error", [MemoryError(), OSError(errno.ENOMEM, "Cannot allocate memory")], ids=str)
def test_too_little_memory_is_one_sentence(monkeypatch, tmp_path, error):
    def lacks(*_):
        raise error

    monkeypatch.setattr(trainer, "make_worker", lacks)
    with pytest.raises(InputError, match=r"^This system has too little memory for workers=256; train with fewer\.$"):
        numasync.train(workers=256, out=tmp_path / "run", steps=1000)
    assert not list(tmp_path.iterdir())


def test_too_few_threads_are_one_sentence(scripted, monkeypatch, tmp_path):
    scripted()

    def lacks(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(supervisor.threading.Thread, "start", lacks)
    with pytest.raises(InputError, match=r"^This system has too few threads for workers=2; train with fewer\.$"):
        numasync.train(ID, out=tmp_path / "run", **SHORT)
    assert not list(tmp_path.iterdir())


def test_a_run_in_another_thread_ends_when_the_main_thread_is_interrupted(scripted, monkeypatch):
    scripted(slow)
    monkeypatch.setattr(supervisor, "main_thread_was_interrupted", lambda: True)
    with ThreadPoolExecutor(1) as pool:
        agent = pool.submit(lambda: numasync.train(ID, **{**SHORT, "steps": 10**9})).result(60)
    assert agent.result["interrupted"] is True


def test_append_leaves_no_part_of_a_line(monkeypatch, tmp_path):
    path = tmp_path / "table.csv"
    records.append(path, "a,b\n", "1,2\n")
    write = os.write

    def full(handle, content):
        write(handle, bytes(content)[:3])
        raise FULL_DISK

    monkeypatch.setattr("numasync.runtime.files.os.write", full)
    with pytest.raises(OSError, match="No space"):
        records.append(path, "a,b\n", "3,4\n")
    monkeypatch.undo()
    records.append(path, "a,b\n", "5,6\n")
    assert path.read_text() == "a,b\n1,2\n5,6\n"
