"""What a user's module or environment may do when it is imported, made and called. It may not end numasync."""

import sqlite3
import subprocess
import sys
import threading

import gymnasium
import numpy as np
import pytest
from support.text import is_one_sentence

import numasync
from numasync import InputError, WorkerError, cli, dense
from numasync.envs import add_version, make_env
from numasync.errors import EvaluationError

GAME = """
import gymnasium, numpy, sys
{at_import}
class Game(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (2,))
    action_space = gymnasium.spaces.Discrete(2)
    def __init__(self):
        {at_init}
    def reset(self, seed=None, options=None):
        self.n = 0
        {at_reset}
        return numpy.zeros(2, numpy.float32), {{}}
    def step(self, action):
        self.n += 1
        {at_step}
        return numpy.zeros(2, numpy.float32), 1.0, self.n == 10, False, {{}}
gymnasium.register("Game-v0", entry_point=Game)
"""
MOMENTS = ("at_import", "at_init", "at_reset", "at_step")


def write_game(folder, **moments):
    (folder / "game.py").write_text(GAME.format(**{moment: moments.get(moment, "pass") for moment in MOMENTS}))


def run(folder, *words):
    command = [sys.executable, "-m", "numasync", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("moment", "code"),
    [("at_import", ""), ("at_import", "3"), ("at_import", "'no screen'"), *((moment, "0") for moment in MOMENTS)],
)
def test_a_module_that_calls_exit_is_named_and_does_not_choose_the_exit_code(tmp_path, moment, code):
    write_game(tmp_path, **{moment: f"sys.exit({code})"})
    result = run(tmp_path, "--env", "game:Game-v0", "--steps", "100", "--workers", "1", "--out", "run")
    message = result.stderr.strip()
    assert "sys.exit(" in message and "game" in message and "Traceback" not in message
    assert result.returncode == (1 if moment == "at_step" or moment == "at_reset" else 2), message


def test_whatever_else_calls_exit_is_one_sentence_on_the_command_line(monkeypatch, capsys):
    monkeypatch.setattr("numasync.commands.bench.bench", lambda *_: sys.exit(0))
    assert cli.main(["bench"]) == 1
    message = capsys.readouterr().err
    assert "of test_user_modules.py called sys.exit(0)" in message and message.count("\n") == 1


def test_a_module_that_raises_what_is_no_exception_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd_game.py").write_text("class Odd(BaseException): pass\nraise Odd('no reason')")
    with pytest.raises(InputError, match="^The module odd_game cannot be imported: Odd: no reason"):
        make_env("odd_game:Game-v0")


def test_an_interrupt_while_a_module_is_imported_is_passed_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "slow_game.py").write_text("raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        make_env("slow_game:Game-v0")


@pytest.mark.parametrize("name", ["reset", "step"])
def test_a_function_that_calls_exit_cannot_be_registered(name):
    def leave(*arguments):
        sys.exit(0)

    def reset(state, rng, obs):
        leave() if name == "reset" else obs.fill(0)

    def step(state, action, rng, obs):
        leave()

    with pytest.raises(InputError, match=f"^{name} of Leaves-v0 failed with SystemExit"):
        numasync.register("Leaves-v0", reset, step, (2,), 2, 1)


@pytest.mark.parametrize("name", ["reset", "step"])
def test_an_environment_that_leaves_the_program_in_an_evaluation_is_named(bound, monkeypatch, name):
    agent = numasync.train("Bound-v0", workers=1, steps=100, final_eval_episodes=1, network=(dense(4),))
    monkeypatch.setattr(Bound, name, lambda *_, **__: sys.exit(3))
    with pytest.raises(EvaluationError, match=rf"{name} of Bound-v0 called sys\.exit\(3\)"):
        agent.evaluate(1)


class Bound(gymnasium.Env):
    """An environment that may be used only by the thread that has made it: so says the connection that it holds."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)
    made: list = []

    def __init__(self):
        self.connection, self.closed = sqlite3.connect(":memory:"), False
        self.thread = threading.get_ident()
        Bound.made.append(self)

    def look(self):
        return np.float32(self.connection.execute("SELECT 0.1, 0.2").fetchone())

    def reset(self, seed=None, options=None):
        self.n = 0
        return self.look(), {}

    def step(self, action):
        self.n += 1
        return self.look(), 1.0, self.n == 10, False, {}

    def close(self):
        self.connection.close()
        self.closed = True


@pytest.fixture
def bound(monkeypatch):
    """Registers Bound-v0, and returns the list of the instances that are then made."""
    monkeypatch.setattr(Bound, "made", [])
    monkeypatch.setitem(gymnasium.registry, "Bound-v0", gymnasium.envs.registration.EnvSpec("Bound-v0", Bound))
    return Bound.made


@pytest.mark.parametrize(
    "options", [dict(workers=1), dict(workers=4, deterministic=True), dict(workers=5), dict(workers=2, eval_every=50)]
)
def test_an_environment_that_is_bound_to_a_thread_is_made_played_and_closed_in_one(bound, options):
    agent = numasync.train("Bound-v0", steps=300, final_eval_episodes=6, network=(dense(4),), **options)
    assert agent.result["evaluation"]["mean"] == 10 and agent.evaluate(5)["episodes"] == 5
    assert len({env.thread for env in bound}) > 1 and all(env.closed for env in bound)


@pytest.mark.parametrize(
    ("env_id", "full"),
    [
        ("CartPole", "CartPole-v1"),
        ("MinAtar/Breakout", "MinAtar/Breakout-v1"),
        ("Catch", "Catch-v0"),
        ("CartPole-v1", "CartPole-v1"),
        ("CartPole-v0", "CartPole-v0"),
        ("gymnasium:CartPole", "gymnasium:CartPole-v1"),
        ("NoSuch", "NoSuch"),
        ("Cart", "Cart"),
        ("", ""),
    ],
)
def test_an_id_without_a_version_is_the_highest_one(env_id, full):
    assert add_version(env_id) == full


def test_where_gymnasium_has_a_higher_version_it_is_taken_as_gymnasium_does(monkeypatch):
    assert make_env("CartPole").jitted
    monkeypatch.setitem(gymnasium.registry, "CartPole-v7", gymnasium.envs.registration.EnvSpec("CartPole-v7"))
    assert add_version("CartPole") == "CartPole"


@pytest.mark.compiled
def test_an_agent_is_trained_and_evaluated_by_an_id_without_a_version():
    agent = numasync.train("CartPole", workers=1, steps=100, final_eval_episodes=1)
    assert agent.spec.id == "CartPole-v1"
    assert agent.evaluate(1, env="CartPole") == agent.evaluate(1, env="CartPole-v1") == agent.evaluate(1)
    assert make_env("gymnasium:CartPole").spec.family == "classic"


LAST = 5_000  # a registration plays fewer steps


@pytest.mark.compiled
@pytest.mark.parametrize("reward_clip", [0.0, 1.0])
@pytest.mark.parametrize(
    ("obs_value", "reward_value", "named"),
    [
        (np.nan, 1.0, r"an observation with the number nan was returned at step 5000 by Breaks-v0"),
        (np.inf, 1.0, r"an observation with the number inf was returned at step 5000 by Breaks-v0"),
        (0.5, np.nan, r"the reward nan was returned at step 5000 by Breaks-v0"),
        (0.5, np.inf, r"(the reward inf was returned at step 5000|an infinite reward was returned) by Breaks-v0"),
    ],
)
def test_a_jitted_environment_that_gives_what_is_not_finite_is_named(
    monkeypatch, obs_value, reward_value, named, reward_clip
):
    def reset(state, rng, obs):
        state[0] = 0
        obs[0] = 0.5

    def step(state, action, rng, obs):
        state[0] += 1
        obs[0] = obs_value if state[0] == LAST else 0.5
        if state[0] == LAST + 3:
            return 1.0, numasync.TERMINATED
        return reward_value if state[0] == LAST else 1.0, numasync.RUNNING

    monkeypatch.delitem(numasync.envs.REGISTERED, "Breaks-v0", raising=False)
    numasync.register("Breaks-v0", reset, step, (1,), 2, 1)
    try:
        with pytest.raises(WorkerError, match=rf"^Worker 0 failed: {named}; observations") as failure:
            numasync.train("Breaks-v0", workers=1, steps=20_000, network=(dense(4),), reward_clip=reward_clip)
        assert is_one_sentence(str(failure.value))
    finally:
        del numasync.envs.REGISTERED["Breaks-v0"]
