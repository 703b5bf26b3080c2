"""Streams of observations, on which an agent acts. An agent itself keeps nothing from step to step."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from numasync.agent.evaluation import act
from numasync.agent.network import check_theta
from numasync.agent.outputs import Policy, first_of, name_outputs
from numasync.envs.spec import EnvSpec
from numasync.errors import InputError
from numasync.nn.network import MOST_NUMBERS, Network, outputs_on
from numasync.nn.passes import forward, reset_state
from numasync.nn.table import STATE_SIZE
from numasync.runtime.checks import as_array, show
from numasync.runtime.jit import FLOAT

if TYPE_CHECKING:
    from numasync.agent.agent import Agent

# A batch goes through the network in pieces of this many observations at most, and of this many numbers. 4 MiB stay in
# a cache, and the memory that a thread keeps does not grow with the batch.
PIECE_ROWS, PIECE_NUMBERS = 1024, 2**20


class StreamState(NamedTuple):
    """The arrays with which an agent acts on some observations.

    obs      float32 (rows, inputs): the network's input
    tape     the activations of these rows, and the hidden state
    actions  an action for each row, see `EnvSpec.new_actions`
    """

    obs: np.ndarray
    tape: np.ndarray
    actions: np.ndarray


def new_state(network: Network, spec: EnvSpec, rows: int) -> StreamState:
    """Make a StreamState for `rows` observations."""
    return StreamState(np.zeros((rows, network.n_inputs), FLOAT), network.tape(rows), spec.new_actions(rows))


class StreamMemory:
    """What a stream keeps from step to step, and the arrays that it works with.

    rng     uint64 (4,): a generator row, for actions that are sampled
    size    the observations of each batch, or None for one observation, or a batch of any size
    states  StreamStates for one observation: with hidden states of their own for each of a batch, else one
    batch   a StreamState for a piece of a batch, once there is one
    """

    def __init__(self, network: Network, spec: EnvSpec, rng: np.ndarray, size: int | None = None) -> None:
        self.rng, self.size = rng, size
        self.batch: StreamState | None = None
        own = new_state(network, spec, 1)
        self.states = [own]
        if size is not None and has_state(network):
            if size * network.width > MOST_NUMBERS:
                raise InputError(f"A stream of size {size} needs more memory than numasync gives to a tape.")
            self.states += [own._replace(tape=network.tape(1)) for _ in range(size - 1)]


class Stream:
    """One stream of observations, such as one player's of a game, on which an agent acts. `Agent.stream` makes it.

    It has the hidden state of an LSTM and a generator of random numbers of its own. With a size n it is n streams side
    by side, which take their steps together: n observations in, n actions out. Use it in one thread at a time. Several
    streams of one agent can be used in several threads.
    """

    def __init__(self, agent: "Agent", memory: StreamMemory) -> None:
        self._agent, self._memory = agent, memory

    def predict(self, obs: Any, greedy: bool = True) -> int | np.ndarray:
        """Return the action for the next observation, or for each of a batch, as `Agent.predict` does.

        Raises InputError, as it does, and where a batch has not the size of the stream.
        """
        agent, rng = self._agent, self._memory.rng
        spec, theta, table = agent.spec, agent.theta, agent.network.table
        n = self._count(obs)
        how = agent._how_to_act(greedy)
        if n is None:  # apart, because a program that asks at every step waits for it
            own = self._memory.states[0]
            spec.observation.encode(obs, own.obs[0])
            act(own.actions, own.tape, own.obs, theta, table, *how, rng)
            return spec.env_action(own.actions[0], agent._bounds)
        actions = []
        for state, rows in self._encode(obs, n):
            act(state.actions[:rows], state.tape, state.obs[:rows], theta, table, *how, rng)
            actions.append(spec.env_actions(state.actions[:rows], agent._bounds))
        return np.concatenate(actions)

    def policy(self, obs: Any) -> Policy:
        """Return what the agent thinks of the next observation, or of each of a batch, as `Agent.policy` does.

        Raises InputError, as `predict` does.
        """
        agent = self._agent
        network, n = agent.network, self._count(obs)
        outputs = []
        for state, rows in self._encode(obs, n):
            forward(state.tape, state.obs[:rows], agent.theta, network.table, 0, rows)
            outputs.append(outputs_on(state.tape, network, rows).copy())
        policy = name_outputs(np.concatenate(outputs), agent.algorithm, agent.spec)
        return first_of(policy) if n is None else policy

    def reset(self, which: Any = None) -> None:
        """Say that an episode begins. It resets the hidden state of an LSTM; other networks have none.

        which  for a stream with a size n: in which of the n streams, a mask (n,) or their numbers; None for all

        Raises InputError where `which` is neither.
        """
        network, states = self._agent.network, self._memory.states
        chosen = None if which is None else self._chosen(which)
        if chosen is not None and has_state(network):
            states = [states[number] for number in chosen]
        for state in states:
            reset_state(state.tape, network.table, 0, 1)

    def _count(self, obs: Any) -> int | None:
        """Return how many observations a batch has, or None for one observation. Check them, and theta."""
        agent, size = self._agent, self._memory.size
        n = agent.spec.observation.count(obs)
        check_theta(agent.theta, agent.network)
        if size is not None and n != size:
            found = "This is one observation" if n is None else f"The batch has {n} observations"
            raise InputError(f"{found}; this stream takes {size} observations at a time.")
        if size is None and n is not None and has_state(agent.network):
            raise InputError(
                f"An agent with an LSTM has a hidden state for each of the {n} observations of a batch; use "
                f"agent.stream(size={n}), and call its `reset` where an episode begins."
            )
        return n

    def _encode(self, obs: Any, n: int | None) -> Iterator[tuple[StreamState, int]]:
        """Yield a StreamState with the network's input for some observations, and how many, until all have come."""
        agent, memory = self._agent, self._memory
        observation = agent.spec.observation
        if n is None:
            observation.encode(obs, memory.states[0].obs[0])
            yield memory.states[0], 1
            return
        batch = np.asarray(obs)
        if has_state(agent.network):
            for each, state in zip(batch, memory.states, strict=True):
                observation.encode(each, state.obs[0])
                yield state, 1
            return
        rows = max(min(PIECE_ROWS, PIECE_NUMBERS // (agent.network.n_inputs + agent.network.width)), 1)
        state = memory.batch = memory.batch or new_state(agent.network, agent.spec, rows)
        for first in range(0, n, rows):
            piece = batch[first : first + rows]
            observation.encode_batch(piece, state.obs[: len(piece)])
            yield state, len(piece)

    def _chosen(self, which: Any) -> np.ndarray:
        """Return the numbers of the streams that `which` names: a mask or numbers. Raises InputError."""
        size, array = self._memory.size, as_array(which)
        if size is None:
            raise InputError("Only a stream with a size, such as agent.stream(size=8), can reset some of its streams.")
        if array is not None and array.dtype == bool and array.shape == (size,):
            return np.flatnonzero(array)
        numbers = None if array is None or array.ndim > 1 else array.reshape(-1)
        if numbers is not None and not numbers.size:
            return np.zeros(0, np.int64)
        if numbers is None or numbers.dtype.kind not in "iu" or not ((numbers >= 0) & (numbers < size)).all():
            raise InputError(
                f"which is {show(which)}; it must be a mask of shape ({size},) or numbers from 0 to {size - 1}."
            )
        return numbers


def has_state(network: Network) -> bool:
    """Return whether a network has a hidden state."""
    return any(row[STATE_SIZE] for row in network.rows)
