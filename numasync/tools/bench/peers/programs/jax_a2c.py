"""A2C in JAX on the environments of gymnax: acting, games, learning and optimiser are one program of XLA.

Many environments play t_max steps together, and the mean gradient over all of them makes one update. The networks are
numasync's. What was found to be fast on processors, and is done here:

- A convolution is a matrix product on patches (im2col). XLA's own convolution takes many times as long.
- The gradient of many steps is summed over chunks of a few hundred, whose arrays stay in the processor's caches.
- Many updates run in one call, so that Python has no part in them.
- The batch can be split between devices, one for each core; the gradients are then averaged.

Options: environment, an id of gymnax; environments, how many; t_max. The variable JAX_NUM_CPU_DEVICES says how many
devices there are. gymnax's import already uses them, so a program cannot choose their number after it.
"""

import time
from functools import partial
from math import gcd
from typing import Any, NamedTuple

import gymnax
import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import NamedSharding, PartitionSpec

GAMMA, BETA, CLIP_NORM = 0.99, 0.01, 40.0
LR, DECAY, EPS = 1e-3, 0.99, 1e-5
# The most steps whose gradient is computed at once.
CHUNK = 256
# The least seconds of a call. Python takes far less time between two calls.
CALL_SECONDS = 0.1

# A (weights, biases) for each layer.
Parameters = list[tuple[jax.Array, jax.Array]]


class State(NamedTuple):
    """What an update changes. The last three have a part for each device."""

    theta: Parameters
    g: Parameters  # RMSProp's mean of squared gradients
    games: Any  # gymnax's states
    obs: jax.Array  # (environments, *shape)
    key: jax.Array  # (devices,)


class Game(NamedTuple):
    """An environment of gymnax, and how many of it play on one device for how many steps."""

    env: Any
    params: Any
    environments: int
    t_max: int


class Training:
    """The training: its state and the compiled function that makes updates."""

    def __init__(self, options: dict[str, Any]) -> None:
        devices = jax.device_count()
        env, params = gymnax.make(options["environment"])
        self.steps_per_update = options["environments"] * options["t_max"]
        self.updates = 1
        game = Game(env, params, options["environments"] // devices, options["t_max"])
        mesh = jax.make_mesh((devices,), ("device",))
        split, whole = PartitionSpec("device"), PartitionSpec()
        specs = State(whole, whole, split, split, split)
        on_device = partial(make_updates, game)
        on_devices = jax.shard_map(on_device, mesh=mesh, in_specs=(whole, specs), out_specs=specs, check_vma=False)
        self.make_updates = jax.jit(on_devices)
        state = jax.jit(partial(begin, game, options["environments"], devices))(jax.random.key(1))
        self.state = State(*(jax.device_put(x, NamedSharding(mesh, spec)) for x, spec in zip(state, specs)))

    def update(self) -> float:
        """Make one update, which compiles. Return when it was made."""
        self.call()
        return time.time()

    def call(self) -> float:
        """Make `updates` updates and return the seconds."""
        start = time.perf_counter()
        self.state = jax.block_until_ready(self.make_updates(self.updates, self.state))
        return time.perf_counter() - start

    def measure(self, seconds: float) -> float:
        """Train for some seconds and return the steps per second."""
        while self.call() < CALL_SECONDS:
            self.updates *= 2
        start, calls = time.perf_counter(), 0
        while time.perf_counter() < start + seconds:
            self.call()
            calls += 1
        return calls * self.updates * self.steps_per_update / (time.perf_counter() - start)

    def close(self) -> None:
        """Do nothing: the process ends."""


def begin(game: Game, environments: int, devices: int, key: jax.Array) -> State:
    """Return the State before the first update."""
    key, for_theta, for_games = jax.random.split(key, 3)
    obs, games = jax.vmap(game.env.reset, (0, None))(jax.random.split(for_games, environments), game.params)
    theta = initial_parameters(for_theta, obs.shape[1:], game.env.num_actions + 1)
    return State(theta, jax.tree.map(jnp.zeros_like, theta), games, obs, jax.random.split(key, devices))


def initial_parameters(key: jax.Array, shape: tuple[int, ...], outputs: int) -> Parameters:
    """Return the parameters of numasync's network for observations of a shape: `minatar` for images, else `mlp`."""
    if len(shape) == 3:
        rows, columns, channels = shape
        sizes = [(9 * channels, 16), ((rows - 2) * (columns - 2) * 16, 128), (128, outputs)]
    else:
        sizes = [(shape[0], 128), (128, outputs)]
    keys = jax.random.split(key, len(sizes))
    return [
        (jax.random.uniform(k, size, minval=-1, maxval=1) / size[0] ** 0.5, jnp.zeros(size[1]))
        for k, size in zip(keys, sizes)
    ]


def network(theta: Parameters, obs: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the logits, (rows, actions), and the values, (rows,), of observations: (rows, *shape)."""
    *convolution, (weights, biases), (head_weights, head_biases) = theta
    x = obs
    for kernel, kernel_biases in convolution:
        rows, columns = obs.shape[1] - 2, obs.shape[2] - 2
        patches = [x[:, i : i + rows, j : j + columns] for i in range(3) for j in range(3)]
        x = jax.nn.relu(jnp.concatenate(patches, -1).reshape(-1, kernel.shape[0]) @ kernel + kernel_biases)
        x = x.reshape(obs.shape[0], -1)
    x = jax.nn.relu(x @ weights + biases)
    outputs = x @ head_weights + head_biases
    return outputs[:, :-1], outputs[:, -1]


def make_updates(game: Game, updates: jax.Array, state: State) -> State:
    """Make some updates on one device. `state` has the device's part of the batch."""
    return lax.fori_loop(0, updates, lambda _, before: make_update(game, before), state)


def make_update(game: Game, state: State) -> State:
    """Play a segment in every environment, and make one update from all of them."""
    (games, last_obs, key), (obs, actions, rewards, over) = lax.scan(
        partial(play, game, state.theta), (state.games, state.obs, state.key[0]), length=game.t_max
    )
    returns = returns_of(network(state.theta, last_obs)[1], rewards, over)
    flat = obs.reshape(-1, *obs.shape[2:]), actions.reshape(-1), returns.reshape(-1)
    grad = lax.pmean(mean_gradient(state.theta, *flat), "device")
    theta, g = rmsprop(state.theta, state.g, grad)
    return State(theta, g, games, last_obs, key[None])


def play(game: Game, theta: Parameters, carry: tuple, _: None) -> tuple[tuple, tuple]:
    """Play one step in every environment. An environment whose episode is over starts another one."""
    games, obs, key = carry
    key, for_actions, for_games = jax.random.split(key, 3)
    actions = jax.random.categorical(for_actions, network(theta, obs)[0])
    keys = jax.random.split(for_games, game.environments)
    next_obs, games, rewards, terminated, truncated, _ = jax.vmap(game.env.step, (0, 0, 0, None))(
        keys, games, actions, game.params
    )
    return (games, next_obs, key), (obs, actions, rewards, terminated | truncated)


def returns_of(bootstrap: jax.Array, rewards: jax.Array, over: jax.Array) -> jax.Array:
    """Return R of each step, (t_max, environments). bootstrap: V after the last step, (environments,)."""

    def go_back(R: jax.Array, step: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        reward, ended = step
        R = reward + GAMMA * jnp.where(ended, 0.0, R)
        return R, R

    return lax.scan(go_back, bootstrap, (rewards, over), reverse=True)[1]


def mean_gradient(theta: Parameters, *steps: jax.Array) -> Parameters:
    """Return the mean gradient of the loss over steps. steps: observations, actions, returns, a row for each step."""
    rows = steps[0].shape[0]
    if rows <= CHUNK:
        return jax.grad(loss)(theta, *steps)
    size = gcd(rows, CHUNK)
    chunks = [x.reshape(rows // size, size, *x.shape[1:]) for x in steps]

    def add(total: Parameters, chunk: list[jax.Array]) -> tuple[Parameters, None]:
        return jax.tree.map(jnp.add, total, jax.grad(loss)(theta, *chunk)), None

    total, _ = lax.scan(add, jax.tree.map(jnp.zeros_like, theta), chunks)
    return jax.tree.map(lambda x: x * (size / rows), total)


def loss(theta: Parameters, obs: jax.Array, actions: jax.Array, returns: jax.Array) -> jax.Array:
    """Return the mean loss of the steps: of policy and value, less the entropy bonus."""
    logits, values = network(theta, obs)
    log_pi = jax.nn.log_softmax(logits)
    advantages = returns - values
    chosen = jnp.take_along_axis(log_pi, actions[:, None], 1)[:, 0]
    entropy = -(jnp.exp(log_pi) * log_pi).sum(1)
    return (-chosen * lax.stop_gradient(advantages) + 0.5 * advantages**2 - BETA * entropy).mean()


def rmsprop(theta: Parameters, g: Parameters, grad: Parameters) -> tuple[Parameters, Parameters]:
    """Return theta and g after one update with a gradient whose norm is limited."""
    norm = jnp.sqrt(sum(jnp.vdot(x, x) for x in jax.tree.leaves(grad)))
    scale = jnp.minimum(1.0, CLIP_NORM / norm)
    grad = jax.tree.map(lambda x: scale * x, grad)
    g = jax.tree.map(lambda mean, x: DECAY * mean + (1 - DECAY) * x * x, g, grad)
    return jax.tree.map(lambda p, x, mean: p - LR * x / jnp.sqrt(mean + EPS), theta, grad, g), g
