"""`numasync export` as a user runs it."""

import pytest
from support.agents import make_agent

from numasync.cli import main

onnx = pytest.importorskip("onnx")


def test_export_writes_an_onnx_file_and_prints_its_path(tmp_path, capsys):
    make_agent().save(tmp_path / "agent.npz")
    path = tmp_path / "agent.onnx"
    assert main(["export", str(tmp_path / "agent.npz"), "--onnx", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}\n"
    assert [each.name for each in onnx.load(path).graph.output] == ["action", "q", "value"]


@pytest.mark.parametrize("words", [["export"], ["export", "pong-a3c"], ["export", "--onnx", "x.onnx"]])
def test_export_needs_an_agent_and_a_file(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2 and "required" in capsys.readouterr().err
