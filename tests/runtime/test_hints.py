"""An unknown word is answered with the nearest known one."""

import dataclasses
import time

import pytest

import numasync
from numasync.agent.agent import load
from numasync.agent.other_names import OTHER_NAMES, OTHER_OPTIONS, OTHER_VERBS
from numasync.cli import VERBS, main
from numasync.config import RENAMED, Config, validate_options
from numasync.envs.nearest import find_nearest_id
from numasync.errors import InputError
from numasync.runtime.hints import LONGEST_WORD, advise, find_hint, find_nearest

FIELDS = {field.name: field for field in dataclasses.fields(Config)}
# Arguments of train, or of a train to come.
MORE = {"out", "from_agent", "verbose", "callbacks", "tensorboard"}


def is_phrase(text):
    return " " in text


@pytest.mark.parametrize(
    ("word", "near"),
    [("lrr", "lr"), ("LR", "lr"), ("clip-norm", "clip_norm"), ("wrokers", "workers"), ("colour", None), ("", None)],
)
def test_the_nearest_word_is_found(word, near):
    assert find_nearest(word, FIELDS) == near


def test_a_table_of_other_names_comes_before_similar_words():
    others = {"weight": "beta", "heights": "leave it out, it is gone"}
    known = ("heigth", "beta")
    assert find_hint("weight", known, others) == "you may mean beta"
    assert find_hint("Heights", known, others) == "leave it out, it is gone"
    assert find_hint("weight", ("betas",), others) == "you may mean betas"
    assert find_hint("weight", known, others, "--{}".format) == "you may mean --beta"
    assert find_hint(5, known, others) is None


def test_without_a_near_word_all_are_listed():
    assert advise("x", ("one", "two")) == "choose one of one, two"


def test_a_long_word_takes_no_time():
    start = time.perf_counter()
    assert find_hint("ab" * 10**6, ["ab" * LONGEST_WORD] * 10) is None
    assert time.perf_counter() - start < 1


def test_the_tables_lead_to_what_there_is():
    assert [name for name in OTHER_OPTIONS.values() if not is_phrase(name) and name not in FIELDS.keys() | MORE] == []
    assert not OTHER_OPTIONS.keys() & (FIELDS.keys() | RENAMED.keys()), "no option is hidden"
    for option, others in OTHER_NAMES.items():
        choices = FIELDS[option].metadata["choices"]
        assert all(is_phrase(name) or name in choices for name in others.values())
        assert not others.keys() & set(choices)
    assert set(OTHER_VERBS.values()) <= set(VERBS) and not OTHER_VERBS.keys() & set(VERBS)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (dict(total_timesteps=5), "'total_timesteps' is no option of a run; you may mean steps."),
        (dict(learning_rate=5), "you may mean lr."),
        (dict(n_envs=5), "you may mean workers."),
        (dict(n_steps=5), "you may mean t_max."),
        (dict(ent_coef=5), "you may mean beta."),
        (dict(max_grad_norm=5), "you may mean clip_norm."),
        (dict(policy="MlpPolicy"), "you may mean network."),
        (dict(buffer_size=5), "leave it out, numasync keeps no replay memory"),
        (dict(algo="A3C"), "'A3C' is no algo; you may mean a3c."),
        (dict(algo="A2C"), "'A2C' is no algo; the asynchronous form of it is a3c."),
        (dict(network="MlpPolicy"), "you may mean mlp."),
        (dict(optimizer="Adam"), "the optimisers here are shared_rmsprop, rmsprop and momentum_sgd."),
    ],
)
def test_an_option_of_another_library_is_understood(options, says):
    with pytest.raises(InputError) as refused:
        validate_options(options)
    assert str(refused.value).endswith(says) or says in str(refused.value)
    assert len(str(refused.value)) < 150, "the list of all options would be in the way"


def test_functions_know_their_own_arguments():
    with pytest.raises(InputError, match="'logdir' is no option of a run; you may mean out"):
        numasync.train(logdir="x")
    with pytest.raises(InputError, match="'n_envs' is no option of a study; you may mean workers"):
        numasync.study("lr", n_envs=3)
    with pytest.raises(InputError, match="'optimisers' is no study; you may mean optimizers"):
        numasync.study("optimisers")


def test_the_name_of_a_pretrained_agent_is_corrected():
    with pytest.raises(InputError, match="There is no file Pong_A3C, .* you may mean pong-a3c"):
        load("Pong_A3C")


@pytest.mark.parametrize(
    ("env_id", "near"),
    [
        ("Cartpole-v1", "CartPole-v1"),
        ("MinAtar/breakout", "MinAtar/Breakout-v1"),
        ("Minatar/SpaceInvader-v0", "MinAtar/SpaceInvaders-v1"),
        ("Ponk", "ALE/Pong-v5"),
        ("Atari/Pong-v5", "ALE/Pong-v5"),
        ("breakout", "ALE/Breakout-v5"),
        ("gymnasium:Cartpole-v1", "gymnasium:CartPole-v1"),
        ("Nope-v0", None),
    ],
)
def test_an_unknown_id_is_corrected(env_id, near):
    pytest.importorskip("numasync.envs.python.atari")  # registers the games
    assert find_nearest_id(env_id) == near


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("trian --steps 3", "numasync train: unrecognized arguments: trian; you may mean numasync train; see"),
        ("evaluate pong-a3c", "you may mean numasync eval; see"),
        ("--total-timesteps 5", "unrecognized arguments: --total-timesteps 5; you may mean --steps; see"),
        ("train --learning-rate=1", "you may mean --lr; see"),
        ("--env-id Pong-v5", "you may mean --env; see"),
        ("--output x", "you may mean --out; see"),
        ("--batch-size 5", "leave it out, numasync keeps no replay memory"),
        ("study lr --algorithm a3c", "numasync study: unrecognized arguments: --algorithm a3c; you may mean --algos;"),
        pytest.param(
            *("bench --only netwrk", "bench does not measure 'netwrk'; you may mean network."),
            marks=pytest.mark.compiled,
        ),
        ("envs --jsn", "you may mean --json; see"),
    ],
)
def test_the_command_line_corrects(capsys, words, says):
    with pytest.raises(SystemExit) as ended:
        raise SystemExit(main(words.split()))
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert says in err and err.count("\n") == 1
