"""The four algorithms by name. An algorithm is which parameters it acts on, how it picks an action, and one kernel.

Every kernel has the same signature and gets the network's outputs over one segment; it knows nothing of layers,
threads or environments. The loop in `actor_learner.py` does what the columns of this table say.
"""

from typing import Callable, NamedTuple

from numasync.algorithms.a3c import a3c
from numasync.algorithms.a3c_continuous import a3c_continuous
from numasync.algorithms.nstep_q import nstep_q
from numasync.algorithms.one_step_q import one_step_q
from numasync.algorithms.one_step_sarsa import one_step_sarsa
from numasync.algorithms.policy import EPSILON_GREEDY, GAUSSIAN, SOFTMAX
from numasync.errors import InputError
from numasync.runtime.jit import boolean, float32, float32_1d, float32_2d, function_type, int64, int64_1d


class Algorithm(NamedTuple):
    """kernel: writes d(loss)/d(outputs), returns the loss.
    local_copy: act and differentiate on theta', copied from theta at the start of a segment; otherwise on theta
    itself.
    policy: how an action is picked from a row of outputs.
    other_heads: sizes of the outputs that follow the first n_actions: (1,) for a value, (1, 1) for the variance of a
    continuous action and a value; () where the outputs are Q values.
    target_network: bootstrap from theta-; otherwise from the parameters that act.
    one_step: bootstrap after every action of the segment; otherwise after the last one alone.
    next_action: the target needs the action that is executed after the segment.
    """

    kernel: Callable
    local_copy: bool
    policy: int
    other_heads: tuple
    target_network: bool
    one_step: bool
    next_action: bool


ALGORITHMS = {
    "one_step_q": Algorithm(one_step_q, False, EPSILON_GREEDY, (), True, True, False),
    "one_step_sarsa": Algorithm(one_step_sarsa, False, EPSILON_GREEDY, (), True, True, True),
    "nstep_q": Algorithm(nstep_q, True, EPSILON_GREEDY, (), True, False, False),
    "a3c": Algorithm(a3c, True, SOFTMAX, (1,), False, False, False),
}

# For continuous actions: the same names.
CONTINUOUS = {"a3c": Algorithm(a3c_continuous, True, GAUSSIAN, (1, 1), False, False, False)}

# (outputs, bootstrap, actions, rewards, n, terminated, gamma, beta, d_outputs) -> loss
ALGORITHM_TYPE = function_type(float32, float32_2d, float32_2d, int64_1d, float32_1d, int64, boolean, float32, float32, float32_2d)
CONTINUOUS_ALGORITHM_TYPE = function_type(float32, float32_2d, float32_2d, float32_2d, float32_1d, int64, boolean, float32, float32, float32_2d)


def algorithm_for(name, spec):
    """The algorithm of that name for the actions of an EnvSpec. Raises InputError where it has none for them."""
    algorithms = CONTINUOUS if spec.continuous else ALGORITHMS
    if name not in algorithms:
        raise InputError(
            f"{spec.id} has continuous actions, and {name} needs actions that can be counted; choose "
            f"{', '.join(CONTINUOUS)}."
        )
    return algorithms[name]
