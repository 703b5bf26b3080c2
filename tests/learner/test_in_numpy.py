"""What runs in NumPy where nothing is compiled computes what the loops of its kernel compute."""

import numpy as np
import pytest
from support.numerics import assert_close, drawer
from support.source import MODULES, decorators, functions

from numasync.envs import observation
from numasync.envs.jitted.minatar import space_invaders
from numasync.learner import loop, optim
from numasync.nn.layers import lstm, relu
from numasync.nn.products import conv_products, in_numpy, matmul
from numasync.runtime import rng
from numasync.runtime.jit import DISABLED, FLOAT

draw = drawer(np.float32)
ROW = np.array([2**64 - 1, 5, 2**63, 7**20], np.uint64)
LR, DECAY, EPS, SCALE = FLOAT(0.1), FLOAT(0.9), FLOAT(0.01), FLOAT(0.5)
FRAMES = np.random.default_rng(0).integers(0, 256, (3, 5, 6)).astype(np.uint8)


def boards_moving(direction):
    """A state of Space Invaders with random boards, and the cannon in column 3."""
    state = np.round(np.random.default_rng(1).random(space_invaders.STATE_SIZE))
    state[space_invaders.CANNON_X], state[space_invaders.DIRECTION] = 3.0, direction
    return state


def squares(n):
    return np.zeros(optim.blocks_of(n), np.float32)


def conv_operands(image, kernel_size, stride, filters):
    """x, W, y and the sizes of a convolution, for two images."""
    height, width = ((n - kernel_size) // stride + 1 for n in image[:2])
    weight = draw(kernel_size * kernel_size * image[2], filters)
    return draw(2, int(np.prod(image))), weight, draw(2, height * width * filters), (image, kernel_size, stride)


x, weight, y, sizes = conv_operands((9, 10, 3), 3, 1, 7)
strided_x, strided_weight, strided_y, strided_sizes = conv_operands((20, 12, 2), 4, 2, 16)

# By the name of the kernel: the kernel, what runs in NumPy, and arguments, one tuple a case.
CASES = {
    "add_matmul": (matmul, in_numpy.add_matmul, [(draw(3, 7), draw(3, 20), draw(20, 7))]),
    "add_row_matmul": (matmul, in_numpy.add_row_matmul, [(draw(7), draw(20), draw(20, 7))]),
    "add_matmul_tn": (matmul, in_numpy.add_matmul_tn, [(draw(20, 7), draw(3, 20), draw(3, 7))]),
    "add_columns_matmul_tn": (matmul, in_numpy.add_columns_matmul_tn, [(draw(20, 7), draw(3, 25), draw(3, 7))]),
    "matmul_nt": (
        matmul,
        in_numpy.matmul_nt,
        [(draw(3, 20), draw(3, 17), draw(20, 17), draw(matmul.matmul_nt_work(20, 17)), draw(3, 20), False)],
    ),
    "add_rows": (matmul, in_numpy.add_rows, [(draw(7), draw(5, 7)), (draw(7), draw(0, 7))]),
    "fill_rows": (matmul, in_numpy.fill_rows, [(draw(5, 7), draw(7))]),
    "fill": (matmul, in_numpy.fill, [(draw(5, 7), FLOAT(3))]),
    "patches_matmul": (
        conv_products,
        in_numpy.patches_matmul,
        [(y, x, weight, draw(7), *sizes), (strided_y, strided_x, strided_weight, draw(16), *strided_sizes)],
    ),
    "add_patches_matmul_tn": (
        conv_products,
        in_numpy.add_patches_matmul_tn,
        [(weight, x, y, *sizes), (strided_weight, strided_x, strided_y, *strided_sizes)],
    ),
    "patches_matmul_nt": (
        conv_products,
        in_numpy.patches_matmul_nt,
        [(x, y, weight, draw(500), *sizes), (strided_x, strided_y, strided_weight, draw(500), *strided_sizes)],
    ),
    "relu_forward": (relu, relu.relu_in_numpy, [(draw(3, 7),)]),
    "relu_backward": (relu, relu.relu_backward_in_numpy, [(draw(3, 7), draw(3, 7))]),
    "lstm_cell": (lstm, lstm.lstm_cell_in_numpy, [(draw(5), draw(5), 40 * draw(20), draw(5))]),
    "interleave": (
        observation,
        observation.interleave_in_numpy,
        [(FRAMES, draw(5, 6), 3, FLOAT(0.1), draw(90))],
    ),
    "roll": (space_invaders, space_invaders.roll_in_numpy, [(draw(100), by) for by in (-10, -1, 1, 10)]),
    "draw": (space_invaders, space_invaders.draw_in_numpy, [(boards_moving(side), draw(600)) for side in (-1.0, 1.0)]),
    "momentum_sgd": (optim, optim.momentum_sgd_in_numpy, [(draw(9), draw(9), draw(9), LR, DECAY, EPS, SCALE)]),
    "rmsprop": (optim, optim.rmsprop_in_numpy, [(draw(9), draw(9), draw(9) ** 2, LR, DECAY, EPS, SCALE)]),
    "sum_squares": (optim, optim.sum_squares_in_numpy, [(squares(n), draw(n)) for n in (1, optim.BLOCK, 600)]),
    "copy_values": (loop, loop.copy_in_numpy, [(draw(9), draw(9))]),
}


def loops_of(module, name, plain):
    """The loops of a kernel: compiled, or interpreted where nothing is compiled."""
    return plain.py_func if DISABLED else getattr(module, name)


@pytest.mark.parametrize("name", CASES)
def test_numpy_writes_what_the_loops_write(name):
    module, plain, cases = CASES[name]
    for arguments in cases:
        by_loops, by_numpy = ([a.copy() if isinstance(a, np.ndarray) else a for a in arguments] for _ in range(2))
        loops_of(module, name, plain)(*by_loops)
        plain(*by_numpy)
        if name.endswith("matmul_nt"):  # the loops use it, NumPy does not
            del by_loops[3], by_numpy[3]
        for expected, found in zip(by_loops, by_numpy, strict=True):
            if isinstance(found, np.ndarray) and found.dtype == np.float32:
                assert_close(found, expected)


def test_a_blank_frame_is_found():
    blank, corner = np.zeros((2, 5, 6), np.uint8)
    corner[-1, -1] = 1
    for is_blank in (loops_of(observation, "is_blank", observation.is_blank_in_numpy), observation.is_blank_in_numpy):
        assert is_blank(blank) and not is_blank(corner)


def test_the_norm_is_the_same():
    loops, squares = loops_of(optim, "gradient_norm", optim.gradient_norm_in_numpy), draw(9) ** 2
    assert optim.gradient_norm_in_numpy(squares) == pytest.approx(loops(squares), rel=1e-6)


def test_random_words_are_the_same_bits():
    by_loops, by_python = ROW.copy(), ROW.copy()
    loops = loops_of(rng, "next_word", rng.next_word_in_python)
    for _ in range(100):
        assert loops(by_loops) == rng.next_word_in_python(by_python)
        assert (by_loops == by_python).all()


def test_every_kernel_with_a_form_in_numpy_is_compared():
    found = {f.name for tree in MODULES.values() for f in functions(tree) if "kernel_or" in decorators(f)}
    # test_updates.py compares apply_gradient. forward and backward call addresses of Python functions, so that they run
    # in tests/nn with NUMBA_DISABLE_JIT=1, and in tests/agent/test_without_numba.py.
    elsewhere = {"apply_gradient", "forward", "backward"}
    assert found == CASES.keys() | {"is_blank", "gradient_norm", "next_word"} | elsewhere
