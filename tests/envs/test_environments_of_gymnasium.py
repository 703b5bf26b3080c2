"""docs/howto/environments_of_gymnasium.md: its script learns what the page says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "howto" / "environments_of_gymnasium.md").read_text()
(SCRIPT,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)


@pytest.mark.compiled
def test_the_script_of_the_page_reaches_the_goal(tmp_path):
    (tmp_path / "lake.py").write_text(SCRIPT)
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "lake.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "") and float(done.stdout) > 0.9
