"""MinAtar Seaquest: a submarine shoots fish and enemy submarines, takes divers on board and comes up for air.

The submarine faces left or right and can shoot every 5 steps. Fish, enemies and divers cross the eight middle rows of
the board. Every 20 steps a fish enters, or with probability 1/3 an enemy submarine, but not in a row where another one
moves the other way. Every 30 steps a diver enters. All wait 5 steps before each move by one cell. An enemy fires a
torpedo every 11 steps. Shots and torpedoes move one cell a step. A shot that hits a fish or an enemy is a reward of 1.
The submarine takes a diver on board by moving into its cell, up to six divers.

The tank holds oxygen for 200 steps under water. The submarine fills it at the surface, and one diver leaves. With six
divers on board all leave, and the reward is the oxygen that was left, in tenths of the tank, rounded down. Each time,
the game gets harder: fish and enemies enter one step sooner, down to every step. Every second time they also wait one
step less between moves, down to 2 steps.

The game ends when a fish, an enemy or a torpedo meets the submarine, when the submarine comes up without a diver, and
when it has no oxygen.
"""

from numasync.envs.jitted.minatar.board import DOWN, FIRE, LEFT, RIGHT, SIZE, UP, choose_sticky, make_versions, set_cell
from numasync.envs.spec import RUNNING, TERMINATED
from numasync.runtime.jit import FLOAT, kernel
from numasync.runtime.rng import choice, uniform

# Channels of the observation. STERN is the rear half of the submarine, WAKE the cell behind everything that swims. The
# two gauges are on the bottom row, where nothing else moves.
BOW, STERN, SHOT, WAKE, TORPEDO, ONE_FISH, ENEMY, OXYGEN_GAUGE, DIVER_GAUGE, ONE_DIVER, CHANNELS = range(11)

# The state: first the submarine, the level, and the steps until an event is due or allowed (names with _IN). SURFACED:
# 1 if the submarine is up and its tank was filled. Then five lists, oldest thing first: a count, and then a row of five
# numbers for each thing.
(LAST_ACTION, SUB_X, SUB_Y, FACING, OXYGEN, ABOARD, SURFACED, LEVEL, ENEMY_IN, DIVER_IN, FIRE_IN, SHOTS) = range(12)
X, Y, DX, MOVE_IN, TORPEDO_IN, ROW = range(6)

# Why no list can overflow:
# - Shots, 2: they are fired 5 steps apart or more, and each lives 9 steps.
# - Divers, 2: they enter 30 steps apart, and each leaves the board with its tenth move, 59 steps after it entered.
# - Fish and enemies, 60 each: at most one enters a step, and each lives no longer than a diver.
# - Torpedoes, 59: an enemy fires every 11 steps and a torpedo lives 9, so each enemy has at most one on the board. That
#   enemy entered 10 to 68 steps before.
FEW, MANY = 1 + 2 * ROW, 1 + 60 * ROW
DIVERS = SHOTS + FEW
FISH = DIVERS + FEW
ENEMIES = FISH + MANY
TORPEDOES = ENEMIES + MANY
STATE_SIZE = TORPEDOES + MANY

FULL_TANK, TANK_TENTH = 200.0, 20
FIRE_INTERVAL, TORPEDO_WAIT, DIVER_INTERVAL = 5.0, 10.0, 30.0
FIRST_ENEMY_INTERVAL, LAST_LEVEL = 20.0, 19.0
FIRST_WAIT, LAST_WAIT = 5.0, 2.0
DEEPEST = SIZE - 2
CREW = 6.0


@kernel
def reset(state, rng, obs):
    state[:] = 0.0
    state[SUB_X] = 5.0
    state[FACING] = -1.0
    state[OXYGEN] = FULL_TANK
    state[SURFACED] = 1.0
    state[ENEMY_IN] = FIRST_ENEMY_INTERVAL
    state[DIVER_IN] = DIVER_INTERVAL
    draw(state, obs)


@kernel
def step(state, action, rng, obs):
    action = choose_sticky(state, action, rng)
    spawn(state, rng)
    steer(state, action)
    shot_first = move_shots(state)
    move_divers(state)
    shot_enemies, rammed = move_enemies(state, ENEMIES)
    torpedoed = move_torpedoes(state)
    shot_fish, bitten = move_enemies(state, FISH)
    for timer in (ENEMY_IN, DIVER_IN, FIRE_IN):
        state[timer] = max(state[timer] - 1.0, 0.0)
    bonus, out_of_air = breathe(state)
    draw(state, obs)
    over = rammed or torpedoed or bitten or out_of_air
    return shot_first + shot_enemies + shot_fish + bonus, TERMINATED if over else RUNNING


@kernel
def spawn(state, rng):
    """Let a fish, an enemy or a diver enter at a random edge and row, if it is due."""
    if state[ENEMY_IN] == 0.0:
        state[ENEMY_IN] = FIRST_ENEMY_INTERVAL - state[LEVEL]
        dx = 1.0 if uniform(rng) < 0.5 else -1.0
        swimmers = ENEMIES if uniform(rng) < 1 / 3 else FISH
        y = 1.0 + choice(rng, DEEPEST)
        if not (comes_towards(state, ENEMIES, y, dx) or comes_towards(state, FISH, y, dx)):
            append(state, swimmers, entry_column(dx), y, dx, move_interval(state))
    if state[DIVER_IN] == 0.0:
        state[DIVER_IN] = DIVER_INTERVAL
        dx = 1.0 if uniform(rng) < 0.5 else -1.0
        append(state, DIVERS, entry_column(dx), 1.0 + choice(rng, DEEPEST), dx, FIRST_WAIT)


@kernel
def entry_column(dx):
    """Return the column in which a thing that moves by dx enters."""
    return 0.0 if dx > 0.0 else SIZE - 1.0


@kernel
def move_interval(state):
    """Return how many steps fish and enemies wait before a move, at this level."""
    return max(FIRST_WAIT - state[LEVEL] // 2.0, LAST_WAIT)


@kernel
def comes_towards(state, things, y, dx):
    """Return whether a thing of a list is in row y and does not move by dx."""
    for i in range(int(state[things])):
        row = row_of(things, i)
        if state[row + Y] == y and state[row + DX] != dx:
            return True
    return False


@kernel
def steer(state, action):
    """Move or turn the submarine, or fire a shot."""
    if action == FIRE and state[FIRE_IN] == 0.0:
        state[FIRE_IN] = FIRE_INTERVAL
        append(state, SHOTS, state[SUB_X], state[SUB_Y], state[FACING], 0.0)
    elif action == LEFT:
        state[SUB_X] = max(state[SUB_X] - 1.0, 0.0)
        state[FACING] = -1.0
    elif action == RIGHT:
        state[SUB_X] = min(state[SUB_X] + 1.0, SIZE - 1.0)
        state[FACING] = 1.0
    elif action == UP:
        state[SUB_Y] = max(state[SUB_Y] - 1.0, 0.0)
    elif action == DOWN:
        state[SUB_Y] = min(state[SUB_Y] + 1.0, DEEPEST)


# Each list is moved from its newest thing to its oldest. Removing a thing then does not shift the next ones.


@kernel
def move_shots(state):
    """Move the shots; return the reward for hits. A shot hits one thing only, and a fish rather than an enemy."""
    reward = 0.0
    for i in range(int(state[SHOTS]) - 1, -1, -1):
        row = row_of(SHOTS, i)
        state[row + X] += state[row + DX]
        if off_board(state, row):
            remove(state, SHOTS, i)
        elif remove_met(state, FISH, row) or remove_met(state, ENEMIES, row):
            remove(state, SHOTS, i)
            reward += 1.0
    return reward


@kernel
def move_divers(state):
    """Move the divers that are due. The submarine meets a diver in its cell before the move or after it."""
    for i in range(int(state[DIVERS]) - 1, -1, -1):
        row = row_of(DIVERS, i)
        welcome = state[ABOARD] < CREW
        met = welcome and meets_sub(state, row)
        left = not met and swim(state, row, FIRST_WAIT) and off_board(state, row)
        met = met or (welcome and meets_sub(state, row))
        if met:
            state[ABOARD] += 1.0
        if met or left:
            remove(state, DIVERS, i)


@kernel
def move_enemies(state, swimmers):
    """Move the fish, or the enemies, that are due; return the reward for hits, and whether one met the submarine.

    An enemy fires its torpedo even in the step in which it is hit or leaves the board.
    """
    reward, met = 0.0, False
    for i in range(int(state[swimmers]) - 1, -1, -1):
        row = row_of(swimmers, i)
        met = met or meets_sub(state, row)
        moved = swim(state, row, move_interval(state))
        met = met or meets_sub(state, row)
        hit = moved and not meets_sub(state, row) and remove_met(state, SHOTS, row)
        if swimmers == ENEMIES:
            fire_torpedo(state, row)
        if hit:
            reward += 1.0
        if hit or off_board(state, row):
            remove(state, swimmers, i)
    return reward, met


@kernel
def fire_torpedo(state, row):
    """Fire the torpedo of the enemy at `row`, if that is due."""
    if state[row + TORPEDO_IN] > 0.0:
        state[row + TORPEDO_IN] -= 1.0
        return
    state[row + TORPEDO_IN] = TORPEDO_WAIT
    append(state, TORPEDOES, state[row + X], state[row + Y], state[row + DX], 0.0)


@kernel
def move_torpedoes(state):
    """Move the torpedoes; return whether one met the submarine, in its cell before the move or after it."""
    met = False
    for i in range(int(state[TORPEDOES]) - 1, -1, -1):
        row = row_of(TORPEDOES, i)
        met = met or meets_sub(state, row)
        state[row + X] += state[row + DX]
        met = met or meets_sub(state, row)
        if off_board(state, row):
            remove(state, TORPEDOES, i)
    return met


@kernel
def breathe(state):
    """Use oxygen, or fill the tank at the surface; return the reward, and whether the game ends."""
    suffocated = state[OXYGEN] <= 0.0
    if state[SUB_Y] > 0.0:
        state[OXYGEN] -= 1.0
        state[SURFACED] = 0.0
        return 0.0, suffocated
    if state[SURFACED] == 1.0:
        return 0.0, suffocated
    if state[ABOARD] == 0.0:
        return 0.0, True
    bonus = 0.0
    if state[ABOARD] == CREW:
        bonus = float(tenths_left(state))
        state[ABOARD] = 0.0
    # As in the authors' package, a seventh diver leaves after the six. While the count is below 0, the submarine can
    # come up again and again.
    state[ABOARD] -= 1.0
    state[OXYGEN] = FULL_TANK
    state[SURFACED] = 1.0
    state[LEVEL] = min(state[LEVEL] + 1.0, LAST_LEVEL)
    return bonus, suffocated


@kernel
def tenths_left(state):
    """Return the oxygen that is left, in tenths of the tank, rounded down."""
    return int(state[OXYGEN]) // TANK_TENTH


@kernel
def row_of(things, i):
    """Return the place of the i-th thing of a list in the state."""
    return things + 1 + i * ROW


@kernel
def append(state, things, x, y, dx, move_in):
    """Add a thing to a list: its cell, its direction, and in how many steps it moves."""
    row = row_of(things, int(state[things]))
    state[things] += 1.0
    state[row + X], state[row + Y], state[row + DX] = x, y, dx
    state[row + MOVE_IN], state[row + TORPEDO_IN] = move_in, TORPEDO_WAIT


@kernel
def remove(state, things, i):
    """Remove the i-th thing of a list and close the gap."""
    state[things] -= 1.0
    for k in range(row_of(things, i), row_of(things, int(state[things]))):
        state[k] = state[k + ROW]


@kernel
def remove_met(state, things, row):
    """Remove the oldest thing of a list in the cell of the thing at `row`; return whether there was one."""
    for i in range(int(state[things])):
        other = row_of(things, i)
        if state[other + X] == state[row + X] and state[other + Y] == state[row + Y]:
            remove(state, things, i)
            return True
    return False


@kernel
def swim(state, row, wait):
    """Move the thing at `row` if that is due; return whether it moved."""
    if state[row + MOVE_IN] > 0.0:
        state[row + MOVE_IN] -= 1.0
        return False
    state[row + MOVE_IN] = wait
    state[row + X] += state[row + DX]
    return True


@kernel
def off_board(state, row):
    """Return whether the thing at `row` is beyond the edges of the board."""
    return state[row + X] < 0.0 or state[row + X] > SIZE - 1.0


@kernel
def meets_sub(state, row):
    """Return whether the thing at `row` is in the submarine's cell."""
    return state[row + X] == state[SUB_X] and state[row + Y] == state[SUB_Y]


@kernel
def draw(state, obs):
    """Write the observation of a state."""
    obs[:] = FLOAT(0)
    set_cell(obs, CHANNELS, state[SUB_Y], state[SUB_X], BOW)
    set_cell(obs, CHANNELS, state[SUB_Y], state[SUB_X] - state[FACING], STERN)
    for x in range(tenths_left(state)):
        set_cell(obs, CHANNELS, SIZE - 1, x, OXYGEN_GAUGE)
    for x in range(int(state[ABOARD])):
        set_cell(obs, CHANNELS, SIZE - 1, SIZE - 2 - x, DIVER_GAUGE)
    draw_list(state, obs, SHOTS, SHOT, False)
    draw_list(state, obs, TORPEDOES, TORPEDO, False)
    draw_list(state, obs, FISH, ONE_FISH, True)
    draw_list(state, obs, ENEMIES, ENEMY, True)
    draw_list(state, obs, DIVERS, ONE_DIVER, True)


@kernel
def draw_list(state, obs, things, channel, swims):
    """Draw the things of a list in a channel, and a wake behind them if they swim."""
    for i in range(int(state[things])):
        row = row_of(things, i)
        set_cell(obs, CHANNELS, state[row + Y], state[row + X], channel)
        behind = state[row + X] - state[row + DX]
        if swims and 0.0 <= behind < SIZE:
            set_cell(obs, CHANNELS, state[row + Y], behind, WAKE)


# The game uses all six actions, so both versions are the same.
SEAQUEST = make_versions("Seaquest", CHANNELS, 6, reset, step, step, STATE_SIZE)
