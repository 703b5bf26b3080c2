"""Options: presets, refusals, types, help."""

import dataclasses
import math

import numpy as np
import pytest

from numasync import InputError, dense, relu
from numasync import config as config_module
from numasync.algorithms import ALGORITHMS
from numasync.config import ABOVE_ZERO, PRESETS, Config, check, make_config

FIELDS = {field.name: field for field in dataclasses.fields(Config)}
BOUNDED = [name for name, field in FIELDS.items() if field.metadata["low"] is not None]
FAMILIES = ("classic", "image", "atari")


def below(field):
    """The largest value that the field's `low` excludes."""
    low = field.metadata["low"]
    return low - 1 if field.type is int else math.nextafter(low, -math.inf)


def test_given_values_win_over_the_algorithms_preset_the_familys_and_the_defaults(monkeypatch):
    presets = {"classic": dict(lr=0.5, gamma=0.5, t_max=7), ("classic", "a3c"): dict(lr=0.25, beta=0.125), "atari": {}}
    monkeypatch.setattr(config_module, "PRESETS", presets)
    found = make_config("classic", algo="a3c", t_max=9)
    assert found == Config(algo="a3c", t_max=9, lr=0.25, beta=0.125, gamma=0.5)
    assert make_config("classic") == Config(lr=0.5, gamma=0.5, t_max=7), "the preset of a3c is not for nstep_q"
    assert make_config("atari", algo="a3c") == Config(algo="a3c")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("algo", ALGORITHMS)
def test_every_preset_is_made_of_options_that_are_allowed(family, algo):
    found = make_config(family, algo=algo)
    assert found.algo == algo
    check(dataclasses.asdict(found))


def test_presets_are_of_known_families_and_algorithms():
    for key in PRESETS:
        family, algo = (key, "a3c") if isinstance(key, str) else key
        assert family in FAMILIES and algo in ALGORITHMS


def test_the_defaults_are_those_of_the_paper_for_atari():
    found = make_config("atari")
    assert (found.gamma, found.t_max, found.decay, found.clip_norm, found.reward_clip) == (0.99, 5, 0.99, 40.0, 1.0)
    assert found.optimizer == "shared_rmsprop" and found.epsilon_steps == 1_000_000


def test_every_option_has_a_help_text_of_its_own():
    texts = [field.metadata["help"] for field in FIELDS.values()]
    assert all(len(text) > 5 for text in texts) and len(set(texts)) == len(texts)


@pytest.mark.parametrize("name", BOUNDED)
def test_just_below_the_bound_is_refused_and_the_bound_accepted(name):
    field = FIELDS[name]
    bound = "above 0" if field.metadata["low"] == ABOVE_ZERO else f"{field.metadata['low']} or more"
    with pytest.raises(InputError, match=rf"^{name} is .*; it must be .*{bound}\.$"):
        check({name: below(field)})
    check({name: field.metadata["low"]})


@pytest.mark.parametrize("name", [name for name in BOUNDED if FIELDS[name].type is float])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "0.1", None])
def test_a_real_option_is_a_finite_number(name, value):
    with pytest.raises(InputError, match=rf"^{name} is {value}; it must be a finite number"):
        check({name: value})


@pytest.mark.parametrize("name, value, says", [
    ("gamma", 1.001, "from 0 to 1"), ("decay", 1.0, "at least 0 and below 1"), ("eval_epsilon", 1.5, "from 0 to 1"),
])  # fmt: skip
def test_bounds_from_above(name, value, says):
    with pytest.raises(InputError, match=rf"^{name} is {value}; it must be {says}\.$"):
        check({name: value})
    check({name: 0.999})


@pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if field.type is int])
@pytest.mark.parametrize("value", [2.5, 2.0, True, "2", None])
def test_an_integer_option_is_a_whole_number(name, value):
    with pytest.raises(InputError, match=rf"^{name} is {value!r}; it must be a whole number\.$"):
        check({name: value})


@pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if field.type is bool])
@pytest.mark.parametrize("value", [0, 1, "yes", None])
def test_a_switch_is_true_or_false(name, value):
    with pytest.raises(InputError, match=rf"^{name} is {value!r}; it must be True or False\.$"):
        check({name: value})
    check({name: True})


@pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if field.metadata["choices"]])
def test_a_choice_is_one_of_the_choices(name):
    choices = FIELDS[name].metadata["choices"]
    with pytest.raises(InputError, match=rf"^'nope' is no {name}; choose one of {', '.join(choices)}\.$"):
        check({name: "nope"})
    for choice in choices:
        check({name: choice})


@pytest.mark.parametrize("value", [("mlp",), (dense(8), "relu"), 5, None])
def test_a_network_is_a_name_or_layers(value):
    with pytest.raises(InputError, match="network must be a name or a tuple of layers"):
        check({"network": value})
    check({"network": (dense(8), relu())})


@pytest.mark.parametrize("value", [5, None, True])
def test_an_environment_is_a_name(value):
    with pytest.raises(InputError, match=r"^env is "):
        check({"env": value})


@pytest.mark.parametrize("value", [np.int64(3), np.int32(3), np.uint8(3)])
def test_an_integer_of_numpy_is_a_whole_number(value):
    check({"seed": value, "steps": value})


@pytest.mark.parametrize("value", [np.float64(0.5), np.float32(0.5), 1])
def test_a_real_option_takes_any_real_number(value):
    check({"lr": value, "gamma": value})


@pytest.mark.parametrize("name", ["steps", "t_max", "target_interval", "epsilon_steps"])
def test_an_integer_that_no_kernel_can_hold_is_refused(name):
    with pytest.raises(InputError, match=rf"^{name} is "):
        check({name: 2**63})


def test_an_unknown_option_is_answered_with_the_known_ones():
    with pytest.raises(InputError, match=rf"^'learning_rate' is no option of a run; .*{', '.join(FIELDS)}\.$"):
        make_config("classic", learning_rate=0.1)


def test_a_config_does_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().lr = 0.1
