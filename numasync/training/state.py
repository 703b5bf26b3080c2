"""The training state: what a run must keep to go on later as if it had never stopped.

No worker plays while the state is copied. The state has numbers, see `Numbers`, and these arrays:

    theta, theta_target, target_copies    the parameters, theta-, and how often it was copied
    values, updates, last_update          what the optimiser remembers: one row, or one for each worker
    steps, rng, obs, episode, next_action one row for each worker: t, generator, observation, return and length of the
                                          episode so far, and the action that is planned
    hidden0, hidden1, ...                 the hidden states of an LSTM, one row for each worker
    env_state                             the state of a jitted environment, one row for each worker
    moments, shift                        what was counted of normalised observations, see learner/moments.py
    saved, saved_sizes                    what environments in Python save of themselves, one after the other, and how
                                          many numbers each has; -1 for an environment that saves nothing

theta_local and the tape are left out: a segment fills them again.
"""

import contextlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from numasync.agent.agent import Agent, contents_of, read_agent
from numasync.agent.checkpoint import open_checkpoint, save_checkpoint
from numasync.errors import InputError
from numasync.nn.network import hidden_states
from numasync.runtime.checks import LARGEST, MOST, as_real_number, as_whole_number
from numasync.training.progress import RECENT_EPISODES
from numasync.training.schedule import NEVER, Stopwatch
from numasync.training.trainer import Trainer

CODES = ("<f4", "<f8", "<i4", "<i8", "<u8")
# Parameters of an evaluation that had begun when the state was taken.
PENDING = "pending_theta"


class Numbers(NamedTuple):
    """The numbers of a training state. JSON holds them.

    seconds            wall time of the training
    episodes           training episodes that have ended
    returns            the returns of the last of them
    turn               the place of the worker that plays next among the workers of the first thread
    lr, lr_steps       the schedule of the learning rate
    monitor_bytes      the length of monitor.csv
    evaluations_bytes  the length of evaluations.csv
    evaluations        how many crossings of eval_every have been evaluated, or have begun to be
    best               the highest mean of an evaluation
    pending            T and seconds of an evaluation that has begun
    """

    seconds: float
    episodes: int
    returns: list[float]
    turn: int
    lr: float
    lr_steps: int
    monitor_bytes: int = 0
    evaluations_bytes: int = 0
    evaluations: int = 0
    best: float | None = None
    pending: tuple[int, float] | None = None


class TrainingState(NamedTuple):
    """A training state: arrays by name, and numbers."""

    arrays: dict[str, np.ndarray]
    numbers: Numbers

    @property
    def steps(self) -> int:
        """T, the steps over all workers."""
        return int(self.arrays["steps"].sum())


def live_arrays(trainer: Trainer) -> dict[str, list[np.ndarray]]:
    """Return the arrays of a trainer that a state holds, by name. A list has the arrays of all workers."""
    shared, workers, config = trainer.shared, trainer.workers, trainer.config
    optimizer = list({id(worker.optimizer_state): worker.optimizer_state for worker in workers}.values())
    live = {
        "theta": [shared.theta],
        "target_copies": [shared.target_copies],
        "values": [state.values for state in optimizer],
        "updates": [state.updates for state in optimizer],
        "last_update": [state.last_update for state in optimizer],
        "steps": [shared.steps[worker.number, :1] for worker in workers],
        "rng": [worker.rng for worker in workers],
        "obs": [worker.obs[0] for worker in workers],
        "episode": [worker.episode for worker in workers],
        "next_action": [worker.next_action for worker in workers],
    }
    if trainer.algorithm.target_network:
        live["theta_target"] = [shared.theta_target]
    if trainer.settings.normalized:
        live["moments"], live["shift"] = list(shared.moments.sums), [shared.moments.shift]
    if trainer.envs[0].jitted:
        live["env_state"] = [worker.env_state for worker in workers]
    hidden = [hidden_states(trainer.network, worker.tape, config.t_max + 1) for worker in workers]
    for layer, states in enumerate(zip(*hidden)):
        live[f"hidden{layer}"] = list(states)
    return live


def copy_state(trainer: Trainer, saved: list[np.ndarray | None], turn: int) -> TrainingState:
    """Return the state of a trainer, whose workers must not play.

    saved  what each environment in Python has saved of itself
    turn   see Numbers
    """
    arrays = {name: np.stack(rows) for name, rows in live_arrays(trainer).items()}
    if not trainer.envs[0].jitted:
        arrays["saved_sizes"] = np.array([-1 if part is None else part.size for part in saved], np.int64)
        arrays["saved"] = np.concatenate([np.zeros(0, np.int32), *(part for part in saved if part is not None)])
    progress, schedule = trainer.progress(), trainer.schedule
    numbers = Numbers(progress.seconds, progress.episodes, progress.returns, turn, schedule.lr, schedule.steps)
    return TrainingState(arrays, numbers)


def restore_trainer(trainer: Trainer, state: TrainingState) -> None:
    """Write a state into a trainer that has been built. Its environments follow, see `restore_environment`.

    Raises InputError where its arrays do not fit.
    """
    live = live_arrays(trainer)
    for name, rows in live.items():
        check_array(trainer, name, state.arrays.get(name), rows)
    for name, rows in live.items():
        for target, row in zip(rows, state.arrays[name]):
            target[...] = row
    if not trainer.algorithm.target_network:
        trainer.shared.theta_target[...] = trainer.theta
    trainer.episode_log.restore(state.numbers.episodes, state.numbers.returns)
    trainer.clock = Stopwatch(state.numbers.seconds)


def check_array(trainer: Trainer, name: str, array: np.ndarray | None, rows: list[np.ndarray]) -> None:
    """Raise InputError where an array of a state does not fit the arrays that it would be written to."""
    fits = array is not None and array.shape == (len(rows), *rows[0].shape) and array.dtype == rows[0].dtype
    lowest, highest = {"next_action": (-1, trainer.settings.n_actions - 1)}.get(name, (0, MOST))
    if fits and array is not None and array.dtype.kind == "i":
        fits = bool((array >= lowest).all() and (array <= highest).all())
    elif fits and array is not None and name in ("theta_target", "obs", "moments", "shift"):
        fits = bool(np.isfinite(array).all())
    if not fits:
        raise InputError(f"The training state does not fit the run: its array {name} is missing or another.")


def restore_environment(trainer: Trainer, i: int, state: TrainingState) -> bool:
    """Let the environment of worker i go on where it was, after `restore_trainer`, in the thread that plays it.

    Return false where it cannot: then its episode begins anew.
    """
    env, worker = trainer.envs[i], trainer.workers[i]
    if env.jitted:
        return True
    saved = split_saved(state)[i]
    if saved is not None:
        obs = np.zeros_like(worker.obs[0])
        with contextlib.suppress(NotImplementedError):  # a function that the user has given in the place of a game
            env.restore(saved, obs)
            # Another version of a game may go on in another way.
            if np.array_equal(obs, worker.obs[0]):
                return True
    env.reset(worker.env_state, worker.rng, worker.obs[0])
    trainer.count_reset(i)
    worker.episode[:], worker.next_action[0] = 0.0, -1
    for hidden in hidden_states(trainer.network, worker.tape, trainer.config.t_max + 1):
        hidden[:] = 0.0
    return False


def split_saved(state: TrainingState) -> list[np.ndarray | None]:
    """Return what each environment in Python has saved of itself."""
    sizes = state.arrays["saved_sizes"].tolist()
    ends = np.cumsum([max(size, 0) for size in sizes])
    return [None if size < 0 else state.arrays["saved"][end - size : end] for size, end in zip(sizes, ends)]


def write_state(path: Path, previous: Path, agent: Agent, state: TrainingState, pending: np.ndarray | None) -> None:
    """Write a state with its agent, whole or not at all. The file that it replaces is kept. Raises OSError.

    path, previous  the file, and where the old file is kept
    agent           the agent of the run; the file gets the theta of the state
    pending         the parameters of the evaluation that has begun
    """
    description, arrays = contents_of(agent)
    arrays = {**arrays, **state.arrays, "theta": state.arrays["theta"][0]}
    if pending is not None:
        arrays[PENDING] = pending
    description["training"] = state.numbers._asdict()
    save_checkpoint(path, description, arrays, previous=previous)


def read_state(path: Path) -> tuple[Agent, TrainingState]:
    """Read the file of a state. Return its agent and the state. Raises InputError where it is none or is damaged."""
    with open_checkpoint(path) as file:
        names = file.names - {"theta", "mean"}
        agent = read_agent(path, file, names)
        arrays = {name: file.read(name, None, CODES) for name in names}
        if any(array is None for array in arrays.values()):
            raise InputError(f"{path} is damaged: it holds an array that no training state has.")
        found = {name: array for name, array in arrays.items() if array is not None}
        try:
            numbers = parse_numbers(file.description["training"])
            check_workers(found, agent.config.workers)
            if numbers.pending and PENDING not in found:
                raise InputError("the parameters of its evaluation are missing")
        except (InputError, KeyError, TypeError, ValueError) as error:
            reason = str(error) if isinstance(error, InputError) else "it holds no training state"
            raise InputError(f"{path} is damaged: {reason.rstrip('.')}.") from error
    return agent, TrainingState({**found, "theta": agent.theta[None]}, numbers)


def parse_numbers(given: dict[str, Any]) -> Numbers:
    """Return the numbers that a file describes. Raises InputError, KeyError, TypeError or ValueError."""
    numbers = Numbers(**given)
    for name in ("episodes", "turn", "monitor_bytes", "evaluations_bytes", "evaluations"):
        as_whole_number(name, getattr(numbers, name), 0)
    as_real_number("seconds", numbers.seconds, 0.0, LARGEST)
    as_real_number("lr", numbers.lr, 0.0, LARGEST)
    as_whole_number("lr_steps", numbers.lr_steps, 1, NEVER)
    returns = [float(value) for value in numbers.returns]
    if len(returns) > RECENT_EPISODES or not np.isfinite([*returns, numbers.best or 0.0]).all():
        raise InputError("its returns are no numbers")
    pending = numbers.pending
    if pending is not None:
        steps, seconds = pending
        pending = as_whole_number("pending", steps, 0), as_real_number("pending", seconds, 0.0, LARGEST)
    return numbers._replace(returns=returns, pending=pending)


def check_workers(arrays: dict[str, np.ndarray], workers: int) -> None:
    """Raise InputError unless the arrays have a row for each worker, and what environments saved is whole."""
    if arrays["steps"].shape != (workers, 1) or (arrays["steps"] < 0).any():
        raise InputError("it has no steps of each worker")
    if "saved_sizes" in arrays:
        sizes = arrays["saved_sizes"]
        if sizes.shape != (workers,) or arrays["saved"].shape != (int(sizes[sizes > 0].sum()),):
            raise InputError("what its environments saved is not whole")
