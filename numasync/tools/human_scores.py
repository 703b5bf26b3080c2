"""The human-normalised score of an Atari game: 0 % is a random player's score, 100 % a human's.

Scores are unclipped, in the game's own points, and depend on where episodes start:

human starts  Table S3 of Mnih et al. 2016 (arXiv:1602.01783); the starting points were never released
no-op starts  up to 30 no-ops, as in numasync's own evaluations: the tables of Wang et al. 2016 (arXiv:1511.06581)

The import of this module loads neither gymnasium nor ale_py.
"""

import math
import re
from typing import Any, TypeVar

import numpy as np

from numasync.errors import InputError
from numasync.runtime.checks import as_array, as_number, check_choice, show

STARTS = ("human", "no_op")

# One score, or many.
Scores = TypeVar("Scores", float, np.ndarray)

# The game's name as in ALE's ids: (random, human) from human starts, (random, human) from no-op starts.
SCORES = {
    "Alien":            ((   128.3,  6371.3), (   227.8,  7127.7)),
    "Amidar":           ((    11.8,  1540.4), (     5.8,  1719.5)),
    "Assault":          ((   166.9,   628.9), (   222.4,   742.0)),
    "Asterix":          ((   164.5,  7536.0), (   210.0,  8503.3)),
    "Asteroids":        ((   871.3, 36517.3), (   719.1, 47388.7)),
    "Atlantis":         (( 13463.0, 26575.0), ( 12850.0, 29028.1)),
    "BankHeist":        ((    21.7,   644.5), (    14.2,   753.1)),
    "BattleZone":       ((  3560.0, 33030.0), (  2360.0, 37187.5)),
    "BeamRider":        ((   254.6, 14961.0), (   363.9, 16926.5)),
    "Berzerk":          ((   196.1,  2237.5), (   123.7,  2630.4)),
    "Bowling":          ((    35.2,   146.5), (    23.1,   160.7)),
    "Boxing":           ((    -1.5,     9.6), (     0.1,    12.1)),
    "Breakout":         ((     1.6,    27.9), (     1.7,    30.5)),
    "Centipede":        ((  1925.5, 10321.9), (  2090.9, 12017.0)),
    "ChopperCommand":   ((   644.0,  8930.0), (   811.0,  7387.8)),
    "CrazyClimber":     ((  9337.0, 32667.0), ( 10780.5, 35829.4)),
    "Defender":         ((  1965.5, 14296.0), (  2874.5, 18688.9)),
    "DemonAttack":      ((   208.3,  3442.8), (   152.1,  1971.0)),
    "DoubleDunk":       ((   -16.0,   -14.4), (   -18.6,   -16.4)),
    "Enduro":           ((   -81.8,   740.2), (     0.0,   860.5)),
    "FishingDerby":     ((   -77.1,     5.1), (   -91.7,   -38.7)),
    "Freeway":          ((     0.1,    25.6), (     0.0,    29.6)),
    "Frostbite":        ((    66.4,  4202.8), (    65.2,  4334.7)),
    "Gopher":           ((   250.0,  2311.0), (   257.6,  2412.5)),
    "Gravitar":         ((   245.5,  3116.0), (   173.0,  3351.4)),
    "Hero":             ((  1580.3, 25839.4), (  1027.0, 30826.4)),
    "IceHockey":        ((    -9.7,     0.5), (   -11.2,     0.9)),
    "Jamesbond":        ((    33.5,   368.5), (    29.0,   302.8)),
    "Kangaroo":         ((   100.0,  2739.0), (    52.0,  3035.0)),
    "Krull":            ((  1151.9,  2109.1), (  1598.0,  2665.5)),
    "KungFuMaster":     ((   304.0, 20786.8), (   258.5, 22736.3)),
    "MontezumaRevenge": ((    25.0,  4182.0), (     0.0,  4753.3)),
    "MsPacman":         ((   197.8, 15375.0), (   307.3,  6951.6)),
    "NameThisGame":     ((  1747.8,  6796.0), (  2292.3,  8049.0)),
    "Phoenix":          ((  1134.4,  6686.2), (   761.4,  7242.6)),
    "Pitfall":          ((  -348.8,  5998.9), (  -229.4,  6463.7)),
    "Pong":             ((   -18.0,    15.5), (   -20.7,    14.6)),
    "PrivateEye":       ((   662.8, 64169.1), (    24.9, 69571.3)),
    "Qbert":            ((   183.0, 12085.0), (   163.9, 13455.0)),
    "Riverraid":        ((   588.3, 14382.2), (  1338.5, 17118.0)),
    "RoadRunner":       ((   200.0,  6878.0), (    11.5,  7845.0)),
    "Robotank":         ((     2.4,     8.9), (     2.2,    11.9)),
    "Seaquest":         ((   215.5, 40425.8), (    68.4, 42054.7)),
    "Skiing":           ((-15287.4, -3686.6), (-17098.1, -4336.9)),
    "Solaris":          ((  2047.2, 11032.6), (  1236.3, 12326.7)),
    "SpaceInvaders":    ((   182.6,  1464.9), (   148.0,  1668.7)),
    "StarGunner":       ((   697.0,  9528.0), (   664.0, 10250.0)),
    "Surround":         ((    -9.7,     5.4), (   -10.0,     6.5)),
    "Tennis":           ((   -21.4,    -6.7), (   -23.8,    -8.3)),
    "TimePilot":        ((  3273.0,  5650.0), (  3568.0,  5229.2)),
    "Tutankham":        ((    12.7,   138.3), (    11.4,   167.6)),
    "UpNDown":          ((   707.2,  9896.1), (   533.4, 11693.2)),
    "Venture":          ((    18.0,  1039.0), (     0.0,  1187.5)),
    "VideoPinball":     (( 20452.0, 15641.1), ( 16256.9, 17667.9)),
    "WizardOfWor":      ((   804.0,  4556.0), (   563.5,  4756.5)),
    "YarsRevenge":      ((  1476.9, 47135.2), (  3092.9, 54576.9)),
    "Zaxxon":           ((   475.0,  8443.0), (    32.5,  9173.3)),
}  # fmt: skip

# The ids of a game have these forms: ALE/Pong-v5, Pong-v4, PongNoFrameskip-v4, PongDeterministic-v4, Pong-ram-v4,
# Pong-ramNoFrameskip-v4. Gymnasium also takes ale_py:ALE/Pong-v5, and an id without its version.
ATARI_ID = re.compile(r"(?:[^/]*:)?(?:ALE/)?(\w+?)(?:-ram)?(?:NoFrameskip|Deterministic)?(?:-v\d+)?")


def reference_scores(env_id: str, starts: str = "no_op") -> tuple[float, float]:
    """Return the scores of the random player and of the human on a game, in points, as the source prints them.

    env_id  an id of the game
    starts  'no_op' or 'human'

    Raises InputError where the game is none of the 57, and for other `starts`.
    """
    check_choice(starts, STARTS, "no kind of start")
    match = ATARI_ID.fullmatch(env_id) if isinstance(env_id, str) else None
    if not match or match[1] not in SCORES:
        raise InputError(f"{show(env_id)} is none of the {len(SCORES)} Atari games for which a human's score is known.")
    return SCORES[match[1]][STARTS.index(starts)]


def human_normalized(env_id: str, score: Scores, starts: str = "no_op") -> Scores:
    """Return 100 (score - random) / (human - random), in percent.

    env_id  an id of the game
    score   one score in points, or an array of scores
    starts  'no_op' or 'human'

    Raises InputError where the game is none of the 57, for other `starts`, and where the score is no number.
    """
    number = as_number(score, -math.inf, math.inf)
    points: Any = as_array(score, "iuf") if number is None else number
    if points is None:
        raise InputError(f"score is {show(score)}; it must be a number or an array of numbers.")
    random, human = reference_scores(env_id, starts)
    if random > human:
        # Only Video Pinball, from human starts. With 0 the paper's scores give the means of its Table 1.
        random = 0.0
    return 100.0 * (points - random) / (human - random)
