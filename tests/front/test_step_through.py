"""docs/howto/step_through.md: its pdb session prints what it says, and so does a breakpoint in a kernel."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "howto" / "step_through.md").read_text()
PROMPT = "(Pdb) "
# Paths, and line numbers as pdb writes them: "loop.py(222)" and "loop.py:222".
FOLDERS, LINES = re.compile(r"\S*/numasync/|\S*/(?=step\.py)"), re.compile(r"(?<=\.py)(\(\d+\)|:\d+)")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.M | re.S)


def debug(folder, words, typed, package=ROOT):
    """Run Python in a folder, with the kernels as Python functions. Return what it prints. typed: what a user types."""
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(package)}
    options = dict(cwd=folder, env=environment, input=typed, capture_output=True, text=True, timeout=120)
    return subprocess.run([sys.executable, *words], **options)


def plain(text):
    """A text of pdb without folders and line numbers, which differ from one machine and version to another."""
    return LINES.sub("", FOLDERS.sub("", text.replace(".../", ""))).rstrip()


def test_the_pdb_session_prints_what_the_page_says(tmp_path):
    (tmp_path / "step.py").write_text(blocks("python")[0])
    begins, *exchanges = "".join(blocks("text")).split(PROMPT)
    typed, answers = zip(*(exchange.partition("\n")[::2] for exchange in exchanges))
    assert len(typed) > 30 and typed[-1] == "q"
    done = debug(tmp_path, ["-m", "pdb", "step.py"], "\n".join(typed) + "\n")
    assert (done.returncode, done.stderr) == (0, "")
    found = done.stdout.split(PROMPT)
    assert [plain(text) for text in found] == [plain(begins), *map(plain, answers)]


def test_a_breakpoint_in_a_kernel_stops_the_command_of_the_page(tmp_path):
    leave_out = shutil.ignore_patterns("pretrained", "__pycache__")
    shutil.copytree(ROOT / "numasync", tmp_path / "numasync", ignore=leave_out)
    (tmp_path / "numasync" / "agent" / "pretrained").mkdir()
    shutil.copy(ROOT / "run.py", tmp_path)
    kernel = tmp_path / "numasync" / "algorithms" / "nstep_q.py"
    source, line = kernel.read_text(), "    loss = FLOAT(0)\n"
    kernel.write_text(source.replace(line, f"    breakpoint()\n{line}"))
    command = next(text.strip() for text in blocks("bash") if "run.py" in text)
    words = command.removeprefix("NUMBA_DISABLE_JIT=1 python ").split()
    done = debug(tmp_path, words, "p int(n), bool(terminated)\nc\np rewards[:n].tolist()\nq\n", tmp_path)
    assert "nstep_q()\n-> loss = FLOAT(0)\n(Pdb) (5, False)\n" in LINES.sub("", done.stdout)
    assert "(Pdb) [1.0, 1.0, 1.0, 1.0, 1.0]\n" in done.stdout
    assert done.returncode == 1 and done.stderr.endswith("The agent so far was saved.\n")


def test_the_settings_for_vs_code_run_the_command_line():
    (settings,) = json.loads(blocks("json")[0])["configurations"]
    assert settings["env"] == {"NUMBA_DISABLE_JIT": "1"}
    done = debug(ROOT, ["-m", settings["module"], *settings["args"], "--help"], "")
    assert done.returncode == 0, done.stderr
