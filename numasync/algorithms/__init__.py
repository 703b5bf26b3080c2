"""The four algorithms by name. An algorithm is one kernel, and the columns of its row in this table.

Every kernel has the same signature. It gets the network's outputs over one segment, and knows nothing of layers,
threads or environments. The loop in `learner/loop.py` does what the columns say.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from numasync.algorithms.a3c import a3c
from numasync.algorithms.a3c_continuous import a3c_continuous
from numasync.algorithms.a3c_multi_discrete import a3c_multi_discrete
from numasync.algorithms.nstep_q import nstep_q
from numasync.algorithms.one_step_q import one_step_q
from numasync.algorithms.one_step_sarsa import one_step_sarsa
from numasync.algorithms.policy import EPSILON_GREEDY, GAUSSIAN, SOFTMAX
from numasync.envs.spec import EnvSpec
from numasync.errors import InputError
from numasync.runtime.jit import boolean, float32, float32_1d, float32_2d, function_type, int64, int64_1d, int64_2d


class Algorithm(NamedTuple):
    """A row of the table.

    kernel: writes d(loss)/d(outputs) and returns the loss.
    policy: how an action is chosen from a row of outputs.
    local_copy: whether it acts and differentiates on theta', a copy of theta from the start of a segment, instead of on
        theta itself.
    target_network: whether it bootstraps from theta-, instead of from the parameters that act.
    one_step: whether it bootstraps after every step of a segment, instead of after the last one.
    next_action: whether its target needs the action that is executed after the segment.
    other_heads: sizes of the outputs behind EnvSpec.action_heads. (1,) is a value; (1, 1) is the variance of continuous
        actions and a value. Without other heads the outputs are Q values.
    """

    kernel: Callable[..., Any]
    policy: int
    local_copy: bool
    target_network: bool
    one_step: bool
    next_action: bool
    other_heads: tuple[int, ...] = ()


ALGORITHMS = {
    "one_step_q": Algorithm(
        one_step_q,
        policy=EPSILON_GREEDY,
        local_copy=False,
        target_network=True,
        one_step=True,
        next_action=False,
    ),
    "one_step_sarsa": Algorithm(
        one_step_sarsa,
        policy=EPSILON_GREEDY,
        local_copy=False,
        target_network=True,
        one_step=True,
        next_action=True,
    ),
    "nstep_q": Algorithm(
        nstep_q,
        policy=EPSILON_GREEDY,
        local_copy=True,
        target_network=True,
        one_step=False,
        next_action=False,
    ),
    "a3c": Algorithm(
        a3c,
        policy=SOFTMAX,
        local_copy=True,
        target_network=False,
        one_step=False,
        next_action=False,
        other_heads=(1,),
    ),
}

# The algorithms for continuous actions, under the same names.
CONTINUOUS = {
    "a3c": ALGORITHMS["a3c"]._replace(kernel=a3c_continuous, policy=GAUSSIAN, other_heads=(1, 1)),
}

# The algorithms for actions of several integers, under the same names.
MULTI_DISCRETE = {
    "a3c": ALGORITHMS["a3c"]._replace(kernel=a3c_multi_discrete),
}


def algorithm_type(actions: Any, action_map: Any) -> Any:
    """Return the function type of an algorithm, for the compiler. actions, action_map: the types of these arrays."""
    # (d_outputs, outputs, bootstrap, actions, rewards, action_map, n, terminated, gamma, beta) -> loss
    outputs, numbers = (float32_2d, float32_2d, float32_2d), (int64, boolean, float32, float32)
    return function_type(float32, *outputs, actions, float32_1d, action_map, *numbers)


ALGORITHM_TYPE = algorithm_type(int64_1d, float32_2d)
CONTINUOUS_ALGORITHM_TYPE = algorithm_type(float32_2d, float32_2d)
MULTI_DISCRETE_ALGORITHM_TYPE = algorithm_type(int64_2d, int64_1d)


def algorithms_for(spec: EnvSpec) -> dict[str, Algorithm]:
    """Return the algorithms for the actions of an environment, by name."""
    return CONTINUOUS if spec.continuous else MULTI_DISCRETE if spec.multi_discrete else ALGORITHMS


def algorithm_for(name: str, spec: EnvSpec) -> Algorithm:
    """Return the algorithm of that name for the actions of an environment.

    Raises InputError where the actions are continuous or several integers, and the algorithm needs one integer.
    """
    algorithms = algorithms_for(spec)
    if name not in algorithms:
        found, needed = "actions of several integers", "one integer"
        if spec.continuous:
            found, needed = "continuous actions", "actions that can be counted"
        raise InputError(f"{spec.id} has {found}, and {name} needs {needed}; choose {', '.join(algorithms)}.")
    return algorithms[name]
