"""docs/howto/several_integers.md: its table of spaces is true. tests/front/test_pages.py runs its script."""

import re

import numpy as np
import pytest
from gymnasium import spaces
from support.gym_envs import box, registered_env
from support.pages import ROOT

from numasync.agent.agent import Agent
from numasync.config import make_config
from numasync.envs import make_env

PAGE = (ROOT / "docs" / "howto" / "several_integers.md").read_text()
ROWS = re.findall(r"^\| `(Multi.*?)` \|.*\| (\w+) `(.*)` \|$", PAGE, re.M)


@pytest.mark.parametrize(("code", "dtype", "shape"), ROWS)
def test_predict_returns_what_the_table_says(code, dtype, shape):
    space = eval(f"spaces.{code}", {"spaces": spaces})
    with registered_env(box((2,), np.float32), space) as env_id:
        agent = Agent(make_config("classic", algo="a3c", env=env_id), make_env(env_id).spec)
    action = agent.predict(np.zeros(2))
    assert space.contains(action) and (action.dtype, str(action.shape)) == (dtype, shape)


def test_the_table_has_rows():
    assert len(ROWS) == 5
