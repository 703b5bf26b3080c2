"""The vector registers that code is made for: how many there are, and how many floats one holds.

    16 floats, 32 registers    AVX-512
     8 floats, 16 registers    AVX, AVX2
     4 floats, 16 registers    SSE, on every x86 processor
     4 floats, 32 registers    NEON, on every 64-bit ARM processor

NUMASYNC_LANES=4, 8 or 16 makes code for vectors of that many floats. LLVM cuts a vector into two where the registers
are too short. The tests use it to try the code of other processors.
"""

import os
import platform

from numasync.errors import InputError
from numasync.runtime.interrupts import end_program
from numasync.runtime.numba_names import INSTALLED, binding, numba

WIDTHS = 4, 8, 16


def find_registers() -> tuple[int, int]:
    """Return (floats of a vector register, vector registers) of the processor that Numba makes code for.

    With NUMBA_CPU_NAME=haswell, or another name that is not this machine's, it is taken for one with AVX2. Without
    Numba no code is made. Raises InputError where NUMASYNC_LANES is not one of WIDTHS.
    """
    chosen = os.environ.get("NUMASYNC_LANES")
    if chosen:
        if chosen not in map(str, WIDTHS):
            raise InputError(f"NUMASYNC_LANES is {chosen!r}; it must be 4, 8 or 16.")
        return int(chosen), 32 if chosen == "16" else 16
    if not INSTALLED:
        return 4, 16
    if numba.config.CPU_NAME:
        return 8, 16
    if platform.machine().lower() in ("aarch64", "arm64"):
        return 4, 32
    features = binding.get_host_cpu_features()
    if features.get("avx512f"):
        return 16, 32
    return (8, 16) if features.get("avx") else (4, 16)


try:
    LANES, REGISTERS = find_registers()
except InputError as error:
    end_program(error)  # this runs while the package is imported, before the command line can say it
    raise

# With 32 registers a tile may keep more sums than with 16.
MANY_REGISTERS = REGISTERS == 32
