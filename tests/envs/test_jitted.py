"""Jitted environments: Catch in lockstep with its rules, Recall, random rows and states."""

import numpy as np
import pytest
from support.players import Player

from numasync.envs import make_env
from numasync.envs.jitted import catch, recall
from numasync.envs.spec import RUNNING, TERMINATED


class CatchRules:
    """The rules of Catch in plain Python."""

    def __init__(self, ball_column):
        self.ball, self.paddle = [0, ball_column], 2

    def board(self):
        board = [[0.0] * 5 for _ in range(10)]
        board[self.ball[0]][self.ball[1]] = board[9][self.paddle] = 1.0
        return board

    def step(self, action):
        left, right = action == 0 and self.paddle > 0, action == 2 and self.paddle < 4
        self.paddle += right - left
        self.ball[0] += 1
        if self.ball[0] < 9:
            return 0.0, RUNNING
        return (1.0 if self.paddle == self.ball[1] else -1.0), TERMINATED


def test_catch_steps_in_lockstep_with_its_rules():
    player, rng = Player(make_env("Catch-v0")), np.random.default_rng(0)
    columns, scores = [], []
    for _ in range(500):
        obs = player.reset().reshape(10, 5)
        columns.append(int(obs[0].argmax()))
        rules, end = CatchRules(columns[-1]), RUNNING
        while end == RUNNING:
            np.testing.assert_array_equal(obs, rules.board())
            action = int(rng.integers(3))
            obs, reward, end = player.step(action)
            obs = obs.reshape(10, 5)
            assert (reward, end) == rules.step(action)
        np.testing.assert_array_equal(obs, rules.board())
        scores.append(reward)
    # Each column is equally likely: 100 of 500, standard deviation 9.
    assert np.abs(np.bincount(columns, minlength=5) - 100).max() < 45
    assert set(scores) == {1.0, -1.0} and catch.ROWS == 10


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Acrobot-v1", "MountainCar-v0", "Catch-v0"])
def test_jitted_environments_repeat_from_their_random_row(env_id):
    players = [Player(make_env(env_id), seed) for seed in (1, 1, 2)]
    starts = [[player.reset().tolist() for _ in range(20)] for player in players]
    assert starts[0] == starts[1] != starts[2]


def test_players_of_a_jitted_environment_have_states_of_their_own():
    env = make_env("CartPole-v1")
    one, other = env.new_state(), env.new_state()
    assert one.tolist() == other.tolist() == [0.0] * 5 and not np.shares_memory(one, other)


def test_recall_asks_for_the_cue_when_it_is_gone():
    player, cues = Player(make_env("Recall-v0")), set()
    for episode in range(20):
        cue, asked = player.reset()
        assert asked == 0
        answer = episode % 2
        for i in range(recall.DELAY):
            (seen, asked), reward, end = player.step(i % 2)
            assert (seen, asked, reward, end) == (0, i == recall.DELAY - 1, 0, RUNNING)
        _, reward, end = player.step(answer)
        assert (reward, end) == (1 if cue == 2 * answer - 1 else -1, TERMINATED)
        cues.add((cue, reward))
    assert cues == {(1, 1), (1, -1), (-1, 1), (-1, -1)}
