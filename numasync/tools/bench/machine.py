"""What the numbers were measured on: the processor, and the versions of the programs."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import llvmlite.binding
import numpy as np

from numasync.runtime.affinity import cores

PACKAGES = ("numasync", "numpy", "numba", "llvmlite", "gymnasium", "ale-py")
PROCESSORS = Path("/proc/cpuinfo")

# Features of a processor that tell the width of its vectors, the widest first.
VECTORS = ("avx512f", "avx2", "avx", "sse2", "sve", "neon")


def describe_machine() -> dict[str, Any]:
    """Return texts and numbers that JSON can hold.

    `load` is the mean of the last minute, before anything is measured. Other programs on the cores spoil the numbers.
    """
    features = llvmlite.binding.get_host_cpu_features()
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "processor": processor_name(),
        "cores": cores(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "llvm_cpu": llvmlite.binding.get_host_cpu_name(),
        "simd": next((name for name in VECTORS if features.get(name)), "unknown"),
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name.replace("-", "_"): find_version(name) for name in PACKAGES},
        "blas": f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip(),
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
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
