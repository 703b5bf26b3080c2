"""docs/howto/your_own_environment.md: its environment, its sentences and its command lines are true.

tests/front/test_pages.py runs its script.
"""

import re
import subprocess
import sys

import numpy as np
import pytest
from support.custom_envs import compiler
from support.pages import FENCE, ROOT, code_of

import numasync
from numasync import RUNNING, TRUNCATED, InputError
from numasync.envs import REGISTERED, make_env
from numasync.envs.custom.env_checker import CheckedEnv

DOCS = ROOT / "docs" / "howto" / "your_own_environment.md"
PAGE, SCRIPT = DOCS.read_text(), code_of(DOCS)


def load_script(script, name):
    """Run a script as the module `name`, not as __main__."""
    exec(compile(script, f"{name}.py", "exec"), {"__name__": name})


def test_the_example_is_short_and_its_environment_is_registered():
    assert len(SCRIPT.splitlines()) < 40
    load_script(SCRIPT, "gaps")
    env = REGISTERED["Gaps-v0"]
    assert env.spec.family == "classic" and env.spec.n_actions == 3
    player, passed = CheckedEnv(env), 0
    player.reset()
    for n in range(200):
        # Straight to the gap, the second row of five.
        lane, gap = player.obs[:5].argmax(), player.obs[5:10].argmax()
        reward, end = player.step(int(np.sign(gap - lane)) + 1)
        passed += reward
        assert end == (TRUNCATED if n == 199 else RUNNING)
    assert passed == 50


MISTAKES = [
    ("    look(state, obs)\n    return", "    look(state, obs)\n    obs[11] = 1\n    return"),
    ("obs[:] = 0\n", "obs = [0.0] * 11\n"),
    ("return reward, end", "return reward, end, {}"),
    ("return reward, end", "return reward, end == TERMINATED"),
    ("LANES // 2, 0", "LANES // 2, state[PASSED]"),
    ("choice(rng, LANES)", "__import__('numpy').random.randint(LANES)"),
    (
        "    look(state, obs)\n    return",
        "    look(state, obs)\n    obs[0] = float(open('/dev/null').read() == '')\n    return",
    ),
]


SENTENCES = re.findall(r"^\|.*\| ((?:step|reset|Gaps-v0) .*\.) \|$", PAGE, re.M)


@compiler
@pytest.mark.parametrize(("mistake", "sentence"), list(zip(MISTAKES, SENTENCES, strict=True)))
def test_the_sentences_of_the_page_are_true(mistake, sentence):
    with pytest.raises(InputError) as refused:
        load_script(SCRIPT.replace(*mistake), "gaps")
    assert str(refused.value).split("\n\n")[0] == sentence


@pytest.fixture
def folder(tmp_path):
    """A folder with the page's script as gaps.py, and modules that fail."""
    (tmp_path / "gaps.py").write_text(SCRIPT)
    (tmp_path / "broken.py").write_text("import a_module_that_is_not_there")
    (tmp_path / "unfinished.py").write_text("def step(")
    return tmp_path


def run(folder, *command):
    arguments = [sys.executable, *map(str, command)]
    return subprocess.run(arguments, cwd=folder, capture_output=True, text=True, timeout=240)


@compiler
def test_the_command_lines_of_the_page(folder):
    # As the installed command: the current folder is not on the path.
    program = ("-c", "import sys; sys.path.pop(0); from numasync.cli import main; sys.exit(main())")
    (block,) = [text for language, text in FENCE.findall(PAGE) if language == "bash"]
    script, *lines = [line.split() for line in block.splitlines()]
    assert script == ["python", "gaps.py"] and len(lines) == 2
    for name, *arguments in lines:
        done = run(folder, *program, *arguments)
        assert name == "numasync" and (done.returncode, done.stderr) == (0, "")
        assert float(re.search(r"Evaluation over 100 episodes: mean ([\d.]+)", done.stdout)[1]) >= 40
    agent = numasync.load(folder / "run" / "checkpoint.npz")
    assert agent.spec.id == "gaps:Gaps-v0" and agent.predict(np.zeros(11)) in range(3)
    # Registered under its bare id, the environment is the agent's own too.
    load_script(SCRIPT, "gaps")
    assert agent.evaluate(3, env="Gaps-v0")["episodes"] == 3


@pytest.mark.parametrize(
    ("env_id", "says"),
    [
        ("broken:Game-v0", "The module broken cannot be imported: ModuleNotFoundError: No module named 'a_module_that"),
        ("unfinished:Game-v0", "The module unfinished cannot be imported: SyntaxError: "),
        (
            "no_such_module:Game-v0",
            "'no_such_module:Game-v0' is no environment that Gymnasium can make: No module named",
        ),
        ("gaps:Game-v0", "'gaps:Game-v0' is no environment that Gymnasium can make: "),
        (":Game-v0", "':Game-v0' is no environment that Gymnasium can make: "),
    ],
)
def test_modules_that_register_nothing(folder, monkeypatch, env_id, says):
    monkeypatch.chdir(folder)
    path = sys.path[:]
    with pytest.raises(InputError) as refused:
        make_env(env_id)
    assert str(refused.value).startswith(says) and "\n" not in str(refused.value) and sys.path == path
    sys.modules.pop("gaps", None)
