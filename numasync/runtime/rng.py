"""Random numbers inside kernels: xoshiro256++, with one generator per worker.

A generator is a row: uint64 (4,). A row is an array like any other, so a checkpoint can store it. It is the only source
of randomness of its worker, for exploration and environment alike.

Source: Blackman and Vigna 2021, "Scrambled linear pseudorandom number generators".
"""

from typing import Any

import numpy as np

from numasync.errors import InputError
from numasync.runtime.jit import kernel, kernel_or, public_kernel

TO_UNIT = np.float64(2.0**-53)
WORDS_PER_ROW = 4
WORD = np.dtype(np.uint64)
ALL_BITS = 2**64 - 1
LARGEST_CHOICE = 2**53


def seed_row(seed: int, *stream: int) -> np.ndarray:
    """Return a new generator row, uint64 (4,).

    seed    the run's seed
    stream  integers that name one of the seed's streams, such as a worker's number; different streams are independent
    """
    return np.random.SeedSequence(seed, spawn_key=stream).generate_state(WORDS_PER_ROW, np.uint64)


@kernel
def rotate_left(x, k):
    """Rotate the 64 bits of x to the left by k places, 0 < k < 64."""
    return (x << np.uint64(k)) | (x >> np.uint64(64 - k))


def next_word_in_python(rng):
    """`next_word` with Python's integers. NumPy would warn that its own wrap around."""
    a, b, c, d = rng.tolist()
    total = (a + d) & ALL_BITS
    word = (((total << 23) | (total >> 41)) + a) & ALL_BITS
    t = (b << 17) & ALL_BITS
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= t
    rng[:] = a, b, c, ((d << 45) | (d >> 19)) & ALL_BITS
    return np.uint64(word)


@kernel_or(next_word_in_python)
def next_word(rng):
    """Return the next 64 random bits of a generator row, uint64, and advance the row."""
    word = rotate_left(rng[0] + rng[3], 23) + rng[0]
    t = rng[1] << np.uint64(17)
    rng[2] ^= rng[0]
    rng[3] ^= rng[1]
    rng[1] ^= rng[2]
    rng[0] ^= rng[3]
    rng[2] ^= t
    rng[3] = rotate_left(rng[3], 45)
    return word


def uniform_in_python(rng: np.ndarray) -> float:
    """Return what `uniform` draws. Nothing is compiled, so that a few draws are quick."""
    return float(np.float64(next_word_in_python(rng) >> np.uint64(11)) * TO_UNIT)


def choice_in_python(rng: np.ndarray, n: int) -> int:
    """Return what `choice` draws. Nothing is compiled, so that a few draws are quick."""
    return int(uniform_in_python(rng) * n)


def check_row(rng: Any) -> None:
    """Raise InputError unless `rng` is a generator row."""
    is_array = type(rng) is np.ndarray
    if is_array and rng.dtype == WORD and rng.shape == (WORDS_PER_ROW,) and rng.flags.writeable:
        return
    found = f"an array of {rng.dtype} {rng.shape}" if is_array else f"of the type {type(rng).__name__}"
    if is_array and not rng.flags.writeable:
        found += " that is read-only"
    raise InputError(
        f"rng is {found}; it must be a generator row, a NumPy array of uint64 ({WORDS_PER_ROW},) that can be written."
    )


def check_row_and_size(rng: Any, n: Any) -> None:
    """Raise InputError unless `rng` is a generator row, and n a whole number from 1 to 2**53, also as a float."""
    check_row(rng)
    is_number = isinstance(n, (int, float, np.integer, np.floating)) and not isinstance(n, bool)
    if not is_number or not 1 <= n <= LARGEST_CHOICE or n != int(n):
        raise InputError(f"n is {n!r}; it must be a whole number from 1 to {LARGEST_CHOICE}.")


@public_kernel(check_row)
def uniform(rng):
    """Draw a float64 from the uniform distribution on [0, 1), with 53 random bits.

    rng  uint64 (4,): the generator row that an environment's reset and step receive; it is advanced

    Works in plain Python and in compiled functions. In plain Python it raises InputError for another kind of rng.
    Compiled functions check nothing.
    """
    return np.float64(next_word(rng) >> np.uint64(11)) * TO_UNIT


@public_kernel(check_row)
def normal(rng):
    """Draw a float64 from the normal distribution with mean 0 and variance 1.

    rng  uint64 (4,): the generator row that an environment's reset and step receive; it is advanced

    Works in plain Python and in compiled functions. In plain Python it raises InputError for another kind of rng.
    Compiled functions check nothing.

    Source: Box and Muller 1958, "A note on the generation of random normal deviates".
    """
    radius = np.sqrt(-2.0 * np.log(1.0 - uniform(rng)))  # 1 - u is never 0
    return radius * np.cos(2.0 * np.pi * uniform(rng))


@public_kernel(check_row_and_size)
def choice(rng, n):
    """Draw an integer from 0 to n - 1, int64. All are equally likely, up to a difference of n / 2**53.

    rng  uint64 (4,): the generator row that an environment's reset and step receive; it is advanced
    n    a whole number from 1 to 2**53: how many integers there are to choose from

    Works in plain Python and in compiled functions. In plain Python it raises InputError for another kind of rng or n.
    Compiled functions check nothing.
    """
    return np.int64(uniform(rng) * n)
