"""Where the time of a training step goes: each part measured alone at the sizes of a training, and that training.

Alone, a part finds its arrays in the processor's cache and is called from a compiled loop. What it costs more in the
training is counted to "the rest", as are the choice of actions and the algorithm's own kernel.
"""

import time
from statistics import median

from numasync.learner.loop import MAX_SEGMENTS
from numasync.learner.optim import UPDATE_TYPE, new_state
from numasync.nn.network import forward
from numasync.runtime.jit import compile_for, int64, type_of
from numasync.tools.bench.contest import numbers, repeated
from numasync.tools.bench.environments import RandomPlayer
from numasync.tools.bench.measure import interleaved
from numasync.tools.bench.repeated import repeat_backward, repeat_forward, repeat_learning
from numasync.tools.bench.subjects import CARTPOLE, MINATAR, PONG, usable
from numasync.tools.bench.training import trainer_of
from numasync.training.trainer import make_worker

BACKWARD, UPDATE, LEARNING = "backward", "clip, update, copy to theta'", "backward and update"
WHOLE, REST = "whole step", "the rest"


def measure(options):
    found, notes = usable(CARTPOLE, MINATAR, PONG)
    rows = []
    for env_id in found:
        training = OneWorker(env_id)
        training.warm_up(options.turn)
        costs = microseconds_an_action(training, options.repetitions)
        rows.extend(
            {"environment": env_id, "part": part, "microseconds": cost, "share": cost / costs[WHOLE]}
            for part, cost in costs.items()
        )
        t_max = training.trainer.config.t_max
        notes.append(f"{env_id}: t_max {t_max}, {training.actions_a_segment:.1f} actions a segment on average.")
        training.close()
    return {"rows": rows, "summary": {}, "notes": notes}


def microseconds_an_action(training, repetitions):
    """{part: microseconds}, the rest and the whole step last."""
    each_action, each_segment = parts(training)
    samples = interleaved({**each_action, **each_segment, WHOLE: training.play}, repetitions)
    length = training.actions_a_segment
    costs = {part: median(x) * 1e6 / (1 if part in each_action else length) for part, x in samples.items()}
    # An update alone would find a gradient of zeros from the second time on.
    costs[UPDATE] = costs.pop(LEARNING) - costs[BACKWARD]
    whole = costs.pop(WHOLE)
    return {**costs, REST: whole - sum(costs.values()), WHOLE: whole}


def parts(training):
    """What a step does once an action and what once a segment, {part: run} each, on the arrays of a worker that does
    not train: what lies in them is as in a training, and the training goes on undisturbed."""
    t = training.trainer
    table, config, env = t.network.table, t.config, t.envs[0]
    player, n = RandomPlayer(config.env, 0), round(training.actions_a_segment)
    theta, capacity = t.theta.copy(), config.t_max + 1
    spare = make_worker(1, config, t.algorithm, t.network, env, new_state(theta.size))
    spare.obs[:] = t.workers[0].obs
    spare.dtape[:] = numbers(spare.dtape.size)
    forward(table, theta, spare.obs, spare.tape, 0, capacity)
    tapes = (spare.obs, spare.tape, spare.dtape, spare.grad, spare.work, n)
    learning = (table, t.shared._replace(theta=theta.copy()), spare, t.settings, n)
    compile_for(repeat_learning, int64, *map(type_of, learning), UPDATE_TYPE)
    each_action = {
        "environment": player.play,
        "acting forward": repeated(repeat_forward, table, theta, spare.obs, spare.tape, 0, 1),
    }
    each_segment = {
        "bootstrap forward": repeated(repeat_forward, table, theta, spare.obs, spare.bootstrap_tape, n, n + 1),
        BACKWARD: repeated(repeat_backward, table, theta, *tapes),
        LEARNING: repeated(repeat_learning, *learning, t.update),
    }
    return each_action, each_segment


class OneWorker:
    """A training by one worker, without threads, that counts its actions and segments."""

    def __init__(self, env_id):
        self.trainer = trainer_of(env=env_id, algo="a3c", workers=1)
        self.trainer.build()
        self.segments = 0

    def play(self, segments):
        """Train for so many segments."""
        self.segments += segments
        for first in range(0, segments, MAX_SEGMENTS):
            if not self.trainer.play(0, segments - first):
                raise RuntimeError("The training that is measured has failed.")

    def warm_up(self, seconds):
        """Train until the agent knows its game a little."""
        begin = time.perf_counter()
        while time.perf_counter() < begin + seconds:
            self.play(1)

    @property
    def actions_a_segment(self):
        """Fewer than t_max where episodes end."""
        return self.trainer.steps / self.segments

    def close(self):
        for env in self.trainer.envs:
            env.close()
