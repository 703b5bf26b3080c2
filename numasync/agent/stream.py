"""What a stream of observations needs while an agent acts on it. An agent itself keeps nothing from step to step."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numasync.agent.agent import Agent


class StreamState(NamedTuple):
    """The arrays of one stream of observations.

    obs      float32 (1, inputs): the network's input
    tape     the activations of one step, and the hidden state
    actions  the action, see `EnvSpec.new_actions`
    rng      uint64 (4,): a generator row, for actions that are sampled
    """

    obs: np.ndarray
    tape: np.ndarray
    actions: np.ndarray
    rng: np.ndarray


class Stream:
    """One stream of observations, such as one player's of a game, on which an agent acts. `Agent.stream` makes it.

    It has the hidden state of an LSTM and a generator of random numbers of its own. Use it in one thread at a time.
    Several streams of one agent can be used in several threads.
    """

    def __init__(self, agent: "Agent", state: StreamState) -> None:
        self._agent, self._state = agent, state

    def predict(self, obs: Any, greedy: bool = True) -> int | np.ndarray:
        """Return the action for the next observation, as `Agent.predict` does. Raises InputError, as it does."""
        return self._agent._act_on(self._state, obs, greedy)

    def reset(self) -> None:
        """Say that an episode begins. It resets the hidden state of an LSTM; other networks have none."""
        self._agent._reset_state(self._state)
