"""Checkpoints: written whole or not at all, read without pickle, refused in one sentence where they are damaged."""

import json
import os
import stat

import numpy as np
import pytest

import numasync
from numasync import InputError, dense, relu
from numasync.agent import checkpoint
from numasync.agent.agent import Agent
from numasync.agent.checkpoint import save_checkpoint, write_atomically
from numasync.config import Config
from numasync.envs.jitted.cartpole import CARTPOLE


@pytest.fixture
def agent():
    return Agent(Config(network=(dense(3), relu())), CARTPOLE.spec)


@pytest.fixture
def path(agent, tmp_path):
    agent.save(tmp_path / "agent.npz")
    return tmp_path / "agent.npz"


def loads_equal_or_is_refused(path, content, agent):
    """Write content to path and load it: true if it gives `agent`, false if it is refused, else an error."""
    path.write_bytes(content)
    try:
        found = numasync.load(path)
    except InputError as error:
        assert "\n" not in str(error) and str(error).endswith(".")
        return False
    assert found.config == agent.config and found.spec == agent.spec and found.theta.tobytes() == agent.theta.tobytes()
    return True


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "file"
    write_atomically(path, lambda file: file.write(b"old"))

    def fail(file):
        file.write(b"new, but only a part of")
        raise error

    with pytest.raises(type(error)):
        write_atomically(path, fail)
    assert list(tmp_path.iterdir()) == [path] and path.read_bytes() == b"old"


def test_the_old_file_stands_until_the_new_one_is_complete(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, lambda file: file.write(b"old"))

    def write(file):
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"

    write_atomically(path, write)
    assert list(tmp_path.iterdir()) == [path] and path.read_bytes() == b"new"


def test_a_file_has_the_permissions_that_the_umask_gives(tmp_path):
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "file", lambda file: None)
        assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640
        assert os.umask(0o027) == 0o027, "the umask is as it was"
    finally:
        os.umask(before)


def test_a_write_leaves_the_umask_alone(tmp_path, monkeypatch):
    """It is the whole process's: another thread would make its files with it."""
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("the umask is changed"))
    write_atomically(tmp_path / "file", lambda file: file.write(b"new"))
    assert (tmp_path / "file").read_bytes() == b"new"


def test_a_checkpoint_is_arrays_and_a_json_text_without_pickle(path, agent):
    with np.load(path, allow_pickle=False) as file:
        assert sorted(file.files) == ["description", "theta"]
        assert file["theta"].dtype == np.float32 and np.array_equal(file["theta"], agent.theta)
        description = json.loads(str(file["description"]))
    assert description["format"] == checkpoint.FORMAT and description["spec"]["id"] == "CartPole-v1"


def test_a_truncated_file_is_refused_wherever_it_ends(path, agent):
    whole = path.read_bytes()
    for length in np.linspace(0, len(whole) - 1, 20).astype(int):
        assert not loads_equal_or_is_refused(path, whole[:length], agent)
    assert loads_equal_or_is_refused(path, whole, agent)


def test_a_flipped_bit_is_harmless_or_noticed(path, agent):
    whole = path.read_bytes()
    rng = np.random.default_rng(1)
    directory = whole.index(b"PK\x01\x02")
    # Anywhere, and every bit of the zip file's directory, where a flip does not meet a checksum.
    bits = [*rng.integers(8 * len(whole), size=30), *range(8 * directory, 8 * len(whole))]
    refused = 0
    for bit in bits:
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << (bit % 8)
        refused += not loads_equal_or_is_refused(path, bytes(damaged), agent)
    assert refused > len(bits) // 2


def test_a_flipped_bit_of_the_parameters_is_refused(path, agent):
    whole = path.read_bytes()
    start = whole.index(agent.theta.tobytes())
    for byte in range(start, start + agent.theta.nbytes, 7):
        damaged = bytearray(whole)
        damaged[byte] ^= 1
        assert not loads_equal_or_is_refused(path, bytes(damaged), agent)


def test_another_format_is_refused_by_its_number(path, agent, monkeypatch):
    monkeypatch.setattr(checkpoint, "FORMAT", 2)
    agent.save(path)
    monkeypatch.setattr(checkpoint, "FORMAT", 1)
    with pytest.raises(InputError, match="has checkpoint format 2; this version of numasync reads format 1"):
        numasync.load(path)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_text("weights: none\n"),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"PK\x05\x06" + bytes(18)),  # an empty zip file
        lambda path: save_npz(path, theta=np.zeros(3)),
        lambda path: save_npz(path, description=np.array("no JSON"), theta=np.zeros(3)),
        lambda path: save_npz(path, description=np.array('["format"]'), theta=np.zeros(3)),
        lambda path: save_npz(path, description=np.array({"format": 1})),  # pickled
        lambda path: save_checkpoint(path, {}, {}),
        lambda path: save_checkpoint(path, {"config": {}, "spec": None, "result": None}, {"theta": np.zeros(3)}),
        lambda path: path.mkdir(),
        lambda path: None,
    ],
    ids=[
        "text",
        "empty",
        "no members",
        "no description",
        "no JSON",
        "a list",
        "pickled",
        "no agent",
        "no spec",
        "a folder",
        "nothing",
    ],
)
def test_what_is_no_checkpoint_is_refused_in_one_sentence(tmp_path, write):
    path = tmp_path / "agent.npz"
    write(path)
    with pytest.raises(InputError, match=r"agent\.npz\b.*\.$"):
        numasync.load(path)


def save_npz(path, **arrays):
    with open(path, "wb") as file:
        np.savez(file, **arrays)


def test_nothing_that_was_pickled_is_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (tmp_path / "ran").mkdir, ()

    save_npz(tmp_path / "agent.npz", description=np.array(Evil(), dtype=object))
    with pytest.raises(InputError):
        numasync.load(tmp_path / "agent.npz")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda theta: theta[:-1],
        lambda theta: np.append(theta, theta[:1]),
        lambda theta: theta.reshape(1, -1),
        lambda theta: theta.astype(np.float64),
        lambda theta: theta.astype(">f4"),
    ],
    ids=["shorter", "longer", "a matrix", "float64", "big-endian"],
)
def test_parameters_that_do_not_fit_the_network_are_refused(agent, path, change):
    agent.theta = change(agent.theta)
    agent.save(path)
    with pytest.raises(InputError, match="parameters that do not fit its network"):
        numasync.load(path)


def test_an_option_of_another_version_is_refused(agent, path, monkeypatch):
    monkeypatch.setattr(numasync.agent.agent.dataclasses, "asdict", lambda config: {"network": "mlp", "momentum": 0.5})
    agent.save(path)
    with pytest.raises(InputError, match="does not describe an agent of this version"):
        numasync.load(path)
