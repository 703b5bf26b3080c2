"""The peak of a core: as many multiply-adds on registers as it can do, and nothing else."""

import numpy as np

from numasync.nn.products.codegen import FLAGS, CodeGenerator
from numasync.runtime.jit import DISABLED, FLOAT, kernel
from numasync.runtime.numba_names import cgutils, intrinsic, ir, types
from numasync.runtime.vectors import LANES

# Twelve sums do not wait for each other and leave registers for the factors. A time is ROUNDS updates of all sums.
SUMS, ROUNDS = 12, 256
PEAK_FLOPS = 2 * SUMS * LANES * ROUNDS


def reference_multiply_adds(rounds, x):
    """Compute s = s x + x for SUMS * LANES numbers s, `rounds` times.

    All LANES numbers of a vector are equal. Return the total of one number of each vector.
    """
    sums = np.arange(SUMS, dtype=FLOAT)
    for _ in range(rounds):
        sums = sums * x + x
    return sums.sum()


@intrinsic
def vector_multiply_adds(typing, rounds, x):
    """Compute `reference_multiply_adds` in registers."""

    def generate(context, builder, signature, arguments):
        code = CodeGenerator(context, builder, types.float32)
        rounds, x = arguments
        factor = code.broadcast(cgutils.alloca_once_value(builder, x))
        sums = code.zeros(SUMS)
        # The sums start from different numbers, because LLVM makes one of sums that are always equal.
        for i, slot in enumerate(sums):
            builder.store(ir.Constant(code.vector, [float(i)] * LANES), slot)
        with cgutils.for_range(builder, rounds):
            for slot in sums:
                product = builder.fmul(builder.load(slot), factor, flags=FLAGS)
                builder.store(builder.fadd(product, factor, flags=FLAGS), slot)
        total = code.total([builder.load(slot) for slot in sums])
        return builder.extract_element(total, ir.IntType(32)(0))

    return types.float32(types.intp, types.float32), generate


multiply_adds = reference_multiply_adds if DISABLED else vector_multiply_adds


@kernel
def repeat_peak(times, x):
    """Do PEAK_FLOPS operations, `times` times. x: a FLOAT below 1, so that the sums stay finite."""
    return multiply_adds(times * ROUNDS, x)
