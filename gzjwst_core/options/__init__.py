"""The sections of a profile: how a survey is processed, never data.

Every section is strict and frozen; every field says its unit and meaning. Stages digest just the section they read, so
that changing a colour does not redo a catalog. Reading TOML and merging overrides is in `profile`.
"""

from gzjwst_core.options.archives import ArchiveOptions, LocalMosaics, ProductRule, QueryOptions, SurveyOptions
from gzjwst_core.options.base import Band, Options
from gzjwst_core.options.catalog import (
    AstrometryOptions,
    CompletenessOptions,
    Cut,
    DetectOptions,
    MergeOptions,
    MosaicOptions,
    PhotometryOptions,
    PsfOptions,
    SelectOptions,
)
from gzjwst_core.options.cutouts import CutoutOptions
from gzjwst_core.options.images import ImageOptions, Pin
from gzjwst_core.options.publish import PublishOptions
from gzjwst_core.options.quality import Limits, QualityOptions
from gzjwst_core.options.tables import CompareOptions, TableOptions, TargetOptions

__all__ = [
    "ArchiveOptions",
    "AstrometryOptions",
    "Band",
    "CompareOptions",
    "CompletenessOptions",
    "Cut",
    "CutoutOptions",
    "DetectOptions",
    "ImageOptions",
    "Limits",
    "LocalMosaics",
    "MergeOptions",
    "MosaicOptions",
    "Options",
    "PhotometryOptions",
    "Pin",
    "ProductRule",
    "PsfOptions",
    "PublishOptions",
    "QualityOptions",
    "QueryOptions",
    "SelectOptions",
    "SurveyOptions",
    "TableOptions",
    "TargetOptions",
]
