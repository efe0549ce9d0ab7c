"""A survey's profile: one strict, frozen model, read from TOML.

`load_profile` takes a name in `profiles/` or a path, lays environment and command-line values over it, and turns every
fault into one message with file, key and what is allowed. The sections themselves are in `options`.
"""

import difflib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tomlkit
from pydantic import Field, ValidationError, field_validator, model_validator

from gzjwst_core.errors import ProfileError
from gzjwst_core.options import (
    ArchiveOptions,
    AstrometryOptions,
    CompareOptions,
    CompletenessOptions,
    CutoutOptions,
    DetectOptions,
    ImageOptions,
    LocalMosaics,
    MergeOptions,
    MosaicOptions,
    Options,
    PhotometryOptions,
    PsfOptions,
    PublishOptions,
    QualityOptions,
    QueryOptions,
    SelectOptions,
    SurveyOptions,
    TargetOptions,
)
from gzjwst_core.paths import expanded
from gzjwst_core.plain_toml import DEEPEST, MAX_BYTES, read_toml, read_toml_value, too_much
from gzjwst_core.sky.options import SkyOptions

__all__ = [
    "SurveyProfile",
    "load_profile",
    "profile_folder_of",
    "profile_names",
    "profile_toml",
    "read_frozen",
    "read_images",
    "validate_profile",
    "with_pins",
]

_ENVIRONMENT_PREFIX = "GZJWST_SET__"
_MOST_FAULTS = 20
"""That one message tells."""
_LONGEST_SHOWN = 100


T = TypeVar("T", bound=Options)


class SurveyProfile(Options):
    """Everything that makes one survey different from another."""

    survey: SurveyOptions
    query: QueryOptions = QueryOptions()
    archives: ArchiveOptions = ArchiveOptions()
    local: tuple[LocalMosaics, ...] = ()
    """Mosaics given as files; no archive is asked when there are any."""
    mosaics: MosaicOptions = MosaicOptions()
    detect: DetectOptions = DetectOptions()
    photometry: PhotometryOptions = PhotometryOptions()
    psf: PsfOptions = PsfOptions()
    merge: MergeOptions = MergeOptions()
    astrometry: AstrometryOptions = AstrometryOptions()
    targets: TargetOptions = TargetOptions()
    compare: Annotated[tuple[CompareOptions, ...], Field(max_length=100)] = ()
    """Catalogs of others that the survey's is compared with."""
    select: SelectOptions = SelectOptions()
    completeness: CompletenessOptions = CompletenessOptions()
    cutouts: CutoutOptions = CutoutOptions()
    images: ImageOptions = ImageOptions()
    quality: QualityOptions = QualityOptions()
    publish: PublishOptions = PublishOptions()
    sky: SkyOptions | None = None
    """A synthetic sky on loopback archives stands in for the real ones (the demo, rehearsals)."""

    @field_validator("compare")
    @classmethod
    def _are_named_once(cls, given: tuple[CompareOptions, ...]) -> tuple[CompareOptions, ...]:
        names = [one.name for one in given]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two are named {twice!r}: the name is that of a file, give each its own")
        return given

    @model_validator(mode="after")
    def _has_a_source(self) -> "SurveyProfile":
        if not self.local and not self.query.observations:
            raise ValueError("a profile needs [[query.observations]] (ask MAST) or [[local]] (files)")
        return self

    @model_validator(mode="after")
    def _hands_over_bands_it_has(self) -> "SurveyProfile":
        asked = {"publish.zoobot_fits": self.publish.zoobot_fits, "images.panel_bands": self.images.panel_bands}
        for key, bands in asked.items():
            strange = next((band for band in bands if band not in self.survey.bands), None)
            if strange is not None:
                raise ValueError(f"{key} names {strange}, the survey has {', '.join(self.survey.bands)}")
        return self

    @property
    def name(self) -> str:
        """The survey's name."""
        return self.survey.name


def profiles_folder() -> Path:
    """Return the folder of the shipped profiles: the checkout's, or the wheel's."""
    core = Path(__file__).resolve().parents[1]
    return core / "profiles" if (core / "profiles").is_dir() else core.parent / "profiles"


def profile_folder_of(name_or_path: str | os.PathLike[str]) -> Path:
    """Return the folder a profile lies in: its relative paths start there."""
    return _find(name_or_path).parent


def profile_names() -> list[str]:
    """Names of the shipped profiles, sorted."""
    return sorted(path.stem for path in profiles_folder().glob("*.toml"))


def load_profile(
    name_or_path: str | os.PathLike[str],
    *,
    overrides: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> SurveyProfile:
    """Read a profile: default < file < environment < overrides.

    Parameters
    ----------
    name_or_path
        A name in `profiles/` or the path of a TOML file.
    overrides
        `key=value` with a dotted key of the profile and a TOML value (bare text is taken as a string).
    environment
        Variables `GZJWST_SET__SECTION__KEY=value` are laid over the file; None = nothing.

    Returns
    -------
    SurveyProfile
        Validated and frozen.

    Raises
    ------
    ProfileError
        The file is missing or not TOML, a key is unknown, a value is of the wrong type or out of range. The message
        names the file, the key and what is allowed.
    """
    path = _find(name_or_path)
    data = _read_toml(path)
    laid: dict[str, str] = {}
    for key, value, where in (*_environment_values(environment or {}), *map(_parted, overrides)):
        _lay(data, key, value, where)
        laid[key] = where
    return validate_profile(data, str(path), laid)


def validate_profile(data: Mapping[str, Any], source: str, laid: Mapping[str, str] | None = None) -> SurveyProfile:
    """Validate plain data as a profile.

    Parameters
    ----------
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
    return _validated(SurveyProfile, data, source, laid or {})


def read_frozen(data: bytes, source: str) -> ImageOptions:
    """Read the pinned colour of a frozen profile; other sections may be of an older version.

    Parameters
    ----------
    data
        Bytes of the `profile.toml` of a run folder.
    source
        Its name for messages.

    Raises
    ------
    ProfileError
        It is not TOML, or its `[images]` section cannot be read.
    """
    try:
        pins = {k: v for k, v in read_toml(data, source)["images"].items() if k in ("sigma", "gain", "pins")}
        return ImageOptions.model_validate_json(json.dumps(pins))
    except (KeyError, AttributeError, TypeError, ValidationError) as error:
        raise ProfileError(f"{source}: the frozen profile cannot be read: {error}") from None


def with_pins(data: bytes, source: str, images: ImageOptions) -> str:
    """Return the text of a frozen profile with other pins of the colour; all else in it stays, of any version.

    Parameters
    ----------
    data, source
        As of `read_frozen`.
    images
        Whose `sigma`, `gain` and `pins` are written.

    Raises
    ------
    ProfileError
        It cannot be read, or a value is not allowed.
    """
    read_frozen(data, source)
    pins = {key: dict(sorted(getattr(images, key).items())) for key in ("sigma", "gain", "pins")}
    try:
        ImageOptions.model_validate_json(json.dumps({key: pins[key] for key in ("sigma", "gain")}))
    except ValidationError as error:
        raise ProfileError("\n".join(_explain(source, {}, fault) for fault in error.errors())) from None
    document = tomlkit.parse(data.decode())
    document["images"].update(pins)
    return tomlkit.dumps(document)


class _ImagesAlone(Options):
    images: ImageOptions = ImageOptions()


def read_images(data: bytes, source: str, overrides: Sequence[str] = ()) -> ImageOptions:
    """Read the colour of a frozen profile and lay values over it; other sections may be of an older version.

    Parameters
    ----------
    data
        Bytes of the `profile.toml` of a run folder.
    source
        Its name for messages.
    overrides
        `images.key=value`.

    Raises
    ------
    ProfileError
        It is not TOML, or a value of `[images]` is not allowed.
    """
    found: dict[str, Any] = {"images": read_toml(data, source).get("images", {})}
    laid: dict[str, str] = {}
    for key, value, where in map(_parted, overrides):
        _lay(found, key, value, where)
        laid[key] = where
    return _validated(_ImagesAlone, found, source, laid).images


def _validated(model: type[T], data: Mapping[str, Any], source: str, laid: Mapping[str, str]) -> T:
    if (fault := too_much(data)) is not None:
        key = ".".join(fault.key) or "profile"
        raise ProfileError(f"{_given_in(key, laid, source)}: {_shown(key)}: {fault.said}")
    try:
        return model.model_validate_json(json.dumps(data))
    except ValidationError as error:
        faults = error.errors()
        said = [_explain(source, laid, fault) for fault in faults[:_MOST_FAULTS]]
        more = [f"{source}: and {len(faults) - len(said)} faults more"] if len(faults) > len(said) else []
        raise ProfileError("\n".join([*said, *more])) from None
    except TypeError:
        raise ProfileError(f"{source}: dates and times are not allowed in a profile") from None


def profile_toml(profile: SurveyProfile) -> str:
    """Write a profile as TOML text, every effective value stated; reading it back gives an equal profile."""
    return tomlkit.dumps(_without_none(profile.model_dump(mode="json")))


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    return [_without_none(v) for v in value] if isinstance(value, list) else value


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


def _explain(file: str, laid: Mapping[str, str], fault: Any) -> str:
    # pydantic marks which member of a union failed with a part such as `literal['']`: no key of ours
    location = [str(part) for part in fault["loc"] if not re.fullmatch(r"[a-z-]*\[.*\]", str(part))]
    whole = ".".join(location) or "profile"
    key, source = _shown(whole), _given_in(whole, laid, file)
    if fault["type"] == "extra_forbidden":
        allowed = _keys_at(location[:-1])
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


def _keys_at(location: Sequence[str]) -> list[str]:
    model: Any = SurveyProfile
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
