"""The rules of the house, checked on the source: imports point down, one file says njit, kernels allocate nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import numasync

PACKAGE = Path(numasync.__file__).parent
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): ast.parse(path.read_text())
    for path in PACKAGE.rglob("*.py")
}

# A wing imports from the wings before it in this list. The front is what a user meets first.
WINGS = ("runtime", "nn", "envs", "algorithms", "learner", "agent", "training", "tools", "front")
SINGLE_FILES = {"errors": "runtime", "config": "agent", "__init__": "front", "__main__": "front", "cli": "front"}

ALLOCATING = {
    "arange", "array", "asarray", "ascontiguousarray", "astype", "concatenate", "copy", "dict", "empty", "empty_like",
    "eye", "flatten", "full", "full_like", "hstack", "linspace", "list", "ones", "ones_like", "repeat", "set", "stack",
    "tile", "vstack", "where", "zeros", "zeros_like",
}  # fmt: skip
DISPLAYS = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def wing(module):
    """The place of a module's wing in WINGS."""
    first = module.removeprefix("numasync").removeprefix(".").split(".")[0] or "__init__"
    return WINGS.index(SINGLE_FILES.get(first, first))


def functions(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def called(node):
    """The last name of what a call calls: 'zeros' for np.zeros(...)."""
    return getattr(node.func, "attr", getattr(node.func, "id", None))


KERNELS = {
    f"{module}.{function.name}": function
    for module, tree in MODULES.items()
    for function in functions(tree)
    if any(getattr(decorator, "id", None) == "kernel" for decorator in function.decorator_list)
}
FLOAT32_WINGS = ("numasync.nn.", "numasync.algorithms.", "numasync.algorithms.policy.", "numasync.learner.optim.")

every_module = pytest.mark.parametrize("module", MODULES)
every_kernel = pytest.mark.parametrize("name", KERNELS)


def test_the_walk_finds_the_package():
    assert len(MODULES) > 25 and len(KERNELS) > 40
    assert {"numasync.nn.network.forward", "numasync.algorithms.a3c.a3c", "numasync.envs.jitted.catch.step"} <= KERNELS.keys()


@every_module
def test_only_jit_says_njit(module):
    words = [getattr(node, "attr", getattr(node, "id", None)) for node in ast.walk(MODULES[module])]
    assert bool({"njit", "jit"} & set(words)) == (module == "numasync.runtime.jit")


@every_module
def test_who_calls_back_into_python(module):
    words = {getattr(node, "id", None) for node in ast.walk(MODULES[module])}
    assert ("objmode" in words) == (module in ("numasync.runtime.jit", "numasync.envs.python.bridge"))


@every_module
def test_who_imports_the_compiler(module):
    """emitter.py, the tiles, views.py and the peak of bench write LLVM's language themselves, and bench asks LLVM which processor it
    sees; everything else is left to Numba, which jit.py alone talks to."""
    allowed = {
        "numasync.runtime.jit": {"numba", "llvmlite"},
        "numasync.nn.products.codegen": {"numba.core", "llvmlite"},
        "numasync.nn.products.tile": {"numba.core", "numba.extending"},
        "numasync.nn.products.conv_tile": {"numba.core", "numba.extending"},
        "numasync.nn.products.views": {"numba.core", "numba.extending", "numba.np"},
        "numasync.tools.bench.machine": {"llvmlite.binding"},
        "numasync.tools.bench.peak": {"numba.core", "numba.extending", "llvmlite"},
    }
    compilers = {name for name in imported(MODULES[module]) if name.split(".")[0] in ("numba", "llvmlite")}
    assert compilers == allowed.get(module, set())


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module


@every_module
def test_imports_point_down(module):
    own = [name for name in imported(MODULES[module]) if name.split(".")[0] == "numasync" and name != "numasync"]
    assert not [name for name in own if wing(name) > wing(module)]


@every_kernel
def test_kernels_allocate_nothing(name):
    for node in ast.walk(KERNELS[name]):
        assert not isinstance(node, DISPLAYS), f"line {node.lineno}"
        assert not (isinstance(node, ast.Call) and called(node) in ALLOCATING), f"line {node.lineno}"


@pytest.mark.parametrize("name", [name for name in KERNELS if name.startswith(FLOAT32_WINGS)])
def test_float_literals_are_typed(name):
    typed = {
        constant
        for call in ast.walk(KERNELS[name])
        if isinstance(call, ast.Call) and called(call) == "FLOAT"
        for constant in ast.walk(call)
    }
    bare = [n for n in ast.walk(KERNELS[name]) if isinstance(n, ast.Constant) and isinstance(n.value, float)]
    assert not [f"line {n.lineno}: {n.value}" for n in bare if n not in typed]


@every_kernel
def test_kernels_take_at_most_14_arguments(name):
    arguments = KERNELS[name].args
    assert len(arguments.posonlyargs + arguments.args + arguments.kwonlyargs) <= 14
    assert not arguments.vararg and not arguments.kwarg


@every_module
def test_functions_are_at_most_60_lines_long(module):
    too_long = [f.name for f in functions(MODULES[module]) if f.end_lineno - f.lineno + 1 > 60]
    assert not too_long


@every_module
def test_who_prints(module):
    prints = [n.lineno for n in ast.walk(MODULES[module]) if isinstance(n, ast.Call) and called(n) == "print"]
    benches = ("numasync.tools.bench.__init__", "numasync.tools.bench.__main__")
    assert not prints or module in ("numasync.training.report", "numasync.tools.watch", "numasync.cli", *benches)


@every_module
def test_who_starts_threads(module):
    starters = ("Thread", "ThreadPoolExecutor")
    starts = [n.lineno for n in ast.walk(MODULES[module]) if isinstance(n, ast.Call) and called(n) in starters]
    allowed = (
        "training.trainer", "training.background_evaluation", "agent.evaluation", "tools.bench.environments",
        "tools.studies.execution",
    )  # fmt: skip
    assert bool(starts) == (module.removeprefix("numasync.") in allowed)


def test_importing_the_package_loads_no_environment_and_no_plots():
    check = "import sys, numasync; print([m for m in ('gymnasium', 'ale_py', 'matplotlib') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
