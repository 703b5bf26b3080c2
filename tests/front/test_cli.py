"""The real command line, run as a subprocess: its verbs, files, exit codes, complaints and Ctrl-C."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from support.folders import contents
from support.processes import listen_to_ctrl_c

import numasync
from numasync.agent.evaluation import summarize
from numasync.cli import main
from numasync.config import Config, make_config
from numasync.envs.observation import Observation
from numasync.envs.spec import EnvSpec
from numasync.training.records import read_run

# They run subprocesses, for long without the compiler.
pytestmark = pytest.mark.compiled

STATES = ["training-previous.npz", "training.npz"]
FILES = ["checkpoint.npz", "config.json", "evaluations.csv", "monitor.csv", "result.json", *STATES]
SHORT = ("--steps", 20_000, "--workers", 2, "--final-eval-episodes", 5, "--seed", 3)
ENDLESS = ("--steps", 100_000_000, "--workers", 2)
PROGRESS = re.compile(r"^ +[\d,]+ steps \( *\d+%\) +[\d,]+/s +[\d,]+ episodes +mean return +\S+ +[\d:]+ left", re.M)
AGENT_WARNING = "numasync: numasync eval --agent AGENT is now numasync eval AGENT.\n"
START_SECONDS = 240  # a cold compile on a busy machine
STOP_SECONDS = 20  # a Ctrl-C takes well under a second on an idle one

ENVIRONMENTS = """
import time
import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete

class Trial(gymnasium.Env):
    observation_space = Box(-1.0, 1.0, (2,), np.float32)
    action_space = Discrete(2)
    steps = made = 0

    def __init__(self):
        # The first one made is only asked for its spaces; worker i has number i.
        self.number = Trial.made - 1
        Trial.made += 1

    def reset(self, *, seed=None, options=None):
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.steps += 1
        return np.zeros(2, np.float32), self.reward(), False, False, {}

class DictObs(Trial):
    observation_space = Dict({"x": Box(0.0, 1.0, (2,))})

class Fails(Trial):
    def reward(self):
        if self.number == 1 and self.steps == 50:
            raise ZeroDivisionError("the pole broke")
        return 1.0

class NotFinite(Trial):
    def reward(self):
        return float("nan") if self.steps == 50 else 1.0

class Sleeps(Trial):
    def reward(self):
        if self.steps > 5:
            time.sleep(600)
        return 1.0

for environment in (DictObs, Fails, NotFinite, Sleeps):
    gymnasium.register(environment.__name__ + "-v0", entry_point=environment)
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """The environment variables of the subprocesses: the module trials.py, with the classes above, can be imported."""
    folder = tmp_path_factory.mktemp("modules")
    (folder / "trials.py").write_text(ENVIRONMENTS)
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "COLUMNS": "120"}


@pytest.fixture
def numasync_command(environment, tmp_path):
    """Runs `python -m numasync ARGUMENTS` in the test's own folder and returns the completed process."""

    def run(*arguments, cwd=tmp_path):
        command = [sys.executable, "-m", "numasync", *map(str, arguments)]
        return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=START_SECONDS)

    return run


@pytest.fixture
def background(environment, tmp_path):
    """Starts `python -m numasync ARGUMENTS`, waits for its first progress line and returns the running process.

    Its output goes to out.txt and err.txt.
    """
    processes = []

    def start(*arguments):
        command = [sys.executable, "-m", "numasync", *map(str, arguments)]
        with open(tmp_path / "out.txt", "w") as out, open(tmp_path / "err.txt", "w") as err:
            streams = dict(stdout=out, stderr=err, preexec_fn=listen_to_ctrl_c)
            process = subprocess.Popen(command, cwd=tmp_path, env=environment, **streams)
        processes.append(process)
        deadline = time.monotonic() + START_SECONDS
        while not PROGRESS.search((tmp_path / "out.txt").read_text()):
            assert process.poll() is None and time.monotonic() < deadline, (tmp_path / "err.txt").read_text()
            time.sleep(0.05)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def trained(environment, tmp_path_factory):
    """A short run without a verb: the completed process and its folder."""
    cwd = tmp_path_factory.mktemp("trained")
    command = [sys.executable, "-m", "numasync", *map(str, SHORT), "--out", "run"]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=START_SECONDS)
    return done, cwd / "run"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_train_is_the_default_verb_and_reports_what_it_does(trained):
    done, _ = trained
    assert (done.returncode, done.stderr) == (0, "")
    first, *_, last = done.stdout.splitlines()
    assert first.startswith("nstep_q on CartPole-v1: 2 workers, 20,000 steps, seed 3")
    assert re.search(r"^Trained after 20,\d{3} steps in \d+:\d\d \([\d,]+/s\), [\d,]+ episodes\.$", done.stdout, re.M)
    assert re.search(r"^Evaluation over 5 episodes: mean [\d.]+, std [\d.]+, min \d+, max \d+\.$", done.stdout, re.M)
    assert last == "Checkpoint: run/checkpoint.npz"


def test_a_run_writes_its_records(trained):
    _, folder = trained
    assert names(folder) == FILES
    config = json.loads((folder / "config.json").read_text())
    assert list(config) == [*(field.name for field in fields(Config)), "made_by"]
    assert (config["steps"], config["workers"], config["final_eval_episodes"], config["seed"]) == (20_000, 2, 5, 3)
    result = json.loads((folder / "result.json").read_text())
    wanted = dict(algorithm="nstep_q", env="CartPole-v1", seed=3, workers=2, interrupted=False)
    assert {name: result[name] for name in wanted} == wanted
    assert 20_000 <= result["steps"] < 20_000 + 2 * config["t_max"]
    assert result["wall_s"] > 0 and result["steps_per_s"] > 0 and result["episodes"] > 0
    recent = result["training"]
    assert recent["episodes"] == min(result["episodes"], 100) and recent["min"] <= recent["mean"] <= recent["max"]
    evaluation = result["evaluation"]
    assert list(evaluation) == ["episodes", "mean", "std", "min", "max"] and evaluation["episodes"] == 5
    assert 1 <= evaluation["min"] <= evaluation["mean"] <= evaluation["max"] <= 500 and evaluation["std"] >= 0


def test_the_default_folder_is_under_runs(numasync_command, tmp_path):
    done = numasync_command("train", "--env", "Catch-v0", "--algo", "a3c", "--steps", 500, "--final-eval-episodes", 2)
    assert (done.returncode, done.stderr) == (0, "")
    assert names(tmp_path) == ["runs"]
    (folder,) = (tmp_path / "runs").iterdir()
    assert re.fullmatch(r"Catch-v0-a3c-seed1-\d{8}-\d{6}", folder.name) and names(folder) == FILES


@pytest.mark.parametrize("env", [(), ("--env", "CartPole-v1"), ("--env", "gymnasium:CartPole-v1")])
def test_eval_prints_one_json_object_and_repeats_itself(numasync_command, trained, env):
    arguments = ("eval", trained[1] / "checkpoint.npz", "--episodes", 5, "--json", *env)
    done = numasync_command(*arguments, "--seed", 3)
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)
    evaluation = json.loads(done.stdout)
    assert list(evaluation) == ["episodes", "mean", "std", "min", "max"] and evaluation["episodes"] == 5
    assert numasync_command(*arguments).stdout == done.stdout, "the agent's own seed is 3"
    if "gymnasium:CartPole-v1" not in env:
        assert evaluation == json.loads((trained[1] / "result.json").read_text())["evaluation"]


def test_a_run_with_periodic_evaluations_prints_them_and_keeps_the_best(numasync_command, tmp_path):
    # Half a second or more, in which the thread that evaluates gets a core also on a busy machine.
    options = ("--steps", 5_000_000, "--eval-every", 100_000, "--periodic-eval-episodes", 2, "--out", "run")
    done = numasync_command(*SHORT, *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert names(tmp_path / "run") == ["best.npz", *FILES]
    said = re.findall(r"^ +([\d,]+) steps: evaluation mean \S+, .+\.$", done.stdout, re.M)
    evaluations = read_run(tmp_path / "run").evaluations
    assert said == [f"{steps:,.0f}" for steps in evaluations[:-1, 0]] and len(said) > 0
    assert numasync.load(tmp_path / "run" / "best.npz").result["evaluation"]["mean"] == max(evaluations[:, 3])


def test_eval_takes_the_agent_by_its_old_option_with_a_warning(numasync_command, trained):
    checkpoint, episodes = trained[1] / "checkpoint.npz", ("--episodes", 3)
    done = numasync_command("eval", "--agent", checkpoint, *episodes)
    assert done.returncode == 0 and done.stdout == numasync_command("eval", checkpoint, *episodes).stdout
    assert done.stderr == AGENT_WARNING


@pytest.mark.parametrize(
    "arguments, says",
    [
        ("CHECKPOINT --agent CHECKPOINT", "Give one agent, a file or a name such as pong-a3c."),
        ("--agent missing.npz", "no file missing.npz"),
    ],
)
def test_the_old_option_of_eval_is_checked_like_the_argument(numasync_command, trained, tmp_path, arguments, says):
    done = numasync_command("eval", *arguments.replace("CHECKPOINT", str(trained[1] / "checkpoint.npz")).split())
    assert (done.returncode, done.stdout, contents(tmp_path)) == (2, "", {})
    sentence = done.stderr.removeprefix(AGENT_WARNING)
    assert sentence != done.stderr and says in sentence
    assert re.fullmatch(r"numasync: .+[.?]\n", sentence), "one sentence on one line"


@pytest.fixture
def scored(monkeypatch, capsys, tmp_path):
    """Runs `numasync eval --human ARGUMENTS` on a pretrained agent of Pong and returns what it prints.

    The agent's name is 'pong'. Its mean is 18 points.
    """
    spec = EnvSpec("ALE/Pong-v5", "atari", Observation("frames", (4, 84, 84), 1 / 255), 6)
    monkeypatch.setattr("numasync.agent.agent.PRETRAINED", tmp_path)
    numasync.Agent(make_config("atari", env=spec.id), spec).save(tmp_path / "pong.npz", half=True)
    monkeypatch.setattr(numasync.Agent, "evaluate", lambda agent, episodes, *_, **__: summarize([18.0] * episodes))

    def run(*arguments):
        assert main(["eval", "pong", "--episodes", "4", "--human", *arguments]) == 0
        return capsys.readouterr().out

    return run


def test_eval_also_says_the_percent_of_a_humans_score(scored):
    # 38.7 of the 35.3 points that a human is better than chance.
    first, second = scored().splitlines()
    assert first == "Evaluation over 4 episodes: mean 18.00, std 0.00, min 18, max 18."
    assert second == "Human-normalised: 109.6 % (random -20.7, human 14.6)."


def test_eval_also_says_the_percent_of_a_humans_score_as_json(scored):
    found = json.loads(scored("--json"))
    assert found == {**summarize([18.0] * 4), "human_normalized": pytest.approx(100 * 38.7 / 35.3)}


def test_eval_prints_one_line_and_writes_nothing(numasync_command, trained, tmp_path):
    done = numasync_command("eval", trained[1] / "checkpoint.npz", "--episodes", 3, "--seed", 8)
    assert (done.returncode, done.stderr, names(tmp_path)) == (0, "", [])
    assert re.fullmatch(r"Evaluation over 3 episodes: mean [\d.]+, std [\d.]+, min \d+, max \d+\.\n", done.stdout)


# CHECKPOINT stands for the path of a good one.
@pytest.mark.parametrize(
    "arguments, says",
    [
        ("--algo dqn", "'dqn' is no algo; the nearest algorithms here are one_step_q and nstep_q"),
        ("--env Nope-v0", "'Nope-v0' is no environment"),
        ("--env nope:Nope-v0", "'nope:Nope-v0' is no environment"),
        ("--env a:b:CartPole-v1", "a:b:CartPole-v1"),
        ("--env trials:DictObs-v0", "Dict observations, which are not supported"),
        ("--lr -0.1", "lr is -0.1; it must be a number above 0"),
        ("--lr nan", "lr is nan; it must be a number above 0"),
        ("--lr inf", "lr is inf; it must be a number above 0"),
        ("--lr fast", "--lr: invalid float value: 'fast'"),
        ("--lr", "--lr: expected one argument"),
        ("--workers 0", "workers is 0; it must be a whole number from 1"),
        ("--t-max 0", "t_max is 0; it must be a whole number from 1"),
        ("--steps 1.5", "steps is 1.5; it must be a whole number from 1"),
        ("--steps 1e-5", "steps is 1e-05; it must be a whole number from 1"),
        ("--steps many", "--steps: invalid int value: 'many'"),
        ("--steps 100000000000000000000", "steps is 100000000000000000000"),
        ("--network nips", "conv(16, 8) needs an input of"),
        ("--learning-rate 0.1", "unrecognized arguments: --learning-rate 0.1; you may mean --lr; see"),
        ("--out full", "full already exists and is not empty"),
        ("--out full/file/run", "The folder full/file/run cannot be made"),
        ("eval", "Give one agent to score, a file or a name such as pong-a3c."),
        ("eval --agent", "--agent: expected one argument"),
        ("eval CHECKPOINT --human", "'CartPole-v1' is none of the 57 Atari games"),
        ("--eval-every -1", "eval_every is -1; it must be a whole number from 0"),
        ("--periodic-eval-episodes 0", "periodic_eval_episodes is 0; it must be a whole number from 1"),
        ("eval missing.npz", "no file missing.npz"),
        ("eval full", "full is a directory"),
        ("eval truncated.npz", "truncated.npz is no numasync checkpoint, or it is damaged"),
        ("eval CHECKPOINT --env Catch-v0", "trained on CartPole-v1; it cannot play Catch-v0"),
        ("eval CHECKPOINT --episodes 0", "episodes is 0; it must be a whole number from 1"),
        ("eval CHECKPOINT --seed -1", "seed is -1"),
    ],
)
def test_bad_input_gets_one_sentence_and_writes_nothing(numasync_command, trained, tmp_path, arguments, says):
    checkpoint = trained[1] / "checkpoint.npz"
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("precious")
    (tmp_path / "truncated.npz").write_bytes(checkpoint.read_bytes()[:1000])
    before = contents(tmp_path)
    done = numasync_command(*arguments.replace("CHECKPOINT", str(checkpoint)).split())
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.startswith("numasync") and says in done.stderr
    assert re.fullmatch(r".+[.?]\n", done.stderr), "one sentence on one line"
    assert contents(tmp_path) == before


def test_help_names_the_verbs_and_every_option(numasync_command):
    done = numasync_command("--help")
    assert (done.returncode, done.stderr) == (0, "")
    text = " ".join(done.stdout.split())
    assert re.search(r"\btrain .*\beval ", text)
    for field in fields(Config):
        assert f"--{field.name.replace('_', '-')}" in text and " ".join(field.metadata["help"].split()) in text
    assert "--out DIR" in text and "runs/" in text


def test_run_py_is_the_same_command(tmp_path, environment):
    run = [sys.executable, str(Path(__file__).parents[2] / "run.py")]
    version = subprocess.run([*run, "--version"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (version.returncode, version.stdout) == (0, f"numasync {numasync.__version__}\n")
    usage = subprocess.run([*run, "--help"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert usage.returncode == 0 and usage.stdout.startswith("usage: numasync ")


def test_a_failing_worker_shows_its_traceback_and_saves_the_agent(numasync_command, tmp_path):
    done = numasync_command("--env", "trials:Fails-v0", *ENDLESS, "--out", "run")
    assert done.returncode == 1
    *traceback, last = done.stderr.splitlines()
    assert traceback[0].startswith("Traceback") and traceback[-1] == "ZeroDivisionError: the pole broke"
    assert any("trials.py" in line for line in traceback), "the traceback leads to the line that failed"
    assert last.startswith("numasync: Worker 1 failed with ZeroDivisionError: the pole broke")
    assert last.endswith(" The agent so far was saved.")
    assert names(tmp_path / "run") == ["checkpoint.npz", "config.json", "failure.json", "training.npz"], "no episode"
    assert np.isfinite(numasync.load(tmp_path / "run" / "checkpoint.npz").theta).all()


def test_a_run_that_diverges_says_so_and_keeps_the_last_good_agent(numasync_command, tmp_path):
    options = ("--lr", "1e30", "--clip-norm", 0, "--algo", "one_step_q", *ENDLESS)
    done = numasync_command(*options, "--out", "run")
    assert done.returncode == 1
    assert re.fullmatch(r"numasync: .+ NaN .+ The last good checkpoint is kept\.\n", done.stderr)
    assert np.isfinite(numasync.load(tmp_path / "run" / "checkpoint.npz").theta).all()


def test_a_reward_that_is_not_finite_is_the_fault_of_the_environment(numasync_command, tmp_path):
    done = numasync_command("--env", "trials:NotFinite-v0", *ENDLESS, "--out", "run")
    assert done.returncode == 1
    fault = r"step \d+ of trials:NotFinite-v0 returned the reward nan, which must be one finite number\."
    assert re.fullmatch(rf"numasync: Worker \d failed: {fault} The agent so far was saved\.\n", done.stderr)
    assert np.isfinite(numasync.load(tmp_path / "run" / "checkpoint.npz").theta).all()


@pytest.mark.parametrize("env", ["CartPole-v1", "gymnasium:CartPole-v1"])
def test_ctrl_c_ends_the_run_with_its_agent_and_result(background, tmp_path, env):
    process = background("--env", env, *ENDLESS, "--out", "run")
    process.send_signal(signal.SIGINT)
    assert process.wait(STOP_SECONDS) == 130
    assert (tmp_path / "err.txt").read_text() == ""
    assert names(tmp_path / "run") == [name for name in FILES if name != "evaluations.csv"]
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["interrupted"] is True and result["evaluation"] is None and 0 < result["steps"] < 100_000_000
    assert f"Interrupted after {result['steps']:,} steps in " in (tmp_path / "out.txt").read_text()
    agent = numasync.load(tmp_path / "run" / "checkpoint.npz")
    assert agent.result == {name: value for name, value in result.items() if name != "made_by"}
    start = numasync.Agent(agent.config, agent.spec).theta
    assert np.isfinite(agent.theta).all() and not np.array_equal(agent.theta, start), "the agent as it stands"


@pytest.mark.parametrize("options", [(), ("--eval-every", 1)], ids=["alone", "with periodic evaluations"])
def test_a_second_ctrl_c_does_not_wait_for_the_workers(background, tmp_path, options):
    process = background("--env", "trials:Sleeps-v0", "--workers", 1, "--out", "run", *options)
    time.sleep(0.5 * len(options))  # the evaluators fall asleep too
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1.5)  # the first one waits for the worker, which sleeps inside its environment
    process.send_signal(signal.SIGINT)
    assert process.wait(STOP_SECONDS) == 130
    assert (tmp_path / "err.txt").read_text() == "numasync: stopped.\nGo on with: numasync resume run\n"
    assert np.isfinite(numasync.load(tmp_path / "run" / "checkpoint.npz").theta).all()
