"""The human-normalised score: Table 1 of the paper out of its Table S3; the ids of all of ALE's games."""

import statistics
import subprocess
import sys

import ale_py
import gymnasium
import numpy as np
import pytest

from numasync import InputError
from numasync.tools.human_scores import SCORES, STARTS, human_normalized, reference_scores

gymnasium.register_envs(ale_py)
ALE_IDS = {name: spec for name, spec in gymnasium.registry.items() if str(spec.entry_point).startswith("ale_py.")}

# Mean and median over the 57 games, human starts: Table 1 of Mnih et al. 2016.
TABLE_1 = {"A3C FF, 1 day": (344.1, 68.2), "A3C FF": (496.8, 116.6), "A3C LSTM": (623.0, 112.6)}

# Scores of these three from human starts (Table S3), and what they are in percent.
A3C = {
    "Alien":            ((   182.1,    518.4,    945.3), (   0.9,    6.2,   13.1)),
    "Amidar":           ((   283.9,    263.9,    173.0), (  17.8,   16.5,   10.5)),
    "Assault":          ((  3746.1,   5474.9,  14497.9), ( 774.7, 1148.9, 3101.9)),
    "Asterix":          ((  6723.0,  22140.5,  17244.5), (  89.0,  298.1,  231.7)),
    "Asteroids":        ((  3009.4,   4474.5,   5093.1), (   6.0,   10.1,   11.8)),
    "Atlantis":         ((772392.0, 911091.0, 875822.0), (5788.0, 6845.9, 6576.9)),
    "BankHeist":        ((   946.0,    970.1,    932.8), ( 148.4,  152.3,  146.3)),
    "BattleZone":       (( 11340.0,  12950.0,  20760.0), (  26.4,   31.9,   58.4)),
    "BeamRider":        (( 13235.9,  22707.9,  24622.2), (  88.3,  152.7,  165.7)),
    "Berzerk":          ((  1433.4,    817.9,    862.2), (  60.6,   30.5,   32.6)),
    "Bowling":          ((    36.2,     35.1,     41.8), (   0.9,   -0.1,    5.9)),
    "Boxing":           ((    33.7,     59.8,     37.3), ( 317.1,  552.3,  349.5)),
    "Breakout":         ((   551.6,    681.9,    766.8), (2091.3, 2586.7, 2909.5)),
    "Centipede":        ((  3306.5,   3755.8,   1997.0), (  16.4,   21.8,    0.9)),
    "ChopperCommand":   ((  4669.0,   7021.0,  10150.0), (  48.6,   77.0,  114.7)),
    "CrazyClimber":     ((101624.0, 112646.0, 138518.0), ( 395.6,  442.8,  553.7)),
    "Defender":         (( 36242.5,  56533.0, 233021.5), ( 278.0,  442.5, 1873.9)),
    "DemonAttack":      (( 84997.5, 113308.4, 115201.9), (2621.4, 3496.7, 3555.2)),
    "DoubleDunk":       ((     0.1,     -0.1,      0.1), (1006.3,  993.8, 1006.3)),
    "Enduro":           ((   -82.2,    -82.5,    -82.5), (  -0.0,   -0.1,   -0.1)),
    "FishingDerby":     ((    13.6,     18.8,     22.6), ( 110.3,  116.7,  121.3)),
    "Freeway":          ((     0.1,      0.1,      0.1), (   0.0,    0.0,    0.0)),
    "Frostbite":        ((   180.1,    190.5,    197.6), (   2.7,    3.0,    3.2)),
    "Gopher":           ((  8442.8,  10022.8,  17106.8), ( 397.5,  474.2,  817.9)),
    "Gravitar":         ((   269.5,    303.5,    320.0), (   0.8,    2.0,    2.6)),
    "Hero":             (( 28765.8,  32464.1,  28889.5), ( 112.1,  127.3,  112.6)),
    "IceHockey":        ((    -4.7,     -2.8,     -1.7), (  49.0,   67.6,   78.4)),
    "Jamesbond":        ((   351.5,    541.0,    613.0), (  94.9,  151.5,  173.0)),
    "Kangaroo":         ((   106.0,     94.0,    125.0), (   0.2,   -0.2,    0.9)),
    "Krull":            ((  8066.6,   5560.0,   5911.4), ( 722.4,  460.5,  497.2)),
    "KungFuMaster":     ((  3046.0,  28819.0,  40835.0), (  13.4,  139.2,  197.9)),
    "MontezumaRevenge": ((    53.0,     67.0,     41.0), (   0.7,    1.0,    0.4)),
    "MsPacman":         ((   594.4,    653.7,    850.7), (   2.6,    3.0,    4.3)),
    "NameThisGame":     ((  5614.0,  10476.1,  12093.7), (  76.6,  172.9,  204.9)),
    "Phoenix":          (( 28181.8,  52894.1,  74786.7), ( 487.2,  932.3, 1326.6)),
    "Pitfall":          ((  -123.0,    -78.5,   -135.7), (   3.6,    4.3,    3.4)),
    "Pong":             ((    11.4,      5.6,     10.7), (  87.8,   70.4,   85.7)),
    "PrivateEye":       ((   194.4,    206.9,    421.1), (  -0.7,   -0.7,   -0.4)),
    "Qbert":            (( 13752.3,  15148.8,  21307.5), ( 114.0,  125.7,  177.5)),
    "Riverraid":        (( 10001.2,  12201.8,   6591.9), (  68.2,   84.2,   43.5)),
    "RoadRunner":       (( 31769.0,  34216.0,  73949.0), ( 472.7,  509.4, 1104.4)),
    "Robotank":         ((     2.3,     32.8,      2.6), (  -1.5,  467.7,    3.1)),
    "Seaquest":         ((  2300.2,   2355.4,   1326.1), (   5.2,    5.3,    2.8)),
    "Skiing":           ((-13700.0, -10911.1, -14863.8), (  13.7,   37.7,    3.7)),
    "Solaris":          ((  1884.8,   1956.0,   1936.4), (  -1.8,   -1.0,   -1.2)),
    "SpaceInvaders":    ((  2214.7,  15730.5,  23846.0), ( 158.5, 1212.5, 1845.4)),
    "StarGunner":       (( 64393.0, 138218.0, 164766.0), ( 721.3, 1557.3, 1857.9)),
    "Surround":         ((    -9.6,     -9.7,     -8.3), (   0.7,    0.0,    9.3)),
    "Tennis":           ((   -10.2,     -6.3,     -6.4), (  76.2,  102.7,  102.0)),
    "TimePilot":        ((  5825.0,  12679.0,  27202.0), ( 107.4,  395.7, 1006.7)),
    "Tutankham":        ((    26.1,    156.3,    144.2), (  10.7,  114.3,  104.7)),
    "UpNDown":          (( 54525.4,  74705.7, 105728.7), ( 585.7,  805.3, 1142.9)),
    "Venture":          ((    19.0,     23.0,     25.0), (   0.1,    0.5,    0.7)),
    "VideoPinball":     ((185852.6, 331628.1, 470310.5), (1188.2, 2120.2, 3006.9)),
    "WizardOfWor":      ((  5278.0,  17244.0,  18082.0), ( 119.2,  438.2,  460.5)),
    "YarsRevenge":      ((  7270.8,   7157.5,   5615.5), (  12.7,   12.4,    9.1)),
    "Zaxxon":           ((  2659.0,  24622.0,  23519.0), (  27.4,  303.0,  289.2)),
}  # fmt: skip


def percents(column):
    """The 57 human-normalised scores of a column of A3C."""
    return {game: human_normalized(game, scores[column], "human") for game, (scores, _) in A3C.items()}


def test_the_table_holds_57_games_and_the_human_beats_the_random_player():
    assert len(SCORES) == 57 and SCORES.keys() == A3C.keys()
    for row in SCORES.values():
        assert len(row) == len(STARTS) and all(len(pair) == 2 for pair in row)
    inverted = [
        (game, starts) for game in SCORES for starts in STARTS if np.subtract(*reference_scores(game, starts)) >= 0
    ]
    assert inverted == [("VideoPinball", "human")]


@pytest.mark.parametrize("column", range(3), ids=TABLE_1)
def test_the_papers_scores_give_the_means_and_medians_of_its_table_1(column):
    found = percents(column).values()
    mean, median = list(TABLE_1.values())[column]
    # Means come out as 344.13, 496.89 and 623.11, medians as 68.24, 116.67 and 112.57. A closer check is not possible:
    # scores are printed to 0.1, and Double Dunk alone, divided by 1.6, leaves a mean uncertain by more than 1.
    assert statistics.mean(found) == pytest.approx(mean, abs=0.12)
    assert statistics.median(found) == pytest.approx(median, abs=0.07)


@pytest.mark.parametrize("column", range(3), ids=TABLE_1)
def test_every_game_has_its_percents(column):
    for game, found in percents(column).items():
        assert found == pytest.approx(A3C[game][1][column], abs=0.05 + 1e-9), game


@pytest.mark.parametrize("starts", STARTS)
@pytest.mark.parametrize("game", SCORES)
def test_the_human_scores_100_and_the_random_player_0(game, starts):
    random, human = reference_scores(game, starts)
    assert human_normalized(game, human, starts) == pytest.approx(100)
    if (game, starts) == ("VideoPinball", "human"):
        random = 0
    assert human_normalized(game, random, starts) == 0


def test_from_no_op_starts_by_default():
    assert reference_scores("ALE/Pong-v5") == (-20.7, 14.6) and reference_scores("Pong-v4", "human") == (-18.0, 15.5)
    assert human_normalized("ALE/Pong-v5", 18.0) == human_normalized("ALE/Pong-v5", 18.0, "no_op")
    assert human_normalized("ALE/Pong-v5", 18.0) == pytest.approx(100 * 38.7 / 35.3)
    assert human_normalized("ALE/Pong-v5", np.array([-20.7, 14.6])) == pytest.approx([0, 100])


def test_every_game_has_an_id_of_ales():
    assert {f"ALE/{game}-v5" for game in SCORES} <= ALE_IDS.keys()


def test_each_of_ales_ids_is_known_as_its_game_or_refused():
    games = {game.lower(): game for game in SCORES}
    known = 0
    for env_id, spec in ALE_IDS.items():
        game = games.get(spec.kwargs["game"].replace("_", ""))
        if game:
            assert reference_scores(env_id) == SCORES[game][1], env_id
            known += 1
        else:
            with pytest.raises(InputError, match="none of the 57"):
                reference_scores(env_id)
    assert 57 < known < len(ALE_IDS)


@pytest.mark.parametrize(
    "env_id",
    [
        "Pong",
        "ALE/Pong",
        "ALE/Pong-v5",
        "ale_py:ALE/Pong-v5",
        "ALE/Pong-ram-v5",
        "Pong-v0",
        "Pong-v4",
        "Pong-ram-v4",
        "PongNoFrameskip-v4",
        "PongDeterministic-v4",
        "Pong-ramNoFrameskip-v4",
        "Pong-ramDeterministic-v4",
        "ale_py:Pong-v4",
    ],
)
def test_ids_of_all_forms(env_id):
    assert reference_scores(env_id) == SCORES["Pong"][1]


@pytest.mark.parametrize(
    "env_id",
    [
        "CartPole-v1",
        "MinAtar/Breakout-v1",
        "ALE/Adventure-v5",
        "ALE/Pitfall2-v5",
        "Atlantis2-v5",
        "ALE/pong-v5",
        "Pong-v",
        "mine/ALE/Pong-v5",
        "Pong-v4 ",
        "Pong-v4\n",
        "",
        None,
    ],
)
def test_other_ids_are_refused_in_one_sentence(env_id):
    with pytest.raises(InputError) as caught:
        human_normalized(env_id, 1.0)
    assert str(caught.value) == f"{env_id!r} is none of the 57 Atari games for which a human's score is known."


@pytest.mark.parametrize("starts", ["noop", "Human", "", None, ["human"]])
def test_other_starts_are_refused_in_one_sentence(starts):
    with pytest.raises(InputError) as caught:
        human_normalized("ALE/Pong-v5", 1.0, starts)
    hint = {"noop": "you may mean no_op", "Human": "you may mean human"}.get(str(starts), "choose one of human, no_op")
    assert str(caught.value) == f"{starts!r} is no kind of start; {hint}."


def test_importing_it_loads_no_environment():
    check = "import sys, numasync.tools.human_scores; print([m for m in ('gymnasium', 'ale_py') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
