"""The folder of a run travels as bytes."""

import pytest

from numasync.distributed.folder_bytes import read_files, read_run_files, write_files


def test_a_folder_arrives_as_it_was(tmp_path):
    (tmp_path / "a" / "checkpoints").mkdir(parents=True)
    (tmp_path / "a" / "checkpoints" / "1.npz").write_bytes(b"\x00\x01")
    (tmp_path / "a" / "training.npz").write_bytes(b"state")
    write_files(tmp_path / "b", read_files(tmp_path / "a")[0])
    assert (tmp_path / "b" / "checkpoints" / "1.npz").read_bytes() == b"\x00\x01"
    assert (tmp_path / "b" / "training.npz").read_bytes() == b"state"


def test_only_what_has_changed_travels_again(tmp_path):
    (tmp_path / "monitor.csv").write_text("1\n")
    (tmp_path / "config.json").write_text("{}")
    _, marks = read_files(tmp_path)
    (tmp_path / "monitor.csv").write_text("1\n2\n")
    assert read_files(tmp_path, marks)[0] == {"monitor.csv": b"1\n2\n"}


def test_the_training_state_is_read_first(tmp_path):
    """Read later, it could say more than the other files hold."""
    for name in ("config.json", "monitor.csv", "training.npz"):
        (tmp_path / name).write_text("x")
    assert next(iter(read_files(tmp_path)[0])) == "training.npz"


def test_the_file_of_a_write_that_goes_on_stays_where_it_is(tmp_path):
    (tmp_path / ".numasync-12345678").write_text("half")
    assert read_files(tmp_path)[0] == {}


def test_a_folder_that_does_not_exist_has_no_files(tmp_path):
    assert read_files(tmp_path / "none") == ({}, {})


@pytest.mark.parametrize("written", range(6))
def test_a_kill_in_between_leaves_a_run_that_can_go_on(tmp_path, monkeypatch, written):
    """A checkpoint without a state, and a result without a checkpoint, would be refused."""
    names = "checkpoint.npz", "config.json", "monitor.csv", "result.json", "training.npz"
    order = []
    monkeypatch.setattr("numasync.distributed.folder_bytes.write_atomically", lambda path, _: order.append(path.name))
    write_files(tmp_path, dict.fromkeys(names, b""))
    found = set(order[:written])
    assert "checkpoint.npz" not in found or "training.npz" in found
    assert "training.npz" not in found or {"config.json", "monitor.csv"} <= found
    assert "result.json" not in found or len(found) == 5


def test_a_run_without_its_options_has_not_begun(tmp_path):
    (tmp_path / "monitor.csv").write_text("x")
    assert read_run_files(tmp_path) == {}
