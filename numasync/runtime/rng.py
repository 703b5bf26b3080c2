"""Random numbers inside kernels: one xoshiro256++ state row, uint64 (4,), per worker.

A row is an array like any other: it can be stored in a checkpoint, and a worker's whole randomness (exploration and
environment) is that row. Algorithm: Blackman and Vigna 2021, "Scrambled linear pseudorandom number generators".
"""

import numpy as np

from numasync.runtime.jit import kernel

TO_UNIT = np.float64(2.0**-53)
WORDS_A_ROW = 4


def seed_row(seed, *stream):
    """A generator state for stream `stream` (integers) of `seed`: uint64 (4,). Different streams are independent."""
    return np.random.SeedSequence(seed, spawn_key=stream).generate_state(WORDS_A_ROW, np.uint64)


@kernel
def rotate_left(x, k):
    return (x << np.uint64(k)) | (x >> np.uint64(64 - k))


@kernel
def next_word(rng):
    """The next 64 random bits; `rng` is modified in place."""
    word = rotate_left(rng[0] + rng[3], 23) + rng[0]
    t = rng[1] << np.uint64(17)
    rng[2] ^= rng[0]
    rng[3] ^= rng[1]
    rng[1] ^= rng[2]
    rng[0] ^= rng[3]
    rng[2] ^= t
    rng[3] = rotate_left(rng[3], 45)
    return word


@kernel
def uniform(rng):
    """A float64 in [0, 1) with 53 random bits."""
    return np.float64(next_word(rng) >> np.uint64(11)) * TO_UNIT


@kernel
def normal(rng):
    """A float64 from the normal distribution, mean 0 and variance 1. Box and Muller 1958."""
    radius = np.sqrt(-2.0 * np.log(1.0 - uniform(rng)))  # 1 - u is never 0
    return radius * np.cos(2.0 * np.pi * uniform(rng))


@kernel
def choice(rng, n):
    """An integer in 0..n-1, each equally likely (to within n / 2**53)."""
    return np.int64(uniform(rng) * n)
