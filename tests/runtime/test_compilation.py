"""How far a compilation is: every kernel below the ones that are called counts once, and none that is in the cache."""

from types import SimpleNamespace

import pytest

from numasync.runtime.compilation import Compilation, collect_compiled, kernels_below, watch_compilation
from numasync.runtime.jit import DISABLED, inline_kernel, kernel
from numasync.runtime.rng import uniform

compiled = pytest.mark.skipif(DISABLED, reason="about compiled kernels")


@kernel
def lowest(x):
    return x + 1


@kernel
def left(x):
    return lowest(x) + 1


@kernel
def right(x):
    return lowest(x) + 2


@kernel
def top(x):
    return left(x) + right(x)


@kernel
def drawn(rng):
    return left(uniform(rng))


@inline_kernel
def lines(x):
    return lowest(x) + 1


@kernel
def with_lines(x):
    return lines(x)


def names_below(kernel):
    return {function.__name__ for function in kernels_below(kernel)}


@compiled
def test_all_kernels_below_one_are_found():
    assert names_below(left) == {"left", "lowest"}
    assert names_below(top) == {"top", "left", "right", "lowest"}
    assert names_below(drawn) == {"drawn", "left", "lowest", "uniform", "next_word", "rotate_left"}


@compiled
def test_an_inline_kernel_is_no_kernel_but_what_it_calls_is():
    assert names_below(with_lines) == {"with_lines", "lowest"}


@compiled
def test_each_kernel_is_counted_once_and_the_last_is_the_one_that_is_called():
    lines = []
    with watch_compilation([top], lambda *line: lines.append(line)):
        top(1.0)
    assert [done for done, _, _ in lines] == [1, 2, 3, 4] and {total for _, total, _ in lines} == {4}
    seconds = [second for _, _, second in lines]
    assert seconds == sorted(seconds) and seconds[0] > 0
    lines.clear()
    top(1)
    assert not lines, "the block has ended"


@compiled
def test_only_the_kernels_of_the_package_are_collected(monkeypatch):
    def other(x):
        return x

    def own(x):
        return x

    monkeypatch.setattr(own, "__module__", "numasync.example")
    with collect_compiled() as sources:
        kernel(other)(1.0)
        own_kernel = kernel(own)
        own_kernel(1.0)
        own_kernel(2.0)
    assert sources == {own}


@compiled
def test_what_is_in_the_cache_is_not_counted():
    lines = []
    compilation = Compilation([left, right], lambda *line: lines.append(line[:2]))
    in_cache, not_there = (SimpleNamespace(stats=SimpleNamespace(cache_hits=hits)) for hits in ({1: 1}, {}))
    compilation.below = [(in_cache, kernels_below(left)), (not_there, kernels_below(right))]
    for finished in (left, lowest):
        finished = SimpleNamespace(kind="numba:compile", data={"dispatcher": finished})
        compilation.on_start(finished)
        compilation.on_end(finished)
    assert lines == [(1, 2)], "lowest is needed by right too"


def test_where_nothing_is_compiled_nothing_is_said(monkeypatch):
    monkeypatch.setattr("numasync.runtime.compilation.DISABLED", True)
    with watch_compilation([left], lambda *_: pytest.fail("a kernel was counted")):
        left.py_func(1) if not DISABLED else left(1)
