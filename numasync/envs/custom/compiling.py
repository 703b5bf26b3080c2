"""Copies of a user's functions, one to interpret and one to compile, and the compiler's complaints in one sentence.

A copy includes the helpers that the function calls.
"""

import os
import re
import traceback
from collections.abc import Callable
from types import CellType, CodeType, FunctionType
from typing import Any

from numasync.errors import InputError
from numasync.runtime.jit import checked_kernel, compile_as, python_source

# Functions of these modules are not copied: Numba knows them, or they are numasync's own kernels.
NOT_COPIED = ("numpy", "numba", "numasync.runtime.rng", "numasync.runtime.jit")


def copy_to_python(function: Callable) -> Callable:
    """Return a copy of a function in which every kernel that it calls is replaced by its Python source.

    Nothing in it is compiled, so an index out of bounds raises IndexError.
    """
    return copy_function(function, lambda copy: copy, {})


def copy_to_kernel(function: Callable, kind: Any, name: str) -> Callable:
    """Return a copy of a function as a kernel, its helpers too, compiled for the function type `kind`.

    function  the user's function
    kind      RESET_TYPE or a step type of envs/spec.py
    name      what to call the function in a message: 'step of Game-v0'

    Raises InputError if it cannot be compiled: one sentence, an empty line, the compiler's own message.
    """
    kernel = copy_function(function, checked_kernel, {})
    try:
        compile_as(kernel, kind)
    except Exception as error:  # Numba's own errors, and at times an AssertionError or a KeyError
        original = str(error).strip()
        sentence = f"{name} cannot be compiled{find_place(original)}: {find_complaint(original)}."
        raise InputError(f"{sentence}\n\n{original}") from error
    return kernel


def copy_function(
    function: Callable, make: Callable[[FunctionType], Callable], done: dict[Callable, Callable]
) -> Callable:
    """Copy the Python source of a function, and in the same way every helper that it names.

    function  the function, or the kernel of one
    make      called with each copy; returns what takes its place
    done      what was made so far, by source; it stops the recursion where functions call each other
    """
    source = python_source(function)
    if source not in done:
        names = dict(source.__globals__)
        cells = tuple(CellType(read_cell(cell)) for cell in source.__closure__ or ())
        copy = FunctionType(source.__code__, names, source.__name__, source.__defaults__, cells)
        copy.__module__, copy.__kwdefaults__ = source.__module__, source.__kwdefaults__
        done[source] = make(copy)
        for name in find_names(source.__code__):
            if is_helper(names.get(name)):
                names[name] = copy_function(names[name], make, done)
        for cell in cells:
            if is_helper(cell.cell_contents):
                cell.cell_contents = copy_function(cell.cell_contents, make, done)
    return done[source]


def read_cell(cell: CellType) -> Any:
    """Return the value that an enclosing function gave a name, or None if it has not given one yet."""
    try:
        return cell.cell_contents
    except ValueError:
        return None


def find_names(code: CodeType) -> set[str]:
    """Return every name that a piece of code, or code inside it, looks up."""
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*map(find_names, inner))


def is_helper(value: Any) -> bool:
    """Return whether a value is a Python function or a kernel of one, and not from a module in NOT_COPIED."""
    source = python_source(value)
    return isinstance(source, FunctionType) and not f"{source.__module__}.".startswith(
        tuple(f"{module}." for module in NOT_COPIED)
    )


def find_place(original: str) -> str:
    """Return ', at line 7 of game.py' if the compiler's message names a place, otherwise an empty text."""
    place = re.search(r'File "([^"]+)", line (\d+)', original) or re.search(r"Raised from (\S+) \((\d+)\)", original)
    return f", at line {place[2]} of {os.path.basename(place[1])}" if place else ""


def find_complaint(original: str) -> str:
    """Return the words of a compiler's message that say what is wrong, without a full stop."""
    conversion = re.search(r"No conversion from (.+?) to (\w+)", original)
    if conversion:
        expected = "nothing" if conversion[2] == "none" else "reward and end"
        return f"it can return {conversion[1]}, and must return {expected}"
    # The innermost error is the clearest one.
    inner = re.findall(r"^\s*(?:Numba)?\w*Error: (.+)$", original, re.M)
    call = re.search(r"^ *>>> (.+)$", original, re.M)
    if not inner and call:
        return f"there is no compiled form of {call[1]}"
    lines = [line for line in original.splitlines() if line.strip() and not line.startswith("Failed in nopython")]
    return first_sentence((inner or lines or ["Numba does not say why"])[0])


def first_sentence(text: str) -> str:
    """Return the first sentence of a text, on one line and without its full stop."""
    return re.split(r"\.+(?:\s|$)", " ".join(text.split()))[0]


def describe_failure(error: Exception | SystemExit, function: Callable) -> str:
    """Return how a user's function failed: 'failed with IndexError at line 7 of game.py: ...', without a full stop."""
    path = python_source(function).__code__.co_filename
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    place = f" at line {lines[-1]} of {os.path.basename(path)}" if lines else ""
    return f"failed with {type(error).__name__}{place}: {first_sentence(str(error)) or 'it gave no reason'}"
