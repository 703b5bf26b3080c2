"""The public names: documented, listed in the reference, and all that dir(numasync) shows."""

import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

import numasync

REFERENCE = Path(__file__).parent.parent / "docs" / "reference" / "api.md"

# A first line begins with a verb in the imperative, or with the name of a thing.
NO_BEGINNING = {"This", "That", "It", "What", "Which", "Those", "Whose", "Returns", "Gets", "Makes", "Sets", "Writes"}


def public_objects() -> dict[str, object]:
    """Return the public names: of numasync, and Class.method for the public methods of its classes."""
    found = {name: getattr(numasync, name) for name in numasync.__all__}
    for name, value in list(found.items()):
        if isinstance(value, type):
            methods = {n: m for n, m in vars(value).items() if not n.startswith("_") and is_method(m)}
            found |= {f"{name}.{n}": m for n, m in methods.items()}
    return found


def is_method(member: object) -> bool:
    return isinstance(member, (property, classmethod, staticmethod)) or inspect.isfunction(member)


def is_documented(value: object) -> bool:
    """Whether a value can have a docstring of its own: no number, no string, no tuple."""
    return isinstance(value, (type, ModuleType)) or is_method(value) or callable(value)


PUBLIC = public_objects()


def test_the_package_says_that_it_is_typed():
    assert Path(numasync.__file__).with_name("py.typed").exists()


@pytest.mark.parametrize("name", [name for name, value in PUBLIC.items() if is_documented(value)])
def test_a_public_symbol_has_a_docstring_of_plain_beginning(name):
    first = (PUBLIC[name].__doc__ or "").strip().partition("\n")[0]
    assert first, "has no docstring"
    assert first.split()[0] not in NO_BEGINNING and first.endswith((".", ":")), first


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_symbol_is_in_the_reference(name):
    heading = "^#+ " if is_documented(PUBLIC[name]) else ""
    assert re.search(rf"{heading}\b{re.escape(name)}\b", REFERENCE.read_text(), re.MULTILINE)


def test_dir_shows_the_public_names_and_no_more():
    assert {name for name in dir(numasync) if not name.startswith("__")} == {
        name for name in numasync.__all__ if not name.startswith("__")
    }
