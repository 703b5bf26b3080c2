"""A3C in PyTorch, Hogwild by processes: each plays one environment and updates one shared vector without a lock.

The networks, the loss and shared RMSProp are numasync's. What was found to be fast on processors, and is done here:

- A process has one thread. The default, a thread for each core in each process, takes several times as long.
- The parameters are one flat vector, and so is the gradient: a copy or an update is a few operations on the whole.
- Acting keeps no graph. A segment is learned from as one batch.

Options: environment, an id; t_max; cores, the number of processes.
"""

import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import torch
import torch.multiprocessing as mp
from torch import nn

GAMMA, BETA, CLIP_NORM, DECAY, EPS = 0.99, 0.01, 40.0, 0.99, 1e-5
LR = {"CartPole-v1": 1e-3, "PongNoFrameskip-v4": 3e-4}
CHECK_SECONDS = 1.0


class Shared(NamedTuple):
    """What all processes see."""

    theta: torch.Tensor  # (n,)
    g: torch.Tensor  # (n,): RMSProp's mean of squared gradients
    steps: torch.Tensor  # int64 (processes,): the steps of each
    running: Any  # an event: whether the processes train or wait
    updated: Any  # an event: whether there was an update


class Training:
    """The training: what the processes share, and the processes."""

    def __init__(self, options: dict[str, Any]) -> None:
        context = mp.get_context("fork")
        _, theta, _ = make_network(options["environment"])
        n = options["cores"]
        self.shared = Shared(
            theta.share_memory_(),
            torch.zeros_like(theta).share_memory_(),
            torch.zeros(n, dtype=torch.int64).share_memory_(),
            context.Event(),
            context.Event(),
        )
        arguments = [(self.shared, options["environment"], options["t_max"], i, n) for i in range(n)]
        self.processes = [context.Process(target=work, args=each, daemon=True) for each in arguments]

    def update(self) -> float:
        """Train until there was an update. Return when it was made."""
        self.shared.running.set()
        for process in self.processes:
            process.start()
        while not self.shared.updated.wait(CHECK_SECONDS):
            if not all(process.is_alive() for process in self.processes):
                raise RuntimeError("a process of the training has ended")
        updated = time.time()
        self.shared.running.clear()
        return updated

    def measure(self, seconds: float) -> float:
        """Train for some seconds and return the steps per second of all processes."""
        begin, before = time.perf_counter(), int(self.shared.steps.sum())
        self.shared.running.set()
        time.sleep(seconds)
        steps, end = int(self.shared.steps.sum()) - before, time.perf_counter()
        self.shared.running.clear()
        return steps / (end - begin)

    def close(self) -> None:
        """End the processes."""
        for process in self.processes:
            if process.is_alive():
                process.kill()


def make_network(environment: str) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """Return a network, its parameters as one vector, and their gradients as another.

    Its outputs are the logits and, in the last column, the value.
    """
    if environment == "CartPole-v1":
        network = nn.Sequential(nn.Linear(4, 128), nn.ReLU(), nn.Linear(128, 3))
    else:
        convolutions = (nn.Conv2d(4, 16, 8, 4), nn.ReLU(), nn.Conv2d(16, 32, 4, 2), nn.ReLU(), nn.Flatten())
        network = nn.Sequential(*convolutions, nn.Linear(2592, 256), nn.ReLU(), nn.Linear(256, 7))
    theta = nn.utils.parameters_to_vector(network.parameters()).detach().clone()
    grad = torch.zeros_like(theta)
    at = 0
    for parameter in network.parameters():
        size = parameter.numel()
        parameter.data = theta[at : at + size].view_as(parameter)
        parameter.grad = grad[at : at + size].view_as(parameter)
        at += size
    return network, theta, grad


def make_player(environment: str) -> tuple[Callable[[], np.ndarray], Callable[[int], tuple[np.ndarray, float, bool]]]:
    """Return reset() and step(action) of a new environment. A step returns an observation, a reward, and if it ends."""
    if environment == "CartPole-v1":
        env = gymnasium.make(environment)

        def step(action: int) -> tuple[np.ndarray, float, bool]:
            obs, reward, terminated, truncated, _ = env.step(action)
            return obs, float(reward), terminated or truncated

        return lambda: env.reset()[0], step

    from ale_py.vector_env import AtariVectorEnv

    game = AtariVectorEnv("pong", num_envs=1, num_threads=1, repeat_action_probability=0.0)

    def step_game(action: int) -> tuple[np.ndarray, float, bool]:
        obs, rewards, terminated, truncated, _ = game.step(np.array([action]))
        return obs[0], float(rewards[0]), bool(terminated[0] or truncated[0])

    return lambda: game.reset()[0][0], step_game


def work(shared: Shared, environment: str, t_max: int, number: int, processes: int) -> None:
    """Act and learn for ever, in one process, while `shared.running` is set."""
    torch.set_num_threads(1)
    keep_to_one_core(number, processes)
    torch.manual_seed(number)
    network, theta, grad = make_network(environment)
    reset, step = make_player(environment)
    scale = 1.0 if environment == "CartPole-v1" else 1.0 / 255.0
    obs = torch.from_numpy(reset()) * scale
    while shared.running.wait():
        theta.copy_(shared.theta)
        segment, over = [obs], False
        actions: list[int] = []
        rewards: list[float] = []
        while len(actions) < t_max and not over:
            with torch.inference_mode():
                action = int(network(obs[None])[0, :-1].softmax(0).multinomial(1))
            pixels, reward, over = step(action)
            obs = torch.from_numpy(reset() if over else pixels) * scale
            segment.append(obs)
            actions.append(action)
            rewards.append(reward)
        loss_of(network(torch.stack(segment)), actions, rewards, over).backward()
        update(shared, grad, LR[environment])
        shared.steps[number] += len(actions)
        shared.updated.set()


def keep_to_one_core(number: int, processes: int) -> None:
    """Keep this process on a core of its own, with the thread of its emulator, where the processes take all cores."""
    if hasattr(os, "sched_getaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) == processes:
            os.sched_setaffinity(0, {cores[number]})


def loss_of(outputs: torch.Tensor, actions: list[int], rewards: list[float], over: bool) -> torch.Tensor:
    """Return the loss of a segment. outputs: a row for each observation, one more than there are actions."""
    R = 0.0 if over else float(outputs[-1, -1].detach())
    returns = []
    for reward in reversed(rewards):
        R = reward + GAMMA * R
        returns.append(R)
    log_pi, values = outputs[:-1, :-1].log_softmax(1), outputs[:-1, -1]
    advantages = torch.tensor(returns[::-1]) - values
    chosen = log_pi[torch.arange(len(actions)), torch.tensor(actions)]
    entropy = -(log_pi.exp() * log_pi).sum(1)
    return (-chosen * advantages.detach() + 0.5 * advantages**2 - BETA * entropy).sum()


@torch.no_grad()
def update(shared: Shared, grad: torch.Tensor, lr: float) -> None:
    """Make one update of the shared parameters, and set the gradient to zeros."""
    grad *= (CLIP_NORM / (grad.norm() + 1e-6)).clamp(max=1.0)
    shared.g.mul_(DECAY).addcmul_(grad, grad, value=1 - DECAY)
    shared.theta.addcdiv_(grad, (shared.g + EPS).sqrt_(), value=-lr)
    grad.zero_()
