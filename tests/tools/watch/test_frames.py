"""The cells, colours and characters of a frame."""

import numpy as np

from numasync.envs.observation import Observation
from numasync.runtime.jit import FLOAT
from numasync.tools.frames import BOARD_CHARACTERS, BOARD_PALETTE, COLOURS, format_vector, make_cells, shrink


def test_bytes_are_shown_as_bytes():
    observation = Observation("vector", (3,), 1 / 255)
    obs = np.zeros(3, FLOAT)
    observation.encode(np.array([0, 77, 255], np.uint8), obs)
    assert format_vector(obs, observation) == "0 77 255"


def test_shrinking_keeps_the_highest_value_of_each_block():
    cells = np.arange(35, dtype=np.uint8).reshape(5, 7)
    assert (shrink(cells, 5, 7) == cells).all() and (shrink(cells, 9, 9) == cells).all()
    assert shrink(cells, 3, 7).tolist() == [[8, 10, 12, 13], [22, 24, 26, 27], [29, 31, 33, 34]]
    assert shrink(cells, 0, 0).tolist() == [[34]], "the smallest of terminals"


def test_the_highest_channel_decides():
    observation = Observation("image", (2, 2, 12))
    obs = np.zeros((2, 2, 12), FLOAT)
    obs[0, 0, [0, 3]] = 1
    obs[0, 1, 0] = obs[1, 0, 11] = 1
    board = make_cells(obs.reshape(-1), observation)
    assert board.tolist() == [[4, 1], [12, 0]]
    colours = BOARD_PALETTE[board].tolist()
    assert colours == [[list(COLOURS[3]), list(COLOURS[0])], [list(COLOURS[1]), [0, 0, 0]]]
    assert [BOARD_CHARACTERS[i] for i in (0, 1, 9, 10, 12)] == [".", "1", "9", "a", "c"]


def test_of_a_stack_the_last_frame_is_shown():
    observation = Observation("frames", (4, 3, 2), 1 / 255)
    frames = np.arange(24, dtype=np.uint8).reshape(4, 3, 2) * 10
    obs = np.zeros(24, FLOAT)
    observation.encode(frames, obs)
    assert (make_cells(obs, observation) == frames[-1]).all()


def test_every_byte_of_a_normalised_screen_is_shown_as_it_is():
    mean = np.random.default_rng(0).uniform(0, 255, (16, 16)).astype(FLOAT)
    observation = Observation("image", (16, 16), 0.0123, mean=mean)
    raw, obs = np.arange(256, dtype=np.uint8).reshape(16, 16), np.zeros(256, FLOAT)
    observation.encode(raw, obs)
    np.testing.assert_array_equal(make_cells(obs, observation), raw)
