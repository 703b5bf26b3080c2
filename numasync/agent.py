"""The public face: train an agent, let it act, score it, save it, load it."""

import dataclasses
import json
from pathlib import Path

import numpy as np

from numasync.algorithms import ALGORITHMS
from numasync.checkpoint import load_checkpoint, save_checkpoint, write_atomically
from numasync.config import Config, check_whole_number, checked, make_config
from numasync.envs import make_env, registered
from numasync.envs.interface import EnvSpec
from numasync.envs.observation import Observation
from numasync.errors import InputError
from numasync.evaluation import EVALUATION_STREAM, act, play_episodes, summary
from numasync.jit import FLOAT
from numasync.nn.network import HIDDEN, Layer, heads, network
from numasync.policy import EPSILON_GREEDY
from numasync.report import Report
from numasync.rng import seed_row
from numasync.trainer import Trainer

CHECKPOINT, CONFIG, RESULT = "checkpoint.npz", "config.json", "result.json"


class Agent:
    """A network with its parameters, and what is needed to use it on its environment.

    config: the Config it was trained with. spec: the EnvSpec. network: the Network. theta: float32 (n_parameters,).
    result: of the run, as in result.json, or None.
    """

    def __init__(self, config, spec, theta=None):
        self.config = config
        self.spec = spec
        self.algorithm = ALGORITHMS[config.algo]
        outputs = (spec.n_actions, 1) if self.algorithm.value_head else (spec.n_actions,)
        hidden = HIDDEN[config.network] if isinstance(config.network, str) else config.network
        self.network = network(spec.observation.network_shape, *hidden, heads(*outputs))
        self.theta = self.network.initial(config.seed) if theta is None else theta
        self.result = None
        self._obs = np.zeros((1, self.network.n_inputs), FLOAT)
        self._tape = np.zeros(self.network.width, FLOAT)
        self._rng = seed_row(config.seed, EVALUATION_STREAM)

    def predict(self, obs, greedy=True):
        """The action, an int counted from 0, for one observation as the environment returns it.

        greedy: the action of the highest Q value or probability; otherwise sampled from the policy (a3c), or random
        with probability config.eval_epsilon (Q methods). Raises InputError for another shape.
        """
        self.spec.observation.check(obs)
        self.spec.observation.encode(obs, self._obs[0])
        policy, epsilon = (EPSILON_GREEDY, 0.0) if greedy else (self.algorithm.policy, self.config.eval_epsilon)
        arguments = (self._obs, self._tape, policy, epsilon, self.spec.n_actions, self._rng)
        return int(act(self.network.table, self.theta, *arguments))

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
        return summary(play_episodes(env_id, self.network, self.theta, *self.evaluation_policy(), episodes, seed))

    def evaluation_policy(self):
        """How the agent acts when it is scored: the policy and the epsilon of `policy.choose`."""
        policy = EPSILON_GREEDY if self.config.eval_greedy else self.algorithm.policy
        return policy, 0.0 if self.algorithm.value_head else self.config.eval_epsilon

    def check_env(self, env_id):
        """Raise InputError unless the agent was trained on `env_id`, or on its jitted or Gymnasium twin; one that the
        user registers must have the observations and actions that it had then."""
        if env_id.rpartition(":")[2] != self.spec.id.rpartition(":")[2]:
            raise InputError(f"This agent was trained on {self.spec.id}; it cannot play {env_id}.")
        env = registered(env_id)
        if env and env.spec[1:] != self.spec[1:]:
            raise InputError(
                f"This agent was trained on another {env_id}: its observations, its actions or its family have changed."
            )

    def save(self, path):
        """Write the agent to one .npz file without pickle, whole or not at all."""
        description = {
            "config": dataclasses.asdict(self.config),
            "spec": {**self.spec._asdict(), "observation": dataclasses.asdict(self.spec.observation)},
            "result": self.result,
        }
        save_checkpoint(path, description, {"theta": self.theta})


def load(path, env=None):
    """The Agent that a run or `Agent.save` wrote. Raises InputError if the file is no checkpoint, is damaged or of
    another format, or was not trained on `env`, where that is given."""
    description, arrays = load_checkpoint(path)
    try:
        given = description["config"]
        if not isinstance(given["network"], str):
            given["network"] = tuple(Layer(layer["kind"], tuple(layer["sizes"])) for layer in given["network"])
        observation = description["spec"]["observation"]
        observation["shape"] = tuple(observation["shape"])
        spec = EnvSpec(**{**description["spec"], "observation": Observation(**observation)})
        agent = Agent(Config(**given), spec, arrays["theta"])
        agent.result = description["result"]
    except (KeyError, TypeError) as error:
        raise InputError(f"{path} does not describe an agent of this version of numasync.") from error
    if agent.theta.shape != (agent.network.n_parameters,) or agent.theta.dtype != FLOAT:
        raise InputError(f"{path} holds parameters that do not fit its network; the file is damaged.")
    if env is not None:
        agent.check_env(env)
    return agent


def train(env="CartPole-v1", algo="nstep_q", out=None, verbose=False, **options):
    """Train an agent and return it; the record of the run is in `agent.result`.

    env: an environment id. algo: one_step_q, one_step_sarsa, nstep_q or a3c. options: the fields of `Config`, such as
    steps, workers, seed, lr; what is not given comes from the preset of the environment's family. out: a new folder
    for config.json, checkpoint.npz and result.json. verbose: print progress.

    A first Ctrl-C ends the run early and returns the agent as it stands, without its evaluation; a second one at
    once. Raises InputError for bad input, WorkerError if a worker failed, NotFiniteError if the run diverged.
    """
    given = checked({"env": env, "algo": algo, **options})
    probe = make_env(env)
    probe.close()
    config = make_config(probe.spec.family, **given)
    agent = Agent(config, probe.spec)
    folder = new_folder(out) if out else None
    report = Report(config, folder and folder / CHECKPOINT) if verbose else Report.silent()
    trainer = Trainer(config, agent.spec, agent.network)

    def checkpoint(trainer):
        agent.theta = trainer.snapshot.copy()
        if folder:
            agent.save(folder / CHECKPOINT)

    if folder:
        write_json(folder / CONFIG, dataclasses.asdict(config))
    report.started()
    trainer.train(report.progress, checkpoint)
    report.ended(trainer)
    agent.result = run_result(config, trainer, final_evaluation(agent, trainer))
    report.evaluated(agent.result)
    if folder:
        agent.save(folder / CHECKPOINT)
        write_json(folder / RESULT, agent.result)
    return agent


def final_evaluation(agent, trainer):
    """The evaluation at the end of a run, or None if the run or the evaluation itself was interrupted."""
    if trainer.interrupted:
        return None
    try:
        return agent.evaluate(agent.config.eval_episodes)
    except KeyboardInterrupt:
        return None


def run_result(config, trainer, evaluation):
    """What result.json holds; evaluation is None where the run was interrupted."""
    return {
        "algorithm": config.algo,
        "env": config.env,
        "seed": config.seed,
        "workers": config.workers,
        "steps": trainer.steps,
        "episodes": trainer.episodes,
        "wall_s": round(trainer.seconds, 3),
        "steps_per_s": round(trainer.steps / trainer.seconds, 1),
        "interrupted": evaluation is None,
        "training": summary(trainer.returns) if trainer.returns else None,
        "evaluation": evaluation,
    }


def new_folder(out):
    """Create the folder of a run; refuse one that already holds something."""
    folder = Path(out)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} already exists and is not empty; give another --out, nothing is overwritten.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"The folder {folder} cannot be made: {error.strerror}.") from error
    return folder


def write_json(path, value):
    text = json.dumps(value, indent=2) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))
