"""A folder with settings belongs to one program at a time, and to nobody once this program has ended, however."""

import json
import os
import signal
import subprocess
import sys

import pytest
from support.folders import contents

from numasync import InputError, WorkerError
from numasync.cli import main
from numasync.runtime.files import fcntl
from numasync.tools.settings_folder import open_with_settings

pytestmark = pytest.mark.skipif(fcntl is None, reason="this system has no locks of files")

SENTENCE = r"^Another program trains in \S+ now; stop it, or wait for its end\.$"
HOLD = """
import sys
from numasync.tools.settings_folder import open_with_settings
with open_with_settings(sys.argv[1], {"a": 1}, "file.json", "study"):
    print("held", flush=True)
    sys.stdin.read()
"""


def opened(folder):
    return open_with_settings(folder, {"a": 1}, "file.json", "study")


def test_a_second_program_is_refused_and_touches_nothing(tmp_path):
    with opened(tmp_path / "study") as folder:
        (folder / ".numasync-12345678").write_text("a leftover")
        before = contents(tmp_path)
        with pytest.raises(InputError, match=SENTENCE), opened(folder):
            pass
        assert contents(tmp_path) == before
    with opened(folder):
        assert json.loads((folder / "file.json").read_text()) == {"a": 1}
        assert os.listdir(folder) == ["file.json"]


def test_the_folder_of_a_program_that_was_killed_is_free_at_once(tmp_path):
    words = [sys.executable, "-c", HOLD, str(tmp_path / "study")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(InputError, match=SENTENCE), opened(tmp_path / "study"):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
        with opened(tmp_path / "study") as folder:
            assert folder == tmp_path / "study"


def test_several_programs_may_work_together_where_each_takes_other_work(tmp_path):
    def together(value=1):
        return open_with_settings(tmp_path / "tuning", {"a": value}, "file.json", "tuning", together=True)

    with together() as one, together() as two:
        assert one == two and os.listdir(one) == ["file.json"]
        with pytest.raises(InputError, match="holds a tuning with other settings"), together(2):
            pass


@pytest.mark.parametrize("verb", ["study", "sweep"])
@pytest.mark.parametrize("ray", [[], ["--ray", "local"]])
def test_a_command_in_the_folder_of_one_that_works_has_exit_code_2(verb, ray, tmp_path, monkeypatch, capsys):
    if ray:
        pytest.importorskip("ray")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "grid.json").write_text('{"steps": 100}')
    words = {"study": ["study", "lr"], "sweep": ["sweep", "grid.json"]}[verb]
    module, codes = {"study": "studies", "sweep": "sweeps"}[verb], []

    def play(*_):
        before = contents(tmp_path / "out")
        capsys.readouterr()
        codes.append(main([*words, "--out", "out", *ray]))
        out, err = capsys.readouterr()
        assert out == "" and "Another program trains in out now; stop it, or wait for its end." in err
        assert before and contents(tmp_path / "out") == before
        raise WorkerError("It is enough.")

    monkeypatch.setattr(f"numasync.tools.{module}.play_missing_runs", play)
    assert main([*words, "--out", "out"]) == 1 and codes == [2]
