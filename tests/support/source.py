"""The package as its syntax trees: its modules, functions and kernels, and the parameters that a kernel writes to."""

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "numasync"
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): ast.parse(path.read_text())
    for path in sorted(PACKAGE.rglob("*.py"))
}
WRITE_MACHINE_CODE = {
    "numasync.runtime.pointers",
    "numasync.nn.products.codegen",
    "numasync.nn.products.conv_tile",
    "numasync.nn.products.narrow_tile",
    "numasync.nn.products.row_tile",
    "numasync.nn.products.tile",
    "numasync.nn.products.views",
}
KERNEL_DECORATORS = {
    "kernel",
    "kernel_or",
    "public_kernel",
    "pointer_kernel",
    "inline_kernel",
    "callback_kernel",
    "checked_kernel",
    "intrinsic",
    "type_callable",
}


def functions(tree: ast.AST) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def called(node: ast.Call) -> str | None:
    """Return the last name of what a call calls: 'zeros' for np.zeros(...)."""
    return last_name(node.func)


def last_name(node: ast.AST) -> str | None:
    return getattr(node, "attr", getattr(node, "id", None))


def decorators(function: ast.FunctionDef) -> set[str | None]:
    return {last_name(d.func if isinstance(d, ast.Call) else d) for d in function.decorator_list}


def is_kernel(function: ast.FunctionDef) -> bool:
    return bool(decorators(function) & KERNEL_DECORATORS)


def parameters(function: ast.FunctionDef) -> list[str]:
    arguments = function.args
    return [a.arg for a in arguments.posonlyargs + arguments.args + arguments.kwonlyargs]


KERNELS = {
    f"{module}.{function.name}": function
    for module, tree in MODULES.items()
    for function in functions(tree)
    if decorators(function) & {"kernel", "kernel_or", "public_kernel", "pointer_kernel"}
}


def stand_ins(tree: ast.Module) -> set[str]:
    """Return the names of plain functions that take a kernel's place: typed by `type_callable`, or run without Numba.

    The last are written `name = plain if DISABLED else compiled`, or `@kernel_or(plain)`.
    """
    typed = {
        last_name(d.args[0]) for f in functions(tree) for d in f.decorator_list if isinstance(d, ast.Call) and d.args
    }
    choices = [n for n in ast.walk(tree) if isinstance(n, ast.IfExp) and last_name(n.test) == "DISABLED"]
    return {name for name in typed if name} | {name for n in choices if (name := last_name(n.body))}


def annotated_functions(module: str) -> Iterator[ast.FunctionDef]:
    """Yield the functions of a module that must be annotated: all but kernels, their stand-ins, and what is in them.

    Functions that write machine code for Numba handle llvmlite's values, which have no types.
    """
    if module in WRITE_MACHINE_CODE:
        return
    tree = MODULES[module]
    exempt = {f for f in functions(tree) if is_kernel(f) or f.name in stand_ins(tree)}
    inside = {inner for f in exempt for inner in functions(f)}
    yield from (f for f in functions(tree) if f not in exempt | inside)


class Flow:
    """What each kernel writes to and returns views of, as numbers of its parameters: the least fixed point.

    written[f]   parameters that f assigns to by subscript, or passes at a written place
    returned[f]  parameters that the result of f may be a view of
    unknown[f]   parameters that f may write to: passed to a function that nothing is known about, or behind a view of
                 one of several parameters, where only the first counts as written
    """

    def __init__(self, modules: dict[str, ast.Module]) -> None:
        followed = [
            (module, f)
            for module, tree in modules.items()
            for f in functions(tree)
            if is_kernel(f) or f.name in stand_ins(tree)
        ]
        self.written: dict[ast.FunctionDef, set[int]] = {f: set() for _, f in followed}
        self.returned: dict[ast.FunctionDef, set[int]] = {f: set() for _, f in followed}
        self.unknown: dict[ast.FunctionDef, set[int]] = {f: set() for _, f in followed}
        self.names = {module: self._names(tree) for module, tree in modules.items()}
        before = -1
        while before != (before := self._size()):
            for module, f in followed:
                Body(self, module, f).walk()

    def _size(self) -> int:
        return sum(len(found) for table in (self.written, self.returned, self.unknown) for found in table.values())

    def _names(self, tree: ast.Module) -> dict[str, ast.FunctionDef | tuple[str, str]]:
        """Map a module's names to its functions, or to (module, name) where they are imported."""
        names: dict[str, ast.FunctionDef | tuple[str, str]] = {}
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and node.module:
                names |= {alias.asname or alias.name: (node.module, alias.name) for alias in node.names}
            elif isinstance(node, ast.FunctionDef):
                names[node.name] = node
        for node in tree.body:
            if isinstance(node, ast.Assign) and (made := self._made(node.value, names)):
                targets = [n for target in node.targets for n in ast.walk(target) if isinstance(n, ast.Name)]
                names |= {target.id: made for target in targets}
        return names

    def _made(self, value: ast.expr, names: dict) -> ast.FunctionDef | None:
        """Return the kernel behind `a if DISABLED else b`, or the kernel that a called factory defines and returns."""
        if isinstance(value, ast.IfExp):
            return names.get(last_name(value.body))
        calls = [n for n in ast.walk(value) if isinstance(n, ast.Call)]
        factories = [names.get(called(n)) for n in calls]
        inner = [f for factory in factories if isinstance(factory, ast.FunctionDef) for f in functions(factory)]
        return next((f for f in inner if f in self.written), None)

    def find(self, module: str, name: str | None) -> ast.FunctionDef | None:
        """Return the function that `name` stands for in a module."""
        found = self.names.get(module, {}).get(name or "")
        return self.find(*found) if isinstance(found, tuple) else found


class Body:
    """One pass over the body of a kernel."""

    def __init__(self, flow: Flow, module: str, function: ast.FunctionDef) -> None:
        self.flow, self.module, self.function = flow, module, function
        self.views = {name: {i} for i, name in enumerate(parameters(function))}
        self.slices: set[str] = set()

    def walk(self) -> None:
        inner = {n for f in functions(self.function) if f is not self.function for n in ast.walk(f)}
        nodes = [n for n in ast.walk(self.function) if n not in inner]
        for node in sorted((n for n in nodes if hasattr(n, "lineno")), key=lambda n: n.lineno):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    self.assign(target, node.value)
            elif isinstance(node, ast.AugAssign):
                in_place = isinstance(node.target, ast.Name) and node.target.id in self.slices
                if in_place or isinstance(node.target, ast.Subscript):
                    self.write(node.target)
            elif isinstance(node, ast.Return) and node.value:
                self.flow.returned[self.function] |= self.seen(node.value)
            elif isinstance(node, ast.Call):
                self.call(node)

    def assign(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Subscript):
            self.write(target)
        elif isinstance(target, ast.Name):
            self.views[target.id] = self.views.get(target.id, set()) | self.seen(value)
            if isinstance(value, ast.Subscript) and any(isinstance(n, ast.Slice) for n in ast.walk(value.slice)):
                self.slices.add(target.id)
        elif isinstance(target, ast.Tuple):
            same = isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts)
            for i, element in enumerate(target.elts):
                self.assign(element, value.elts[i] if same else value)

    def write(self, target: ast.expr) -> None:
        first, *others = sorted(self.seen(target)) or [None]
        if first is not None:
            self.flow.written[self.function].add(first)
            self.flow.unknown[self.function].update(others)

    def call(self, node: ast.Call) -> None:
        callee = self.flow.find(self.module, called(node)) if isinstance(node.func, ast.Name) else None
        if callee in self.flow.written:
            for place, value in self.arguments(node, callee):
                if place in self.flow.written[callee]:
                    self.write(value)
                if place in self.flow.unknown[callee]:
                    self.flow.unknown[self.function] |= self.seen(value)
        elif isinstance(node.func, ast.Subscript) or (isinstance(node.func, ast.Name) and node.func.id in self.views):
            for value in node.args:
                self.flow.unknown[self.function] |= self.seen(value)

    def arguments(self, node: ast.Call, callee: ast.FunctionDef) -> list[tuple[int, ast.expr]]:
        names = parameters(callee)
        by_name = [(names.index(k.arg), k.value) for k in node.keywords if k.arg in names]
        return [*enumerate(node.args), *by_name]

    def seen(self, value: ast.AST) -> set[int]:
        """Return the parameters that an expression may be a view of."""
        if isinstance(value, ast.Name):
            return self.views.get(value.id, set())
        if isinstance(value, ast.Attribute):
            return set() if value.attr in ("shape", "size", "ndim", "dtype") else self.seen(value.value)
        if isinstance(value, (ast.Subscript, ast.Starred)):
            return self.seen(value.value)
        if isinstance(value, ast.IfExp):
            return self.seen(value.body) | self.seen(value.orelse)
        if isinstance(value, ast.Tuple):
            return set().union(*map(self.seen, value.elts))
        if isinstance(value, ast.Call):
            callee = self.flow.find(self.module, called(value)) if isinstance(value.func, ast.Name) else None
            if callee in self.flow.written:
                places = self.flow.returned[callee]
                return set().union(*(self.seen(v) for i, v in self.arguments(value, callee) if i in places))
            if isinstance(value.func, ast.Attribute) and value.func.attr in ("reshape", "ravel", "view"):
                return self.seen(value.func.value)
        return set()
