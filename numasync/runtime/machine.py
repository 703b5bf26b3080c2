"""What a result was made by: the versions of the programs, and the machine."""

import platform
from pathlib import Path
from typing import Any

import numasync
from numasync.runtime.affinity import cores

PACKAGES = ("numpy", "numba", "gymnasium", "ale-py")
PROCESSORS = Path("/proc/cpuinfo")


def made_by() -> dict[str, Any]:
    """Return the versions, the processor, the number of cores and the system: texts and a number that JSON can hold."""
    return {
        "numasync": numasync.__version__,
        "python": platform.python_version(),
        **{name.replace("-", "_"): find_version(name) for name in PACKAGES},
        "processor": processor_name(),
        "cores": cores(),
        "system": platform.platform(),
    }


def processor_name() -> str:
    """Return the processor's own name where the system knows it, otherwise its architecture."""
    if PROCESSORS.exists():
        for line in PROCESSORS.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def find_version(package: str) -> str:
    """Return the version of an installed package, or 'not installed'."""
    # Imported here, because `import numasync` does not need it.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
