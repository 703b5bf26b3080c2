"""`numasync bench --peers`: turns, failures, tables and the page, with tiny programs in the place of the peers.

No test checks how fast anything is, and only the slow ones need the peers' packages.
"""

import json
import re
import sys
from pathlib import Path

import pytest

from numasync.cli import main
from numasync.errors import InputError, WorkerError
from numasync.tools.bench import peers
from numasync.tools.bench.peers import comparison, session
from numasync.tools.bench.peers.comparison import compare, make_row
from numasync.tools.bench.peers.python import NOT_INSTALLED, describe_python
from numasync.tools.bench.peers.session import PeerError, Session, options_of
from numasync.tools.bench.peers.table import NOT_THE_SAME, Pair, Program, make_pairs
from numasync.tools.bench.report import COLUMNS
from numasync.tools.bench.section import Options

ENV = "CartPole-v1"

# A program that trains no agent: its speed is an option. It writes each turn to a file.
STAND_IN = """
import os, time
class Training:
    def __init__(self, options):
        print("a library prints")
        self.options, self.turns = options, 0
        self.note("start " + os.environ.get("COLOUR", "none"))
    def note(self, text):
        with open(self.options["log"], "a") as file:
            file.write(f"{self.options['speed']} {text}\\n")
    def update(self):
        return time.time()
    def measure(self, seconds):
        self.turns += 1
        self.note(f"turn {seconds:g}")
        if self.turns == self.options.get("fails_in_turn"):
            raise ValueError("the game is broken.")
        return self.options["speed"] * self.turns
    def close(self):
        self.note("end")
"""


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A maker of Programs, in a folder with `stand_in`, `lacking`, which imports what nobody has, and `broken`."""
    folder = tmp_path / "programs"
    folder.mkdir()
    (folder / "serve.py").write_text(session.SERVE.read_text())
    (folder / "stand_in.py").write_text(STAND_IN)
    (folder / "lacking.py").write_text("import nobody_has_this\n")
    (folder / "broken.py").write_text("raise OSError('no such game')\n")
    monkeypatch.setattr(session, "SERVE", folder / "serve.py")

    def make(name, speed=0, module="stand_in", **options):
        given = (("speed", speed), ("log", str(tmp_path / "log")), *options.items())
        return Program(name, f"speed {speed}", module, ENV, 5, 8, given, packages="nobody")

    make.log = lambda: (tmp_path / "log").read_text().splitlines()
    return make


def compare_them(pairs, repetitions=2):
    said = []
    return compare(pairs, sys.executable, Options(repetitions, 0.2, [1]), said.append), said


def test_programs_take_turns_and_ratios_are_paired(programs):
    ours, fast, slow = programs("ours", 6), programs("fast", 3), programs("slow", 2)
    sections, said = compare_them([Pair(fast, ours), Pair(slow, ours)])
    first, second = sections["peers"]["rows"]
    assert (first["program"], first["ours"], first["steps_per_update"]) == ("fast, speed 3", "t_max 5", 40)
    # After one turn that does not count: the second and the third.
    assert (first["steps_per_s"], first["our_steps_per_s"]) == (7.5, 15)
    assert first["lowest_ratio"] == first["peer_ratio"] == first["highest_ratio"] == 2 and second["peer_ratio"] == 3
    turns = [line for line in programs.log() if "turn" in line]
    assert turns == ["6 turn 0.1", "3 turn 0.1", "2 turn 0.1"] * 3
    assert said == [f"{ENV}: starts ...", f"{ENV}: training in turns ..."]


def test_the_range_is_of_ratios_within_a_repetition():
    peer, ours = (Program(name, "", "", ENV, 5) for name in ("peer", "ours"))
    row = make_row(Pair(peer, ours), theirs=[1.0, 10.0, 2.0], ours=[4.0, 20.0, 6.0])
    assert (row["peer_ratio"], row["lowest_ratio"], row["highest_ratio"]) == (3, 2, 4)
    assert (row["steps_per_s"], row["our_steps_per_s"], row["program"]) == (2, 6, "peer")


def test_a_start_is_measured_with_empty_caches_and_with_those_it_has_filled(programs, monkeypatch):
    folders = []
    real = session.environment_of
    monkeypatch.setattr(session, "environment_of", lambda caches, own: folders.append(caches.name) or real(caches, own))
    sections, _ = compare_them([Pair(programs("peer", 1), programs("ours", 2))])
    assert folders == ["stand_in0"] * 2 + ["stand_in1"] * 2 + ["stand_in0"] * 2
    assert [row["program"] for row in sections["starts"]["rows"]] == ["ours"], "two settings of one program start once"
    assert all(row[key] > 0 for row in sections["starts"]["rows"] for key in ("cold_seconds", "warm_seconds"))


def test_a_missing_package_is_one_sentence_and_the_others_are_measured(programs):
    ours, peer, lacking = programs("ours", 4), programs("peer", 2), programs("lacking", 1, "lacking")
    sections, _ = compare_them([Pair(lacking, ours), Pair(peer, ours)])
    assert [row["program"] for row in sections["peers"]["rows"]] == ["peer, speed 2"]
    assert sections["peers"]["notes"] == [
        f"lacking, speed 1 on {ENV} is left out: the package nobody_has_this is missing; "
        f"install it with `{sys.executable} -m pip install nobody`."
    ]


def test_a_program_that_fails_in_a_turn_or_at_its_start_is_left_out_with_its_last_words(programs):
    ours, tired, broken = programs("ours", 4), programs("tired", 2, fails_in_turn=2), programs("broken", 1, "broken")
    sections, _ = compare_them([Pair(peer, ours) for peer in (tired, broken, programs("peer", 1))])
    assert [row["program"] for row in sections["peers"]["rows"]] == ["peer, speed 1"]
    early, late = sections["peers"]["notes"]
    assert early == f"broken, speed 1 on {ENV} is left out: its program ended with exit code 1: OSError: no such game."
    assert late.endswith("exit code 1: ValueError: the game is broken.") and late.startswith("tired, speed 2")
    assert [programs.log().count(f"{speed} turn 0.1") for speed in (4, 2, 1)] == [3, 2, 3]


def test_nothing_is_compared_where_numasync_fails(programs):
    with pytest.raises(WorkerError, match="ours, speed 1 on CartPole-v1 cannot be measured: its program ended"):
        compare_them([Pair(programs("peer", 2), programs("ours", 1, "broken"))])


def test_a_session_ends_its_program_and_passes_variables_on(programs, tmp_path):
    program = programs("peer", 3)._replace(variables=(("COLOUR", "red"),))
    with Session(program, sys.executable, tmp_path) as running:
        assert running.seconds_to_update > 0 and running.measure(0.5) == 3
    assert running.process.poll() is not None and programs.log()[0] == "3 start red"
    with pytest.raises(PeerError, match="the package nobody_has_this is missing"):
        Session(programs("lacking", 1, "lacking"), sys.executable, tmp_path)


def test_every_program_gets_its_options_and_has_its_notes():
    pairs = make_pairs(2)
    assert {pair.ours.environment for pair in pairs} == {pair.peer.environment for pair in pairs}
    assert all(pair.ours.environment == pair.peer.environment for pair in pairs)
    for program in {program for pair in pairs for program in pair}:
        options = options_of(program)
        assert {"environment", "environments", "t_max", "cores"} <= options.keys() and json.dumps(options)
        assert (Path(session.SERVE).parent / f"{program.module}.py").exists() and program.name in NOT_THE_SAME
    labels = [pair.peer.label for pair in pairs]
    assert "JAX A2C, 256 environments, t 20, 2 devices" in labels and len(make_pairs(1)) == len(pairs) - 2
    assert {pair.peer.variables for pair in make_pairs(7) if pair.peer.variables} == {
        (("JAX_NUM_CPU_DEVICES", "1"),),
        (("JAX_NUM_CPU_DEVICES", "4"),),
    }
    assert all(text.startswith(name) for name, texts in NOT_THE_SAME.items() for text in texts)


def test_the_python_of_the_peers_is_described_or_refused(tmp_path):
    versions = describe_python(sys.executable)
    assert versions["python"].startswith("3.") and versions["numpy"] != NOT_INSTALLED
    with pytest.raises(InputError, match="is no Python"):
        describe_python(str(tmp_path / "nothing"))


@pytest.mark.compiled
def test_results_are_printed_returned_and_written_as_a_page(programs, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(peers, "make_pairs", lambda cores: (Pair(programs("JAX A2C", 2), programs("ours", 5)),))
    monkeypatch.setattr(comparison, "NOT_THE_SAME", {"ours": ("A note about the work.",)})
    page = tmp_path / "page.md"
    arguments = ["bench", "--peers", sys.executable, "--repetitions", "1", "--seconds", "0.1"]
    monkeypatch.setattr(sys, "argv", ["numasync", *arguments])
    assert main([*arguments, "--markdown", str(page)]) == 0
    printed = capsys.readouterr().out
    assert f"{peers.TITLES['peers']}\nenvironment  program" in printed and "A note about the work." in printed
    text = page.read_text()
    assert f"| {ENV} | JAX A2C, speed 2 | 40 | 4 | t_max 5 | 10 | 2.50 | 2.50 | 2.50 |" in text
    assert (
        "- A note about the work." in text
        and "`numasync bench --peers " in text
        and "turns for each program: 1 of 0.1 s" in text
    )
    assert main([*arguments, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert list(result) == ["machine", "peers_python", "options", "peers", "starts"]
    assert all(key in COLUMNS for name in peers.TITLES for row in result[name]["rows"] for key in row)


@pytest.mark.parametrize(
    "arguments, says",
    [
        ("--markdown page.md", "--markdown goes with --peers"),
        ("--peers --only layers", "--only and --workers do not go with --peers"),
        ("--peers --repetitions 0", "repetitions is 0"),
        ("--peers /nowhere/python", "/nowhere/python cannot run the peers, because it is no Python"),
        ("--peers --markdown /nowhere/page.md", "/nowhere/page.md cannot be written"),
    ],
)
@pytest.mark.compiled
def test_bad_input_gets_one_sentence(capsys, arguments, says):
    assert main(["bench", *arguments.split()]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and says in captured.err and re.fullmatch(r"numasync: .+\.\n", captured.err)


@pytest.mark.slow
@pytest.mark.parametrize("pair", list(make_pairs(1)), ids=lambda pair: f"{pair.peer.environment} {pair.peer.label}")
def test_a_peer_trains(pair, tmp_path):
    for package in {"jax_a2c": ["gymnax"], "sb3_a2c": ["stable_baselines3", "cv2"]}.get(pair.peer.module, ["torch"]):
        pytest.importorskip(package)
    with Session(pair.peer, sys.executable, tmp_path) as running:
        assert running.measure(0.5) > 0
