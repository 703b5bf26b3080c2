"""Compiling ahead: everything that a run needs goes into the cache before the run begins."""

import dataclasses
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from numasync.agent.agent import Agent
from numasync.agent.evaluation import EVALUATION_STREAM, play_job
from numasync.config import Config
from numasync.envs import make_env
from numasync.envs.objects import EnvLike, as_env_id
from numasync.errors import InputError
from numasync.nn.passes import forward
from numasync.runtime.cache import collect_troubles
from numasync.runtime.cache_folder import open_folder
from numasync.runtime.checks import as_switch, show
from numasync.runtime.compilation import OnCompiled, collect_compiled, watch_compilation
from numasync.runtime.jit import DISABLED, FLOAT, WHY_DISABLED
from numasync.runtime.rng import seed_row
from numasync.tools.watch import make_choose_action, play_frames
from numasync.training.console import plural
from numasync.training.display import Event, Silent
from numasync.training.report import Report
from numasync.training.signature import show_options
from numasync.training.terminal_bar import choose_display
from numasync.training.train import make_agent
from numasync.training.trainer import Trainer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from numasync.config import TrainOptions

# The options, besides env and algo, that decide what is compiled.
DECIDING = ("preset", "optimizer", "network", "separate_value", "flatten", "channels", "env_kwargs")

MEGABYTE = 1e6


class Warmup(NamedTuple):
    """What `warmup` has done.

    kernels  the number of kernels that it has compiled; 0 where all were in the cache
    seconds  how long it took
    folder   the folder of the cache
    size     the bytes of all files there
    """

    kernels: int
    seconds: float
    folder: Path
    size: int


@show_options
def warmup(
    env: "EnvLike | Sequence[EnvLike]" = Config.env,
    algo: str = Config.algo,
    verbose: bool = False,
    **options: "Unpack[TrainOptions]",
) -> Warmup:
    """Compile into the cache what `train` needs with the same options, and what evaluations, `predict` and `watch` do.

    The next program that trains then compiles nothing. A container image and a job of CI begin quickly with it. The
    user's own environments are the exception: their two functions are compiled in every program.

    env      an environment as for `train`, or a list of environments
    algo     'one_step_q', 'one_step_sarsa', 'nstep_q' or 'a3c'
    verbose  whether to print progress

    Every other option of `train` is a keyword here too. These decide what is compiled: preset, optimizer, network,
    separate_value, flatten, channels and env_kwargs. The others change nothing.

    Each environment is made, and one worker plays one segment in it. Returns a Warmup: the number of kernels that were
    compiled, the seconds, the folder of the cache and its size in bytes.

    Raises InputError for bad input, where the cache cannot be written, and where nothing is compiled because
    NUMBA_DISABLE_JIT is set or Numba is not installed; WorkerError where an environment fails.
    """
    began = time.perf_counter()
    display = choose_display() if as_switch("verbose", verbose) else Silent()
    ids, folder = as_ids(env), open_writable_folder()
    with collect_troubles() as troubles, collect_compiled() as compiled:
        agents = [make_agent(env=each, algo=algo, **options) for each in ids]  # refuses bad input at the start
        for agent in agents:
            display.show(Event("start", (f"{agent.config.algo} on {agent.config.env}: compiling ...",)))
            compile_all(agent, Report(agent.config, display=display).print_compilation)
    if troubles:
        raise unwritable_cache(troubles[0])
    done = Warmup(len(compiled), time.perf_counter() - began, folder, size_of(folder))
    display.show(Event("end", (describe(done),)))
    return done


def as_ids(env: Any) -> list[str]:
    """Return a list of environment ids, each once. Raises InputError for an empty list."""
    given = env if isinstance(env, (list, tuple)) else [env]
    if not given:
        raise InputError(f"env is {show(env)}; it must be an environment, or a list of environments.")
    return list(dict.fromkeys(map(as_env_id, given)))


def open_writable_folder() -> Path:
    """Return the folder of the cache. Raises InputError where it cannot be written, or nothing is compiled."""
    if DISABLED:
        raise InputError(f"{WHY_DISABLED}, so nothing is compiled.")
    folder, reason = open_folder()
    if not folder:
        raise unwritable_cache(reason)
    try:
        folder.mkdir(parents=True, exist_ok=True)  # another program may have removed it
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise unwritable_cache(f"{folder} cannot be written: {error.strerror or error}") from error


def unwritable_cache(reason: str) -> InputError:
    """Return the error that says that the cache cannot be written."""
    hint = "" if "NUMASYNC_CACHE_DIR" in reason else "; set NUMASYNC_CACHE_DIR to a folder that can be written"
    return InputError(f"Compiled code cannot be kept: {reason}{hint}.")


def compile_all(agent: Agent, on_compiled: OnCompiled) -> None:
    """Do once what a run, an evaluation and `watch` do many times. What they compile is then in the cache.

    agent        an untrained agent
    on_compiled  called after each kernel that is compiled
    """
    # The number of workers is not part of a type.
    trainer = Trainer(dataclasses.replace(agent.config, workers=1), agent.spec, agent.network, agent.theta)
    # What was compiled for another environment is not compiled again.
    trainer.more_jobs.append(play_job(agent.spec))
    if agent.config.tensorboard:
        trainer.measure_outputs()
    missing = [kernel for kernel in trainer.kernels if not kernel.signatures]
    with watch_compilation(missing, on_compiled):
        try:
            trainer.build()
            trainer.run_segments_of(0, 1)
        finally:
            trainer.close()
        play_one_step(agent)


def play_one_step(agent: Agent) -> None:
    """Play one step with the agent, and one at random, as `watch` does. Begin an episode, as with `predict`.

    Fill a tape, as `Agent.policy` does.
    """
    agent.reset()
    obs = np.zeros((1, agent.network.n_inputs), FLOAT)
    forward(agent.network.tape(1), obs, agent.theta, agent.network.table, 0, 1)
    rng = seed_row(agent.config.seed, EVALUATION_STREAM)
    spec = agent.spec
    with closing(make_env(spec.id, observation=spec.observation, env_kwargs=spec.env_kwargs)) as env:
        for choose_action in (make_choose_action(agent, rng), lambda obs: env.spec.random_action(rng)):
            list(play_frames(env, choose_action, rng, 1))


def size_of(folder: Path) -> int:
    """Return the bytes of the files of a folder."""
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())


def describe(done: Warmup) -> str:
    """Return what a warm-up has done as one line."""
    if done.kernels:
        what = f"Compiled {plural(done.kernels, 'kernel')} in {done.seconds:.1f} s."
    else:
        what = f"All kernels were in the cache already (looked up in {done.seconds:.1f} s)."
    return f"{what} The cache has {done.size / MEGABYTE:.1f} MB: {done.folder}"
