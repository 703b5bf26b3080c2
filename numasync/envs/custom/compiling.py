"""A user's functions, taken as plain Python: a copy to interpret and a copy to compile, each with the helpers it
calls; and what the compiler complains of, in one sentence."""

import os
import re
import traceback
from types import CellType, CodeType, FunctionType

from numasync.errors import InputError
from numasync.runtime.jit import checked_kernel, compile_as, python_source

# Functions of these modules are left as they are: Numba knows them, or they are kernels of ours.
LEFT_ALONE = ("numpy", "numba", "numasync.runtime.rng", "numasync.runtime.jit")


def python_copy(function):
    """The function with every kernel that it calls replaced by its Python source: nothing of it is compiled, so an
    index out of bounds raises."""
    return rebuilt(function, lambda copy: copy, {})


def compiled_copy(function, kind, name):
    """The function and its helpers as kernels, compiled as a function type. Raises InputError: one sentence about
    `name`, an empty line, the compiler's own words."""
    kernel = rebuilt(function, checked_kernel, {})
    try:
        compile_as(kernel, kind)
    except Exception as error:  # Numba raises its own errors, and now and then an AssertionError or a KeyError
        original = without_colours(str(error)).strip()
        sentence = f"{name} cannot be compiled{line_named(original)}: {complaint(original)}."
        raise InputError(f"{sentence}\n\n{original}") from error
    return kernel


def rebuilt(function, make, done):
    """make(copy) of a function's Python source, in whose copy the helpers that it names are rebuilt too.

    done: what was made so far, by source; it ends the recursion of functions that call each other.
    """
    source = python_source(function)
    if source not in done:
        names = dict(source.__globals__)
        cells = tuple(CellType(contents(cell)) for cell in source.__closure__ or ())
        copy = FunctionType(source.__code__, names, source.__name__, source.__defaults__, cells)
        copy.__module__, copy.__kwdefaults__ = source.__module__, source.__kwdefaults__
        done[source] = make(copy)
        for name in names_in(source.__code__):
            if is_helper(names.get(name)):
                names[name] = rebuilt(names[name], make, done)
        for cell in cells:
            if is_helper(cell.cell_contents):
                cell.cell_contents = rebuilt(cell.cell_contents, make, done)
    return done[source]


def contents(cell):
    """What an enclosing function gave a name; None where it has not yet done so."""
    try:
        return cell.cell_contents
    except ValueError:
        return None


def names_in(code):
    """Every name that a piece of code, or code inside it, looks up."""
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*map(names_in, inner))


def is_helper(value):
    source = python_source(value)
    return isinstance(source, FunctionType) and not f"{source.__module__}.".startswith(
        tuple(f"{module}." for module in LEFT_ALONE)
    )


def without_colours(text):
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def line_named(original):
    """', at line 7 of game.py' from the place that the compiler names, or nothing."""
    place = re.search(r'File "([^"]+)", line (\d+)', original) or re.search(r"Raised from (\S+) \((\d+)\)", original)
    return f", at line {place[2]} of {os.path.basename(place[1])}" if place else ""


def complaint(original):
    """The few words of a compiler's message that say what is wrong, without a full stop."""
    conversion = re.search(r"No conversion from (.+?) to (\w+)", original)
    if conversion:
        expected = "nothing" if conversion[2] == "none" else "reward and end"
        return f"it can return {conversion[1]}, and must return {expected}"
    # The innermost error is the plainest one.
    inner = re.findall(r"^\s*(?:Numba)?\w*Error: (.+)$", original, re.M)
    call = re.search(r"^ *>>> (.+)$", original, re.M)
    if not inner and call:
        return f"there is no compiled form of {call[1]}"
    lines = [line for line in original.splitlines() if line.strip() and not line.startswith("Failed in nopython")]
    return first_sentence((inner or lines or ["Numba does not say why"])[0])


def first_sentence(text):
    return re.split(r"\.+(?:\s|$)", " ".join(text.split()))[0]


def failure(error, function):
    """What an exception says of a function that was run: ' failed with IndexError at line 7 of game.py: ...'."""
    path = python_source(function).__code__.co_filename
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    place = f" at line {lines[-1]} of {os.path.basename(path)}" if lines else ""
    return f"failed with {type(error).__name__}{place}: {first_sentence(str(error)) or 'it gave no reason'}"
