"""An EnvSpec that a user makes: what it says of actions must fit together, because kernels do not check it."""

from math import inf, nan

import numpy as np
import pytest
from support.text import is_one_sentence

from numasync import InputError
from numasync.agent.agent import Agent
from numasync.config import make_config
from numasync.envs.jitted.cartpole import CARTPOLE
from numasync.envs.jitted.pendulum import PENDULUM

TWO = dict(n_actions=2, bounds=((-1.0, -2.0), (1.0, 2.0)))


def make_agent(spec):
    return Agent(make_config("continuous" if spec.continuous else "classic", algo="a3c", network="mlp"), spec)


@pytest.mark.parametrize(
    "bounds",
    [
        ((-1.0,), (1.0, 2.0)),
        ((-1.0, -2.0), (1.0,)),
        ((-1.0,), (1.0,)),
        ((), ()),
        ((-1.0, -2.0, -3.0), (1.0, 2.0, 3.0)),
        (-1.0, 1.0),
        ((-1.0, -2.0),),
        ((-1.0, 3.0), (1.0, 2.0)),
        ((-1.0, nan), (1.0, 2.0)),
        ((-1.0, inf), (1.0, inf)),
        ((-1.0, "low"), (1.0, 2.0)),
        5,
    ],
)
def test_bounds_have_a_lowest_and_a_highest_value_for_each_number_of_an_action(bounds):
    with pytest.raises(InputError, match="^bounds is .+; it must be the lowest and the highest values of an") as error:
        make_agent(PENDULUM.spec._replace(n_actions=2, bounds=bounds))
    assert is_one_sentence(str(error.value))


@pytest.mark.parametrize("bounds", [TWO["bounds"], ((-inf, 0), (1, inf)), [[1, 2], [1, 2]]])
def test_bounds_that_fit_are_taken(bounds):
    assert make_agent(PENDULUM.spec._replace(n_actions=2, bounds=bounds)).network.n_outputs > 2


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            dict(n_actions=2, nvec=(3,)),
            r"^nvec is \(3,\); it must be a tuple with a whole number for each of 2 integers",
        ),
        (dict(n_actions=1, nvec=3), "^nvec is 3; it must be a tuple"),
        (dict(n_actions=2, nvec=(3, 0)), "^A number of nvec is 0; it must be a whole number from 1"),
        (dict(n_actions=0), "^n_actions is 0; it must be a whole number from 1"),
        (dict(TWO, nvec=(2, 2)), "^An EnvSpec has both bounds and nvec"),
        (dict(n_actions=2.0), "^n_actions is 2.0; it must be a whole number from 1"),
        (dict(n_actions=np.int64(2)), r"^n_actions is (np.int64\(2\)|2); it must be a whole number from 1"),
        (dict(action_start=1.0), "^action_start is 1.0; it must be a whole number"),
        (dict(TWO, action_shape=(2.0,)), r"^action_shape is \(2.0,\); it must be None or the shape of an array of 2"),
        (dict(action_shape=(3,)), r"^action_shape is \(3,\); it must be None, because an action is one integer"),
        (dict(action_start="0"), "^action_start is '0'; it must be a whole number"),
        (dict(action_start=(1, 2)), r"^action_start is \(1, 2\); it must be a whole number"),
        (dict(TWO, action_start=1), "^action_start is 1; it must be a whole number from 0 to 0"),
        (dict(n_actions=2, nvec=(3, 4), action_start=(1,)), r"^action_start is \(1,\); it must be a whole number"),
        (dict(n_actions=2, nvec=(3, 4), action_start=(1, 0.5)), "^action_start is 0.5; it must be a whole number"),
        (dict(action_shape=(2,)), r"^action_shape is \(2,\); it must be None, because an action is one integer"),
        (dict(TWO, action_shape=(3,)), r"^action_shape is \(3,\); it must be None or the shape of an array of 2"),
        (dict(TWO, action_shape=(2, -1)), "^action_shape is .+ the shape of an array of 2 numbers"),
        (dict(TWO, action_shape=2), "^action_shape is 2; .+ the shape of an array of 2 numbers"),
        (dict(TWO, action_dtype="complex64"), "^action_dtype is 'complex64'; it must be the name of a dtype"),
        (dict(TWO, action_dtype=float), "^action_dtype is <class 'float'>; it must be the name of a dtype"),
    ],
)
def test_the_other_fields_of_actions_fit_too(changes, says):
    with pytest.raises(InputError, match=says) as error:
        make_agent(CARTPOLE.spec._replace(**changes))
    assert is_one_sentence(str(error.value))


@pytest.mark.parametrize(
    "changes",
    [
        dict(action_start=-1),
        dict(TWO, action_shape=(1, 2), action_dtype="float64"),
        dict(n_actions=2, nvec=(3, 4), action_start=(1, -1), action_shape=[2, 1], action_dtype="int64"),
    ],
)
def test_other_ways_to_write_an_action_are_taken(changes):
    assert make_agent(CARTPOLE.spec._replace(**changes)).network.n_outputs > 2
