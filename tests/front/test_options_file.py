"""`numasync train --config FILE`: options from a config.json or a TOML file, checked, and overridden by flags."""

import dataclasses
import json
import os
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from support.text import is_one_sentence

import numasync
from numasync import cli, dense, relu
from numasync.config import make_config
from numasync.training.records import LONGEST_JSON, RunFolder

TOML = pytest.mark.skipif(sys.version_info < (3, 11), reason="this Python reads no TOML")
LAYERS = (dense(16), relu())
DETERMINISTIC = dict(algo="a3c", network=LAYERS, steps=3000, workers=3, seed=5, lr=3.3e-3, deterministic=True)


@pytest.fixture
def options_of(monkeypatch, tmp_path):
    """Returns the options that `numasync train --config FILE ARGUMENTS` gives to train, which does nothing."""

    def call(file, *arguments):
        given = {}

        def train(display, out, from_agent, **options):
            given.update(options)
            (tmp_path / "result.json").touch()
            return SimpleNamespace(result={"interrupted": False})

        monkeypatch.setattr("numasync.commands.train.train_and_show", train)
        assert cli.main(["train", "--config", str(file), *arguments, "--out", str(tmp_path)]) == 0
        return given

    return call


@pytest.fixture
def refusal(monkeypatch, tmp_path, capsys):
    """Returns the sentence with which `numasync train --config FILE` is refused. The current folder stays empty."""
    (tmp_path / "current").mkdir()
    monkeypatch.chdir(tmp_path / "current")

    def call(file):
        assert cli.main(["train", "--config", str(file)]) == 2
        out, err = capsys.readouterr()
        sentence = err.removeprefix("numasync: ").removesuffix("\n")
        assert out == "" and "\n" not in sentence and sentence.endswith(".")
        assert str(file) in sentence and not list((tmp_path / "current").iterdir())
        return sentence

    return call


@pytest.fixture
def toml(tmp_path):
    """Writes a TOML file and returns its path."""

    def write(text):
        (tmp_path / "options.toml").write_text(text)
        return tmp_path / "options.toml"

    return write


@pytest.mark.compiled
def test_a_deterministic_run_is_repeated_bit_for_bit(tmp_path, capsys):
    first = numasync.train("CartPole-v1", out=tmp_path / "first", final_eval_episodes=2, **DETERMINISTIC)
    words = ["train", "--config", str(tmp_path / "first" / "config.json"), "--out", str(tmp_path / "again")]
    assert cli.main(words) == 0 and capsys.readouterr().err == ""
    again = numasync.load(tmp_path / "again" / "checkpoint.npz")
    np.testing.assert_array_equal(again.theta, first.theta)
    assert again.config == first.config and again.config.network == LAYERS
    configs = [(tmp_path / name / "config.json").read_text() for name in ("first", "again")]
    assert configs[0] == configs[1]


@pytest.mark.parametrize("network", ["mlp", LAYERS])
def test_every_option_of_a_config_is_given_and_what_made_it_is_not(options_of, tmp_path, network):
    config = make_config("atari", env="ALE/Pong-v5", algo="a3c", seed=9, lr=1 / 3, network=network)
    RunFolder(tmp_path / "run", config).close()
    assert "made_by" in (tmp_path / "run" / "config.json").read_text()
    assert options_of(tmp_path / "run" / "config.json") == dataclasses.asdict(config) | {"network": network}


def test_a_flag_overrides_the_file(options_of, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"seed": 3, "lr": 0.5, "deterministic": True}))
    found = options_of(tmp_path / "config.json", "--seed", "4", "--no-deterministic", "--decay", "0.25")
    assert found == {"seed": 4, "lr": 0.5, "deterministic": False, "rms_decay": 0.25}


@TOML
def test_a_toml_file_has_options_by_their_python_names(options_of, toml):
    text = 'env = "Catch-v0"\nsteps = 1_000\nlr = 1\nnormalize = true\nnetwork = [{kind="dense", sizes=[16]}]\n'
    wanted = dict(env="Catch-v0", steps=1000, lr=1.0, normalize=True, network=(dense(16),))
    assert options_of(toml(text)) == wanted


@TOML
def test_an_old_name_in_a_file_is_accepted_with_a_warning(options_of, toml, capsys):
    file = toml("decay = 0.5\neval_episodes = 7\n")
    assert options_of(file) == {"rms_decay": 0.5, "final_eval_episodes": 7}
    lines = [f"{file}: decay is now rms_decay.", f"{file}: eval_episodes is now final_eval_episodes."]
    assert capsys.readouterr().err == "".join(f"numasync: {line}\n" for line in lines)


def test_json_is_known_by_its_ending_or_its_brace(options_of, refusal, tmp_path):
    (tmp_path / "options").write_text(' \n{"seed": 3}')
    (tmp_path / "bad.json").write_text("seed = 3")
    assert options_of(tmp_path / "options") == {"seed": 3}
    assert "is damaged or no JSON file" in refusal(tmp_path / "bad.json")


@TOML
@pytest.mark.parametrize(
    "text, says",
    [
        ("lr = -1", "lr is -1; it must be a number above 0, up to 1e+30."),
        ("lr = 1979-05-27", "lr is datetime.date(1979, 5, 27); it must be a number above 0"),
        ('steps = "many"', "steps is 'many'; it must be a whole number from 1"),
        ("normalize = 1", "normalize is 1; it must be True or False."),
        ("algo = 5", "5 is no algo; choose one of one_step_q,"),
        ("learning_rate = 1", "'learning_rate' is no option of a run; you may mean lr."),
        ("colour = 1", "'colour' is no option of a run; the options are algo, env,"),
        ("[train]\nlr = 1", "'train' is no option of a run"),
        ("decay = 0.5\nrms_decay = 0.5", "decay is the old name of rms_decay; give rms_decay alone."),
        ("network = [64]", "network is [64]; it must be a name or a list of layers such as {"),
        ('network = [{kind = "dense"}]', "it must be a name or a list of layers such as {"),
        ('network = [{kind = "dense", sizes = [-3]}]', "A size of dense is -3; it must be a whole number from 1"),
        ("lr = ", "is damaged or no TOML file: "),
        ("lr = 1\nlr = 2", "is damaged or no TOML file: "),
    ],
)
def test_what_is_wrong_in_a_file_is_one_sentence_that_names_it(refusal, toml, text, says):
    sentence = refusal(toml(text))
    assert says in sentence and is_one_sentence(sentence)


@pytest.mark.parametrize(
    "content, says",
    [
        (b"", "is damaged or no JSON file"),
        (b"\x00\xff\xfe", "is no text; name a config.json or a TOML file."),
        (b"[" * 100_000, "is damaged or no JSON file: it is nested too deeply."),
        (b"[1, 2]", "holds [1, 2]; it must hold options of a run by their names."),
        (b"1" * 5000, "is damaged or no JSON file"),
        (b" " * (LONGEST_JSON + 1), "is too long for a file of options; name a config.json or a TOML file."),
        (b'{"lr": NaN}', "lr is nan; it must be a number above 0"),
    ],
)
def test_a_damaged_file_is_one_sentence(refusal, tmp_path, content, says):
    (tmp_path / "config.json").write_bytes(content)
    assert says in refusal(tmp_path / "config.json")


@pytest.mark.parametrize(
    "name, says",
    [
        ("missing", "cannot be read: No such file or directory."),
        ("missing/x", "cannot be read: No such file or directory."),
        ("folder", "is a directory; name a file of options, such as "),
        ("pipe", "is no file, but a pipe, a device or a link to itself; name a file of options."),
        ("loop", "is no file, but a pipe, a device or a link to itself; name a file of options."),
        ("/dev/zero", "is no file, but a pipe, a device or a link to itself; name a file of options."),
    ],
)
def test_a_path_that_is_no_file_is_one_sentence(refusal, tmp_path, name, says):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    assert says in refusal(tmp_path / name)


def test_without_a_reader_of_toml_one_sentence_says_so(refusal, toml, monkeypatch):
    for name in ("tomllib", "tomli"):
        monkeypatch.setitem(sys.modules, name, None)
    says = "is read with Python 3.11, or with the package tomli; install it, or write JSON."
    assert refusal(toml("seed = 3")).endswith(says)
