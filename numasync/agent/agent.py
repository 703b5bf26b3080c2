"""An agent: it acts, it is evaluated, it is saved and loaded."""

import dataclasses
import itertools
import os
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np

from numasync.agent.checkpoint import CheckpointFile, open_checkpoint, save_checkpoint
from numasync.agent.description import check_sizes, parse_config, parse_result, parse_spec
from numasync.agent.environment import check_may_play, check_same_env
from numasync.agent.evaluation import EVALUATION_STREAM, EvaluationPolicy, play_episodes, summarize
from numasync.agent.network import build_network, check_theta
from numasync.agent.onnx_file import to_bytes
from numasync.agent.outputs import Policy
from numasync.agent.stream import Stream, StreamMemory
from numasync.algorithms import algorithm_for
from numasync.algorithms.policy import EPSILON_GREEDY, MEAN
from numasync.config import Config, check_hidden_layers
from numasync.envs import OBJECTS
from numasync.envs.kwargs import as_kwargs
from numasync.envs.objects import EnvLike, as_env_id
from numasync.envs.spec import EnvSpec
from numasync.errors import InputError, unwritable
from numasync.nn.spec import Layer
from numasync.runtime.checks import as_path, as_switch, as_whole_number, check_kind, check_method, check_text
from numasync.runtime.files import write_atomically
from numasync.runtime.hints import find_hint
from numasync.runtime.jit import FLOAT
from numasync.runtime.rng import seed_row

PRETRAINED = Path(__file__).parent / "pretrained"

# What an agent is made of. It does not change.
FIXED = frozenset(("config", "spec", "algorithm", "network"))
# The arrays of a checkpoint.
ARRAYS = {"theta", "mean"}


class Agent:
    """A network with its parameters, and what is needed to use it on its environment.

    Several threads can use one agent. It keeps nothing from step to step: that is in a `Stream` or, for `predict`,
    `policy` and `reset`, with the thread that calls them.

    config  the Config that it was trained with
    spec    the EnvSpec of its environment
    theta   the parameters, float32 (n_parameters,); None draws the initial parameters of config.seed

    It also has these attributes:

    algorithm  the Algorithm, a row of the table in algorithms/__init__.py
    network    the Network
    result     the result of its run, a dict as in result.json, or None if it is untrained

    Only theta and result can be changed. Raises InputError where network, observation, algorithm, actions and theta do
    not fit each other.
    """

    def __init__(self, config: Config, spec: EnvSpec, theta: np.ndarray | None = None) -> None:
        check_kind("config", config, Config, "a Config")
        check_kind("spec", spec, EnvSpec, "an EnvSpec")
        self.config = config
        self.spec = spec
        spec.check_actions()
        if theta is None:
            check_hidden_layers(config.network)
        self.algorithm = algorithm_for(config.algo, spec)
        self.network = build_network(config, spec)
        self.theta = self.network.initial(config.seed) if theta is None else theta
        check_theta(self.theta, self.network)
        self.result: dict[str, Any] | None = None
        # What `predict` needs at once: the greedy policy, the bounds as an array, and the map to them.
        self._greedy = MEAN if spec.continuous else EPSILON_GREEDY  # of several integers, each is greedy
        self._bounds = None if spec.bounds is None else np.array(spec.bounds)
        self._action_map = spec.action_map
        # Whether the environment's id was read from a file, so that nobody has asked for the code that it names.
        self._id_from_file = False
        self._make_places_of_threads()

    def _make_places_of_threads(self) -> None:
        """Make the places where each thread keeps the state of its stream for `predict` and `reset`."""
        self._of_thread, self._numbers = threading.local(), itertools.count()

    def __setattr__(self, name: str, value: Any) -> None:
        if name in FIXED and name in self.__dict__:
            raise InputError(f"The {name} of an agent cannot be changed; make another one: Agent(config, spec, theta).")
        super().__setattr__(name, value)

    def __getstate__(self) -> dict[str, Any]:
        # A copy has the same parameters. It begins new streams.
        return {name: value for name, value in self.__dict__.items() if name not in ("_of_thread", "_numbers")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._make_places_of_threads()

    def __repr__(self) -> str:
        """Name algorithm, environment, network, steps of training and score."""
        of = f"{self.config.algo} on {self.spec.id}, network {name_network(self.config.network)}"
        try:
            result = parse_result(self.result)
        except InputError:  # what a user has put there
            return f"<Agent: {of}, unknown result>"
        if result is None:
            return f"<Agent: {of}, untrained>"
        evaluation = result["evaluation"]
        score = f"score {evaluation['mean']:.2f}" if evaluation else "not evaluated"
        return f"<Agent: {of}, {result['steps']:,} steps, {score}>"

    def predict(self, obs: Any, greedy: bool = True) -> int | np.ndarray:
        """Return the action for one observation, or for each observation of a batch.

        A batch has one more axis, in front: an array (n, *shape of an observation), or (n,) integers where an
        observation is an integer. It gives the same actions as its observations one by one. The smaller the network,
        the more time it saves.

        For a network with an LSTM, each thread has a hidden state: the observation must follow the thread's previous
        one, or `reset` must be called before it. `stream` gives more than one state to a thread, and batches.

        obs     an observation as the environment returns it, an array of its shape or an integer; or a batch
        greedy  true: the action of the highest Q value, probability or density;
                false: an action sampled from the policy (a3c), or the greedy action but a random one with probability
                config.eval_epsilon (Q methods)

        Returns an action as the environment takes it: an int of its Discrete space, or an array of the shape and the
        dtype of its Box, MultiDiscrete or MultiBinary space, within the bounds. For a batch: an array (n,) of integers,
        or (n, *shape of an action). Raises InputError for an observation of another shape, for a batch without a stream
        of its size where the network has an LSTM, and where `theta` does not fit the network.
        """
        return Stream(self, self._memory_of_thread()).predict(obs, greedy)

    def policy(self, obs: Any) -> Policy:
        """Return what the agent thinks of one observation, or of each observation of a batch.

        The hidden state of an LSTM stays as it is: the next `predict` takes the same step.

        obs  an observation or a batch, as for `predict`

        Returns a NamedTuple: of `q` and their highest, `value` (Q methods); of `probabilities` and `value` (a3c); or of
        `mean`, `std` and `value` (a3c, continuous actions, in the environment's own units). Each is float32 with a row
        for each observation of a batch. Raises InputError, as `predict` does.
        """
        return Stream(self, self._memory_of_thread()).policy(obs)

    def reset(self) -> None:
        """Tell `predict` that an episode begins in this thread.

        It resets the hidden state of an LSTM; other networks have none.
        """
        Stream(self, self._memory_of_thread()).reset()

    def stream(self, seed: int | None = None, size: int | None = None) -> Stream:
        """Return a new stream of observations, with `predict`, `policy` and `reset` of its own.

        seed  the seed of actions that are sampled; by default config.seed
        size  n makes n streams side by side: `predict` takes a batch of n observations, one of each; None makes one

        Raises InputError for a seed or a size that is not allowed.
        """
        seed = as_whole_number("seed", self.config.seed if seed is None else seed, 0)
        size = None if size is None else as_whole_number("size", size, 1)
        return Stream(self, StreamMemory(self.network, self.spec, seed_row(seed, EVALUATION_STREAM), size))

    def _how_to_act(self, greedy: bool) -> tuple[np.ndarray, int, float, int]:
        """Return the arguments of `act` that say how an action is chosen. greedy: see `predict`."""
        if as_switch("greedy", greedy):
            policy, epsilon = self._greedy, 0.0
        else:
            policy, epsilon = self.algorithm.policy, self.config.eval_epsilon
        return self._action_map, policy, epsilon, self.spec.n_actions

    def _memory_of_thread(self) -> StreamMemory:
        """Return what this thread's own stream keeps. Each thread samples actions from a generator of its own."""
        try:
            return self._of_thread.memory
        except AttributeError:
            number = next(self._numbers)
            rng = seed_row(self.config.seed, EVALUATION_STREAM, *([number] if number else []))
            self._of_thread.memory = StreamMemory(self.network, self.spec, rng)
            return self._of_thread.memory

    def evaluate(
        self,
        episodes: int = 100,
        seed: int | None = None,
        env: EnvLike | None = None,
        on_progress: Callable[[int], None] | None = None,
        env_kwargs: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Play episodes with the current parameters and return their scores. Nothing is learned.

        config.eval_epsilon and config.eval_greedy decide how actions are picked. Rewards are not clipped.

        episodes     the number of episodes
        seed         the seed of the episodes; by default config.seed
        env          the environment to play, as for `train`; by default the agent's own. An id must be of the same
                     environment, of numasync or of Gymnasium ('gymnasium:CartPole-v1'). A function, a class or an
                     EnvSpec can be any with the same observations and actions. An agent from a file whose own
                     environment is in a module that has not been imported needs it: 'game:Game-v0' imports game.py.
        on_progress  a function that gets the number of episodes that have ended, four times a second; None for none
        env_kwargs   keywords for the environment; by default the agent's own

        Returns a dict of episodes, mean, std, min and max, and `cut`: how many episodes ended at numasync's limit of
        steps, where there were any. Raises InputError for bad input, NotFiniteError where a score is NaN or infinite.
        """
        env_id = self.env_to_play(env)
        env_kwargs = self.spec.env_kwargs if env_kwargs is None else as_kwargs(env_kwargs)
        episodes = as_whole_number("episodes", episodes, 1)
        seed = as_whole_number("seed", self.config.seed if seed is None else seed, 0)
        if on_progress is not None:
            check_method("on_progress", on_progress, "__call__", "a function, or None")
        spec, policy = self.spec._replace(id=env_id, env_kwargs=env_kwargs), self.evaluation_policy()
        return summarize(play_episodes(spec, policy, self.theta, episodes, seed, on_progress=on_progress))

    def evaluation_policy(self) -> EvaluationPolicy:
        """Return how the agent acts when it is evaluated."""
        policy = self._greedy if self.config.eval_greedy else self.algorithm.policy
        epsilon = self.config.eval_epsilon if self.algorithm.policy == EPSILON_GREEDY else 0.0
        return EvaluationPolicy(self.network, policy, epsilon, self._action_map)

    def env_to_play(self, env: EnvLike | None = None) -> str:
        """Return the id of the environment to play. env: what the user gives; None for the agent's own.

        Raises InputError where the agent was not trained on it, and where the agent's own id comes from a file and
        would import a module or call a function: a file of data must not decide what code runs.
        """
        if env is not None:
            env_id = as_env_id(env)
            self.check_env(env_id)
            return env_id
        own = self.spec.id
        if self._id_from_file:
            check_may_play(own)
        return own

    def on(self, env_id: str) -> "Agent":
        """Return an agent with the same parameters and result that plays another id of its environment by default.

        Raises InputError as `check_env` does.
        """
        self.check_env(env_id)
        agent = Agent(dataclasses.replace(self.config, env=env_id), self.spec._replace(id=env_id), self.theta)
        agent.result = self.result
        return agent

    def check_env(self, env_id: str) -> None:
        """Raise InputError unless the agent was trained on `env_id`, in its jitted or its Gymnasium version.

        A function, a class and an EnvSpec that the user has given can be any: they are compared where they are made.
        """
        check_text("env", env_id)
        check_same_env(self.spec.id, env_id)

    def save(self, path: str | os.PathLike, half: bool = False) -> None:
        """Write the agent to one .npz file, without pickle. The file appears whole or not at all.

        path  the file; an existing one is replaced, and a link stays a link to it
        half  whether to compress the file and store the parameters as float16, as in the pretrained agents. With
              normalised vectors they stay float32: a float16 is too coarse for the mean and the deviation

        Raises InputError where `theta` and `result` are not as `load` expects them. Raises InputError where the file
        cannot be written, or `path` is no place for a file. This error is an OSError too.
        """
        path, half = as_path("path", path), as_switch("half", half)
        description, arrays = contents_of(self, half)
        try:
            save_checkpoint(path, description, arrays, compressed=half)
        except OSError as error:
            raise unwritable(path, error) from error

    def to_onnx(self, path: str | os.PathLike) -> None:
        """Write the agent to an ONNX file, which other programs run. The file appears whole or not at all.

        Its input is `obs`, a batch of observations as the environment returns them: uint8 for a screen, int64 for
        integers, else float32. Its outputs are `action`, the greedy one as `predict` returns it, and what `policy` says
        of it: `q`, or `logits`, or `mean` and `std`; and `value`. An LSTM adds the inputs lstm1_h and lstm1_c, float32
        (n, units), zeros where an episode begins, and the outputs lstm1_h_next and lstm1_c_next for the next step.

        path  the file; an existing one is replaced, and a link stays a link to it

        Needs the package onnx: the extra `onnx`. Raises InputError where it is not installed, where `theta` does not
        fit the network, and where the file cannot be written, or `path` is no place for a file.
        """
        path = as_path("path", path)
        check_theta(self.theta, self.network)
        content = to_bytes(self)
        try:
            write_atomically(path, lambda file: file.write(content))
        except OSError as error:
            raise unwritable(path, error) from error


def contents_of(agent: Agent, half: bool = False) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return what a checkpoint holds of an agent: its description, and its arrays by name. half: see `Agent.save`.

    Raises InputError where its theta and its result are not as `load` expects them.
    """
    spec, theta = agent.spec, agent.theta
    check_theta(theta, agent.network)
    parse_result(agent.result)
    observation = dataclasses.asdict(spec.observation)
    with np.errstate(over="ignore"):
        arrays = {"theta": theta.astype(np.float16) if half and not spec.observation.normalized else theta}
    if not np.isfinite(arrays["theta"]).all():
        raise InputError(f"theta has numbers that {arrays['theta'].dtype} cannot hold, or that are not finite.")
    mean = observation.pop("mean", None)
    if mean is not None:
        arrays["mean"] = mean
    description = {
        "config": dataclasses.asdict(agent.config),
        "spec": {**spec._asdict(), "observation": observation},
        "result": agent.result,
    }
    return description, arrays


def name_network(layers: str | tuple[Layer, ...]) -> str:
    """Return the text of the option `network`: a name, or layers as the user writes them."""
    if isinstance(layers, str):
        return layers
    calls = [f"{layer.kind}({', '.join(map(str, layer.sizes))})" for layer in layers]
    return f"({', '.join(calls)})"


def pretrained() -> list[str]:
    """Return the names of the trained agents that ship with the package; `load` takes them."""
    return sorted(path.stem for path in PRETRAINED.glob("*.npz"))


def load(path: str | os.PathLike, env: EnvLike | None = None) -> Agent:
    """Load an agent.

    path  a file that a run or `Agent.save` wrote, or the name of a pretrained agent, such as 'pong-a3c'
    env   an environment, as for `train`, that the agent must be able to play; by default it is not checked. A function,
          a class or an EnvSpec is then its own. The module of an id such as 'game:Game-v0' is imported.

    Loading runs no code that the file names. Returns the Agent. Raises InputError if the file is no checkpoint, is
    damaged, has another format, or holds an agent of another environment than `env`.
    """
    path = as_path("path", path)
    if str(path) in pretrained():
        path = PRETRAINED / f"{path}.npz"
    elif not os.path.lexists(path):
        hint = find_hint(str(path), pretrained())
        if hint:
            raise InputError(f"There is no file {path}, and no pretrained agent has this name; {hint}.")
    with open_checkpoint(path) as file:
        agent = read_agent(path, file)
    env_id = None if env is None else as_env_id(env)
    if env_id is not None:
        agent.check_env(env_id)
        agent = agent.on(env_id) if env_id in OBJECTS else agent
    agent._id_from_file = env_id != agent.spec.id
    return agent


def read_agent(path: str | os.PathLike, file: CheckpointFile, others: Collection[str] = ()) -> Agent:
    """Return the agent of an open checkpoint. Its arrays are read once their sizes are known to fit its network.

    others: the names of further arrays that the file may hold

    Raises InputError, with the path, where what the file says is not allowed.
    """
    described = file.description
    try:
        config, spec = parse_config(described["config"]), parse_spec(described["spec"])
        result = parse_result(described["result"])
        network = build_network(config, spec)
        check_sizes(network)
    except InputError as error:
        raise InputError(f"{path} is damaged: {shorten(str(error))}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} does not describe an agent of this version of numasync.") from error
    theta = file.read("theta", (network.n_parameters,), ("<f4", "<f2"))
    if theta is None:
        raise InputError(f"{path} holds parameters that do not fit its network; the file is damaged.")
    observation = spec.observation
    mean = file.read("mean", observation.mean_shape, ("<f4",)) if observation.is_screen else None
    if (mean is None and "mean" in file.names) or not file.names <= {*ARRAYS, *others}:
        raise InputError(f"{path} holds a mean that does not fit its screen; the file is damaged.")
    if not np.isfinite(theta).all() or (mean is not None and not np.isfinite(mean).all()):
        raise InputError(f"{path} holds numbers that are not finite; the file is damaged.")
    spec = spec._replace(observation=dataclasses.replace(observation, mean=mean))
    agent = Agent(config, spec, theta.astype(FLOAT, copy=False))
    agent.result = result
    return agent


def shorten(sentence: str, longest: int = 400) -> str:
    """Return a sentence, cut where a value in it is very long."""
    return sentence if len(sentence) <= longest else f"{sentence[:longest]} ..."
