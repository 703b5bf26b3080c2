"""A2C of stable-baselines3, with numasync's networks in the place of its own.

Options: environment, an id; environments, how many; t_max; threads, of PyTorch. CartPole is played in this process,
because a step takes less time than a message to another process. Atari games are played in a process each.
"""

import time
from typing import Any

import gymnasium
import torch
from stable_baselines3 import A2C
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_atari_env, make_vec_env
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import SubprocVecEnv, VecEnv, VecFrameStack
from torch import nn

ENDLESS_STEPS = 10**12


class Mlp(BaseFeaturesExtractor):
    """numasync's network `mlp`: one hidden layer, which policy and value share."""

    def __init__(self, space: gymnasium.Space) -> None:
        super().__init__(space, 128)
        self.layers = nn.Sequential(nn.Linear(4, 128), nn.ReLU())

    def forward(self, obs: torch.Tensor) -> torch.Tensor:
        """Return the hidden layer."""
        return self.layers(obs)


class Nips(BaseFeaturesExtractor):
    """numasync's network `nips`, the paper's: two convolutions and a dense layer, which policy and value share."""

    def __init__(self, space: gymnasium.Space) -> None:
        super().__init__(space, 256)
        convolutions = (nn.Conv2d(4, 16, 8, 4), nn.ReLU(), nn.Conv2d(16, 32, 4, 2), nn.ReLU(), nn.Flatten())
        self.layers = nn.Sequential(*convolutions, nn.Linear(2592, 256), nn.ReLU())

    def forward(self, obs: torch.Tensor) -> torch.Tensor:
        """Return the last hidden layer."""
        return self.layers(obs)


class Deadline(BaseCallback):
    """Ends a training when a time has come. begin: the time and the steps when the training began."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def _on_training_start(self) -> None:
        self.begin = time.perf_counter(), self.num_timesteps

    def _on_step(self) -> bool:
        return time.perf_counter() < self.begin[0] + self.seconds

    @property
    def steps_per_s(self) -> float:
        """The steps per second up to now."""
        return (self.num_timesteps - self.begin[1]) / (time.perf_counter() - self.begin[0])


class Training:
    """The training: a model of stable-baselines3 with its environments."""

    def __init__(self, options: dict[str, Any]) -> None:
        torch.set_num_threads(options["threads"])
        self.steps_per_update = options["environments"] * options["t_max"]
        atari = options["environment"] != "CartPole-v1"
        self.envs = make_games(options) if atari else make_vec_env(options["environment"], options["environments"])
        self.model = A2C(
            "CnnPolicy" if atari else "MlpPolicy",
            self.envs,
            n_steps=options["t_max"],
            learning_rate=3e-4 if atari else 1e-3,
            ent_coef=0.01,
            max_grad_norm=40.0,
            policy_kwargs={"features_extractor_class": Nips if atari else Mlp, "net_arch": []},
            device="cpu",
        )

    def update(self) -> float:
        """Make one update. Return when it was made."""
        self.model.learn(self.steps_per_update)
        return time.time()

    def measure(self, seconds: float) -> float:
        """Train for some seconds and return the steps per second of all environments."""
        deadline = Deadline(seconds)
        self.model.learn(ENDLESS_STEPS, deadline, reset_num_timesteps=False)
        return deadline.steps_per_s

    def close(self) -> None:
        """End the processes of the environments."""
        self.envs.close()


def make_games(options: dict[str, Any]) -> VecEnv:
    """Return games of Atari as stable-baselines3 prepares them; a lost life ends no episode."""
    games = make_atari_env(
        f"ale_py:{options['environment']}",  # Gymnasium imports ale_py first, which registers the games
        options["environments"],
        wrapper_kwargs={"terminal_on_life_loss": False},
        vec_env_cls=SubprocVecEnv,
        vec_env_kwargs={"start_method": "fork"},  # other methods import everything again in every process
    )
    return VecFrameStack(games, 4)
