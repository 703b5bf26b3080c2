"""The network of an agent: the hidden layers that its options name, and the outputs that its algorithm needs."""

from typing import Any

import numpy as np

from numasync.algorithms import algorithm_for
from numasync.config import Config
from numasync.envs.spec import EnvSpec
from numasync.errors import InputError
from numasync.nn.architectures import ARCHITECTURES
from numasync.nn.network import FLOAT_DTYPE, Network, network
from numasync.nn.spec import Layer, heads, towers


def build_network(config: Config, spec: EnvSpec) -> Network:
    """Build the network of a run of `config` on the environment `spec`. It has no parameters yet.

    Raises InputError where the layers do not fit the observation or the algorithm does not fit the actions.
    """
    hidden = ARCHITECTURES[config.network] if isinstance(config.network, str) else config.network
    other_heads = algorithm_for(config.algo, spec).other_heads
    sizes = (*spec.action_heads, *other_heads)
    layers: tuple[Layer, ...] = (*hidden, heads(*sizes))
    if config.separate_value and other_heads:
        layers = (towers((*hidden, heads(*sizes[:-1])), (*hidden, heads(1))),)
    return network(spec.observation.network_shape, *layers, normalize=spec.observation.normalized)


def check_theta(theta: Any, network: Network) -> None:
    """Raise InputError unless `theta` can be the parameters of a network: kernels read it without a check."""
    fits = type(theta) is np.ndarray and theta.dtype == FLOAT_DTYPE and theta.shape == (network.n_parameters,)
    if not fits or not theta.flags.carray:
        found = f"{theta.dtype} {theta.shape}" if isinstance(theta, np.ndarray) else f"a {type(theta).__name__}"
        expected = f"a contiguous, writeable array of float32, of shape ({network.n_parameters},)"
        raise InputError(f"theta is {found}; it must be {expected}.")
