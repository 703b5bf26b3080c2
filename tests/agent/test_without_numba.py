"""Where Numba is not installed, the package runs with NumPy alone: slower, the same actions."""

import numpy as np
import pytest
from support.without_numba import BROWSER_LACKS, COMPILER, ENVIRONMENTS, NO_THREADS, run_python

from numasync import dense, lstm, relu
from numasync.agent.agent import Agent
from numasync.config import make_config
from numasync.envs import JITTED

pytestmark = pytest.mark.compiled


PLAY_PONG = """
import json
import numpy as np
import numasync
from numasync.envs.python.atari import make_ale, read_settings
import gymnasium
agent = numasync.load("pong-a3c")
env = make_ale("ALE/Pong-v5", read_settings("ALE/Pong-v5", gymnasium.spec("ALE/Pong-v5")))
frames, _ = env.reset(seed=3)
actions = []
for _ in range(200):
    actions.append(agent.predict(frames[0]))
    frames, *_ = env.step(np.array(actions[-1:]))
print(json.dumps(actions))
"""


def test_an_agent_of_pong_plays_the_same_actions(tmp_path):
    pytest.importorskip("ale_py")
    without = run_python(PLAY_PONG, tmp_path, COMPILER)
    assert without == run_python(PLAY_PONG, tmp_path)
    assert len(set(without)) > 2


PLAY_AGENT = """
import json
import numpy as np
import numasync
from numasync.envs import make_env
from numasync.envs.spec import episode_over
from numasync.runtime.rng import seed_row
agent = numasync.load("agent.npz")
env, rng = make_env(agent.spec.id), seed_row(1)
state, obs, played = env.new_state(), np.zeros(agent.network.n_inputs, np.float32), []
env.reset(state, rng, obs)
for _ in range(100):
    raw = obs.reshape(agent.spec.observation.shape).copy()
    played.append(np.asarray(agent.predict(raw, greedy=False)).tolist())
    action = played[-1] if isinstance(played[-1], int) else np.array(played[-1], np.float32)
    if episode_over(env.step(state, action, rng, obs)[1]):
        env.reset(state, rng, obs)
        agent.reset()
print(json.dumps([played, agent.evaluate(2) if agent.spec.family != "continuous" else None]))
"""
GAMES = {
    "CartPole": ("CartPole-v1", "a3c", "mlp"),
    "CartPole with an LSTM": ("CartPole-v1", "nstep_q", (dense(8), relu(), lstm(8))),
    "Catch": ("Catch-v0", "nstep_q", "minatar"),
    "MinAtar": ("MinAtar/Breakout-v1", "a3c", "minatar"),
    "Pendulum": ("Pendulum-v1", "a3c", "mlp"),
}


@pytest.mark.parametrize("game", GAMES)
def test_an_agent_plays_the_games_of_numasync_with_numpy_alone(tmp_path, game):
    env_id, algo, network = GAMES[game]
    spec = JITTED[env_id].spec
    agent = Agent(make_config(spec.family, algo=algo, network=network), spec)
    agent.theta *= 2
    agent.save(tmp_path / "agent.npz")
    actions, scores = run_python(PLAY_AGENT, tmp_path, COMPILER + ENVIRONMENTS)
    expected, expected_scores = run_python(PLAY_AGENT, tmp_path)
    np.testing.assert_allclose(actions, expected, rtol=0, atol=1e-3 if spec.continuous else 0)
    assert scores == expected_scores


TRAIN = """
import json, warnings
import numasync
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    agent = numasync.train("CartPole-v1", steps=400, workers=2, final_eval_episodes=1)
print(json.dumps([agent.result["steps"], [str(warning.message) for warning in caught]]))
"""


def test_training_works_and_says_once_that_it_is_slow(tmp_path):
    steps, said = run_python(TRAIN, tmp_path, COMPILER + ENVIRONMENTS)
    assert steps >= 400 and len(said) == 1 and said[0].startswith("Numba is not installed")
    assert run_python(TRAIN, tmp_path)[1] == []


def test_an_agent_plays_where_no_thread_and_no_process_starts(tmp_path):
    spec = JITTED["CartPole-v1"].spec
    agent = Agent(make_config("classic", algo="a3c"), spec)
    agent.save(tmp_path / "agent.npz")
    play = "import json, numasync\nagent = numasync.load('agent.npz')\nprint(json.dumps(agent.evaluate(5)))"
    scores = run_python(NO_THREADS + play, tmp_path, COMPILER + ENVIRONMENTS + BROWSER_LACKS)
    assert scores == agent.evaluate(5)


TRAIN_IN_A_BROWSER = """
import json, warnings
warnings.simplefilter("ignore")
import numasync
calls = []
class Follow(numasync.Callback):
    def on_evaluation(self, *arguments):
        calls.append("evaluation")
    def on_checkpoint(self, *arguments):
        calls.append("checkpoint")
every = dict(eval_every=500, periodic_eval_episodes=1, checkpoint_every=500)
options = dict(workers=3, steps=1_500, final_eval_episodes=1, **every)
agent = numasync.train("CartPole-v1", callbacks=[Follow()], **options)
stopped = numasync.train("CartPole-v1", max_minutes=0.005, workers=2, steps=10**7, final_eval_episodes=1)
print(json.dumps([agent.result["steps"], calls, stopped.result["steps"]]))
"""


def test_a_run_trains_where_no_thread_and_no_process_starts(tmp_path):
    without = COMPILER + ENVIRONMENTS + BROWSER_LACKS
    steps, calls, stopped = run_python(NO_THREADS + TRAIN_IN_A_BROWSER, tmp_path, without)
    assert steps >= 1_500 and "evaluation" in calls and 0 < stopped < 10**7


@pytest.mark.parametrize("command", ["bench", "warmup"])
def test_a_command_that_needs_the_compiler_says_so(tmp_path, command):
    code = f"import json\nfrom numasync.cli import main\nprint(json.dumps(main(['{command}'])))"
    assert run_python(code, tmp_path, COMPILER) == 2
