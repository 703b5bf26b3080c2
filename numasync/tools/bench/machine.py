"""What the numbers were measured on: the processor and its load, the compiler, and the versions of the programs."""

import os
from typing import Any

import numpy as np

from numasync.runtime.machine import find_version, made_by
from numasync.runtime.numba_names import binding

# Features of a processor that tell the width of its vectors, the widest first.
VECTORS = ("avx512f", "avx2", "avx", "sse2", "sve", "neon")


def describe_machine() -> dict[str, Any]:
    """Return texts and numbers that JSON can hold.

    `load` is the mean of the last minute, before anything is measured. Other programs on the cores spoil the numbers.
    """
    features = binding.get_host_cpu_features()
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        **made_by(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "llvm_cpu": binding.get_host_cpu_name(),
        "simd": next((name for name in VECTORS if features.get(name)), "unknown"),
        "llvmlite": find_version("llvmlite"),
        "blas": f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip(),
    }
