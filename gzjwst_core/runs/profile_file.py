"""Profiles as TOML files: found by name or path, values laid over them, and every fault told in one message.

A pipeline's profile is a model: `Profile` is its base, and its head, the section with its name, tells of which pipeline
a file is. Default < file < environment < command line.
"""

import difflib
import json
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import tomlkit
from pydantic import ValidationError

from gzjwst_core.errors import ProfileError
from gzjwst_core.options.base import Options
from gzjwst_core.paths import expanded
from gzjwst_core.plain_toml import DEEPEST, MAX_BYTES, read_toml, read_toml_value, too_much

__all__ = [
    "Profile",
    "explain_fault",
    "load_profile",
    "profile_folder_of",
    "profile_names",
    "profile_toml",
    "read_profile",
    "validate_profile",
    "with_overrides",
]

_ENVIRONMENT_PREFIX = "GZJWST_SET__"
_MOST_FAULTS = 20
"""That one message tells."""
_LONGEST_SHOWN = 100


class Profile(Options):
    """Everything that makes one run of a pipeline different from another."""

    head: ClassVar[str]
    """Name of the section that every profile of this pipeline has, and no other."""

    @property
    def name(self) -> str:
        """Name of the run folder: `name` of the head section."""
        return str(getattr(self, self.head).name)


P = TypeVar("P", bound=Options)


def profiles_folder() -> Path:
    """Return the folder of the shipped profiles: the checkout's, or the wheel's."""
    core = Path(__file__).resolve().parents[1]
    return core / "profiles" if (core / "profiles").is_dir() else core.parent / "profiles"


def profile_folder_of(name_or_path: str | os.PathLike[str]) -> Path:
    """Return the folder a profile lies in: its relative paths start there."""
    return _find(name_or_path).parent


def profile_names(head: str = "") -> list[str]:
    """Return the names of the shipped profiles, sorted.

    Parameters
    ----------
    head
        Only profiles that have this section; empty = all.
    """
    paths = sorted(profiles_folder().glob("*.toml"))
    return [path.stem for path in paths if not head or head in tomllib.loads(path.read_text())]


def load_profile(
    model: type[P],
    name_or_path: str | os.PathLike[str],
    *,
    overrides: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> P:
    """Read a profile: default < file < environment < overrides.

    Parameters
    ----------
    model
        The pipeline's profile.
    name_or_path
        A name in `profiles/` or the path of a TOML file.
    overrides
        `key=value` with a dotted key of the profile and a TOML value (bare text is taken as a string).
    environment
        Variables `GZJWST_SET__SECTION__KEY=value` are laid over the file; None = nothing.

    Returns
    -------
    Profile
        Validated and frozen.

    Raises
    ------
    ProfileError
        The file is missing or not TOML, a key is unknown, a value is of the wrong type or out of range. The message
        names the file, the key and what is allowed.
    """
    path = _find(name_or_path)
    data = _read_toml(path)
    laid = _laid_over(data, [*_environment_values(environment or {}), *map(_parted, overrides)])
    return validate_profile(model, data, str(path), laid)


def validate_profile(model: type[P], data: Mapping[str, Any], source: str, laid: Mapping[str, str] | None = None) -> P:
    """Validate plain data as a profile.

    Parameters
    ----------
    model
        The pipeline's profile, or a part of it.
    data
        Sections as TOML gives them.
    source
        File name for messages.
    laid
        Where values that do not come from the file were given, by dotted key.

    Raises
    ------
    ProfileError
        One message with every fault, each with its key and what is allowed.
    """
    if (fault := too_much(data)) is not None:
        key = ".".join(fault.key) or "profile"
        raise ProfileError(f"{_given_in(key, laid or {}, source)}: {_shown(key)}: {fault.said}")
    try:
        return model.model_validate_json(json.dumps(data))
    except ValidationError as error:
        faults = error.errors()
        said = [explain_fault(model, source, fault, laid or {}) for fault in faults[:_MOST_FAULTS]]
        more = [f"{source}: and {len(faults) - len(said)} faults more"] if len(faults) > len(said) else []
        raise ProfileError("\n".join([*said, *more])) from None
    except TypeError:
        raise ProfileError(f"{source}: dates and times are not allowed in a profile") from None


def with_overrides(data: dict[str, Any], overrides: Sequence[str]) -> dict[str, str]:
    """Lay `key=value` texts over plain data, in place.

    Parameters
    ----------
    data
        Sections as TOML gives them.
    overrides
        Each with a dotted key and a TOML value.

    Returns
    -------
    dict
        Where each value was given, by dotted key: what `validate_profile` asks for.

    Raises
    ------
    ProfileError
        A text is no `key=value`, or its value cannot be read.
    """
    return _laid_over(data, list(map(_parted, overrides)))


def _laid_over(data: dict[str, Any], values: Sequence[tuple[str, str, str]]) -> dict[str, str]:
    for key, value, where in values:
        _lay(data, key, value, where)
    return {key: where for key, _, where in values}


def profile_toml(profile: Options) -> str:
    """Write a profile as TOML text, every effective value stated; reading it back gives an equal profile."""
    return tomlkit.dumps(_without_none(profile.model_dump(mode="json")))


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    return [_without_none(v) for v in value] if isinstance(value, list) else value


def read_profile(name_or_path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a profile's sections as plain data, unchecked.

    Raises
    ------
    ProfileError
        The file is missing or not TOML.
    """
    return _read_toml(_find(name_or_path))


def _find(name_or_path: str | os.PathLike[str]) -> Path:
    text = os.fspath(name_or_path)
    path = Path(expanded(text, "profile"))
    if path.suffix == ".toml" or os.sep in str(path):
        if not os.path.isfile(path):  # noqa: PTH113 - Path's raises where a name is too long
            raise ProfileError(f"{text}: no such profile file")
        return path
    if text in profile_names():
        return profiles_folder() / f"{text}.toml"
    near = difflib.get_close_matches(text, profile_names(), n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ProfileError(f"{text!r} is no shipped profile (have: {', '.join(profile_names())}){hint}")


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return read_toml(file.read(MAX_BYTES + 1), str(path))
    except OSError as error:
        raise ProfileError(f"{path}: cannot be read: {error.strerror}") from None


def _environment_values(environment: Mapping[str, str]) -> list[tuple[str, str, str]]:
    names = sorted(name for name in environment if name.startswith(_ENVIRONMENT_PREFIX))
    return [(n.removeprefix(_ENVIRONMENT_PREFIX).lower().replace("__", "."), environment[n], n) for n in names]


def _parted(override: str) -> tuple[str, str, str]:
    key, sign, value = (part.strip() for part in override.partition("="))
    if not sign or not key:
        raise ProfileError(f"--set {_shown(repr(override))}: write key=value, for example detect.threshold=2.0")
    return key, value, f"--set {_shown(override)}"


def _lay(data: dict[str, Any], dotted: str, text: str, where: str) -> None:
    *parents, last = dotted.split(".")
    if len(parents) >= DEEPEST:
        raise ProfileError(f"{where}: a key of {len(parents) + 1} parts (at most {DEEPEST})")
    section = data
    for name in parents:
        inner = section.setdefault(name, {})
        if not isinstance(inner, dict):
            raise ProfileError(f"{where}: {name!r} is not a section")
        section = inner
    section[last] = read_toml_value(text, where)


def explain_fault(model: type[Options], file: str, fault: Any, laid: Mapping[str, str]) -> str:
    """Return one fault of a validation as a sentence: where the value was given, its key, and what is allowed.

    Parameters
    ----------
    model
        That was validated.
    file
        Where values come from that were laid over by nothing.
    fault
        One of pydantic's `errors()`.
    laid
        Where others were given, by dotted key.
    """
    # pydantic marks which member of a union failed with a part such as `literal['']`: no key of ours
    location = [str(part) for part in fault["loc"] if not re.fullmatch(r"[a-z-]*\[.*\]", str(part))]
    whole = ".".join(location) or "profile"
    key, source = _shown(whole), _given_in(whole, laid, file)
    if fault["type"] == "extra_forbidden":
        allowed = _keys_at(model, location[:-1])
        near = difflib.get_close_matches(str(fault["loc"][-1]), allowed, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"{source}: {key}: unknown key{hint} (allowed: {', '.join(allowed)})"
    said = str(fault["msg"]).removeprefix("Value error, ")
    given = fault.get("input")
    shown = "" if isinstance(given, dict | list) or fault["type"] == "missing" else f" (got {_shown(repr(given))})"
    return f"{source}: {key}: {said}{shown}"


def _given_in(key: str, laid: Mapping[str, str], file: str) -> str:
    return next((where for dotted, where in laid.items() if f"{key}.".startswith(f"{dotted}.")), file)


def _shown(text: str) -> str:
    """Write a text of others on one line, and no more of it than a person reads."""
    line = text if text.isprintable() else text.encode("unicode_escape").decode()
    return line if len(line) <= _LONGEST_SHOWN else f"{line[:_LONGEST_SHOWN]}..."


def _keys_at(model: Any, location: Sequence[str]) -> list[str]:
    for part in location:
        if part.isdigit():
            continue
        model = _model_in(model.model_fields[part].annotation)
    return sorted(model.model_fields)


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, Options):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _model_in(inner)
        if found is not None:
            return found
    return annotation if hasattr(annotation, "model_fields") else None
