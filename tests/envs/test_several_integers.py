"""docs/howto/several_integers.md: its script runs, and its table of spaces is true."""

import re
from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces
from support.gym_envs import box, registered_env

import numasync
from numasync.agent.agent import Agent
from numasync.config import make_config
from numasync.envs import REGISTERED, make_env

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "several_integers.md").read_text()
(SCRIPT,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
ROWS = re.findall(r"^\| `(Multi.*?)` \|.*\| (\w+) `(.*)` \|$", PAGE, re.M)


@pytest.mark.compiled
def test_the_example_learns_what_the_page_says():
    exec(compile(SCRIPT, "hands.py", "exec"), {"__name__": "hands"})
    try:
        agent = numasync.train("Hands-v0", "a3c", steps=100_000, seed=1, deterministic=True)
        assert agent.evaluate(episodes=100)["mean"] > 39
        assert agent.predict([1.0, 0.0]).tolist() == [2, 0]
    finally:
        del REGISTERED["Hands-v0"]


@pytest.mark.parametrize(("code", "dtype", "shape"), ROWS)
def test_predict_returns_what_the_table_says(code, dtype, shape):
    space = eval(f"spaces.{code}", {"spaces": spaces})
    with registered_env(box((2,), np.float32), space) as env_id:
        agent = Agent(make_config("classic", algo="a3c", env=env_id), make_env(env_id).spec)
    action = agent.predict(np.zeros(2))
    assert space.contains(action) and (action.dtype, str(action.shape)) == (dtype, shape)


def test_the_table_has_rows():
    assert len(ROWS) == 5
