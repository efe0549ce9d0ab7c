"""A survey's profile: one strict, frozen model, read from TOML.

The sections themselves are in `options`; how a file is found and read is in `runs/profile_file`.
"""

import json
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, ClassVar

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
from gzjwst_core.plain_toml import read_toml
from gzjwst_core.runs import profile_file
from gzjwst_core.runs.profile_file import Profile, explain_fault, with_overrides
from gzjwst_core.sky.options import SkyOptions

__all__ = ["SurveyProfile", "load_profile", "read_frozen", "read_images", "validate_profile", "with_pins"]


class SurveyProfile(Profile):
    """Everything that makes one survey different from another."""

    head: ClassVar[str] = "survey"

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


load_profile = partial(profile_file.load_profile, SurveyProfile)
validate_profile = partial(profile_file.validate_profile, SurveyProfile)


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
        raise ProfileError(
            "\n".join(explain_fault(_ImagesAlone, source, fault, {}) for fault in error.errors())
        ) from None
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
    laid = with_overrides(found, overrides)
    return profile_file.validate_profile(_ImagesAlone, found, source, laid).images
