"""An agent: it acts, it is evaluated, it is saved and loaded."""

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np

from numasync.agent.checkpoint import load_checkpoint, save_checkpoint
from numasync.agent.evaluation import EVALUATION_STREAM, EvaluationPolicy, act, play_episodes, summarize
from numasync.agent.network import build_network
from numasync.algorithms import algorithm_for
from numasync.algorithms.policy import EPSILON_GREEDY, MEAN
from numasync.config import Config, rename_options
from numasync.envs import add_version
from numasync.envs.observation import Observation
from numasync.envs.spec import EnvSpec
from numasync.errors import InputError
from numasync.nn.passes import reset_state
from numasync.nn.spec import Layer
from numasync.runtime.checks import check_whole_number
from numasync.runtime.jit import FLOAT
from numasync.runtime.rng import seed_row

PRETRAINED = Path(__file__).parent / "pretrained"


class Agent:
    """A network with its parameters, and what is needed to use it on its environment.

    config  the Config that it was trained with
    spec    the EnvSpec of its environment
    theta   the parameters, float32 (n_parameters,); None draws the initial parameters of config.seed

    It also has these attributes:

    algorithm  the Algorithm, a row of the table in algorithms/__init__.py
    network    the Network
    result     the result of its run, a dict as in result.json, or None if it is untrained

    Raises InputError where network, observation, algorithm and actions do not fit each other.
    """

    def __init__(self, config: Config, spec: EnvSpec, theta: np.ndarray | None = None) -> None:
        self.config = config
        self.spec = spec
        self.algorithm = algorithm_for(config.algo, spec)
        self.network = build_network(config, spec)
        self.theta = self.network.initial(config.seed) if theta is None else theta
        self.result: dict[str, Any] | None = None
        self._obs = np.zeros((1, self.network.n_inputs), FLOAT)
        self._tape, self._actions = self.network.tape(1), spec.new_actions(1)
        self._rng = seed_row(config.seed, EVALUATION_STREAM)

    def __repr__(self) -> str:
        """Name algorithm, environment, network, steps of training and score."""
        of = f"{self.config.algo} on {self.spec.id}, network {name_network(self.config.network)}"
        if self.result is None:
            return f"<Agent: {of}, untrained>"
        evaluation = self.result["evaluation"]
        score = f"score {evaluation['mean']:.2f}" if evaluation else "not evaluated"
        return f"<Agent: {of}, {self.result['steps']:,} steps, {score}>"

    def predict(self, obs: Any, greedy: bool = True) -> int | np.ndarray:
        """Return the action for one observation.

        A network with an LSTM keeps a hidden state: the observation must follow the previous one, or `reset` must be
        called before it.

        obs     an observation as the environment returns it: an array of its shape, or an integer
        greedy  true: the action of the highest Q value or the highest density;
                false: an action sampled from the policy (a3c), or the greedy action but a random one with probability
                config.eval_epsilon (Q methods)

        Returns an int from 0 on; a continuous action is float32 (n_actions,) within the bounds. Raises InputError for
        an observation of another shape.
        """
        self.spec.observation.check(obs)
        self.spec.observation.encode(obs, self._obs[0])
        policy, epsilon = (self._greedy, 0.0) if greedy else (self.algorithm.policy, self.config.eval_epsilon)
        how = (policy, epsilon, self.spec.n_actions, self._rng)
        act(self._actions, self._tape, self._obs, self.theta, self.network.table, *how)
        if self.spec.bounds is not None:
            return np.clip(self._actions[0], *self.spec.bounds, dtype=FLOAT)
        return int(self._actions[0])

    @property
    def _greedy(self) -> int:
        return MEAN if self.spec.continuous else EPSILON_GREEDY

    def reset(self) -> None:
        """Tell `predict` that an episode begins. It resets the hidden state of an LSTM; other networks have none."""
        reset_state(self._tape, self.network.table, 0, 1)

    def evaluate(self, episodes: int = 100, seed: int | None = None, env: str | None = None) -> dict[str, Any]:
        """Play episodes with the current parameters and return their scores. Nothing is learned.

        config.eval_epsilon and config.eval_greedy decide how actions are picked. Rewards are not clipped.

        episodes  the number of episodes
        seed      the seed of the episodes; by default config.seed
        env       the id of the environment to play; by default the agent's own. It must be the same environment, of
                  numasync or of Gymnasium ('gymnasium:CartPole-v1').

        Returns a dict of episodes, mean, std, min and max. Raises InputError for bad input, NotFiniteError where a
        score is NaN or infinite.
        """
        env_id = env or self.spec.id
        self.check_env(env_id)
        check_whole_number("episodes", episodes, 1)
        seed = self.config.seed if seed is None else seed
        check_whole_number("seed", seed, 0)
        spec = self.spec._replace(id=env_id)
        return summarize(play_episodes(spec, self.evaluation_policy(), self.theta, episodes, seed))

    def evaluation_policy(self) -> EvaluationPolicy:
        """Return how the agent acts when it is evaluated."""
        policy = self._greedy if self.config.eval_greedy else self.algorithm.policy
        epsilon = self.config.eval_epsilon if self.algorithm.policy == EPSILON_GREEDY else 0.0
        return EvaluationPolicy(self.network, policy, epsilon)

    def check_env(self, env_id: str) -> None:
        """Raise InputError unless the agent was trained on `env_id`, in its jitted or its Gymnasium version."""
        if add_version(env_id).rpartition(":")[2] != add_version(self.spec.id).rpartition(":")[2]:
            raise InputError(f"This agent was trained on {self.spec.id}; it cannot play {env_id}.")

    def save(self, path: str | os.PathLike, half: bool = False) -> None:
        """Write the agent to one .npz file, without pickle. The file appears whole or not at all.

        path  the file; an existing one is replaced
        half  whether to compress the file and store the parameters as float16, as in the pretrained agents

        Raises OSError where the file cannot be written.
        """
        observation = dataclasses.asdict(self.spec.observation)
        arrays = {"theta": self.theta.astype(np.float16) if half else self.theta}
        mean = observation.pop("mean", None)
        if mean is not None:
            arrays["mean"] = mean
        description = {
            "config": dataclasses.asdict(self.config),
            "spec": {**self.spec._asdict(), "observation": observation},
            "result": self.result,
        }
        save_checkpoint(path, description, arrays, compressed=half)


def name_network(layers: str | tuple[Layer, ...]) -> str:
    """Return the text of the option `network`: a name, or layers as the user writes them."""
    if isinstance(layers, str):
        return layers
    calls = [f"{layer.kind}({', '.join(map(str, layer.sizes))})" for layer in layers]
    return f"({', '.join(calls)})"


def pretrained() -> list[str]:
    """Return the names of the trained agents that ship with the package; `load` takes them."""
    return sorted(path.stem for path in PRETRAINED.glob("*.npz"))


def load(path: str | os.PathLike, env: str | None = None) -> Agent:
    """Load an agent.

    path  a file that a run or `Agent.save` wrote, or the name of a pretrained agent, such as 'pong-a3c'
    env   the id of an environment that the agent must be able to play; by default it is not checked

    Returns the Agent. Raises InputError if the file is no checkpoint, is damaged, has another format, or holds an agent
    of another environment than `env`.
    """
    if str(path) in pretrained():
        path = PRETRAINED / f"{path}.npz"
    description, arrays = load_checkpoint(path)
    try:
        config = parse_config(description["config"])
        spec = parse_spec(description["spec"], arrays.get("mean"))
        theta = arrays["theta"]
        agent = Agent(config, spec, theta.astype(FLOAT) if theta.dtype == np.float16 else theta)
        agent.result = description["result"]
    except (KeyError, TypeError) as error:
        raise InputError(f"{path} does not describe an agent of this version of numasync.") from error
    if agent.theta.shape != (agent.network.n_parameters,) or agent.theta.dtype != FLOAT:
        raise InputError(f"{path} holds parameters that do not fit its network; the file is damaged.")
    mean = spec.observation.mean
    if mean is not None and (mean.shape != spec.observation.mean_shape or mean.dtype != FLOAT):
        raise InputError(f"{path} holds a mean that does not fit its screen; the file is damaged.")
    if env is not None:
        agent.check_env(env)
    return agent


def parse_config(given: dict[str, Any]) -> Config:
    """Return the Config that a checkpoint describes, also one with old names of options."""
    network = given["network"]
    if not isinstance(network, str):
        network = tuple(Layer(layer["kind"], tuple(layer["sizes"])) for layer in network)
    return Config(**{**rename_options(given), "network": network})


def parse_spec(given: dict[str, Any], mean: np.ndarray | None) -> EnvSpec:
    """Return the EnvSpec that a checkpoint describes. JSON has made lists of its tuples.

    mean  the mean of the observation, which is stored as an array of its own
    """
    observation = {**given["observation"]}
    observation["shape"] = tuple(observation["shape"])
    if isinstance(observation["start"], list):
        observation["start"] = tuple(observation["start"])
    bounds = given.get("bounds")
    spec = EnvSpec(**{**given, "observation": Observation(**observation, mean=mean)})
    return spec._replace(bounds=bounds and tuple(map(tuple, bounds)))
