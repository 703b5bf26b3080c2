"""The signature and the docstring of a function that takes the options of a run. Both are made from Config."""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from numasync.config import PRESETS, Config

Function = TypeVar("Function", bound=Callable[..., Any])

# The line of a docstring that the options replace.
PLACE = "    OPTIONS"


class FromPreset:
    """Stands in a signature for a default that some preset changes."""

    def __repr__(self) -> str:
        return "<preset>"


def show_options(function: Function) -> Function:
    """Decorate a function that passes **options on to Config, so that `help` and editors show every option.

    Its signature gets the options as keywords in the place of **options, with type and default. The line OPTIONS of its
    docstring becomes a line for each option, with its help text and the default of Config.
    """
    signature = inspect.signature(function)
    named = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    fields = [field for field in dataclasses.fields(Config) if field.name not in signature.parameters]
    in_presets = {name for preset in PRESETS.values() for name in preset}
    keywords = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=FromPreset() if field.name in in_presets else field.default,
            annotation=field.type,
        )
        for field in fields
    ]
    function.__signature__ = signature.replace(parameters=[*named, *keywords])  # type: ignore[attr-defined]
    if function.__doc__:  # python -OO drops docstrings
        function.__doc__ = function.__doc__.replace(PLACE, "\n".join(map(option_line, fields)))
    return function


def option_line(field: dataclasses.Field) -> str:
    """Return the line of an option in a docstring."""
    return f"    {field.name:<22}  {field.metadata['help']} [{field.default}]"
