"""What `help(numasync.train)` and an editor show: every option, with type, default and help text."""

import dataclasses
import inspect
import pydoc

import pytest

import numasync
from numasync.agent.agent import Agent
from numasync.config import PRESETS, RENAMED, Config
from numasync.envs.objects import EnvLike

FIELDS = {field.name: field for field in dataclasses.fields(Config)}
PARAMETERS = inspect.signature(numasync.train).parameters
IN_PRESETS = {name for preset in PRESETS.values() for name in preset}


def test_train_shows_every_option_once_and_none_that_does_not_exist():
    assert list(PARAMETERS)[:5] == ["env", "algo", "out", "verbose", "from_agent"]
    assert set(PARAMETERS) == FIELDS.keys() | {"out", "verbose", "from_agent", "callbacks"}
    assert not RENAMED.keys() & PARAMETERS.keys()
    assert inspect.signature(numasync.train).return_annotation is Agent


@pytest.mark.parametrize("name", FIELDS)
def test_an_option_is_shown_with_type_and_default(name):
    parameter = PARAMETERS[name]
    assert parameter.annotation == (EnvLike if name == "env" else FIELDS[name].type)
    if name in IN_PRESETS:
        assert repr(parameter.default) == "<preset>", "a default that presets change is not shown as if it held"
    else:
        assert parameter.default == FIELDS[name].default


@pytest.mark.parametrize("name", [name for name in FIELDS if name not in ("env", "algo")])
def test_an_option_has_one_line_of_the_docstring(name):
    lines = [line.split() for line in inspect.getdoc(numasync.train).splitlines()]
    expected = f"{name} {FIELDS[name].metadata['help']} [{FIELDS[name].default}]"
    assert lines.count(expected.split()) == 1


def test_help_fits_its_lines():
    text = pydoc.plain(pydoc.render_doc(numasync.train))
    assert "OPTIONS" not in text and "lr: float = <preset>" in text
    assert max(map(len, inspect.getdoc(numasync.train).splitlines())) <= 120


def test_an_option_that_does_not_exist_is_refused_as_before():
    with pytest.raises(numasync.InputError, match="^'learning_rate' is no option of a run"):
        numasync.train(learning_rate=0.1)
