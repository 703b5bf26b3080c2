"""How observations become the network's inputs, and back."""

import numpy as np
import pytest
from support.observations import encode
from support.text import is_one_sentence

from numasync.envs.observation import Observation
from numasync.errors import InputError
from numasync.runtime.jit import FLOAT

RAW = {
    Observation("vector", (3,)): np.array([1, 2, 3]),
    Observation("vector", (2, 2), 0.5): np.array([[1.0, 2.0], [3.0, 4.0]]),
    Observation("image", (2, 2)): np.array([[1, 2], [3, 4]], np.uint8),
    Observation("frames", (2, 1, 3), 0.5): np.array([[[2, 4, 6]], [[8, 10, 12]]], np.uint8),
    Observation("discrete", (3,), start=-1): np.int64(1),
    Observation("image", (1, 2), 0.5, mean=FLOAT([[2, 10]])): np.array([[4, 8]], np.uint8),
    Observation("image", (1, 2, 2), 2.0, mean=FLOAT([[[0, 1], [2, 3]]])): np.array([[[1, 1], [0, 5]]], np.uint8),
    Observation("frames", (2, 1, 2), 0.5, mean=FLOAT([[2, 6]])): np.array([[[2, 8]], [[6, 4]]], np.uint8),
}


ENCODED = [
    [1, 2, 3],
    [0.5, 1, 1.5, 2],
    [1, 2, 3, 4],
    [1, 4, 2, 5, 3, 6],
    [0, 0, 1],
    [1, -1],
    [2, 0, -4, 4],
    [0, 2, 1, -1],
]


@pytest.mark.parametrize(("observation", "expected"), list(zip(RAW, ENCODED)))
def test_observation_encodes(observation, expected):
    observation.check(RAW[observation])
    np.testing.assert_array_equal(encode(observation, RAW[observation]), expected)


@pytest.mark.parametrize("observation", [o for o in RAW if o.kind != "discrete"])
def test_observation_decodes_what_it_encodes(observation):
    out = encode(observation, RAW[observation])
    raw = RAW[observation].transpose(1, 2, 0) if observation.kind == "frames" else RAW[observation]
    np.testing.assert_array_equal(observation.decode(out), raw.reshape(observation.network_shape))


def test_a_blank_frame_of_a_stack_is_zeros_and_not_less_than_the_mean():
    mean = np.full((2, 3), 100, FLOAT)
    observation = Observation("frames", (4, 2, 3), 0.5, mean=mean)
    frames = np.zeros((4, 2, 3), np.uint8)
    frames[2, 1, 2], frames[3] = 120, 40
    out = encode(observation, frames).reshape(2, 3, 4)
    assert (out[:, :, :2] == 0).all() and (out[:, :, 3] == -30).all()
    assert out[1, 2, 2] == 10 and (out[:, :, 2].ravel()[:-1] == -50).all()


@pytest.mark.parametrize(
    ("observation", "screen"),
    [
        (Observation("frames", (4, 84, 84), 1 / 255), True),
        (Observation("image", (84, 84, 3), 1 / 255), True),
        (Observation("image", (84, 84), 0.02), True),
        (Observation("image", (10, 5)), False),
        (Observation("vector", (128,), 1 / 255), False),
        (Observation("discrete", (3,)), False),
    ],
)
def test_a_screen_is_a_picture_of_bytes(observation, screen):
    assert observation.is_screen == screen


@pytest.mark.parametrize(
    ("observation", "raw"),
    [(o, np.zeros((*o.shape, 1))) for o in RAW if o.kind != "discrete"]
    + [(o, 0.0) for o in RAW if o.kind != "discrete"]
    + [(Observation("discrete", (3,), start=-1), raw) for raw in (-2, 2, [0], np.zeros(3))],
)
def test_observation_refuses(observation, raw):
    with pytest.raises(InputError) as refusal:
        observation.check(raw)
    assert is_one_sentence(str(refusal.value)) and "must be" in str(refusal.value)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 8])
def test_frames_of_any_number_and_layout(channels):
    shape = (channels, 7, 37)
    rng = np.random.default_rng(channels)
    frames, mean = rng.integers(0, 256, shape).astype(np.uint8), rng.uniform(0, 255, shape[1:]).astype(FLOAT)
    for observation, less in (
        (Observation("frames", shape, 0.01), 0),
        (Observation("frames", shape, 0.01, mean=mean), mean),
    ):
        expected = (frames - FLOAT(less)).transpose(1, 2, 0).ravel() * FLOAT(0.01)
        for layout in (frames, frames.astype(FLOAT), np.asfortranarray(frames), frames.repeat(2, axis=2)[:, :, ::2]):
            np.testing.assert_array_equal(encode(observation, layout), expected)
