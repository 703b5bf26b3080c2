"""The generator against the published algorithm in Python integers, and the distributions drawn from it."""

import copy
import pickle

import numba
import numpy as np
import pytest

from numasync.errors import InputError
from numasync.runtime.jit import kernel
from numasync.runtime.rng import (
    choice,
    choice_in_python,
    next_word,
    normal,
    seed_row,
    uniform,
    uniform_in_python,
)

MASK = 2**64 - 1
N = 5000
SIGMAS = 5


def reference_word(state):
    """One step of xoshiro256++ (Blackman and Vigna) on a list of four integers, which it modifies."""

    def rotate_left(x, k):
        return ((x << k) | (x >> (64 - k))) & MASK

    word = (rotate_left((state[0] + state[3]) & MASK, 23) + state[0]) & MASK
    t = (state[1] << 17) & MASK
    state[2] ^= state[0]
    state[3] ^= state[1]
    state[1] ^= state[2]
    state[0] ^= state[3]
    state[2] ^= t
    state[3] = rotate_left(state[3], 45)
    return word


def state_with_next_word(word):
    """A state whose next word is `word`: with s0 + s3 = 0 modulo 2**64 it is s0."""
    return np.array([word, 1, 2, (2**64 - word) & MASK], np.uint64)


def test_published_first_words():
    rng = np.array([1, 2, 3, 4], np.uint64)
    words = [int(next_word(rng)) for _ in range(5)]
    assert words == [41943041, 58720359, 3588806011781223, 3591011842654386, 9228616714210784205]


@pytest.mark.parametrize("seed", [0, 1, 2**40])
def test_words_match_the_reference(seed):
    rng = seed_row(seed, 3)
    state = [int(word) for word in rng]
    for _ in range(200):
        assert int(next_word(rng)) == reference_word(state)
    assert [int(word) for word in rng] == state


def test_uniform_is_the_top_53_bits():
    rng = seed_row(5)
    state = [int(word) for word in rng]
    for _ in range(100):
        assert uniform(rng) == (reference_word(state) >> 11) / 2**53


@pytest.mark.parametrize("n", [2, 18, 2**31 - 1, 2**53])
def test_python_draws_what_kernels_draw(n):
    here, there = seed_row(5), seed_row(5)
    for _ in range(100):
        assert uniform_in_python(here) == uniform(there)
        assert choice_in_python(here, n) == choice(there, n)
    assert here.tolist() == there.tolist()


def test_uniform_moments():
    rng = seed_row(7)
    u = np.array([uniform(rng) for _ in range(N)])
    assert u.min() >= 0 and u.max() < 1
    assert abs(u.mean() - 1 / 2) < SIGMAS * np.sqrt(1 / 12 / N)
    assert abs(np.mean((u - 1 / 2) ** 2) - 1 / 12) < SIGMAS * np.sqrt((1 / 80 - 1 / 144) / N)


def test_normal_moments():
    rng = seed_row(8)
    z = np.array([normal(rng) for _ in range(N)])
    # The moments of N(0, 1) are 0, 1, 0, 3; z^k has the variance E z^2k - (E z^k)^2.
    for k, moment, var in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs(np.mean(z**k) - moment) < SIGMAS * np.sqrt(var / N)
    assert np.isfinite(normal(state_with_next_word(0))) and np.isfinite(normal(state_with_next_word(MASK)))


@pytest.mark.parametrize("n", [1, 2, 3, 6, 18, 2**31 - 1])
def test_ends_of_the_range(n):
    lowest, highest = state_with_next_word(0), state_with_next_word(MASK)
    assert uniform(lowest.copy()) == 0 and uniform(highest.copy()) == 1 - 2**-53
    assert choice(lowest, n) == 0 and choice(highest, n) == n - 1


@pytest.mark.parametrize("n", [2, 6])
def test_choice_is_uniform(n):
    rng = seed_row(9)
    counts = np.bincount([choice(rng, n) for _ in range(N)], minlength=n)
    assert counts.size == n
    assert np.abs(counts - N / n).max() < SIGMAS * np.sqrt(N / n * (1 - 1 / n))


def test_seed_row():
    row = seed_row(1, 2)
    assert row.dtype == np.uint64 and row.shape == (4,)
    np.testing.assert_array_equal(row, seed_row(1, 2))


def test_streams_differ():
    rows = [seed_row(seed, *stream) for seed in range(3) for stream in [(), *((i,) for i in range(16)), (0, 0), (0, 1)]]
    assert len({row.tobytes() for row in rows}) == len(rows)
    assert len({int(next_word(row)) for row in rows}) == len(rows)


def test_neighbouring_streams_are_uncorrelated():
    u = np.array([[uniform(rng) for _ in range(N)] for rng in (seed_row(1, 0), seed_row(1, 1))])
    assert abs(np.corrcoef(u)[0, 1]) < SIGMAS / np.sqrt(N)


READ_ONLY = seed_row(1)
READ_ONLY.flags.writeable = False
NO_ROWS = {
    "an array of int64 (2,)": np.array([1, 2]),
    "an array of int64 (4,)": np.array([1, 2, 3, 4]),
    "an array of float64 (4,)": np.zeros(4),
    "an array of uint64 (3,)": np.zeros(3, np.uint64),
    "an array of uint64 (0,)": np.zeros(0, np.uint64),
    "an array of uint64 (1, 4)": np.zeros((1, 4), np.uint64),
    "an array of >u8 (4,)": np.zeros(4, ">u8"),
    "an array of uint64 (4,) that is read-only": READ_ONLY,
    "of the type MaskedArray": np.ma.zeros(4, np.uint64),
    "of the type list": [1, 2, 3, 4],
    "of the type Generator": np.random.default_rng(1),
    "of the type int": 3,
    "of the type NoneType": None,
}


@pytest.mark.parametrize("draw", [uniform, normal, lambda rng: choice(rng, 3)], ids=["uniform", "normal", "choice"])
@pytest.mark.parametrize("found", NO_ROWS)
def test_what_is_no_generator_row_is_refused(draw, found):
    with pytest.raises(InputError) as refused:
        draw(NO_ROWS[found])
    needed = "it must be a generator row, a NumPy array of uint64 (4,) that can be written."
    assert str(refused.value) == f"rng is {found}; {needed}"


@pytest.mark.parametrize("n", [0, -1, 2.5, 2**53 + 1, np.nan, np.inf, np.int64(0), True, "3", None, np.array([3])])
def test_choice_refuses_what_is_no_size(n):
    rng = seed_row(1)
    with pytest.raises(InputError, match=r"^n is .*; it must be a whole number from 1 to 9007199254740992\.$"):
        choice(rng, n)
    np.testing.assert_array_equal(rng, seed_row(1))


def test_choice_takes_every_whole_number():
    drawn = {choice(seed_row(1), n) for n in (7, np.int8(7), np.uint64(7), 7.0, np.float32(7))}
    assert len(drawn) == 1 and drawn == {choice(rng=seed_row(1), n=7)}


def test_views_of_four_words_are_generator_rows():
    words = np.repeat(seed_row(1), 2)
    assert uniform(words[::2]) == uniform(seed_row(1))


@kernel
def draw_all(drawn, rng):
    drawn[0], drawn[1], drawn[2] = uniform(rng), normal(rng), choice(rng, 5)


def test_compiled_functions_draw_what_python_draws():
    drawn, rng = np.zeros(3), seed_row(4)
    draw_all(drawn, seed_row(4))
    np.testing.assert_allclose(drawn, [uniform(rng), normal(rng), choice(rng, 5)], rtol=1e-15)


@pytest.mark.compiled
def test_a_users_compiled_function_calls_the_kernel_itself():
    """It checks nothing: a compiled function calls the kernel's part."""
    drawn = np.zeros(3)
    assert numba.typeof(uniform) == numba.types.Dispatcher(uniform.kernel.part)
    users = numba.njit(lambda drawn, rng, draw: draw_all(drawn, rng) or draw(rng))
    assert users(drawn, seed_row(4), uniform) == users.py_func(drawn, seed_row(4), uniform)


def test_the_functions_are_pickled_and_copied_by_name():
    for function in (uniform, normal, choice):
        assert pickle.loads(pickle.dumps(function)) is copy.deepcopy(function) is function
