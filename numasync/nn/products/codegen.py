"""Code generation: the few LLVM instructions that register tiles are made of, with names that say what they do.

This code runs while Numba compiles. A Python loop here writes its instructions once for each turn, and
`cgutils.for_range` writes a loop of the machine code. Nothing is computed yet: a value stands for a later result.
`tile.py` and `conv_tile.py` say which instructions a tile has.
"""

from numasync.runtime.numba_names import cgutils, ir
from numasync.runtime.vectors import LANES

# Sums may be reordered and fused with products. NaN and infinity are kept. A part of jit.FASTMATH.
FLAGS = ("contract", "reassoc", "nsz")
LANE_NUMBER = ir.IntType(32)


class CodeGenerator:
    """Write vector instructions for arrays of one dtype at the place of `builder`. Pointers point to single numbers."""

    def __init__(self, context, builder, dtype, lanes=LANES):
        self.context = context
        self.builder = builder
        self.number = context.get_value_type(dtype)
        self.lanes = lanes
        self.vector = ir.VectorType(self.number, lanes)
        self.align = context.get_abi_sizeof(self.number)
        self.mask = None

    def array(self, array_type, value):
        """Return the fields of an array: data, shape, strides, ..."""
        return self.context.make_array(array_type)(self.context, self.builder, value)

    def offset(self, start, *steps):
        """Return start + the sum of count * size over all steps: offset(at, (r, row)) is at + r * row.

        count and size may be Python integers.
        """
        for count, size in steps:
            count = ir.Constant(start.type, count) if isinstance(count, int) else count
            size = ir.Constant(start.type, size) if isinstance(size, int) else size
            start = self.builder.add(start, self.builder.mul(count, size))
        return start

    def quotient(self, number, divisor):
        """Return number / divisor. A division takes as long as a small tile, and most divisors are 1."""
        quotient = cgutils.alloca_once_value(self.builder, number)
        with self.builder.if_then(self.builder.icmp_signed("!=", divisor, divisor.type(1)), likely=False):
            self.builder.store(self.builder.sdiv(number, divisor), quotient)
        return self.builder.load(quotient)

    def at(self, data, index):
        return self.builder.gep(data, [index])

    def opaque_pointer(self, pointer):
        """Hide the pointer's origin from LLVM.

        Otherwise LLVM derives each row's address from the previous row's: a serial chain of additions in the inner
        loop.
        """
        kind = ir.FunctionType(pointer.type, [pointer.type])
        return self.builder.asm(kind, "", "=r,0", [pointer], side_effect=False)

    def load(self, pointer, vector=None):
        vector = vector or self.vector
        pointer = self.builder.bitcast(pointer, vector.as_pointer())
        if self.mask is None:
            return self.builder.load(pointer, align=self.align)
        return self.masked("load", vector, pointer, ir.Constant(LANE_NUMBER, self.align), self.mask, zeros_of(vector))

    def load_row(self, data, index, vectors):
        """Load `vectors` vectors that follow each other."""
        return [self.load(self.at(data, self.offset(index, (v, self.lanes)))) for v in range(vectors)]

    def store(self, value, pointer):
        pointer = self.builder.bitcast(pointer, value.type.as_pointer())
        if self.mask is None:
            self.builder.store(value, pointer, align=self.align)
        else:
            self.masked("store", ir.VoidType(), value, pointer, ir.Constant(LANE_NUMBER, self.align), self.mask)

    def fetch(self, pointer):
        """Have a cache line brought from the memory. The processor does not wait for it."""
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte, LANE_NUMBER, LANE_NUMBER, LANE_NUMBER])
        function = cgutils.get_or_insert_function(self.builder.module, kind, "llvm.prefetch.p0i8")
        # To read, into the innermost cache; data, not instructions.
        to_read, innermost, data = LANE_NUMBER(0), LANE_NUMBER(3), LANE_NUMBER(1)
        self.builder.call(function, [self.builder.bitcast(pointer, byte), to_read, innermost, data])

    def use_lanes(self, count):
        """From here on load and store only the first `count` lanes of a vector. The other lanes load as 0."""
        counts = self.builder.insert_element(
            ir.Constant(ir.VectorType(count.type, self.lanes), ir.Undefined), count, LANE_NUMBER(0)
        )
        counts = self.shuffle(counts, counts, [0] * self.lanes)
        lanes = ir.Constant(counts.type, list(range(self.lanes)))
        self.mask = self.builder.icmp_signed("<", lanes, counts)

    def masked(self, what, result, *arguments):
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        name = f"llvm.masked.{what}.{type_name(self.vector)}.p0{type_name(self.vector)}"
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), arguments)

    def add_to(self, value, pointer):
        self.store(self.builder.fadd(self.load(pointer, value.type), value, flags=FLAGS), pointer)

    def shuffle(self, x, y, lanes):
        """Return a vector of the given lanes. Lanes 0 to LANES - 1 belong to x, the following ones to y."""
        return self.builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(LANE_NUMBER, len(lanes)), lanes))

    def broadcast(self, pointer):
        """Load one number into every lane."""
        undefined = ir.Constant(self.vector, ir.Undefined)
        first = self.builder.insert_element(undefined, self.builder.load(pointer), ir.Constant(LANE_NUMBER, 0))
        return self.shuffle(first, undefined, [0] * self.lanes)

    def zeros(self, count):
        """Return `count` stack slots that hold vectors of zeros. LLVM turns them into registers."""
        slots = [cgutils.alloca_once(self.builder, self.vector) for _ in range(count)]
        self.fill(slots, zeros_of(self.vector))
        return slots

    def fill(self, slots, vector):
        for slot in slots:
            self.builder.store(vector, slot)

    def multiply_add(self, slot, x, y):
        product = self.builder.fmul(x, y, flags=FLAGS)
        self.builder.store(self.builder.fadd(self.builder.load(slot), product, flags=FLAGS), slot)

    def for_each(self, count, chains, body):
        """Write body(i, chain) for i = 0 .. count - 1 as a loop of the machine code.

        `chains` values of i share one turn of the loop. The rest belongs to chain 0.
        """
        whole = self.builder.sub(count, self.builder.srem(count, ir.Constant(count.type, chains)))
        for start, stop, step in ((ir.Constant(count.type, 0), whole, chains), (whole, count, 1))[: min(chains, 2)]:
            with cgutils.for_range_slice(self.builder, start, stop, ir.Constant(count.type, step)) as (i, _):
                for chain in range(step):
                    body(self.offset(i, (chain, 1)), chain)

    def for_each_nonzero(self, data, count, body):
        """Write body(i) for each i < count whose number in `data` is not 0.

        Each vector gives one bit a lane, and a loop visits the bits that are set. The last numbers, too few for a
        vector, are not tested.
        """
        builder, zero, one = self.builder, ir.Constant(count.type, 0), ir.Constant(count.type, 1)
        whole = builder.sub(count, builder.srem(count, ir.Constant(count.type, LANES)))
        left = cgutils.alloca_once(builder, count.type)
        with cgutils.for_range_slice(builder, zero, whole, ir.Constant(count.type, LANES)) as (i, _):
            lanes = builder.fcmp_unordered("!=", self.load(self.at(data, i)), zeros_of(self.vector))
            bits = builder.bitcast(lanes, ir.IntType(LANES))
            builder.store(builder.zext(bits, count.type), left)
            test, work, done = (
                builder.append_basic_block(name) for name in ("nonzero", "nonzero.work", "nonzero.done")
            )
            builder.branch(test)
            builder.position_at_end(test)
            builder.cbranch(builder.icmp_unsigned("!=", builder.load(left), zero), work, done)
            builder.position_at_end(work)
            bits = builder.load(left)
            body(builder.add(i, builder.cttz(bits, ir.Constant(ir.IntType(1), 1))))
            builder.store(builder.and_(bits, builder.sub(bits, one)), left)
            builder.branch(test)
            builder.position_at_end(done)
        with cgutils.for_range_slice(builder, whole, count, one) as (i, _):
            body(i)

    def total(self, vectors):
        """Add vectors in pairs."""
        while len(vectors) > 1:
            pairs = zip(vectors[::2], vectors[1::2])
            odd = vectors[len(vectors) // 2 * 2 :]
            vectors = [self.builder.fadd(x, y, flags=FLAGS) for x, y in pairs] + odd
        return vectors[0]

    def lane_sums(self, vectors):
        """Return one vector whose lane i is the sum over the lanes of vectors[i]. There are LANES vectors.

        It is a tree of additions. While n vectors are left, each holds LANES / n sums, and each sum consists of n
        numbers. Two neighbours become one: the first half of each group is added to its second half.
        """
        while len(vectors) > 1:
            parts = len(vectors)
            halves = [begin + i for begin in range(0, 2 * LANES, parts) for i in range(parts // 2)]
            others = [lane + parts // 2 for lane in halves]
            vectors = [
                self.builder.fadd(self.shuffle(x, y, halves), self.shuffle(x, y, others), flags=FLAGS)
                for x, y in zip(vectors[::2], vectors[1::2])
            ]
        return vectors[0]


def zeros_of(vector):
    return ir.Constant(vector, [0.0] * vector.count)


def type_name(vector):
    """Return the name of a vector type in LLVM's function names: v16f32."""
    return f"v{vector.count}f{32 if vector.element == ir.FloatType() else 64}"
