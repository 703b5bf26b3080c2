"""A kernel that is an argument of another: found at every call, and looked for once."""

import pytest

from numasync.jit import DISABLED, DOUBLE, INT, compile_as, compile_for, function_type, kernel, remember_compiled

pytestmark = pytest.mark.skipif(DISABLED, reason="about compiled kernels")

KINDS = DOUBLES, INTS = function_type(DOUBLE, DOUBLE), function_type(INT, INT)


@kernel
def doubled(x):
    return 2 * x


@kernel
def halved(x):
    return x / 2


@kernel
def applied(function, x):
    return function(x)


@pytest.mark.parametrize("remembered", [(), (DOUBLES,), (DOUBLES, DOUBLES), (DOUBLES, INTS)])
def test_a_kernel_is_found_under_each_kind_that_it_was_compiled_as(remembered):
    for kind in KINDS:
        compile_as(doubled, kind)
        compile_for(applied, kind, *kind.signature.args)
    for kind in remembered:
        remember_compiled(doubled, kind)
    assert [applied(doubled, x) for x in (1.25, 3, 2.5)] == [2.5, 6, 5.0]


def test_a_remembered_kernel_is_looked_up_once(monkeypatch):
    compile_as(halved, DOUBLES)
    compile_for(applied, DOUBLES, DOUBLE)
    look_up, looked_up = type(halved).get_compile_result, []
    monkeypatch.setattr(type(halved), "get_compile_result", lambda *asked: looked_up.append(asked) or look_up(*asked))
    applied(halved, 1.0)
    assert len(looked_up) > 1, "Numba asks at every call"
    looked_up.clear()
    remember_compiled(halved, DOUBLES)
    assert [applied(halved, x) for x in (1.0, 3.0)] == [0.5, 1.5] and len(looked_up) == 1
