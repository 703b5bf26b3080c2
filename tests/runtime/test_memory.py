"""Arrays in cache lines of their own, and large ones in huge pages."""

import mmap

import numpy as np
import pytest
from support.runs import trained

from numasync import dense
from numasync.runtime.memory import CACHE_LINE, HUGE_PAGE, aligned_copy, aligned_zeros


@pytest.mark.parametrize("shape", [(0,), (1,), (3,), (33,), (5, 7), (0, 4)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint64])
def test_zeros_and_copies_begin_at_a_line(shape, dtype):
    zeros = aligned_zeros(shape, dtype)
    assert zeros.shape == shape and zeros.dtype == dtype and not zeros.any() and zeros.flags.c_contiguous
    assert zeros.ctypes.data % CACHE_LINE == 0 or zeros.size == 0
    zeros[...] = 3
    copy = aligned_copy(zeros)
    assert np.array_equal(copy, zeros) and not np.shares_memory(copy, zeros) and copy.dtype == dtype


@pytest.mark.parametrize("size", [HUGE_PAGE // 2, HUGE_PAGE, HUGE_PAGE + 8, 5 * HUGE_PAGE // 2])
def test_a_large_array_begins_at_a_huge_page(size):
    zeros = aligned_zeros((2, size // 16), np.float64)
    assert zeros.nbytes == size // 16 * 16 and not zeros.any()
    assert zeros.ctypes.data % (HUGE_PAGE if hasattr(mmap, "MADV_HUGEPAGE") else CACHE_LINE) == 0
    zeros[...] = 3
    copy = aligned_copy(zeros)
    assert np.array_equal(copy, zeros) and not np.shares_memory(copy, zeros)


@pytest.mark.parametrize("system", ["does not know them", "refuses them"])
def test_without_huge_pages(monkeypatch, system):
    if system == "refuses them":
        monkeypatch.setattr(mmap, "MADV_HUGEPAGE", 12345, raising=False)
    else:
        monkeypatch.delattr(mmap, "MADV_HUGEPAGE", raising=False)
    zeros = aligned_zeros((HUGE_PAGE,), np.float32)
    assert zeros.shape == (HUGE_PAGE,) and zeros.ctypes.data % CACHE_LINE == 0 and not zeros.any()


@pytest.mark.parametrize("optimizer", ["shared_rmsprop", "rmsprop"])
def test_no_two_threads_write_to_one_line(optimizer, monkeypatch):
    monkeypatch.setattr("numasync.training.trainer.cores", lambda: 2)
    trainer = trained("CartPole-v1", "a3c", workers=3, steps=300, optimizer=optimizer, network=(dense(3),))
    owners = {}
    for worker in trainer.workers:
        state = worker.optimizer_state._asdict() if optimizer == "rmsprop" else {}
        scratch = worker.scratch._asdict()
        for name, array in {**worker._asdict(), **state, **scratch}.items():
            owner = f"thread {worker.number % 2}" if name in scratch else worker.number
            if isinstance(array, np.ndarray) and array.size:
                first, last = array.ctypes.data // CACHE_LINE, (array.ctypes.data + array.nbytes - 1) // CACHE_LINE
                for line in range(first, last + 1):
                    assert owners.setdefault(line, owner) == owner, name
    rows = trainer.shared.steps
    assert rows.strides[0] % CACHE_LINE == 0 and rows.ctypes.data % CACHE_LINE == 0
    shared = [trainer.shared.theta, trainer.shared.theta_target, trainer.shared.target_copies]
    assert all(array.ctypes.data // CACHE_LINE not in owners for array in shared)
