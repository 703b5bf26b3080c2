"""MinAtar: five small games in the manner of the Atari 2600's. One file a game; what they share is in board.py."""

from numasync.envs.minatar.asterix import ASTERIX
from numasync.envs.minatar.breakout import BREAKOUT
from numasync.envs.minatar.freeway import FREEWAY
from numasync.envs.minatar.seaquest import SEAQUEST
from numasync.envs.minatar.space_invaders import SPACE_INVADERS

MINATAR = ASTERIX + BREAKOUT + FREEWAY + SEAQUEST + SPACE_INVADERS
