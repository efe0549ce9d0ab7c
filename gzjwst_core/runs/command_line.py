"""Options of a command line, made from a pydantic model: each field is one, and its docstring is the help text.

argparse reads them; pydantic checks the values, as it does for the UI and deployments. (pydantic-settings makes command
lines too, but splits lists at every comma, also inside `--set key=["a", "b"]`.)
"""

import argparse
import os
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from gzjwst_core.errors import ProfileError

__all__ = ["Argument", "add_arguments", "read_arguments"]

M = TypeVar("M", bound=BaseModel)


class Argument(NamedTuple):
    """How a field is written on a command line, where it is not `--its-name VALUE`."""

    option: str = ""
    """Another name, such as `--set`."""
    metavar: str = ""
    positional: bool = False
    """Written without a name; of a list, any number of them."""
    repeated: bool = False
    """Of a list: each use adds one. Otherwise members are separated by commas."""
    environment: str = ""
    """Variable whose value is taken where the option is not given."""


def add_arguments(parser: argparse.ArgumentParser, model: type[BaseModel]) -> None:
    """Add an option for each field of a model.

    Parameters
    ----------
    parser
        Gets the options. None has a default of its own: what is not given is left to the model.
    model
        Fields of text, numbers, booleans, choices (a Literal, or `enum` in the JSON schema), and lists of text.
    """
    for name, field in model.model_fields.items():
        said = _argument(field)
        flags = [name] if said.positional else [said.option or f"--{name.replace('_', '-')}"]
        keywords: dict[str, Any] = {"help": _help(field), "default": None}
        if not said.positional:
            keywords["dest"] = name
        if field.annotation is bool:
            keywords["action"] = "store_true"
        elif said.positional:
            keywords["nargs"] = "*" if _is_list(field) else "?" if not field.is_required() else None
            keywords["metavar"] = said.metavar or name.upper()
        elif said.repeated:
            keywords |= {"action": "append", "metavar": said.metavar}
        else:
            choices = _choices(field)
            keywords |= {"choices": choices} if choices else {"metavar": said.metavar or _metavar(field)}
        parser.add_argument(*flags, **keywords)


def read_arguments(model: type[M], given: argparse.Namespace, environment: Mapping[str, str] = os.environ) -> M:
    """Make a model of the options that were given; the environment comes before the model's defaults.

    Parameters
    ----------
    model
        As for `add_arguments`.
    given
        What argparse read.
    environment
        Variables.

    Raises
    ------
    ProfileError
        A value is not allowed; names the option.
    """
    values: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        said, value = _argument(field), getattr(given, name)
        if value is None or value == []:
            if said.environment in environment:
                values[name] = environment[said.environment]
        elif _is_list(field) and not (said.repeated or said.positional):
            values[name] = tuple(part.strip() for part in value.split(","))
        else:
            values[name] = tuple(value) if _is_list(field) else value
    try:
        return model(**values)
    except ValidationError as error:
        faults = [f"--{fault['loc'][0] if fault['loc'] else ''}: {fault['msg']}" for fault in error.errors()]
        raise ProfileError("; ".join(faults).replace("_", "-")) from None


def _argument(field: FieldInfo) -> Argument:
    return next((one for one in field.metadata if isinstance(one, Argument)), Argument())


def _is_list(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is tuple


def _choices(field: FieldInfo) -> list[str]:
    if get_origin(field.annotation) is Literal:
        return list(get_args(field.annotation))
    listed = field.json_schema_extra.get("enum") if isinstance(field.json_schema_extra, dict) else None
    return [str(one) for one in listed] if isinstance(listed, list) else []


def _metavar(field: FieldInfo) -> str:
    if _is_list(field):
        return "A,B"
    return "TEXT" if str in _types_in(field.annotation) else "N"


def _types_in(annotation: Any) -> set[Any]:
    inner = get_args(annotation)
    return set().union(*map(_types_in, inner)) if inner else {annotation}


def _help(field: FieldInfo) -> str:
    text = " ".join((field.description or "").split()).replace("%", "%%")
    shown = field.default
    known = not field.is_required() and shown not in (None, "", (), False, 0)
    return f"{text} (default: {shown})" if known else text
