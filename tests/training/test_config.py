"""Options: presets, refusals, types, help."""

import dataclasses
import math
import re
import typing
import warnings
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import numasync
from numasync import InputError, dense, heads, relu, towers
from numasync import config as config_module
from numasync.algorithms import ALGORITHMS
from numasync.config import (
    PRESETS,
    RENAMED,
    Config,
    Options,
    TrainOptions,
    make_config,
    rename_options,
    validate_options,
)
from numasync.envs.spec import FAMILIES
from numasync.runtime.checks import SMALLEST

FIELDS = {field.name: field for field in dataclasses.fields(Config)}
BOUNDED = [name for name, field in FIELDS.items() if field.metadata["low"] is not None]


def below(field):
    """The largest value that the field's `low` excludes."""
    low = field.metadata["low"]
    return low - 1 if field.type is int else math.nextafter(low, -math.inf)


def above(field):
    """The smallest value that the field's `high` excludes."""
    high = field.metadata["high"]
    return high + 1 if field.type is int else math.nextafter(high, math.inf)


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
    validate_options(dataclasses.asdict(found))


def test_presets_are_of_known_families_and_algorithms():
    for key in PRESETS:
        family, algo = (key, "a3c") if isinstance(key, str) else key
        assert family in FAMILIES and algo in ALGORITHMS


PAPER = dict(
    steps=80_000_000,
    workers=16,
    t_max=5,
    lr=7e-4,
    gamma=0.99,
    optimizer="shared_rmsprop",
    rms_decay=0.99,
    rms_eps=0.1,
    clip_norm=40.0,
    reward_clip=1.0,
    beta=0.01,
    target_interval=10_000,
    epsilon_steps=1_000_000,
    network="nips",
    normalize=False,
    terminal_on_life_loss=False,
    eval_epsilon=0.05,
    eval_greedy=False,
)


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_the_papers_preset_is_the_papers_numbers(algo):
    found = dataclasses.asdict(make_config("atari", algo=algo, preset="paper"))
    assert {name: found[name] for name in PAPER} == PAPER


@pytest.mark.parametrize("family", FAMILIES)
def test_the_papers_preset_has_the_familys_network_and_what_is_given(family):
    found = make_config(family, algo="a3c", preset="paper", lr=0.5)
    of_mujoco = dict(beta=1e-4, reward_clip=0.0, separate_value=True) if family == "continuous" else {}
    network = make_config(family, algo="a3c").network
    assert found == Config(algo="a3c", preset="paper", lr=0.5, network=network, **of_mujoco)


def test_every_option_has_a_help_text_of_its_own():
    texts = [field.metadata["help"] for field in FIELDS.values()]
    assert all(len(text) > 5 for text in texts) and len(set(texts)) == len(texts)


def bounds(field):
    """What a refusal says of the values that the field allows."""
    low, high = field.metadata["low"], field.metadata["high"]
    if field.type is int:
        return f"a whole number from {low} to {high}"
    return f"a number above 0, up to {high:g}" if low == SMALLEST else f"a number from {low:g} to {high:g}"


@pytest.mark.parametrize("name", BOUNDED)
def test_just_outside_the_bounds_is_refused_and_the_bounds_accepted(name):
    field = FIELDS[name]
    for value in (below(field), above(field)):
        with pytest.raises(InputError, match=rf"^{name} is .*; it must be {re.escape(bounds(field))}\.$"):
            validate_options({name: value})
    for value in (field.metadata["low"], field.metadata["high"]):
        assert validate_options({name: value}) == {name: value}


@pytest.mark.parametrize("name", [name for name in BOUNDED if FIELDS[name].type is float])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e-300, 1e39, "0.1", None, True])
def test_a_real_option_is_a_number_that_kernels_can_hold(name, value):
    with pytest.raises(InputError, match=rf"^{name} is {re.escape(repr(value))}; it must be a number"):
        validate_options({name: value})


@pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if field.type is int])
@pytest.mark.parametrize("value", [2.5, True, "2", None, math.nan, math.inf, np.bool_(True), np.array([2]), [2]])
def test_an_integer_option_is_a_whole_number(name, value):
    with pytest.raises(InputError, match=rf"^{name} is {re.escape(repr(value))}; it must be a whole number from"):
        validate_options({name: value})


@pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if field.type is bool])
@pytest.mark.parametrize("value", [0, 1, "yes", None])
def test_a_switch_is_true_or_false(name, value):
    with pytest.raises(InputError, match=rf"^{name} is {value!r}; it must be True or False\.$"):
        validate_options({name: value})
    validate_options({name: True})


@pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if field.metadata["choices"]])
def test_a_choice_is_one_of_the_choices(name):
    choices = FIELDS[name].metadata["choices"]
    with pytest.raises(InputError, match=rf"^'nope' is no {name}; choose one of {', '.join(choices)}\.$"):
        validate_options({name: "nope"})
    for choice in choices:
        validate_options({name: choice})


@pytest.mark.parametrize("value", [("mlp",), (dense(8), "relu"), 5, None])
def test_a_network_is_a_name_or_layers(value):
    with pytest.raises(InputError, match="^network is .*; it must be a name or a tuple of layers"):
        validate_options({"network": value})
    validate_options({"network": (dense(8), relu())})


@pytest.mark.parametrize(
    ("layers", "says"),
    [
        ((dense(8), relu(), heads(2, 1)), r"heads\(2, 1\); give the hidden layers alone, because the heads that the"),
        ((dense(8), heads(2), dense(4)), r"heads\(2\); give the hidden layers alone"),
        (
            [towers((dense(8),), (dense(8),))],
            r"towers\(\.\.\.\); give the hidden layers of one tower, because separate_",
        ),
    ],
)
def test_a_network_with_an_output_layer_is_refused_because_one_is_added(layers, says):
    with pytest.raises(InputError, match=f"^network has {says}"):
        make_config("classic", network=layers)
    with pytest.raises(InputError, match=f"^network has {says}"):
        numasync.train("CartPole-v1", network=layers)
    assert Config(network=layers).network == tuple(layers), "an agent of an earlier version keeps its layers"


@pytest.mark.parametrize("value", [5, None, True])
def test_an_environment_is_a_name(value):
    with pytest.raises(InputError, match=r"^env is "):
        validate_options({"env": value})


@pytest.mark.parametrize("value", [np.int64(3), np.int32(3), np.uint8(3), np.array(3), 3.0, Fraction(6, 2), Decimal(3)])
def test_a_whole_number_of_another_kind_or_library_is_one(value):
    found = validate_options({"seed": value})["seed"]
    assert found == 3 and type(found) is int, "json cannot write a number of numpy"


@pytest.mark.parametrize("value", [np.float64(0.5), np.float32(0.5), np.array(0.5), 1, Fraction(1, 2), Decimal("0.5")])
def test_a_real_option_takes_any_real_number(value):
    found = validate_options({"lr": value})["lr"]
    assert found == value and type(found) is float


@pytest.mark.parametrize("name", ["steps", "t_max", "target_interval", "epsilon_steps"])
def test_an_integer_that_no_kernel_can_hold_is_refused(name):
    with pytest.raises(InputError, match=rf"^{name} is "):
        validate_options({name: 2**63})


def test_an_unknown_option_is_answered_with_the_nearest_one_or_with_all():
    with pytest.raises(InputError, match=rf"^'colour' is no option of a run; .*{', '.join(FIELDS)}\.$"):
        make_config("classic", colour=0.1)
    with pytest.raises(InputError, match=r"^'learning_rate' is no option of a run; you may mean lr\.$"):
        make_config("classic", learning_rate=0.1)


def test_a_config_is_checked_too():
    assert Config(steps=1e6, network=[dense(8)]) == Config(steps=1_000_000, network=(dense(8),))
    assert type(Config(steps=1e6).steps) is int and dataclasses.replace(Config(), seed=np.int64(3)).seed == 3
    for wrong in (
        dict(steps=0),
        dict(algo=3),
        dict(env=["CartPole-v1"]),
        dict(deterministic=1),
        dict(network=("mlp",)),
    ):
        with pytest.raises(InputError, match=r"\.$"):
            Config(**wrong)
        with pytest.raises(InputError):
            dataclasses.replace(Config(), **wrong)


def test_a_config_does_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().lr = 0.1


# --- Old names


@pytest.mark.parametrize("old, new", RENAMED.items())
def test_an_old_name_is_accepted_with_a_warning_that_names_the_new_one(old, new):
    value = not FIELDS[new].default if FIELDS[new].type is bool else FIELDS[new].type(FIELDS[new].default / 2)
    with pytest.warns(FutureWarning, match=rf"^The option {old} is now called {new};"):
        found = make_config("classic", **{old: value})
    assert getattr(found, new) == value != FIELDS[new].default


@pytest.mark.parametrize("old, new", RENAMED.items())
def test_an_old_name_beside_the_new_one_is_refused(old, new):
    with pytest.raises(InputError, match=rf"^{old} is the old name of {new}; give {new} alone\.$"):
        validate_options({old: FIELDS[new].default, new: FIELDS[new].default})


def test_a_bad_value_under_an_old_name_is_refused_under_the_new_one():
    with pytest.warns(FutureWarning), pytest.raises(InputError, match="^rms_decay is 2.0; it must be a number"):
        validate_options({"decay": 2.0})


def test_options_of_an_old_file_are_renamed_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = rename_options({"decay": 0.9, "eval_episodes": 7, "lr": 0.1})
    assert found == {"rms_decay": 0.9, "final_eval_episodes": 7, "lr": 0.1}


# --- Types for editors


def test_the_options_for_type_checkers_are_the_fields_of_config():
    types = {name: field.type for name, field in FIELDS.items()}
    assert typing.get_type_hints(Options) == types
    assert typing.get_type_hints(TrainOptions) == {n: t for n, t in types.items() if n not in ("algo", "env")}
    assert not Options.__required_keys__ and not RENAMED.keys() & Options.__optional_keys__
