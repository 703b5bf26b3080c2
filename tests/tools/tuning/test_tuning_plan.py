"""What a tuning searches, and the options of its trials."""

import json

import pytest

from numasync import InputError
from numasync.config import make_config, validate_options
from numasync.tools.tuning.plan import EVALUATIONS, SEED, as_arguments, make_settings, options_of, space_of

REPORTED_SEEDS = range(1, 6)


def drawn(settings, high=False):
    """The lowest or the highest value of each option."""
    pick = -1 if high else 0
    return {name: (v.choices or (v.low, v.high))[pick] for name, v in space_of(settings).items()}


@pytest.mark.parametrize(
    ("env", "algo", "options", "searched"),
    [
        ("CartPole-v1", "a3c", {}, "lr t_max clip_norm rms_eps beta"),
        ("CartPole-v1", "nstep_q", {}, "lr t_max clip_norm rms_eps target_interval epsilon_steps"),
        ("CartPole-v1", "a3c", dict(optimizer="momentum_sgd"), "lr t_max clip_norm beta"),
        ("CartPole-v1", "a3c", dict(lr=0.01, beta=0.0, steps=9), "t_max clip_norm rms_eps"),
        ("Pendulum-v1", "a3c", {}, "lr t_max clip_norm rms_eps beta"),
    ],
)
def test_an_algorithm_has_its_options_searched_and_what_is_given_is_fixed(env, algo, options, searched):
    settings = make_settings(env, algo, **options)
    assert list(settings["space"]) == searched.split()
    assert settings["fixed"].items() >= {**options, "env": env, "algo": algo}.items()
    assert not settings["fixed"].keys() & settings["space"].keys()


def test_keywords_make_the_environment_of_a_tuning():
    given = {"env_kwargs": {"max_episode_steps": 7}}
    assert make_settings("gymnasium:CartPole-v1", "a3c", **given)["fixed"].items() >= given.items()
    with pytest.raises(InputError, match="takes no 'max_steps'"):
        make_settings("gymnasium:CartPole-v1", "a3c", env_kwargs={"max_steps": 7})


def test_the_learning_rate_has_the_range_of_the_paper():
    values = space_of(make_settings("CartPole-v1", "a3c"))["lr"]
    assert (values.low, values.high) == (1e-4, 1e-2)


def test_every_trial_can_be_trained():
    for algo in ("one_step_q", "one_step_sarsa", "nstep_q", "a3c"):
        for steps in (1, 30, 10**6):
            settings = make_settings("CartPole-v1", algo, steps=steps)
            for high in (False, True):
                options = options_of(settings, drawn(settings, high), 7)
                assert json.loads(json.dumps(options)) == options
                config = make_config("classic", **validate_options(as_arguments(options)))
                assert (config.steps, config.seed, config.algo) == (steps, 7, algo)


def test_a_trial_repeats_and_is_evaluated_and_has_no_seed_that_is_reported():
    settings = make_settings("CartPole-v1", "a3c", steps=5000)
    assert settings["seed"] == SEED and SEED not in REPORTED_SEEDS
    assert settings["fixed"]["deterministic"] is True
    assert settings["fixed"]["eval_every"] == 5000 // EVALUATIONS
    other = make_settings("CartPole-v1", "a3c", deterministic=False, eval_every=0, seed=3)
    assert (other["seed"], other["fixed"]["deterministic"], other["fixed"]["eval_every"]) == (3, False, 0)


def test_layers_are_kept():
    import numasync

    layers = (numasync.dense(8), numasync.relu())
    settings = make_settings("CartPole-v1", "a3c", network=layers)
    assert as_arguments(options_of(settings, drawn(settings), 1))["network"] == layers


def test_numbers_are_rounded_to_what_a_file_shows():
    settings = make_settings("CartPole-v1", "a3c")
    assert options_of(settings, {**drawn(settings), "lr": 0.00123456}, 1)["lr"] == 0.001235


def test_something_must_be_left_to_search():
    everything = dict(lr=0.1, t_max=5, clip_norm=1.0, rms_eps=0.1, beta=0.1)
    with pytest.raises(InputError, match="Every option that a tuning searches is given; leave one out"):
        make_settings("CartPole-v1", "a3c", **everything)
