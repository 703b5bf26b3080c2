"""What the page asks of Python: games that agents and people play, scores, and a worker that learns. No browser in it.

The page's Web Worker makes one `Demo` and calls `answer` with the name of a request and its arguments as JSON. An
answer is a dict of numbers, texts, lists and float32 arrays.
"""

import json
import math
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

import numasync
from numasync import dense, relu
from numasync.agent.agent import Agent
from numasync.agent.evaluation import EVALUATION_STREAM, EVALUATORS, EpisodePlayer, act
from numasync.agent.network import build_network
from numasync.agent.outputs import name_outputs
from numasync.config import make_config
from numasync.envs import make_env
from numasync.envs.spec import episode_over
from numasync.errors import NotFiniteError
from numasync.learner.loop import annealed_epsilon
from numasync.nn.layers.conv import HEIGHT, KERNEL_SIZE, STRIDE, WIDTH
from numasync.nn.network import Network, outputs_on
from numasync.nn.table import OUT_AT, OUT_SIZE
from numasync.runtime.jit import FLOAT
from numasync.runtime.rng import seed_row
from numasync.training.schedule import NEVER, Schedule
from numasync.training.trainer import Trainer

AGENTS = Path(__file__).parent / "agents"

# The learner: n-step Q on Catch with one worker. Chosen on the seeds 11 to 13; the page begins with seed 1.
LEARNER = dict(
    algo="nstep_q",
    env="Catch-v0",
    network=(dense(64), relu()),
    workers=1,
    t_max=9,
    rms_eps=1e-4,
    epsilon_steps=3_000,
    target_interval=200,
)
FINAL_EPSILON = 0.02
# Steps after which the run would end.
NEVER_ENDS = 10**9
# A worker learns from this many segments between two looks at the clock.
SEGMENTS = 2


class Game:
    """A game that an agent or a person plays, a step at a time.

    agent  what plays, and whose environment it is
    seed   of the game's random numbers
    """

    def __init__(self, agent: Agent, seed: int) -> None:
        self.agent, self.env = agent, make_env(agent.spec.id)
        self.layers = hidden_layers(agent.network)
        self.rng, self.state = seed_row(seed), self.env.new_state()
        self.obs, self.tape = np.zeros((1, agent.network.n_inputs), FLOAT), agent.network.tape(1)
        self.actions = agent.spec.new_actions(1)
        self.epsilon = self.score = self.last_score = 0.0
        self.steps, self.episodes, self.over = 0, 0, False
        self.begin()

    def begin(self) -> None:
        """Begin an episode, and let the agent choose its first action."""
        self.env.reset(self.state, self.rng, self.obs[0])
        self.score, self.steps, self.over = 0.0, 0, False
        self.choose()

    def choose(self) -> None:
        """Let the agent choose its action for the observation. The tape then holds what its network computed."""
        network, policy, _, action_map = self.agent.evaluation_policy()
        how = (action_map, policy, self.epsilon, self.agent.spec.n_actions)
        act(self.actions, self.tape, self.obs, self.agent.theta, network.table, *how, self.rng)

    def step(self, action: int | None = None) -> None:
        """Play an action, by default the agent's. An episode that is over stays so until `begin`."""
        if self.over:
            return
        reward, end = self.env.step(self.state, self.actions[0] if action is None else action, self.rng, self.obs[0])
        self.score, self.steps = self.score + float(reward), self.steps + 1
        self.over = bool(episode_over(end))
        if self.over:
            self.episodes, self.last_score = self.episodes + 1, self.score
        self.choose()

    def view(self) -> dict[str, Any]:
        """Return what there is to see: the observation, each hidden layer, the outputs and the action that comes."""
        outputs = outputs_on(self.tape, self.agent.network, 1)
        thought = name_outputs(outputs, self.agent.algorithm, self.agent.spec)
        return {
            "obs": self.obs[0].copy(),
            "layers": [self.tape[at : at + math.prod(shape)].copy() for _, shape, at in self.layers],
            "outputs": thought[0][0].copy(),
            "value": float(thought.value[0]),
            "action": int(self.actions[0]),
            "score": self.score,
            "steps": self.steps,
            "over": self.over,
            "episodes": self.episodes,
            "last_score": self.last_score,
        }


def hidden_layers(network: Network) -> list[tuple[str, list[int], int]]:
    """Return of each hidden layer its name, the shape of its outputs, and where they begin on a tape for one step.

    A relu works in place: what lies there are its outputs.
    """
    found = []
    for name, kind, row in zip(network.names, network.kinds, network.rows, strict=True):
        shape = [row[OUT_SIZE]]
        if kind == "conv":
            rows, columns = ((row[n] - row[KERNEL_SIZE]) // row[STRIDE] + 1 for n in (HEIGHT, WIDTH))
            shape = [rows, columns, row[OUT_SIZE] // (rows * columns)]
        if kind in ("conv", "dense"):
            found.append((name, shape, 2 * row[OUT_AT]))  # a block has a row more than there are steps
    return found


def describe(agent: Agent) -> dict[str, Any]:
    """Return what the page must know of an agent: what it plays, and the shapes of its input and its hidden layers."""
    return {
        "env": agent.spec.id,
        "algo": agent.config.algo,
        "shape": list(agent.spec.observation.network_shape),
        "layers": [{"name": name, "shape": shape} for name, shape, _ in hidden_layers(agent.network)],
        "parameters": agent.network.n_parameters,
        "steps": agent.result["steps"] if agent.result else 0,
    }


class Evaluation:
    """The episodes of `Agent.evaluate`, one at a time, so that the page can stop after each episode.

    agent     what plays
    episodes  how many
    seed      of the episodes
    """

    def __init__(self, agent: Agent, episodes: int, seed: int) -> None:
        policy, theta = agent.evaluation_policy(), agent.theta
        self.episodes, self.scores = episodes, []
        self.players = [
            EpisodePlayer(make_env(agent.spec.id), policy, theta, seed_row(seed, EVALUATION_STREAM + number))
            for number in range(min(EVALUATORS, episodes))
        ]

    def play(self) -> dict[str, Any]:
        """Play the next episode, and return all scores so far."""
        if len(self.scores) < self.episodes:
            player = self.players[len(self.scores) % len(self.players)]
            self.scores.append(float(player.score(threading.Event())))
        return {"scores": list(self.scores), "done": len(self.scores) == self.episodes}


class Learner:
    """A worker of n-step Q-learning that learns Catch, and a game that its newest parameters play.

    lr    the learning rate; it stays until `lr` is set
    seed  of the run
    """

    def __init__(self, lr: float, seed: int) -> None:
        spec = make_env(LEARNER["env"]).spec
        config = make_config(spec.family, **LEARNER, lr=lr, seed=seed, steps=NEVER_ENDS)
        self.trainer = Trainer(config, spec, build_network(config, spec), schedule=Schedule(lr, NEVER))
        self.trainer.build()
        self.trainer.workers[0] = self.trainer.workers[0]._replace(epsilon_final=FINAL_EPSILON)
        self.game = Game(Agent(config, spec, self.trainer.theta), seed)

    def set_lr(self, lr: float) -> None:
        """Learn with another learning rate from now on."""
        self.trainer.settings = self.trainer.settings._replace(lr=FLOAT(lr))

    def learn(self, seconds: float) -> dict[str, Any]:
        """Learn for some seconds. Return the returns of the episodes that have ended, and how far the worker is.

        Raises NotFiniteError where the learning rate was too high.
        """
        trainer, end = self.trainer, time.perf_counter() + seconds
        while time.perf_counter() < end:
            trainer.run_segments_of(0, SEGMENTS)
        return {
            "steps": trainer.steps,
            "episodes": trainer.episodes,
            "returns": [score for score, *_ in trainer.episode_log.take()],
            "mean": float(np.mean(trainer.episode_log.returns)) if trainer.episodes else 0.0,
            "epsilon": float(annealed_epsilon(trainer.steps, trainer.workers[0], trainer.settings)),
            "weights": trainer.network.views(trainer.theta)["dense1.weight"].T.flatten(),
        }


class Demo:
    """What the page talks to. The methods that begin with `on_` are its requests."""

    def __init__(self) -> None:
        self.agents = {path.stem: numasync.load(path) for path in sorted(AGENTS.glob("*.npz"))}
        self.games: dict[str, Game] = {}
        self.evaluation: Evaluation | None = None
        self.learner: Learner | None = None

    def answer(self, request: str, arguments: str = "{}") -> dict[str, Any]:
        """Answer a request. arguments: JSON, the arguments of the method `on_` + request by name."""
        return getattr(self, f"on_{request}")(**json.loads(arguments))

    def on_agents(self) -> dict[str, Any]:
        """Return what there is to know of each agent, by its name."""
        return {name: describe(agent) for name, agent in self.agents.items()}

    def on_begin(self, slot: str, agent: str, seed: int) -> dict[str, Any]:
        """Begin a game in a slot, whose name the page chooses. Return its view."""
        self.games[slot] = Game(self.agents[agent], seed)
        return self.games[slot].view()

    def on_step(
        self, slot: str, epsilon: float = 0.0, action: int | None = None, steps: int = 1, restart: bool = False
    ) -> dict[str, Any]:
        """Play steps of a game, and return its view.

        epsilon  the probability that the agent takes a random action
        action   a person's action; None: the agent plays
        restart  whether a new episode begins where one is over; otherwise nothing is played there
        """
        game = self.games[slot]
        game.epsilon = epsilon
        for _ in range(steps):
            if game.over and restart:
                game.begin()
            else:
                game.step(action)
        return game.view()

    def on_evaluate(self, agent: str, episodes: int, seed: int) -> dict[str, Any]:
        """Begin an evaluation. `on_score` plays its episodes."""
        self.evaluation = Evaluation(self.agents[agent], episodes, seed)
        return {"scores": [], "done": False}

    def on_score(self) -> dict[str, Any]:
        """Play the next episode of the evaluation, and return all scores so far."""
        return self.evaluation.play()

    def on_learner(self, lr: float, seed: int) -> dict[str, Any]:
        """Begin to learn from new parameters. Return what there is to know of the agent that learns."""
        self.learner = Learner(lr, seed)
        self.games["learner"] = self.learner.game
        return describe(self.learner.game.agent)

    def on_learn(self, seconds: float, lr: float) -> dict[str, Any]:
        """Learn for some seconds with a learning rate. Return how far the worker is, or what went wrong."""
        self.learner.set_lr(lr)
        try:
            return self.learner.learn(seconds)
        except NotFiniteError as error:
            return {"error": str(error)}
