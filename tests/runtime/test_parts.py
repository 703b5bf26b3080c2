"""Kernels as parts of other kernels: no code of their own, the same results, and one compilation for each kind."""

import copy
import pickle

import numba
import numpy as np
import pytest

from numasync.runtime.jit import DISABLED, compile_for, float64, function_type, kernel
from numasync.runtime.parts import PartLibrary

pytestmark = pytest.mark.skipif(DISABLED, reason="about compiled kernels")


@kernel
def inner(x, n):
    return x / n


@kernel
def middle(x, n):
    return inner(x, n) + inner(x, 2) + inner(x, np.int64(3))


@kernel
def outer(x, n):
    return middle(x, n) * inner(x, 4)


@kernel
def alone(x):
    return 2 * x


@kernel
def twice(function, x):
    return function(function(x))


def libraries(part):
    return [compiled.library for compiled in part.overloads.values()]


def test_what_only_other_kernels_call_has_no_machine_code_and_the_same_result():
    assert outer(6.0, 5) == pytest.approx((1.2 + 3 + 2) * 1.5)
    assert outer.signatures and not middle.signatures and not inner.signatures
    for part in (middle.part, inner.part):
        assert all(isinstance(library, PartLibrary) for library in libraries(part))
    assert not outer.part.signatures


def test_a_constant_is_no_kind_of_its_own():
    outer(6.0, 5)
    assert inner.part.signatures == [(numba.float64, numba.int64)]


def test_a_part_can_also_be_called_from_python():
    outer(6.0, 5)
    assert inner(7.0, 2) == 3.5 and len(inner.signatures) == 1


def test_a_kernel_that_is_passed_is_compiled_as_itself():
    kind = function_type(float64, float64)
    compile_for(twice, kind, float64)
    assert twice(alone, 1.5) == 6.0
    assert alone.signatures and not alone.part.signatures


def test_a_users_compiled_function_calls_a_part():
    @numba.njit
    def users(x):
        return outer(x, 5)

    assert users(6.0) == outer(6.0, 5) and outer.part.signatures


def test_a_kernel_is_copied_and_pickled_with_its_part():
    for other in (copy.copy(inner), pickle.loads(pickle.dumps(inner))):
        assert other(7.0, 2) == 3.5 and other.part.py_func is other.py_func
