"""Measure where the time of a training step goes: each part alone, at the sizes of a training, and that training.

Alone, a part finds its arrays in the processor's cache, and a compiled loop calls it. In the training it costs more.
The difference is part of "the rest", together with the choice of actions and the algorithm's own kernel.
"""

import time
from statistics import median
from typing import Any

from numasync.learner.loop import MAX_SEGMENTS
from numasync.learner.optim import UPDATE_TYPE, new_state
from numasync.nn.passes import forward
from numasync.runtime.jit import compile_for, int64, type_of
from numasync.tools.bench.comparison import random_array, repeat
from numasync.tools.bench.environments import RandomPlayer
from numasync.tools.bench.measure import Run, interleave
from numasync.tools.bench.repeated import repeat_backward, repeat_forward, repeat_learning
from numasync.tools.bench.section import Options, Section
from numasync.tools.bench.training import make_trainer
from numasync.tools.bench.workloads import CARTPOLE, MINATAR, PONG, find_usable
from numasync.training.workers import make_worker

BACKWARD, UPDATE, LEARNING = "backward", "clip, update, copy to theta'", "backward and update"
WHOLE, REST = "whole step", "the rest"


def measure(options: Options) -> Section:
    """Measure the parts of a step on each environment."""
    found, notes = find_usable(CARTPOLE, MINATAR, PONG)
    rows: list[dict[str, Any]] = []
    for env_id in found:
        training = OneWorker(env_id)
        training.warm_up(options.turn)
        costs = microseconds_per_step(training, options.repetitions)
        rows.extend(
            {"environment": env_id, "part": part, "microseconds": cost, "share": cost / costs[WHOLE]}
            for part, cost in costs.items()
        )
        t_max = training.trainer.config.t_max
        notes.append(f"{env_id}: t_max {t_max}, {training.steps_per_segment:.1f} steps per segment on average.")
        training.close()
    return {"rows": rows, "summary": {}, "notes": notes}


def microseconds_per_step(training: "OneWorker", repetitions: int) -> dict[str, float]:
    """Return {part: microseconds}. The rest and the whole step come last."""
    each_step, each_segment = make_parts(training)
    samples = interleave({**each_step, **each_segment, WHOLE: training.run_segments}, repetitions)
    length = training.steps_per_segment
    costs = {part: median(x) * 1e6 / (1 if part in each_step else length) for part, x in samples.items()}
    # An update cannot be measured alone, because it sets the gradient to zeros.
    costs[UPDATE] = costs.pop(LEARNING) - costs[BACKWARD]
    whole = costs.pop(WHOLE)
    return {**costs, REST: whole - sum(costs.values()), WHOLE: whole}


def make_parts(training: "OneWorker") -> tuple[dict[str, Run], dict[str, Run]]:
    """Return what a training does for each step, and what it does for each segment: {part: run} twice.

    The parts use a spare worker, whose arrays hold numbers as in a training. So they do not disturb the training.
    """
    t = training.trainer
    table, config, env = t.network.table, t.config, t.envs[0]
    player, n = RandomPlayer(config.env, 0), round(training.steps_per_segment)
    theta, capacity = t.theta.copy(), config.t_max + 1
    spare = make_worker(1, config, t.algorithm, t.network, env, t.action_map, new_state(theta.size))
    spare.obs[:] = t.workers[0].obs
    scratch = spare.scratch
    scratch.dtape[:] = random_array(scratch.dtape.size)
    forward(spare.tape, spare.obs, theta, table, 0, capacity)
    learning = (t.shared._replace(theta=theta.copy()), spare, table, t.settings, n)
    compile_for(repeat_learning, int64, *map(type_of, learning), UPDATE_TYPE)
    each_step = {
        "environment": player.play,
        "acting forward": repeat(repeat_forward, spare.tape, spare.obs, theta, table, 0, 1),
    }
    each_segment = {
        "bootstrap forward": repeat(repeat_forward, scratch.bootstrap_tape, spare.obs, theta, table, n, n + 1),
        BACKWARD: repeat(
            repeat_backward, scratch.dtape, scratch.grad, spare.tape, spare.obs, theta, scratch.work, table, n
        ),
        LEARNING: repeat(repeat_learning, *learning, t.update),
    }
    return each_step, each_segment


class OneWorker:
    """A training by one worker, without threads, that counts its segments."""

    def __init__(self, env_id: str) -> None:
        self.trainer = make_trainer(env=env_id, algo="a3c", workers=1)
        self.trainer.build()
        self.segments = 0

    def run_segments(self, segments: int) -> None:
        """Train for some segments."""
        self.segments += segments
        for first in range(0, segments, MAX_SEGMENTS):
            self.trainer.run_segments_of(0, segments - first)

    def warm_up(self, seconds: float) -> None:
        """Train for some seconds, so that the agent knows its game a little."""
        begin = time.perf_counter()
        while time.perf_counter() < begin + seconds:
            self.run_segments(1)

    @property
    def steps_per_segment(self) -> float:
        """The mean length of a segment. It is below t_max where episodes end."""
        return self.trainer.steps / self.segments

    def close(self) -> None:
        """Close the environment."""
        self.trainer.close()
