"""A kernel that is an argument of another: found at every call, and looked for once."""

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
)

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
