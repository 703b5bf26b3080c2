"""Changed checkpoints: files made from a seed, and a program that loads them with little memory.

`python checkpoint_fuzz.py FOLDER SEED FIRST LAST` loads the files FIRST..LAST-1 of a seed and prints one JSON line for
each: what was changed, and what came of it.
"""

import copy
import io
import json
import resource
import sys
import traceback
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

MEMORY = 2**30

# What a field of the description is replaced by. 2**62 units need more memory than there is.
VALUES: list[Any] = [
    None, True, -1, 0, 1, 3, 2**31, 2**62, 10**30, 1e9, 1e-60, 1e300, float("nan"), float("inf"), -0.5, "", "mlp", "x",
    "evil:X-v0", "a\nb", "\ud800", "é" * 2000, [], [1], [1e9], [[]], [1, 2], [2**40] * 3, [None], {}, {"kind": "dense"},
    {"kind": "dense", "sizes": [10**9]}, [{"kind": "dense", "sizes": [10**9]}], [{"kind": "lstm", "sizes": [30_000]}],
    [{"kind": "conv", "sizes": [1, 1, 0]}], [{"kind": "towers", "sizes": [[], []]}],
    [{"kind": "relu", "sizes": []}] * 3000,
]  # fmt: skip


def change(whole: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """Return what was changed, and the changed file."""
    kinds = (flip_bytes, truncate, splice, change_members, change_arrays, change_fields, change_fields, change_fields)
    kind = kinds[rng.integers(len(kinds))]
    what, content = kind(whole, rng)
    return f"{kind.__name__}: {what}", content


def flip_bytes(whole: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    places = rng.integers(len(whole), size=rng.integers(1, 9))
    if rng.random() < 0.5:  # in the directory, where no checksum guards them
        places = whole.index(b"PK\x01\x02") + places % (len(whole) - whole.index(b"PK\x01\x02"))
    damaged = bytearray(whole)
    for place in places:
        damaged[place] = rng.integers(256)
    return str(places), bytes(damaged)


def truncate(whole: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    end = int(rng.integers(len(whole)))
    return str(end), whole[:end] + bytes(rng.integers(2) * (len(whole) - end))


def splice(whole: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """Move, repeat or remove a piece."""
    a, b, c = sorted(rng.integers(len(whole), size=3).tolist())
    return f"{a} {b} {c}", whole[:b] + whole[a:] if rng.random() < 0.5 else whole[:a] + whole[b:c] + whole[a:b]


def change_members(whole: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """Rename, leave out, repeat or refill members."""
    members = read_members(whole)
    name = list(members)[rng.integers(len(members))]
    names = ["theta", "theta.npy", "mean.npy", "../x.npy", "/etc/passwd", "/", "description", "é.npy", "a\nb"]
    other = names[rng.integers(len(names))]
    content = members.pop(name)
    filling = [content, b"", content[:60], b"\x93NUMPY\x02\x00" + b"\xff" * 4 + content, content * 3, bytes(100)]
    filled = filling[rng.integers(len(filling))]
    pairs = [*members.items(), (other if rng.random() < 0.5 else name, filled)]
    pairs += pairs[:1] if rng.random() < 0.2 else []
    return f"{name} -> {[pair[0] for pair in pairs]}, {len(filled)} bytes", zip_of(pairs, rng)


def change_arrays(whole: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """Replace theta or the description by another header and zeros. A few files hold 1.5 GB of them."""
    members = read_members(whole)
    name = list(members)[rng.integers(len(members))]
    code = ["<f4", "<f2", "<f8", ">f4", "|O", "<U9", "|V4", "<U999999999", "f4'+'", "<M8[ns]"][rng.integers(10)]
    shape = ["()", "(23,)", "(2147483648,)", "(9223372036854775807, 9)", "(-1,)", "(23, )", "(0,)", "((((", "('a',)"]
    text = f"{{'descr': '{code}', 'fortran_order': False, 'shape': {shape[rng.integers(len(shape))]}, }}"
    if rng.random() < 0.2:
        text = "[" * 5000 + text
    head = text.encode() + b"\n"
    body = bytes(1_500_000_000 if rng.random() < 0.05 else 4 * rng.integers(200))
    members[name] = b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + body
    return f"{name} {text[-100:]} {len(body)} bytes", zip_of(list(members.items()), rng)


def change_fields(whole: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """Change, remove or add fields of the description."""
    members = read_members(whole)
    description = json.loads(str(np.load(io.BytesIO(members["description.npy"]))))
    changed = []
    for _ in range(rng.integers(1, 4)):
        owner, key = places_of(description)[rng.integers(len(places_of(description)))]
        value = copy.deepcopy(VALUES[rng.integers(len(VALUES))])
        how = rng.random()
        if how < 0.1 and isinstance(owner, dict):
            owner.pop(key)
        elif how < 0.2 and isinstance(owner, dict):
            owner[f"{key}x"] = value
        else:
            owner[key] = value
        changed.append(f"{key}={str(value)[:60]}")
    buffer = io.BytesIO()
    np.save(buffer, np.array(json.dumps(description)))
    members["description.npy"] = buffer.getvalue()
    return ", ".join(changed), zip_of(list(members.items()), rng)


def places_of(value: Any) -> list[tuple[Any, Any]]:
    """Return every (list or dict, index or key) in a JSON value."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [(value, key) for key in keys] + [place for key in keys for place in places_of(value[key])]


def read_members(whole: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zip_of(members: list[tuple[str, bytes]], rng: np.random.Generator) -> bytes:
    methods = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
    # What is large is compressed, or the file itself would be.
    large = sum(len(content) for _, content in members) > 2**24
    buffer = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if large else methods[rng.integers(5)]
    with zipfile.ZipFile(buffer, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that stands there twice
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def outcome_of(path: Path) -> dict[str, Any]:
    """Load a file and say what came of it."""
    import numasync

    try:
        agent = numasync.load(path)
        repr(agent)
        agent.stream()
        agent.save(path)
        numasync.load(path)
    except numasync.InputError as error:
        return {"refused": str(error)}
    except BaseException:
        return {"traceback": traceback.format_exc()}
    return {"loaded": True}


def main(folder: Path, seed: int, first: int, last: int) -> None:
    import numasync  # noqa: F401

    # What the interpreter and its libraries have reserved is not ours to count.
    reserved = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    sources = sorted(folder.glob("whole*.npz"))
    path = folder / "changed.npz"
    for number in range(first, last):
        rng = np.random.default_rng([seed, number])
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        what, content = change(sources[number % len(sources)].read_bytes(), rng)
        path.write_bytes(content)
        del content
        resource.setrlimit(resource.RLIMIT_AS, (reserved + MEMORY, resource.RLIM_INFINITY))
        print(json.dumps({"number": number, "what": what, **outcome_of(path)}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
