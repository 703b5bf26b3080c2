"""The Python that runs the peers: whether there is one, and the versions of the packages that it has."""

import json
import subprocess
from collections.abc import Mapping

from numasync.errors import InputError, one_line

PACKAGES = ("jax", "gymnax", "torch", "stable-baselines3", "gymnasium", "ale-py", "numpy")
NOT_INSTALLED = "not installed"

PROGRAM = """
import json, platform, sys
from importlib.metadata import PackageNotFoundError, version
found = {"python": platform.python_version()}
for name in sys.argv[1:]:
    try:
        found[name] = version(name)
    except PackageNotFoundError:
        found[name] = %r
print(json.dumps(found))
"""


def describe_python(python: str) -> dict[str, str]:
    """Return the version of a Python and of the packages of the peers: {name: version}.

    python  the program

    Raises InputError where it is no Python.
    """
    command = [python, "-c", PROGRAM % NOT_INSTALLED, *PACKAGES]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        raise InputError(f"{python} cannot run the peers, because it is no Python: {one_line(error)}") from error


def versions_line(versions: Mapping[str, str]) -> str:
    """Return the versions as one line."""
    return "Peers: " + ", ".join(f"{name} {version}" for name, version in versions.items())
