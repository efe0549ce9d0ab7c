"""`python -m gzjwst_core <verb>`: the small verbs around a run. They use the core alone and start no Prefect.

`profile check` and `profile explain` read a profile; `cache show` and `cache clear` look after the mosaic cache;
`colour` shows the same galaxies in every recipe, `colour pin` and `unpin` say whether a survey's colour is final;
`zooniverse check`, `uploaded`, `new` and `refit` stand between a run folder and Zooniverse; `verify` compares a run
folder with its receipts.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from gzjwst_core import __version__
from gzjwst_core.cache.commands import add_cache_verbs
from gzjwst_core.errors import GzJwstError, ProfileError
from gzjwst_core.pipelines import pipeline_of
from gzjwst_core.runs.profile_file import load_profile, profile_names, profile_toml
from gzjwst_core.survey.compare_command import add_compare_verb
from gzjwst_core.survey.pin_commands import add_pin_verbs
from gzjwst_core.survey.verify import add_verify_verb
from gzjwst_core.survey.zooniverse_commands import add_zooniverse_verbs
from gzjwst_core.transport.redact import guard_logs

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code: 0 done, 1 failed, 2 usage or profile error."""
    options = _parser().parse_args(_with_action(sys.argv[1:] if arguments is None else arguments))
    guard_logs()
    try:
        for line in options.verb(options):
            sys.stdout.write(f"{line}\n")
    except GzJwstError as error:
        sys.stderr.write(f"{error}\n")
        return 2 if isinstance(error, ProfileError) else 1
    return 0


def _with_action(arguments: Sequence[str]) -> Sequence[str]:
    """Write `colour RUN_FOLDER` in full: `colour compare RUN_FOLDER`."""
    if arguments[:1] != ["colour"] or arguments[1:2] in (["compare"], ["pin"], ["unpin"], ["-h"], ["--help"]):
        return arguments
    return ["colour", "compare", *arguments[1:]]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m gzjwst_core", description=__doc__)
    parser.add_argument("--version", action="version", version=f"gzjwst {__version__}")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    _profile_verbs(verbs)
    add_cache_verbs(verbs)
    colour = verbs.add_parser("colour", help="recipes side by side; pins").add_subparsers(
        required=True, metavar="ACTION"
    )
    add_compare_verb(colour)
    add_pin_verbs(colour)
    add_zooniverse_verbs(verbs)
    add_verify_verb(verbs)
    return parser


def _profile_verbs(verbs: Any) -> None:
    profile = verbs.add_parser("profile", help="read a profile").add_subparsers(required=True, metavar="ACTION")
    _add(
        profile,
        "check",
        "say whether a profile is right, and which of its paths name no file on this machine",
        _check_profile,
        profiles="*",
    )
    explain = _add(profile, "explain", "print every effective value as TOML", _explain_profile, profiles="?")
    explain.add_argument("--keys", action="store_true", help="print what each key means instead")
    explain.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="lay a value over the profile")


def _add(
    to: Any, name: str, said: str, verb: Callable[[argparse.Namespace], list[str]], profiles: str = ""
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = to.add_parser(name, help=said, description=said)
    if profiles:
        default = "demo" if profiles == "?" else profile_names()
        parser.add_argument("profile", nargs=profiles, default=default, help="name or TOML file")
    parser.set_defaults(verb=verb)
    return parser


def _check_profile(options: argparse.Namespace) -> list[str]:
    lines: list[str] = []
    for name in options.profile:
        pipeline = pipeline_of(name)
        faults = pipeline.check(name)
        profile = load_profile(pipeline.profile, name, environment=os.environ)
        lines += [f"{name}: right ({profile.name})", *(f"{name}: not here: {fault}" for fault in faults)]
    return lines


def _explain_profile(options: argparse.Namespace) -> list[str]:
    model = pipeline_of(options.profile).profile
    profile = load_profile(model, options.profile, overrides=options.set, environment=os.environ)
    return _keys(model, "") if options.keys else [profile_toml(profile).rstrip()]


def _keys(model: type[BaseModel], prefix: str) -> list[str]:
    lines: list[str] = []
    for name, field in model.model_fields.items():
        said = " ".join((field.description or "").split())
        of = _section_of(field.annotation)
        if said or of is None:
            lines.append(f"{prefix}{name}: {said}")
        if of is not None:
            each = "[]" if get_origin(field.annotation) is tuple else ""
            lines += _keys(of, f"{prefix}{name}{each}.")
    return lines


def _section_of(annotation: Any) -> type[BaseModel] | None:
    """Return the model whose keys a key has: a section, an optional one, or each of a list."""
    inside = (annotation, *get_args(annotation))
    return next((one for one in inside if isinstance(one, type) and issubclass(one, BaseModel)), None)
