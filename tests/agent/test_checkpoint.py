"""Checkpoints: written whole or not at all, read without pickle, refused in one sentence where they are damaged."""

import json
import os
import stat
import tracemalloc

import numpy as np
import pytest

import numasync
from numasync import InputError, dense, relu
from numasync.agent import checkpoint
from numasync.agent.agent import Agent
from numasync.agent.checkpoint import save_checkpoint, write_atomically
from numasync.agent.description import DIMENSIONS
from numasync.config import Config
from numasync.envs.jitted.cartpole import CARTPOLE
from numasync.envs.observation import Observation
from numasync.runtime.jit import FLOAT


@pytest.fixture
def agent():
    return Agent(Config(network=(dense(3), relu())), CARTPOLE.spec)


@pytest.fixture
def path(agent, tmp_path):
    agent.save(tmp_path / "agent.npz")
    return tmp_path / "agent.npz"


def loads_equal_or_is_refused(path, content, agent):
    """Write content to path and load it: true if it gives `agent`, false if it is refused, else an error."""
    path.write_bytes(content)
    try:
        found = numasync.load(path)
    except InputError as error:
        assert "\n" not in str(error) and str(error).endswith(".")
        return False
    assert found.config == agent.config and found.spec == agent.spec and found.theta.tobytes() == agent.theta.tobytes()
    return True


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "file"
    write_atomically(path, lambda file: file.write(b"old"))

    def fail(file):
        file.write(b"new, but only a part of")
        raise error

    with pytest.raises(type(error)):
        write_atomically(path, fail)
    assert list(tmp_path.iterdir()) == [path] and path.read_bytes() == b"old"


def test_the_old_file_stands_until_the_new_one_is_complete(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, lambda file: file.write(b"old"))

    def write(file):
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"

    write_atomically(path, write)
    assert list(tmp_path.iterdir()) == [path] and path.read_bytes() == b"new"


def test_a_file_has_the_permissions_that_the_umask_gives(tmp_path):
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "file", lambda file: None)
        assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640
        assert os.umask(0o027) == 0o027, "the umask is as it was"
    finally:
        os.umask(before)


def test_a_write_leaves_the_umask_alone(tmp_path, monkeypatch):
    """It is the whole process's: another thread would make its files with it."""
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("the umask is changed"))
    write_atomically(tmp_path / "file", lambda file: file.write(b"new"))
    assert (tmp_path / "file").read_bytes() == b"new"


def test_a_checkpoint_is_arrays_and_a_json_text_without_pickle(path, agent):
    with np.load(path, allow_pickle=False) as file:
        assert sorted(file.files) == ["description", "theta"]
        assert file["theta"].dtype == np.float32 and np.array_equal(file["theta"], agent.theta)
        description = json.loads(str(file["description"]))
    assert description["format"] == checkpoint.FORMAT and description["spec"]["id"] == "CartPole-v1"


def test_a_truncated_file_is_refused_wherever_it_ends(path, agent):
    whole = path.read_bytes()
    for length in np.linspace(0, len(whole) - 1, 20).astype(int):
        assert not loads_equal_or_is_refused(path, whole[:length], agent)
    assert loads_equal_or_is_refused(path, whole, agent)


def test_a_flipped_bit_is_harmless_or_noticed(path, agent):
    whole = path.read_bytes()
    rng = np.random.default_rng(1)
    directory = whole.index(b"PK\x01\x02")
    # Anywhere, and every bit of the zip file's directory, where a flip does not meet a checksum.
    bits = [*rng.integers(8 * len(whole), size=30), *range(8 * directory, 8 * len(whole))]
    refused = 0
    for bit in bits:
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << (bit % 8)
        refused += not loads_equal_or_is_refused(path, bytes(damaged), agent)
    assert refused > len(bits) // 2


def test_a_flipped_bit_of_the_parameters_is_refused(path, agent):
    whole = path.read_bytes()
    start = whole.index(agent.theta.tobytes())
    for byte in range(start, start + agent.theta.nbytes, 7):
        damaged = bytearray(whole)
        damaged[byte] ^= 1
        assert not loads_equal_or_is_refused(path, bytes(damaged), agent)


def test_another_format_is_refused_by_its_number(path, agent, monkeypatch):
    monkeypatch.setattr(checkpoint, "FORMAT", 2)
    agent.save(path)
    monkeypatch.setattr(checkpoint, "FORMAT", 1)
    with pytest.raises(InputError, match="has checkpoint format 2; this version of numasync reads format 1"):
        numasync.load(path)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_text("weights: none\n"),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"PK\x05\x06" + bytes(18)),  # an empty zip file
        lambda path: save_npz(path, theta=np.zeros(3)),
        lambda path: save_npz(path, description=np.array("no JSON"), theta=np.zeros(3)),
        lambda path: save_npz(path, description=np.array('["format"]'), theta=np.zeros(3)),
        lambda path: save_npz(path, description=np.array({"format": 1})),  # pickled
        lambda path: save_checkpoint(path, {}, {}),
        lambda path: save_checkpoint(path, {"config": {}, "spec": None, "result": None}, {"theta": np.zeros(3)}),
        lambda path: path.mkdir(),
        lambda path: None,
    ],
    ids=[
        "text",
        "empty",
        "no members",
        "no description",
        "no JSON",
        "a list",
        "pickled",
        "no agent",
        "no spec",
        "a folder",
        "nothing",
    ],
)
def test_what_is_no_checkpoint_is_refused_in_one_sentence(tmp_path, write):
    path = tmp_path / "agent.npz"
    write(path)
    with pytest.raises(InputError, match=r"agent\.npz\b.*\.$"):
        numasync.load(path)


def save_npz(path, **arrays):
    with open(path, "wb") as file:
        np.savez(file, **arrays)


def test_nothing_that_was_pickled_is_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (tmp_path / "ran").mkdir, ()

    save_npz(tmp_path / "agent.npz", description=np.array(Evil(), dtype=object))
    with pytest.raises(InputError):
        numasync.load(tmp_path / "agent.npz")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda theta: theta[:-1],
        lambda theta: np.append(theta, theta[:1]),
        lambda theta: theta.reshape(1, -1),
        lambda theta: theta.astype(np.float64),
        lambda theta: theta.astype(">f4"),
    ],
    ids=["shorter", "longer", "a matrix", "float64", "big-endian"],
)
def test_parameters_that_do_not_fit_the_network_are_refused(agent, path, change):
    with np.load(path) as file:
        save_npz(path, description=file["description"], theta=change(agent.theta))
    with pytest.raises(InputError, match="parameters that do not fit its network"):
        numasync.load(path)
    agent.theta = change(agent.theta)
    with pytest.raises(InputError, match=r"^theta is .*; it must be .* float32, of shape \(23,\)\.$"):
        agent.save(path)


def test_an_option_of_another_version_is_refused(agent, path, monkeypatch):
    monkeypatch.setattr(numasync.agent.agent.dataclasses, "asdict", lambda config: {"network": "mlp", "momentum": 0.5})
    agent.save(path)
    with pytest.raises(InputError, match="does not describe an agent of this version"):
        numasync.load(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["theta", "mean"])
def test_numbers_that_are_not_finite_are_refused(path, value, name):
    agent = Agent(Config(network=(dense(3), relu())), CARTPOLE.spec._replace(observation=screen()))
    agent.save(path)
    with np.load(path) as file:
        arrays = {key: file[key].copy() for key in file.files}
    arrays[name].reshape(-1)[-1] = value
    save_npz(path, **arrays)
    with pytest.raises(InputError, match=r"agent\.npz holds numbers that are not finite; the file is damaged\.$"):
        numasync.load(path)


def screen():
    return Observation("image", (2, 3), 0.5, mean=np.ones((2, 3), FLOAT))


def test_parameters_that_could_not_be_loaded_again_are_not_saved(agent, path):
    before = path.read_bytes()
    agent.theta[0] = 1e6
    with pytest.raises(InputError, match="numbers that float16 cannot hold"):
        agent.save(path, half=True)
    agent.theta[0] = np.nan
    with pytest.raises(InputError, match="not finite"):
        agent.save(path)
    assert path.read_bytes() == before


def changed_description(path, change):
    """Change the description of a checkpoint in place."""
    with np.load(path) as file:
        description, theta = json.loads(str(file["description"])), file["theta"]
    change(description)
    save_npz(path, description=np.array(json.dumps(description)), theta=theta)


CHANGES = {
    "lr is [1000000000.0]; it must be a number above 0": ("config", "lr", [1e9]),
    "gamma is 'mlp'; it must be a number from 0 to 1": ("config", "gamma", "mlp"),
    "steps is [1, 2]; it must be a whole number from 1": ("config", "steps", [1, 2]),
    "seed is -1; it must be a whole number from 0": ("config", "seed", -1),
    "'dqn' is no algo; the nearest algorithms here are": ("config", "algo", "dqn"),
    "network": ("config", "network", 5),
    "'big' is no network; choose one of": ("config", "network", "big"),
    "kind of a layer": ("config", "network", [{"kind": 5, "sizes": [1]}]),
    "A size of dense is '3'": ("config", "network", [{"kind": "dense", "sizes": ["3"]}]),
    "A size of dense is 1.5": ("config", "network", [{"kind": "dense", "sizes": [1.5]}]),
    "'tanh' is no layer": ("config", "network", [{"kind": "tanh", "sizes": []}]),
    "id is 5": ("spec", "id", 5),
    "id is 'a\\nb'": ("spec", "id", "a\nb"),
    "'x' is no family; choose one of": ("spec", "family", "x"),
    "n_actions is 0": ("spec", "n_actions", 0),
    "n_actions is 2.0": ("spec", "n_actions", 2.0),
    "bounds is 3": ("spec", "bounds", 3),
    "the lowest and the highest": ("spec", "bounds", [[1, 1], [0, 2]]),
    "bounds must be numbers": ("spec", "bounds", [["0", 0], [1, 2]]),
    "action_start is 'x'": ("spec", "action_start", "x"),
    "nvec is [2]; it must be a list of 2 to 2": ("spec", "nvec", [2]),
    "A number of nvec is 0": ("spec", "nvec", [2, 0]),
    "action_shape is (1, 2)": ("spec", "action_shape", [1, 2]),
    "action_dtype is 'O'": ("spec", "action_dtype", "O"),
    "'sound' is no kind of an observation": ("observation", "kind", "sound"),
    "A size of shape is -4": ("observation", "shape", [-4]),
    "shape has 1 numbers": ("observation", "kind", "image"),
    "scale is 0": ("observation", "scale", 0),
    "scale is nan": ("observation", "scale", float("nan")),
    "start is 0.5": ("observation", "start", 0.5),
    "flattened is 1": ("observation", "flattened", 1),
    "result must be": (None, "result", 7),
    "mean of evaluation is 'high'": ("result", "mean", "high"),
    "steps is 'many'": ("result", "steps", "many"),
}


@pytest.mark.parametrize("says", CHANGES)
def test_what_a_file_says_is_checked_as_what_a_user_says(path, says):
    part, name, value = CHANGES[says]

    def change(description):
        scores = dict(episodes=1, mean=1.0, std=0.0, min=1.0, max=1.0)
        if part == "observation":
            description["spec"]["observation"][name] = value
        elif part == "result":
            description["result"] = {"steps": 1, "evaluation": scores | {name: value}} | {name: value}
        else:
            (description[part] if part else description)[name] = value

    changed_description(path, change)
    with pytest.raises(InputError) as caught:
        numasync.load(path)
    text = str(caught.value)
    assert says in text and text.startswith(f"{path} is damaged: ") and text.endswith(".") and "\n" not in text


def check_refused_without_memory(path):
    """Check that a file is refused with one sentence, and that loading it takes less than 20 MB."""
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"agent\.npz [^\n]*\.$"):
            numasync.load(path)
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "network, shape",
    [
        ([{"kind": "dense", "sizes": [10**9]}], [4]),
        ([{"kind": "dense", "sizes": [2**53]}] * 3, [4]),
        ([{"kind": "conv", "sizes": [1, 1, 1]}], [2**20, 2**20, 1]),
        ([{"kind": "conv", "sizes": [10**9, 1, 1]}], [100, 100, 1]),
        ([{"kind": "dense", "sizes": [3]}], [2**25 + 1]),
        ([{"kind": "dense", "sizes": [3]}] * 5_000, [4]),
    ],
    ids=str,
)
def test_a_network_that_the_file_does_not_hold_is_refused_without_memory(path, network, shape):
    def change(description):
        description["config"]["network"] = network
        description["spec"]["observation"] |= {"shape": shape, "kind": "image" if len(shape) == 3 else "vector"}

    changed_description(path, change)
    check_refused_without_memory(path)


@pytest.mark.parametrize("name", ["theta", "mean", "description", "other"])
def test_an_array_that_is_far_larger_than_its_file_is_not_read(path, name):
    with np.load(path) as file:
        arrays = {key: file[key] for key in file.files}
    with open(path, "wb") as file:
        np.savez_compressed(file, **arrays | {name: np.zeros(40_000_000, FLOAT)})
    assert path.stat().st_size < 1e6
    check_refused_without_memory(path)


def test_saving_on_a_link_writes_through_it(agent, tmp_path):
    (tmp_path / "folder").mkdir()
    for target in (tmp_path / "folder" / "real.npz", tmp_path / "folder" / "new.npz"):
        link, links = tmp_path / f"{target.stem}-link.npz", tmp_path / f"{target.stem}-links.npz"
        link.symlink_to(target)
        links.symlink_to(link)
        if target.stem == "real":
            agent.save(target)
            agent.theta += 1
        agent.save(links)
        assert link.is_symlink() and links.is_symlink() and not target.is_symlink()
        assert np.array_equal(numasync.load(target).theta, agent.theta)
    assert {path.name for path in (tmp_path / "folder").iterdir()} == {"real.npz", "new.npz"}


def test_saving_on_what_is_no_file_is_refused(agent, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "link", tmp_path / "loop", "/dev/null"):
        with pytest.raises(InputError, match=r"cannot be written: it is a [^\n]*, and not a file\.$"):
            agent.save(path)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode) and stat.S_ISCHR(os.stat("/dev/null").st_mode)
    with pytest.raises(InputError, match="is no file, but a pipe"):
        numasync.load(tmp_path / "pipe")


OBSERVATIONS = {
    "vector": Observation("vector", ()),
    "image": Observation("image", (2, 3), 0.5, mean=np.ones((2, 3), FLOAT)),
    "channels_first": Observation("channels_first", (4, 2, 3), 0.5, mean=np.ones((2, 3, 4), FLOAT)),
    "stack": Observation("stack", (4, 2, 3, 1), 0.5, mean=np.ones((2, 3, 4), FLOAT)),
    "frames": Observation("frames", (4, 2, 3), 0.5, mean=np.ones((2, 3), FLOAT)),
    "discrete": Observation("discrete", (7,), start=-3),
    "multi_discrete": Observation("multi_discrete", (2,) * 100, start=(1,) * 100),
}


@pytest.mark.parametrize("kind", OBSERVATIONS)
def test_every_kind_of_observation_is_saved_and_loaded(tmp_path, kind):
    assert OBSERVATIONS.keys() == DIMENSIONS.keys()
    agent = Agent(Config(network=(dense(3), relu())), CARTPOLE.spec._replace(observation=OBSERVATIONS[kind]))
    agent.save(tmp_path / "agent.npz")
    loaded = numasync.load(tmp_path / "agent.npz")
    assert loaded.spec == agent.spec and loaded.network.input_shape == agent.network.input_shape
    np.testing.assert_array_equal(loaded.spec.observation.mean, agent.spec.observation.mean)
