"""Which axis of an image holds the channels, and that a transposed image is the same input."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from support.catch3 import Catch
from support.gym_envs import box, registered_env
from support.observations import encode

import numasync
from numasync import InputError, dense
from numasync.envs import make_env
from numasync.envs.observation import Observation
from numasync.envs.python.gym import image_kind
from numasync.errors import TroubleWarning
from numasync.tools.frames import make_cells


@pytest.mark.parametrize(
    ("shape", "kind", "network_shape"),
    [
        ((4, 84, 84), "channels_first", (84, 84, 4)),
        ((1, 84, 84), "channels_first", (84, 84, 1)),
        ((3, 210, 160), "channels_first", (210, 160, 3)),
        ((20, 7, 7), "channels_first", (7, 7, 20)),
        ((84, 84, 4), "image", (84, 84, 4)),
        ((210, 160, 3), "image", (210, 160, 3)),
        ((7, 7, 20), "image", (7, 7, 20)),
        ((10, 10, 10), "image", (10, 10, 10)),
        ((10, 12), "image", (10, 12, 1)),
        ((4, 84, 84, 3), "stack", (84, 84, 12)),
        ((4, 84, 84, 1), "stack", (84, 84, 4)),
        ((4, 3, 84, 84), "channels_first", (84, 84, 12)),
        ((5,), "vector", (5,)),
    ],
)
def test_the_axis_of_the_channels(shape, kind, network_shape):
    assert image_kind(shape) == kind and Observation(kind, shape).network_shape == network_shape


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("mean", [False, True])
@pytest.mark.parametrize("shape", [(4, 9, 11), (2, 3, 9, 11), (2, 9, 11, 3)])
def test_an_image_and_its_transpose_are_the_same_input(dtype, mean, shape):
    rng = np.random.default_rng(0)
    raw = (rng.random(shape) * 200).astype(dtype)
    kind = "stack" if shape[-1] == 3 else "channels_first"
    last = raw.transpose(1, 2, 0, 3) if kind == "stack" else np.moveaxis(raw.reshape(-1, 9, 11), 0, -1)
    last = np.ascontiguousarray(last).reshape(9, 11, -1)
    means = rng.random(last.shape).astype(np.float32) if mean else None
    ours, theirs = Observation(kind, shape, 1 / 255, mean=means), Observation("image", last.shape, 1 / 255, mean=means)
    np.testing.assert_array_equal(encode(ours, raw), encode(theirs, last))
    np.testing.assert_allclose(ours.decode(encode(ours, raw)), last, rtol=1e-4, atol=1e-3)
    assert ours.mean_shape == theirs.mean_shape and ours.is_screen


class Spot(gymnasium.Env):
    """A bright column that moves; reward for the action that names its half. `first`: channels first."""

    action_space = spaces.Discrete(2)

    def __init__(self, first):
        self.first = first
        self.observation_space = box((4, 8, 8) if first else (8, 8, 4), np.uint8)

    def picture(self):
        self.column = self.np_random.integers(8)
        picture = np.zeros((4, 8, 8), np.uint8)
        picture[:, :, self.column] = 255
        return picture if self.first else np.moveaxis(picture, 0, -1)

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self.picture(), {}

    def step(self, action):
        self.steps += 1
        reward = float(action == self.column // 4)
        return self.picture(), reward, False, self.steps == 10, {}


@pytest.mark.compiled
def test_a_run_on_channels_first_is_the_run_on_its_transpose(monkeypatch, tmp_path):
    agents = []
    for first in (True, False):
        spec = gymnasium.envs.registration.EnvSpec("Spot-v0", lambda first=first: Spot(first))
        monkeypatch.setitem(gymnasium.registry, "Spot-v0", spec)
        options = dict(workers=2, steps=500, normalize=True, final_eval_episodes=2, deterministic=True)
        agents.append(numasync.train("Spot-v0", network=(dense(8),), out=tmp_path / str(first), **options))
        env = Spot(first)
        raw, _ = env.reset(seed=1)
        loaded = numasync.load(tmp_path / str(first) / "checkpoint.npz")
        assert loaded.spec == agents[-1].spec and loaded.predict(raw) == agents[-1].predict(raw)
        with pytest.raises(InputError):
            loaded.predict(np.moveaxis(raw, 0, -1))
        assert loaded.evaluate(2) == agents[-1].result["evaluation"]
    assert agents[0].spec.observation.kind == "channels_first" and agents[0].network.input_shape == (8, 8, 4)
    np.testing.assert_array_equal(agents[0].theta, agents[1].theta)


def test_an_agent_of_an_earlier_version_keeps_the_layout_that_it_learned():
    with registered_env(box((4, 84, 84), np.uint8)) as env_id:
        assert make_env(env_id).spec[1:3] == ("atari", Observation("channels_first", (4, 84, 84), 1 / 255))
        old = Observation("image", (4, 84, 84), 1 / 255)
        assert make_env(env_id, observation=old).spec.observation == old


@pytest.mark.parametrize("shape", [(40, 40, 3), (40, 40)])
def test_pixels_of_sixteen_bits_are_scaled_by_their_range(shape):
    with registered_env(box(shape, np.uint16, 0, 65535)) as env_id:
        observation = make_env(env_id).spec.observation
    assert observation == Observation("image", shape, 1 / 65535) and observation.is_screen
    raw = np.full(shape, 65535, np.uint16)
    np.testing.assert_allclose(encode(observation, raw), 1)
    assert (make_cells(encode(observation, raw), observation) == 255).all()


# --- Which axis holds the channels, where the shape does not say it


@pytest.mark.parametrize("shape", [(8, 8, 8), (6, 7, 20), (20, 7, 6), (5, 6, 7), (2, 9, 8, 7)])
def test_where_the_shape_does_not_say_it_a_warning_names_the_axis_and_the_option(shape):
    with registered_env(box(shape, np.uint8)) as env_id:
        with pytest.warns(
            TroubleWarning, match=r"takes the (first|last) axis .* --channels (first|last) \(channels="
        ) as said:
            kind = make_env(env_id).spec.observation.kind
        taken = "first" if kind == "channels_first" else "last"
        assert f"takes the {taken} axis" in str(said[0].message) and f"--channels {taken} ends" in str(said[0].message)


@pytest.mark.parametrize("shape", [(4, 84, 84), (84, 84, 4), (3, 210, 160), (210, 160, 3), (7, 5, 3), (10, 10), (5,)])
def test_a_shape_that_says_it_gets_no_warning(shape, recwarn):
    with registered_env(box(shape, np.uint8)) as env_id:
        make_env(env_id)
    assert not recwarn.list


@pytest.mark.parametrize("shape", [(6, 7, 20), (8, 8, 8), (4, 84, 84), (2, 9, 8, 7)])
def test_the_option_chooses_the_axis(shape, recwarn):
    with registered_env(box(shape, np.uint8)) as env_id:
        first, last = (make_env(env_id, channels=channels).spec.observation for channels in ("first", "last"))
        assert make_env(env_id, observation=last).spec.observation == last, "the agent's choice stays"
        assert make_env(env_id, observation=first).spec.observation == first
    assert first.kind == "channels_first" and first.network_shape[:2] == shape[-2:]
    assert last.kind in ("image", "stack") and last.network_shape[:2] == shape[-3:-1]
    assert not recwarn.list


@pytest.mark.compiled
def test_catch_with_channels_first_and_last_is_learned_in_the_same_way():
    options = dict(algo="a3c", steps=20_000, workers=2, lr=1e-2, rms_eps=1e-3, t_max=6, final_eval_episodes=50)
    first, last = (
        numasync.train(Catch, env_kwargs=dict(first=first), deterministic=True, **options) for first in (True, False)
    )
    assert first.spec.observation.kind == "channels_first" and last.spec.observation.kind == "image"
    assert first.network.input_shape == last.network.input_shape == (7, 7, 3)
    np.testing.assert_array_equal(first.theta, last.theta)
    assert first.result["evaluation"] == last.result["evaluation"] and first.result["evaluation"]["mean"] > 0.9
