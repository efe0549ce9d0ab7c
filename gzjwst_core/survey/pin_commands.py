"""`python -m gzjwst_core colour pin|unpin RUN_FOLDER`: a person says whether a survey's colour is final.

Only the frozen profile changes, and what is remembered of Zoobot's split; the survey's next run makes the images.
"""

import argparse
import re
from collections.abc import Sequence
from typing import Any

from gzjwst_core.errors import ProfileError
from gzjwst_core.options import ImageOptions, Pin
from gzjwst_core.paths import default_cache
from gzjwst_core.runs.run import writing_alone
from gzjwst_core.storage.folder import Folder
from gzjwst_core.survey.profile import with_pins
from gzjwst_core.survey.publish import keep_sides
from gzjwst_core.survey.run import FROZEN_PROFILE, frozen_pins, write_frozen
from gzjwst_core.survey.uploads_record import recorded

__all__ = ["add_pin_verbs"]


def add_pin_verbs(actions: Any) -> None:
    """Add `pin` and `unpin` to the actions of `colour`."""
    pin = _add(actions, "pin", "make the colour of a run folder final: later runs keep it", _pin)
    for key, unit in (("sigma", "uJy/arcsec2 in a pixel"), ("gain", "a factor")):
        said = f"pin this {key} ({unit}) in the place of the band's present one"
        pin.add_argument(f"--{key}", action="append", default=[], metavar="BAND=NUMBER", help=said)
    _add(actions, "unpin", "make it provisional: the next whole run pins it anew", _unpin)


def _add(actions: Any, name: str, said: str, verb: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=said, description=said)
    parser.add_argument("run_folder", help="a survey's folder or URL, such as runs/demo")
    parser.add_argument("--force", action="store_true", help="change what volunteers have seen, too")
    parser.set_defaults(verb=verb)
    return parser


def _pin(options: argparse.Namespace) -> list[str]:
    folder = Folder(options.run_folder)
    given = {"sigma": _numbers("sigma", options.sigma), "gain": _numbers("gain", options.gain)}
    with writing_alone(folder, default_cache()):
        frozen = _frozen(folder)
        if given["sigma"] or given["gain"]:
            _check_uploads(folder, force=options.force)
        values = {key: {**getattr(frozen, key), **of} for key, of in given.items()}
        bands = sorted({*values["sigma"], *values["gain"]})
        if not bands:
            raise ProfileError(f"{folder.url}: no band has a colour to pin: run the survey, or give --sigma and --gain")
        keep_sides(folder)
        return _written(folder, frozen.model_copy(update=values), bands, "final")


def _unpin(options: argparse.Namespace) -> list[str]:
    folder = Folder(options.run_folder)
    with writing_alone(folder, default_cache()):
        frozen = _frozen(folder)
        uploaded = _check_uploads(folder, force=options.force)
        bands = sorted({*frozen.sigma, *frozen.gain})
        return _written(folder, frozen, bands, "unpinned" if uploaded else "provisional")


def _check_uploads(folder: Folder, *, force: bool) -> int:
    uploaded = len(recorded(folder))
    if uploaded and not force:
        said = f"{folder.url}: {uploaded} uploads are on record, and volunteers have seen this colour"
        raise ProfileError(f"{said}: --force lets it change all the same")
    return uploaded


def _frozen(folder: Folder) -> ImageOptions:
    frozen = frozen_pins(folder)
    if not folder.exists(FROZEN_PROFILE):
        raise ProfileError(f"{folder.url}/{FROZEN_PROFILE} is not there: name the folder of a survey that was run")
    return frozen


def _numbers(key: str, texts: Sequence[str]) -> dict[str, float]:
    found = {}
    for text in texts:
        band, _, number = text.partition("=")
        if not re.fullmatch(r"[0-9]*\.?[0-9]+([eE][+-]?[0-9]+)?", number):
            raise ProfileError(f"--{key} {text!r}: write BAND=NUMBER, for example F277W=0.12")
        found[band] = float(number)
    return found


def _written(folder: Folder, images: ImageOptions, bands: Sequence[str], pin: Pin) -> list[str]:
    source = f"{folder.url}/{FROZEN_PROFILE}"
    pinned = images.model_copy(update={"pins": dict.fromkeys(bands, pin)})
    text = with_pins(folder.read(FROZEN_PROFILE), source, pinned)
    write_frozen(folder, text)
    lines = [f"{b}: sigma {images.sigma.get(b, 'none')} uJy/arcsec2, gain {images.gain.get(b, 'none')}" for b in bands]
    then = "later runs keep it" if pin == "final" else "the next whole run pins it anew"
    return [*lines, f"colour is {pin} in {source}: {then}"]
