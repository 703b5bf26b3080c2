"""The page on using a trained agent: its Python runs, from top to bottom."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "howto" / "deploy_an_agent.md"

# Training for fewer steps is as good to run a page.
STEPS = {"steps=20_000": "steps=2_000"}


@pytest.mark.compiled
def test_the_python_of_the_page_runs(tmp_path):
    pytest.importorskip("onnxruntime")
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.M | re.S))
    for long, short in STEPS.items():
        assert long in code
        code = code.replace(long, short)
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    options = dict(env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, **options)
    assert (done.returncode, done.stderr) == (0, "")
