"""The peak of a core: multiply-adds on registers and nothing else, as many as it can do."""

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from numasync.nn.products.codegen import FLAGS, LANES, Emitter
from numasync.runtime.jit import DISABLED, FLOAT, kernel

# Twelve sums do not wait for each other, and leave registers for what is multiplied. A time is so many rounds of them.
SUMS, ROUNDS = 12, 256
PEAK_FLOPS = 2 * SUMS * LANES * ROUNDS


def plain_multiply_adds(rounds, x):
    """s = s x + x for each of SUMS LANES numbers s, `rounds` times; the total of the first of every LANES."""
    sums = np.arange(SUMS, dtype=FLOAT)
    for _ in range(rounds):
        sums = sums * x + x
    return sums.sum()


@intrinsic
def emitted_multiply_adds(typing, rounds, x):
    """`plain_multiply_adds` in registers."""

    def emit(context, builder, signature, arguments):
        emitter = Emitter(context, builder, types.float32)
        rounds, x = arguments
        factor = emitter.broadcast(cgutils.alloca_once_value(builder, x))
        sums = emitter.zeros(SUMS)
        # From different numbers: LLVM makes one of sums that are always equal.
        for i, slot in enumerate(sums):
            builder.store(ir.Constant(emitter.vector, [float(i)] * LANES), slot)
        with cgutils.for_range(builder, rounds):
            for slot in sums:
                product = builder.fmul(builder.load(slot), factor, flags=FLAGS)
                builder.store(builder.fadd(product, factor, flags=FLAGS), slot)
        total = emitter.total([builder.load(slot) for slot in sums])
        return builder.extract_element(total, ir.IntType(32)(0))

    return types.float32(types.intp, types.float32), emit


multiply_adds = plain_multiply_adds if DISABLED else emitted_multiply_adds


@kernel
def repeat_peak(times, x):
    """PEAK_FLOPS operations, `times` times. x: a FLOAT below 1, with which the sums stay finite."""
    return multiply_adds(times * ROUNDS, x)
