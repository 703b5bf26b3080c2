"""Observations as the loop sees them."""

import numpy as np

from numasync.envs.observation import Observation
from numasync.runtime.jit import FLOAT


def encode(observation: Observation, raw: np.ndarray) -> np.ndarray:
    """Return a raw observation as the network's input, float32 (inputs,)."""
    out = np.full(int(np.prod(observation.network_shape)), np.nan, FLOAT)
    observation.encode(raw, out)
    return out
