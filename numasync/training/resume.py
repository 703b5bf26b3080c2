"""Go on with a run that was stopped, killed or has ended."""

import dataclasses
import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from numasync.agent.agent import Agent
from numasync.agent.description import parse_config
from numasync.agent.environment import check_same_env
from numasync.config import Config
from numasync.envs import make_env
from numasync.envs.objects import EnvLike, as_env_id
from numasync.errors import InputError, one_line, warn_of
from numasync.runtime.checks import as_folder, as_switch, as_whole_number, check_choice
from numasync.training.callbacks import Given, as_callbacks
from numasync.training.display import Display, Silent
from numasync.training.records import CONFIG, STATE, RunFolder, read_ends
from numasync.training.report import Report
from numasync.training.run import Run
from numasync.training.schedule import Schedule
from numasync.training.shipped import with_options, without_reached
from numasync.training.state import TrainingState, read_state
from numasync.training.terminal_bar import choose_display
from numasync.training.train import make_agent

STRETCH, HOLD = "stretch", "hold"
SCHEDULES = STRETCH, HOLD


def resume(
    run: str | os.PathLike,
    steps: int | None = None,
    schedule: str = STRETCH,
    verbose: bool = False,
    callbacks: Sequence[Given] = (),
    env: EnvLike | None = None,
    ray: str | None = None,
) -> Agent:
    """Go on with a run in its own folder, from its last training state, and return its agent.

    A deterministic run goes on bit for bit as if it had never stopped. With threads, what was done since the last state
    is done again. What monitor.csv and evaluations.csv hold beyond the state is cut off. A run that was stopped before
    its first state begins again.

    run       the folder of the run
    steps     the steps of the whole run, over all workers; by default as planned. More than planned goes on for longer
    schedule  where steps are given, how the learning rate goes on. 'stretch': it falls in a straight line to 0 at the
              new end, as if the run had been planned like this; it jumps up here. 'hold': it stays as it is now
    verbose   whether to print progress
    callbacks what follows the run, see `train`; the callbacks of its options come by themselves
    env       the environment, as for `train`, where the run was begun with a function or a class, which a folder does
              not hold; by default the run's own
    ray       the address of the cluster, where the run was begun on a Ray cluster; by default the run's own

    A run that a callback has stopped goes on to its planned steps. If it has reached its stop_at, stop_at no longer
    holds.

    An environment of Gymnasium that is no game of ALE cannot be saved: its episodes begin anew. A game of ALE plays
    the steps since its last seed again, to be where it was: 20,000 and an episode at most.

    Returns and raises what `train` does. Raises InputError too where there is no run to go on with, it has finished, or
    another program trains in its folder.
    """
    display = choose_display() if as_switch("verbose", verbose) else Silent()
    return resume_and_show(display, run, steps, schedule, callbacks, env, ray)


def resume_and_show(
    display: Display,
    run: str | os.PathLike,
    steps: int | None = None,
    schedule: str = STRETCH,
    callbacks: Sequence[Given] = (),
    env: EnvLike | None = None,
    ray: str | None = None,
) -> Agent:
    """Go on with a run, as `resume` does. display: what shows the progress."""
    path = as_folder("run", run)
    check_choice(schedule, SCHEDULES, "no schedule")
    own = as_callbacks(callbacks)
    if steps is not None:
        steps = as_whole_number("steps", steps, 1)
    env_id = None if env is None else as_env_id(env)
    options, result, _ = read_ends(path)
    result = result if isinstance(result, dict) else None
    config = config_of(path, options)
    if ray is not None and config.ray is None:
        raise InputError(f"The run in {path} was begun on this machine alone; it goes on without ray.")
    folder = RunFolder(path, config, resumed=True)
    try:
        found = read_last_state(folder)
        state = found and found[1]
        if found:
            finished = result is not None and result.get("evaluation") is not None
            check_steps(path, found[1].steps, found[0].config.steps, steps, finished)
            agent, rate = go_on(*found, steps, schedule)
            agent = leave_behind(agent, result)
            agent = agent if env_id is None else agent.on(env_id)
            agent = agent if ray is None else change_option(agent, ray=ray)
            check_environment(agent, found[1])
            sizes = found[1].numbers.monitor_bytes, found[1].numbers.evaluations_bytes
        else:
            config = config if ray is None else dataclasses.replace(config, ray=ray)
            agent, rate, sizes = begin_again(config, steps, env_id), None, (0, 0)
        followers = with_options(own, agent.config, has_folder=True)
        prepare(folder, agent.config, *sizes)
        report = Report(agent.config, folder.checkpoint, display)
        return Run(agent, folder, report, state, rate, followers, before(result, steps)).run()
    finally:
        folder.close()


def config_of(path: Path, options: dict[str, Any]) -> Config:
    """Return the options of a run as they are in its folder. Raises InputError where they are not allowed."""
    try:
        return parse_config(options)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path / CONFIG} does not hold the options of a run.") from error


def read_last_state(folder: RunFolder) -> tuple[Agent, TrainingState] | None:
    """Return the agent and the last training state of a run, or None where it has not begun.

    A damaged state is left out with a warning, and the state before it is taken. Raises InputError where there is none.
    """
    found = [path for path in (folder.state, folder.previous_state) if path.exists()]
    if not found and not folder.checkpoint.exists():
        return None
    if not found:
        raise InputError(
            f"{folder.path} has no training state ({STATE}), as a run of an earlier version; "
            f"numasync train --from {folder.checkpoint} starts another run from its agent."
        )
    for path in found[:-1]:
        try:
            return read_state(path)
        except InputError as error:
            warn_of(f"{one_line(error).rstrip('.')}; the run goes on from the state before it, {found[-1].name}.")
    return read_state(found[-1])


def check_steps(path: Path, made: int, planned: int, steps: int | None, finished: bool) -> None:
    """Raise InputError where nothing is left to do: there are no more steps, and the last evaluation was played.

    path      the folder of the run
    made      the steps that it has made
    planned   the steps that it was planned for
    steps     the steps that it shall make; None for as planned
    finished  whether its last evaluation was played
    """
    if steps is not None and steps < made:
        raise InputError(f"steps is {steps}; the run in {path} has made {made} steps already.")
    if finished and made >= (steps or planned):
        raise InputError(f"The run in {path} has finished its {planned} steps; give more steps (--steps) to go on.")


def go_on(agent: Agent, state: TrainingState, steps: int | None, schedule: str) -> tuple[Agent, Schedule]:
    """Return the agent of the run that goes on, and how its learning rate falls. The arguments: see `resume`.

    Raises InputError where the learning rate would stay 0.
    """
    rate = Schedule(state.numbers.lr, state.numbers.lr_steps)
    if steps is None or steps == agent.config.steps:
        return agent, rate
    config = dataclasses.replace(agent.config, steps=steps)
    rate = Schedule(config.lr, steps) if schedule == STRETCH else rate.hold(state.steps)
    if not rate.lr:
        raise InputError(f"The learning rate is 0 after {state.steps} steps; 'hold' would keep it, give 'stretch'.")
    return Agent(config, agent.spec, agent.theta), rate


def leave_behind(agent: Agent, result: dict[str, Any] | None) -> Agent:
    """Return the agent of a run that goes on, without the score that the run has reached. result: see `Run`."""
    changes = without_reached(result)
    return change_option(agent, **changes) if changes else agent


def change_option(agent: Agent, **changes: Any) -> Agent:
    """Return an agent with the same parameters and other options."""
    return Agent(dataclasses.replace(agent.config, **changes), agent.spec, agent.theta)


def before(result: dict[str, Any] | None, steps: int | None) -> dict[str, Any] | None:
    """Return what a run must know of its result before. With more steps nothing has stopped it. steps: see `resume`."""
    return {**result, "stopped_by": None} if result and steps is not None else result


def check_environment(agent: Agent, state: TrainingState) -> None:
    """Raise InputError, before the folder of the run changes, where its environment cannot be made or is another."""
    config, spec = agent.config, agent.spec
    with closing(make_env(config.env, observation=spec.observation, env_kwargs=config.env_kwargs)) as env:
        spec.check_compatible(env.spec)
        # The state of a run on a cluster has no environments: their episodes begin anew.
        if config.ray is None and env.jitted != ("env_state" in state.arrays):
            begun, other = ("in Python", "jitted") if env.jitted else ("jitted", "in Python")
            raise InputError(f"The run was begun with an environment that is {begun}; {config.env} is {other}.")


def begin_again(config: Config, steps: int | None, env_id: str | None) -> Agent:
    """Return the untrained agent of a run that was stopped before its first state. steps, env_id: None for as planned.

    Raises InputError where the run is one of another environment.
    """
    given = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    if env_id is not None:
        check_same_env(config.env, env_id)
        given["env"] = env_id
    return make_agent(**{**given, **({"steps": steps} if steps else {})})


def prepare(folder: RunFolder, config: Config, monitor_bytes: int, evaluations_bytes: int) -> None:
    """Call `go_on` of a folder. Raises InputError where it cannot be written."""
    try:
        folder.go_on(config, monitor_bytes, evaluations_bytes)
    except OSError as error:
        raise InputError(f"{folder.path} cannot be written: {error.strerror or error}.") from error
