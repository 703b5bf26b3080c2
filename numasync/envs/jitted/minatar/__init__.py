"""MinAtar: five small games like the games of the Atari 2600, one file for each. board.py has what they share."""

from numasync.envs.jitted.minatar.asterix import ASTERIX
from numasync.envs.jitted.minatar.breakout import BREAKOUT
from numasync.envs.jitted.minatar.freeway import FREEWAY
from numasync.envs.jitted.minatar.seaquest import SEAQUEST
from numasync.envs.jitted.minatar.space_invaders import SPACE_INVADERS

MINATAR = ASTERIX + BREAKOUT + FREEWAY + SEAQUEST + SPACE_INVADERS
