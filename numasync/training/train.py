"""Start a run: its options are checked, its agent and its folder are made."""

import inspect
import os
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from numasync.agent.agent import Agent, load
from numasync.agent.environment import make_env_of
from numasync.agent.other_names import OTHER_OPTIONS
from numasync.config import RENAMED, Config, make_config, validate_options
from numasync.envs.normalization import measure_normalization
from numasync.envs.objects import EnvLike, as_env_id
from numasync.errors import InputError
from numasync.runtime.checks import as_folder, as_switch
from numasync.runtime.hints import check_keywords
from numasync.training.callbacks import Given, as_callbacks
from numasync.training.display import Display, Silent
from numasync.training.records import RunFolder
from numasync.training.report import Report
from numasync.training.run import Run
from numasync.training.shipped import with_options
from numasync.training.signature import show_options
from numasync.training.terminal_bar import choose_display

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from numasync.config import TrainOptions


@show_options
def train(
    env: EnvLike = Config.env,
    algo: str = Config.algo,
    out: str | os.PathLike | None = None,
    verbose: bool = False,
    from_agent: "Agent | str | os.PathLike | None" = None,
    callbacks: Sequence[Given] = (),
    **options: "Unpack[TrainOptions]",
) -> Agent:
    """Train an agent and return it.

    env         environment id, see `numasync envs`; 'gymnasium:ID' asks for Gymnasium's version of a jitted environment
                or an EnvSpec of Gymnasium, or a function or a class that makes an environment of Gymnasium. It is
                called for each worker and for each evaluation, with env_kwargs
    algo        'one_step_q', 'one_step_sarsa', 'nstep_q' or 'a3c'
    out         a new folder for the files of the run; by default nothing is written
    verbose     whether to print progress
    from_agent  an agent whose parameters the run begins with, its file, or the name of a pretrained one. Its network
                must have the same parameters, and it must have seen observations in the same form
    callbacks   what follows the run, and can stop it: objects of classes that derive from Callback, and functions of
                the Progress

    Every other option has a default from the preset of the environment's family, else the paper's value, which stands
    in brackets below. `numasync train --help` also lists what the presets change. A step is one action of one worker,
    on Atari 4 frames. A number of steps counts the steps of all workers, unless its text says otherwise.

    OPTIONS

    Returns the Agent; `agent.result` has the result of the run. The first Ctrl-C during training ends the run early and
    returns the agent as it is, without its final evaluation. A second Ctrl-C, or one during compilation, raises
    KeyboardInterrupt.

    Raises InputError for bad input, and then leaves nothing; WorkerError if a worker or the final evaluation failed;
    CallbackError, which is a WorkerError, if a callback failed; NotFiniteError if the run diverged. After a failure the
    folder keeps the last good checkpoint. Where the folder cannot be written, or a periodic evaluation fails, the run
    goes on with a warning.
    """
    given = [name for name in options if name not in RENAMED]
    check_keywords(given, inspect.signature(train).parameters, "no option of a run", OTHER_OPTIONS)
    display = choose_display() if as_switch("verbose", verbose) else Silent()
    return train_and_show(display, out, from_agent, callbacks, env=env, algo=algo, **options)


def train_and_show(
    display: Display,
    out: str | os.PathLike | None = None,
    from_agent: Agent | str | os.PathLike | None = None,
    callbacks: Sequence[Given] = (),
    env: EnvLike = Config.env,
    **options: Any,
) -> Agent:
    """Train an agent and return it, as `train` does. display: what shows the progress."""
    out = None if out is None else as_folder("out", out)
    own = as_callbacks(callbacks)
    agent = make_agent(env=as_env_id(env), **options)
    if from_agent is not None:
        agent = begin_with(agent, from_agent if isinstance(from_agent, Agent) else load(from_agent))
    followers = with_options(own, agent.config, out is not None)
    folder = None if out is None else RunFolder(out, agent.config)
    report = Report(agent.config, folder.checkpoint if folder else None, display)
    try:
        return Run(agent, folder, report, callbacks=followers).run()
    except InputError:
        if folder and not folder.checkpoint.exists():
            folder.discard()
        raise
    finally:
        if folder:
            folder.close()


def make_agent(**options: Any) -> Agent:
    """Return the untrained Agent that a run begins with.

    options: fields of Config, env among them. Presets give the others. Raises InputError for bad input.
    """
    given = validate_options(options)
    with closing(make_env_of(given)) as env:
        config = make_config(env.spec.family, **given)
        agent = Agent(config, env.spec)  # refuses options that do not fit, before anything is measured
        if config.normalize:
            spec = env.spec._replace(observation=measure_normalization(env, config.seed))
            agent = Agent(config, spec, None if spec.observation.normalized else agent.theta)
    return agent


def begin_with(agent: Agent, other: Agent) -> Agent:
    """Return an agent like `agent` with the parameters of another. Observations are normalised as that one had them.

    Raises InputError where its parameters do not fit.
    """
    own, found = agent.spec.observation, other.spec.observation
    if own.normalized != found.normalized:
        raise InputError(
            f"The agent to begin with was trained {'with' if found.normalized else 'without'} normalize, on vectors; "
            f"give normalize={found.normalized} (--{'' if found.normalized else 'no-'}normalize)."
        )
    if shapes_of(agent) != shapes_of(other) or own.network_shape != found.network_shape:
        raise InputError(
            f"The agent to begin with was trained by {other.config.algo} on {other.spec.id} and has {len(other.theta)} "
            f"parameters; this run needs {len(agent.theta)}, in the same layers and for the same observations."
        )
    spec = agent.spec._replace(observation=found) if own.is_screen and found.is_screen else agent.spec
    return Agent(agent.config, spec, other.theta.copy())


def shapes_of(agent: Agent) -> dict[str, tuple[int, ...]]:
    """Return the shapes of an agent's parameters by name."""
    return {name: view.shape for name, view in agent.network.views(agent.theta).items()}
