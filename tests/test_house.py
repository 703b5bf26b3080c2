"""The rules of the house, checked on the source: imports point down, one file says njit, kernels allocate nothing."""

import ast
import subprocess
import sys

import pytest
from support.source import KERNELS, MODULES, Flow, called, parameters

# A wing imports from the wings before it in this list. The front is what a user meets first.
WINGS = (
    "runtime",
    "nn",
    "envs",
    "algorithms",
    "learner",
    "agent",
    "training",
    "distributed",
    "tools",
    "commands",
    "front",
)
SINGLE_FILES = {"errors": "runtime", "config": "agent", "__init__": "front", "__main__": "front", "cli": "front"}

ALLOCATING = set(
    """arange array asarray ascontiguousarray astype concatenate copy dict empty empty_like eye flatten full full_like
    hstack linspace list ones ones_like repeat set stack tile vstack where zeros zeros_like""".split()
)
DISPLAYS = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)

# Which modules speak to the compiler, through the one file that imports it. Everything else is left to runtime/jit.py.
NUMBA_NAMES = "numasync.runtime.numba_names"
SPEAK_TO_THE_COMPILER = {
    "numasync.runtime.cache",
    "numasync.runtime.cache_folder",
    "numasync.runtime.compilation",
    "numasync.runtime.compilers",
    "numasync.runtime.messages",
    "numasync.runtime.parts",
    "numasync.runtime.jit",
    "numasync.runtime.vectors",
    "numasync.runtime.pointers",
    "numasync.nn.products.codegen",
    "numasync.nn.products.tile",
    "numasync.nn.products.conv_tile",
    "numasync.nn.products.narrow_tile",
    "numasync.nn.products.row_tile",
    "numasync.nn.products.views",
    "numasync.tools.bench.machine",
    "numasync.tools.bench.peak",
}
PRINTERS = (
    "training.console",
    "training.terminal_bar",  # rich prints its bar into a text
    "tools.program",
    "runtime.cache",
    "tools.watch",
    "tools.terminal",
    "commands.eval",
    "commands.export",
    "commands.plot",
    "commands.runs",
    "commands.envs",
    "tools.bench.__init__",
    "tools.bench.__main__",
    "tools.bench.peers.__init__",
)
THREAD_STARTERS = (
    "runtime.compilers",
    "runtime.threads",
    "training.supervisor",
    "distributed.downpour.node",
    "distributed.on_node",
    "distributed.pool",
    "tools.bench.environments",
    "tools.studies.execution",
)

# The kernels of these have one argument order: what is written, then what is read.
ORDERED_WINGS = ("numasync.nn.", "numasync.algorithms.", "numasync.learner.")
# A generator comes last; a NamedTuple holds both kinds; `work` is scratch.
ANYWHERE = {"rng", "state", "optimizer_state", "env_state", "shared", "worker", "scratch", "settings", "work"}

FLOAT32_WINGS = ("numasync.nn.", "numasync.algorithms.", "numasync.learner.optim.")

every_module = pytest.mark.parametrize("module", MODULES)
every_kernel = pytest.mark.parametrize("name", KERNELS)


def wing(module: str) -> int:
    """Return the place of a module's wing in WINGS."""
    first = module.removeprefix("numasync").removeprefix(".").split(".")[0] or "__init__"
    return WINGS.index(SINGLE_FILES.get(first, first))


def imported(tree: ast.Module) -> list[str]:
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names.append(node.module)
    return names


def words(tree: ast.AST) -> set[str | None]:
    return {getattr(node, "attr", getattr(node, "id", None)) for node in ast.walk(tree)}


def test_the_walk_finds_the_package():
    assert len(MODULES) > 90 and len(KERNELS) > 150
    assert {"numasync.algorithms.a3c.a3c", "numasync.envs.jitted.catch.step"} <= KERNELS.keys()
    assert {wing(module) for module in MODULES} == set(range(len(WINGS)))


@every_module
def test_only_jit_says_njit(module):
    """The jit of a program that bench compares with is JAX's."""
    allowed = ("numasync.runtime.jit", "numasync.tools.bench.peers.programs.jax_a2c")
    assert bool({"njit", "jit"} & words(MODULES[module])) == (module in allowed)


@every_module
def test_who_calls_back_into_python(module):
    bridges = ("numasync.runtime.jit", "numasync.envs.python.bridge", "numasync.learner.recording")
    assert ("objmode" in words(MODULES[module])) == (module in bridges)


@every_module
def test_one_file_imports_the_compiler(module):
    compilers = {name for name in imported(MODULES[module]) if name.split(".")[0] in ("numba", "llvmlite")}
    assert bool(compilers) == (module == NUMBA_NAMES)


@every_module
def test_who_speaks_to_the_compiler(module):
    """The tiles write LLVM's language, as does bench for the peak; bench also asks LLVM about the processor."""
    assert (NUMBA_NAMES in imported(MODULES[module])) == (module in SPEAK_TO_THE_COMPILER)


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


FLOW = Flow(MODULES)


@pytest.mark.parametrize("name", [name for name in KERNELS if name.startswith(ORDERED_WINGS)])
def test_kernels_take_first_what_they_write(name):
    """Outputs, inputs, parameters, sizes; among the outputs of a backward the gradients come first."""
    kernel = KERNELS[name]
    names = parameters(kernel)
    written = [p for i, p in enumerate(names) if i in FLOW.written[kernel] and p not in ANYWHERE]
    known = [p for i, p in enumerate(names) if i not in FLOW.unknown[kernel] - FLOW.written[kernel]]
    known = [p for p in known if p not in ANYWHERE]
    assert known[: len(written)] == written, f"{name} writes {written}"
    if "backward" in kernel.name:
        assert sorted(written, key=lambda p: not p.startswith("d")) == written


EXAMPLE = """
def part(array, at, size):
    return array.reshape(-1)[at : at + size]

@type_callable(part)
def type_part(context):
    return lambda array, at, size: array

def plain(c, a):
    total = c[:4]
    total += a

tile = plain if DISABLED else machine_code

def maker(size):
    @kernel
    def made(x, y):
        tile(part(y, 0, size), x)
    return made

first, second = (maker(size) for size in (1, 2))

@inline_kernel
def both(tape, row):
    return part(tape, 0, row[0]), part(tape, row[0], row[1])

@kernel
def caller(x, tape, row, given, state):
    one, other = both(tape, row)
    second(x, other)
    given(one)
    state.count[0] += x.size
    n = row[1]
    n += 1

@kernel
def either(a, b, n):
    view = a if n > 0 else b
    view[0] = n
"""


def test_what_a_kernel_writes_is_seen_through_views_and_calls():
    flow = Flow({"example": ast.parse(EXAMPLE)})
    written = {f.name: {parameters(f)[i] for i in places} for f, places in flow.written.items()}
    assert written["plain"] == {"c"} and written["made"] == {"y"} and written["caller"] == {"tape", "state"}
    assert written["part"] == written["both"] == set() and written["either"] == {"a"}
    assert {f.name: places for f, places in flow.returned.items() if places} == {"part": {0}, "both": {0}}
    assert {f.name: places for f, places in flow.unknown.items() if places} == {"caller": {1}, "either": {1}}


def test_most_kernels_write_something():
    written = {name.removeprefix("numasync."): FLOW.written[kernel] for name, kernel in KERNELS.items()}
    assert all(written[f"algorithms.{name}.{name}"] for name in ("a3c", "nstep_q", "one_step_q", "one_step_sarsa"))
    assert len(written["learner.optim.rmsprop"]) == 3
    assert sum(len(places) > 0 for places in written.values()) > 60


@every_module
def test_who_prints(module):
    prints = [n.lineno for n in ast.walk(MODULES[module]) if isinstance(n, ast.Call) and called(n) == "print"]
    assert not prints or module.removeprefix("numasync.") in PRINTERS


@every_module
def test_who_starts_threads(module):
    starters = ("Thread", "ThreadPoolExecutor")
    starts = [n.lineno for n in ast.walk(MODULES[module]) if isinstance(n, ast.Call) and called(n) in starters]
    assert bool(starts) == (module.removeprefix("numasync.") in THREAD_STARTERS)


def test_importing_the_package_loads_no_environment_and_no_plots():
    check = "import sys, numasync; print([m for m in ('gymnasium', 'ale_py', 'matplotlib') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
