"""An agent: it acts, is scored, is saved and loaded."""

import dataclasses
from pathlib import Path

import numpy as np

from numasync.agent.checkpoint import load_checkpoint, save_checkpoint
from numasync.agent.evaluation import EVALUATION_STREAM, act, play_episodes, summary
from numasync.algorithms import algorithm_for
from numasync.algorithms.policy import EPSILON_GREEDY, MEAN
from numasync.config import Config
from numasync.envs.observation import Observation
from numasync.envs.spec import EnvSpec
from numasync.errors import InputError
from numasync.nn.network import ARCHITECTURES, Layer, heads, network, reset_state, towers
from numasync.runtime.checks import check_whole_number
from numasync.runtime.jit import FLOAT
from numasync.runtime.rng import seed_row

PRETRAINED = Path(__file__).parent / "pretrained"


class Agent:
    """A network with its parameters, and what is needed to use it on its environment.

    config: the Config it was trained with. spec: the EnvSpec. network: the Network. theta: float32 (n_parameters,).
    result: of the run, as in result.json, or None.
    """

    def __init__(self, config, spec, theta=None):
        self.config = config
        self.spec = spec
        self.algorithm = algorithm_for(config.algo, spec)
        hidden = ARCHITECTURES[config.network] if isinstance(config.network, str) else config.network
        sizes = (spec.n_actions, *self.algorithm.other_heads)
        layers = (*hidden, heads(*sizes))
        if config.separate_value and self.algorithm.other_heads:
            layers = (towers((*hidden, heads(*sizes[:-1])), (*hidden, heads(1))),)
        self.network = network(spec.observation.network_shape, *layers)
        self.theta = self.network.initial(config.seed) if theta is None else theta
        self.result = None
        self._obs = np.zeros((1, self.network.n_inputs), FLOAT)
        self._tape, self._actions = self.network.tape(1), spec.new_actions(1)
        self._rng = seed_row(config.seed, EVALUATION_STREAM)

    def predict(self, obs, greedy=True):
        """The action for one observation as the environment returns it: an int counted from 0, or where actions are
        continuous float32 (n_actions,), within their bounds. A network with an LSTM takes the observation for the one
        that follows the last, unless `reset` was called.

        greedy: the action of the highest Q value or density; otherwise sampled from the policy (a3c), or random with
        probability config.eval_epsilon (Q methods). Raises InputError for another shape.
        """
        self.spec.observation.check(obs)
        self.spec.observation.encode(obs, self._obs[0])
        policy, epsilon = (self._greedy, 0.0) if greedy else (self.algorithm.policy, self.config.eval_epsilon)
        arguments = (self._obs, self._tape, self._actions, policy, epsilon, self.spec.n_actions, self._rng)
        act(self.network.table, self.theta, *arguments)
        if self.spec.continuous:
            return np.clip(self._actions[0], *self.spec.bounds, dtype=FLOAT)
        return int(self._actions[0])

    @property
    def _greedy(self):
        return MEAN if self.spec.continuous else EPSILON_GREEDY

    def reset(self):
        """Tell `predict` that an episode begins: what an LSTM remembers of the last one is forgotten. Other networks
        remember nothing."""
        reset_state(self.network.table, self._tape, 0, 1)

    def evaluate(self, episodes=100, seed=None, env=None):
        """Play `episodes` episodes with the current parameters and return their unclipped scores as a dict of
        episodes, mean, std, min and max.

        seed: of the episodes; the agent's own by default. env: the id of the environment to play, which must be the
        agent's own or Gymnasium's twin of it. Actions are chosen as config.eval_greedy and config.eval_epsilon say.
        """
        env_id = env or self.spec.id
        self.check_env(env_id)
        check_whole_number("episodes", episodes, 1)
        seed = self.config.seed if seed is None else seed
        check_whole_number("seed", seed, 0)
        return summary(play_episodes(self.spec._replace(id=env_id), self.evaluation_policy(), self.theta, episodes, seed))

    def evaluation_policy(self):
        """How the agent acts when it is scored: its network, and the policy and the epsilon of `policy.choose`."""
        policy = self._greedy if self.config.eval_greedy else self.algorithm.policy
        return self.network, policy, self.config.eval_epsilon if self.algorithm.policy == EPSILON_GREEDY else 0.0

    def check_env(self, env_id):
        """Raise InputError unless the agent was trained on `env_id`, or on its jitted or Gymnasium twin."""
        if env_id.rpartition(":")[2] != self.spec.id.rpartition(":")[2]:
            raise InputError(f"This agent was trained on {self.spec.id}; it cannot play {env_id}.")

    def save(self, path, half=False):
        """Write the agent to one .npz file without pickle, whole or not at all. half: compressed, and the parameters
        in float16, as those of the agents that ship are."""
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


def pretrained():
    """Names of the trained agents inside the package."""
    return sorted(path.stem for path in PRETRAINED.glob("*.npz"))


def load(path, env=None):
    """The Agent that a run or `Agent.save` wrote, or one that ships, by its name, such as 'pong-a3c'.

    Raises InputError if the file is no checkpoint, is damaged or of another format, or was not trained on `env`,
    where that is given."""
    if str(path) in pretrained():
        path = PRETRAINED / f"{path}.npz"
    description, arrays = load_checkpoint(path)
    try:
        given = description["config"]
        if not isinstance(given["network"], str):
            given["network"] = tuple(Layer(layer["kind"], tuple(layer["sizes"])) for layer in given["network"])
        observation = description["spec"]["observation"]
        observation["shape"] = tuple(observation["shape"])
        if isinstance(observation["start"], list):
            observation["start"] = tuple(observation["start"])
        bounds = description["spec"].get("bounds")
        spec = EnvSpec(**{**description["spec"], "observation": Observation(**observation, mean=arrays.get("mean"))})
        spec = spec._replace(bounds=bounds and tuple(map(tuple, bounds)))
        theta = arrays["theta"]
        agent = Agent(Config(**given), spec, theta.astype(FLOAT) if theta.dtype == np.float16 else theta)
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
