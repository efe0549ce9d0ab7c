"""What every section of a profile is made of: strict frozen models, and the checked types of their values."""

import re
from string import Formatter
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gzjwst_core.bands import NIRCAM_BANDS, known_band
from gzjwst_core.values import digest_of

__all__ = ["Band", "BandOrNone", "Bands", "Link", "Options", "Positive", "Regex", "Share", "Slug", "checked_template"]
_LONGEST_PATTERN = 1000
_PLAIN_FORM = re.compile(r"[+ -]?0?[0-9]{0,2}(\.[0-9]{1,2})?[efgs]?")
"""Format of a number or a name in a link: at most 99 wide, since a wider one could be gigabytes."""


def _known_band_or_none(name: str) -> str:
    return known_band(name) if name else name


def _slug(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", name):
        raise ValueError(f"{name!r} must be 1-40 of a-z, 0-9 and '-', and start with a letter or digit")
    return name


def _regex(pattern: str) -> str:
    if len(pattern) > _LONGEST_PATTERN:
        raise ValueError(f"a regular expression of {len(pattern)} characters (at most {_LONGEST_PATTERN})")
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
    return pattern


def _link(template: str) -> str:
    if template and not re.match(r"https?://[^\s/]", template):
        raise ValueError(f"{template!r} is no address of the web (allowed: http://... and https://...)")
    return checked_template(template, ra=0.0, dec=0.0, id_str="")


def checked_template(template: str, **values: float | str) -> str:
    """Check that a text can be filled with values of these names, and that none is padded to hundreds of characters.

    Raises
    ------
    ValueError
        It cannot; names what is allowed.
    """
    try:
        forms = [form for _, name, form, _ in Formatter().parse(template) if name is not None]
        odd = [form for form in forms if not _PLAIN_FORM.fullmatch(form or "")]
        _ = "" if odd else template.format(**values)
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        allowed = ", ".join(f"{{{name}}}" for name in values)
        raise ValueError(f"{template!r}: {error} (allowed: {allowed})") from error
    if odd:
        raise ValueError(f"{template!r}: {odd[0]!r} is no plain format of at most 99 characters, such as .6f")
    return template


Band = Annotated[str, AfterValidator(known_band)]
Bands = Annotated[tuple[Band, ...], Field(max_length=len(NIRCAM_BANDS))]
Regex = Annotated[str, AfterValidator(_regex)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
BandOrNone = Annotated[str, AfterValidator(_known_band_or_none)]
Slug = Annotated[str, AfterValidator(_slug)]
Link = Annotated[str, AfterValidator(_link)]


class Options(BaseModel):
    """Base of the sections: strict, frozen, no unknown keys, no NaN."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    def digest(self) -> str:
        """Digest of every value in this section."""
        return digest_of(self.model_dump(mode="json"))
