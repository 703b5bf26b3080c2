"""MinAtar: five small games in the manner of the Atari 2600's. One file a game; what they share is in board.py."""

from numasync.envs.minatar.breakout import BREAKOUT

MINATAR = BREAKOUT
