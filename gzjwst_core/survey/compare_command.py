"""`python -m gzjwst_core colour RUN_FOLDER`: the same galaxies in every recipe, on one sheet.

Reads the run folder's cutouts and its frozen profile, nothing else; writes the sheet where the user says, never into
the run folder. Choice and figures are `compare`, the drawing is `compare_sheet`.
"""

import argparse
import hashlib
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from gzjwst_core.cutouts.read import Cutout, read_cutout
from gzjwst_core.errors import ImageError, ProfileError, StorageError
from gzjwst_core.images.compare import Look, Seen, StarColour, look_at, sample, seen, star_colour
from gzjwst_core.images.compare_figures import summary
from gzjwst_core.images.compare_sheet import Column, Row, Sheet, figures_markdown, sheet_html, sheet_jpeg
from gzjwst_core.images.compose import Picture, colour
from gzjwst_core.images.encode import encode, metadata
from gzjwst_core.images.recipes import RECIPES
from gzjwst_core.options import ImageOptions
from gzjwst_core.storage.folder import Folder
from gzjwst_core.survey.profile import read_images
from gzjwst_core.survey.run import FROZEN_PROFILE

__all__ = ["Variant", "add_compare_verb", "compared"]

_CUTOUTS, _CONTROLS, _STARS = "cutouts", "controls", "stars"  # where the quality stage keeps its stars
_MOST_STARS = 12
_OWN = "the survey's own"
_VARIANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,23}")
_MOST = 200


@dataclass(frozen=True, slots=True)
class Variant:
    """One column: a recipe with all of its options."""

    name: str
    options: ImageOptions
    note: str = ""
    render: Callable[[Cutout, ImageOptions], Picture] = colour
    """What colours a cutout; not ours where a bench compares with others."""


def add_compare_verb(to: Any) -> None:
    """Add `compare` to the actions of `colour`."""
    said = "show the same galaxies in every recipe on one sheet, from a run's cutouts alone"
    parser: argparse.ArgumentParser = to.add_parser("compare", help=said, description=said)
    parser.add_argument("run_folder", help="a survey's folder or URL, such as runs/demo")
    parser.add_argument("--recipes", default="", metavar="A,B", help="only these, in this order")
    parser.add_argument("--count", type=int, default=24, help=f"galaxies, 1 to {_MOST} (default 24)")
    parser.add_argument("--look", type=int, default=2000, help="cutouts that the sample is drawn from (default 2000)")
    parser.add_argument(
        "--out", default="", metavar="FILE", help="HTML page (default colour-<folder>.html); a .jpg too"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="[NAME:]KEY=VALUE",
        help="lay images.KEY over every recipe; with a NAME, add a column of the survey's recipe with that change",
    )
    parser.set_defaults(verb=_colour)


def _colour(options: argparse.Namespace) -> list[str]:
    if not 1 <= options.count <= _MOST or options.look < 1:
        raise ProfileError(f"--count must be 1 to {_MOST} and --look at least 1")
    folder = Folder(options.run_folder)
    page = _page_path(options.out, folder)
    variants = _variants(folder, options.recipes, options.set)
    paths, total = _paths(folder, options.look)
    looks, told = _looks(folder, paths)
    chosen = [(looks[row], why) for row, why in sample(looks, options.count)]
    of = f"{total:,} cutouts" if total == len(paths) else f"{len(paths):,} of {total:,} cutouts (--look)"
    sheet = compared(
        ((look, why, read_cutout(folder.read(look.path))) for look, why in chosen),
        variants,
        title=f"{_name(folder)}: the same galaxies in {len(variants)} recipe{'s' * (len(variants) > 1)}",
        lead=f"{len(chosen)} galaxies by brightness and size, from {of}; always the brightest, faintest and largest "
        "of them, and the least covered if any is partly covered.",
        stars=_star_cutouts(folder),
        told=(*told, *_unpinned(variants)),
    )
    if not any(image for row in sheet.rows for image in row.images):
        raise ImageError(f"{folder.url}: no recipe can colour any of {len(chosen)} galaxies; {sheet.told[-1]}")
    return _written(sheet, page)


def _name(folder: Folder) -> str:
    return PurePosixPath(folder.url.rstrip("/")).name or "survey"


def _page_path(out: str, folder: Folder) -> Path:
    page = Path(out or f"colour-{_name(folder)}.html")
    if page.suffix not in {".html", ".htm"}:
        raise ProfileError(f"--out {out}: name an .html file; the plain sheet is written beside it as .jpg")
    if not page.parent.is_dir():
        raise ProfileError(f"--out {out}: there is no folder {page.parent}")
    return page


def _variants(folder: Folder, recipes: str, settings: Sequence[str]) -> list[Variant]:
    common, named = _parted(settings)
    source = f"{folder.url}/{FROZEN_PROFILE}"
    data = _frozen(folder, source)
    own = read_images(data, source, common)
    wanted = [name.strip() for name in recipes.split(",") if name.strip()]
    strange = [name for name in wanted if name not in RECIPES]
    if strange:
        raise ProfileError(f"--recipes {strange[0]}: no such recipe (have: {', '.join(RECIPES)})")
    order = dict.fromkeys(wanted or [own.recipe, *RECIPES])
    found = [
        Variant(name, own.model_copy(update={"recipe": name}), _OWN if name == own.recipe else "") for name in order
    ]
    taken = next((name for name in named if name in RECIPES), None)
    if taken is not None:
        raise ProfileError(f"--set {taken}:...: that is a recipe's name, call the variant something else")
    return found + [
        Variant(name, read_images(data, source, [*common, *laid]), _note(laid)) for name, laid in named.items()
    ]


def _frozen(folder: Folder, source: str) -> bytes:
    try:
        return folder.read(FROZEN_PROFILE)
    except StorageError as error:
        if error.reason == "not_found":
            raise ProfileError(f"{source} is not there: name the folder of a survey that was run") from None
        raise


def _parted(settings: Sequence[str]) -> tuple[list[str], dict[str, list[str]]]:
    """Values for every recipe, and those of each named variant; `images.` may be left out."""
    common: list[str] = []
    named: dict[str, list[str]] = {}
    for text in settings:
        head, sign, value = text.partition("=")
        name, colon, key = head.rpartition(":")
        if not sign or not key.strip() or (colon and not _VARIANT.fullmatch(name)):
            raise ProfileError(f"--set {text!r}: write images.key=value, or NAME:images.key=value for a column NAME")
        where = named.setdefault(name, []) if colon else common
        where.append(f"images.{key.strip().removeprefix('images.')}={value}")
    return common, named


def _note(laid: Sequence[str]) -> str:
    return ", ".join(text.removeprefix("images.").replace("=", " = ", 1) for text in laid)


def _unpinned(variants: Sequence[Variant]) -> Iterator[str]:
    if any(not variant.options.sigma for variant in variants):
        yield "No band's sigma is pinned in the frozen profile: each cutout goes by its own, so colours may differ."


def _paths(folder: Folder, most: int) -> tuple[list[str], int]:
    """Cutouts to choose from, by a hash of their path where there are too many, and how many there are."""
    fields = folder.names(_CUTOUTS)
    found = [f"{_CUTOUTS}/{field}/{name}" for field in fields for name in folder.names(f"{_CUTOUTS}/{field}")]
    found = [path for path in found if path.endswith(".fits")]
    if not found:
        raise StorageError(f"{folder.url}: there are no cutouts in it: run the survey until images", reason="not_found")
    return sorted(found, key=lambda path: hashlib.sha256(path.encode()).digest())[:most], len(found)


def _looks(folder: Folder, paths: Sequence[str]) -> tuple[list[Look], tuple[str, ...]]:
    looks, told = [], []
    for path in sorted(paths):
        try:
            looks.append(look_at(path, read_cutout(folder.read(path))))
        except ImageError as error:
            told.append(f"{path} is left out: {error}")
    if not looks:
        raise ImageError(f"{folder.url}: none of {len(told)} cutouts can be read; {told[0]}", reason="bad_cutout")
    return looks, tuple(told)


def _star_cutouts(folder: Folder) -> Iterator[Cutout]:
    """Stars that were cut for the quality checks, if there are any: a survey's own targets hold none."""
    fields = folder.names(_CONTROLS)
    places = [f"{_CONTROLS}/{field}/{_STARS}" for field in fields]
    paths = [f"{place}/{name}" for place in places for name in folder.names(place) if name.endswith(".fits")]
    for path in sorted(paths, key=lambda path: hashlib.sha256(path.encode()).digest())[:_MOST_STARS]:
        with suppress(ImageError):  # a lost star only makes these figures rest on one less
            yield read_cutout(folder.read(path))


def compared(
    galaxies: Iterable[tuple[Look, str, Cutout]],
    variants: Sequence[Variant],
    *,
    title: str,
    lead: str,
    stars: Iterable[Cutout] = (),
    told: tuple[str, ...] = (),
) -> Sheet:
    """Colour galaxies in every recipe and measure them.

    Parameters
    ----------
    galaxies
        Look, why it was taken, and cutout of each; one cutout is held at a time.
    variants
        The columns.
    title, lead, told
        Words of the sheet.
    stars
        Stars that are no row of the sheet: their colours are measured beside those of star-like galaxies.
    """
    rows: list[Row] = []
    figures: list[list[Seen]] = [[] for _ in variants]
    failed: list[str] = []
    for look, why, cutout in galaxies:
        images: list[bytes | None] = []
        for variant, some in zip(variants, figures, strict=True):
            try:
                data, one = _rendered(cutout, look, variant)
            except ImageError as error:
                images.append(None)
                failed.append(f"{variant.name}: {error}")
                continue
            images.append(data)
            some.append(one)
        rows.append(Row(look, why, tuple(images)))
    of_stars = list(_stars_seen(list(stars), variants))
    made = [summary(some, colours) for some, colours in zip(figures, of_stars, strict=True)]
    columns = tuple(Column(v.name, v.note, one) for v, one in zip(variants, made, strict=True))
    return Sheet(title=title, lead=lead, columns=columns, rows=tuple(rows), told=(*told, *failed))


def _stars_seen(stars: Sequence[Cutout], variants: Sequence[Variant]) -> Iterator[list[StarColour]]:
    for variant in variants:
        found = []
        for star in stars:
            with suppress(ImageError):
                found.append(star_colour(variant.render(star, variant.options).rgb, star.fov_arcsec))
        yield found


def _rendered(cutout: Cutout, look: Look, variant: Variant) -> tuple[bytes, Seen]:
    options, begun = variant.options, time.process_time()
    picture = variant.render(cutout, options)
    ms = 1000 * (time.process_time() - begun)
    data = encode(picture.rgb, options, metadata(cutout.id_str, cutout.fov_arcsec, options, filled=picture.filled))
    return data, seen(cutout, picture, len(data), ms, star=look.star_like)


def _written(sheet: Sheet, page: Path) -> list[str]:
    beside = Folder(str(page.parent))
    plain = page.with_suffix(".jpg")
    beside.write(page.name, sheet_html(sheet).encode())
    beside.write(plain.name, sheet_jpeg(sheet))
    return [*sheet.told, *figures_markdown(sheet.columns), "", f"{page} and {plain}"]
