"""Kernels that are arguments of others: found at every call, looked for once; and compilation in several threads."""

import threading

import numpy as np
import pytest

from numasync.runtime.jit import (
    DISABLED,
    cache_dispatch,
    compile_as,
    compile_for,
    float64,
    function_type,
    int64,
    kernel,
    pointer_kernel,
)
from numasync.runtime.pointers import address_of, pointer_to

pytestmark = pytest.mark.skipif(DISABLED, reason="about compiled kernels")

KINDS = float64_1d, int64_1d = function_type(float64, float64), function_type(int64, int64)


@kernel
def doubled(x):
    return 2 * x


@kernel
def halved(x):
    return x / 2


@kernel
def applied(function, x):
    return function(x)


@kernel
def applied_meanwhile(function, x):
    return function(x)


@kernel
def tripled(x):
    return 3 * x


@pointer_kernel
def stored(values, n):
    values[0] = n


@pytest.mark.parametrize("remembered", [(), (float64_1d,), (float64_1d, float64_1d), (float64_1d, int64_1d)])
def test_a_kernel_is_found_under_each_kind_that_it_was_compiled_as(remembered):
    for kind in KINDS:
        compile_as(doubled, kind)
        compile_for(applied, kind, *kind.signature.args)
    for kind in remembered:
        cache_dispatch(doubled, kind)
    assert [applied(doubled, x) for x in (1.25, 3, 2.5)] == [2.5, 6, 5.0]


def test_a_remembered_kernel_is_looked_up_once(monkeypatch):
    compile_as(halved, float64_1d)
    compile_for(applied, float64_1d, float64)
    look_up, looked_up = type(halved).get_compile_result, []
    monkeypatch.setattr(type(halved), "get_compile_result", lambda *asked: looked_up.append(asked) or look_up(*asked))
    applied(halved, 1.0)
    assert len(looked_up) > 1, "Numba asks at every call"
    looked_up.clear()
    cache_dispatch(halved, float64_1d)
    assert [applied(halved, x) for x in (1.0, 3.0)] == [0.5, 1.5] and len(looked_up) == 1


def test_a_call_during_a_compilation_compiles_nothing(monkeypatch):
    """Another thread calls the kernel while this one compiles it for other types."""
    for kind in KINDS:
        compile_as(doubled, kind)
    compile_for(applied_meanwhile, float64_1d, float64)
    results, look_up = [], applied_meanwhile._cache.load_overload

    def look_up_with_company(*asked):
        thread = threading.Thread(target=lambda: results.append(applied_meanwhile(doubled, 1.25)))
        thread.start()
        thread.join(60)
        return look_up(*asked)

    monkeypatch.setattr(applied_meanwhile._cache, "load_overload", look_up_with_company)
    compile_for(applied_meanwhile, int64_1d, int64)
    assert results == [2.5] and len(applied_meanwhile.signatures) == 2
    assert applied_meanwhile(doubled, 3) == 6


def test_a_compilation_that_fails_can_be_tried_again(monkeypatch):
    monkeypatch.setattr(tripled._cache, "load_overload", fail)
    with pytest.raises(KeyboardInterrupt):
        compile_as(tripled, int64_1d)
    monkeypatch.undo()
    compile_as(tripled, int64_1d)
    assert tripled(3) == 9


def fail(*types):
    raise KeyboardInterrupt


def test_threads_that_compile_the_same_kernel_share_one_compilation():
    barrier, addresses = threading.Barrier(4), []

    def ask():
        barrier.wait()
        addresses.append(address_of(stored, pointer_to(np.float32), int64))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(addresses) == 4 and len(set(addresses)) == 1 and len(stored.signatures) == 1
