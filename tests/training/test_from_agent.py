"""Another run that begins with the parameters of an agent."""

import gymnasium
import numpy as np
import pytest

import numasync
from numasync import InputError, dense, lstm, relu

SMALL, MEMORY = (dense(16), relu()), (dense(16), relu(), lstm(8))
RUN = dict(env="Catch-v0", workers=2, steps=200, seed=3, network=SMALL, deterministic=True, final_eval_episodes=2)


def test_a_run_begins_with_the_parameters_of_an_agent(tmp_path):
    first = numasync.train(out=tmp_path / "first", **RUN)
    for agent in (first, tmp_path / "first" / "checkpoint.npz"):
        again = numasync.train(from_agent=agent, **{**RUN, "steps": 1, "lr": 1e-30, "seed": 5})
        np.testing.assert_array_equal(again.theta, first.theta)
    assert again.config.seed == 5 and again.result["steps"] < 100


@pytest.mark.parametrize("change", [dict(network=MEMORY), dict(algo="a3c"), dict(env="Recall-v0")], ids=str)
def test_an_agent_whose_parameters_do_not_fit_is_refused(tmp_path, change):
    first = numasync.train(**RUN)
    with pytest.raises(InputError, match="^The agent to begin with was trained by nstep_q on Catch-v0"):
        numasync.train(from_agent=first, out=tmp_path / "run", **{**RUN, **change})
    assert not (tmp_path / "run").exists()


def test_a_run_from_an_agent_of_screens_keeps_its_normalization():
    spec = gymnasium.envs.registration.EnvSpec("Noise-v0", entry_point=lambda: Noise())
    gymnasium.registry["Noise-v0"] = spec
    try:
        options = {**RUN, "env": "Noise-v0", "normalize": True, "steps": 40}
        first = numasync.train(**options)
        again = numasync.train(from_agent=first, **{**options, "seed": 8})
    finally:
        del gymnasium.registry["Noise-v0"]
    own, found = first.spec.observation, again.spec.observation
    assert own.scale == found.scale and np.array_equal(own.mean, found.mean)


class Noise(gymnasium.Env):
    """Screens of noise. An episode is 10 steps."""

    observation_space = gymnasium.spaces.Box(0, 255, (40, 40), np.uint8)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = 10
        return self.screen(), {}

    def step(self, action):
        self.left -= 1
        return self.screen(), 1.0, self.left == 0, False, {}

    def screen(self):
        return self.np_random.integers(0, 255, (40, 40)).astype(np.uint8)
