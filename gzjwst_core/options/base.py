"""What every section of a profile is made of: strict frozen models, and the checked types of their values."""

import re
from string import Formatter
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gzjwst_core.bands import known_band
from gzjwst_core.models import digest_of

_PLAIN_FORM = re.compile(r"[+ -]?0?[0-9]{0,2}(\.[0-9]{1,2})?[efgs]?")
"""Format of a number or a name in a link: at most 99 wide, since a wider one could be gigabytes."""

__all__ = ["Band", "BandOrNone", "Link", "Options", "Positive", "Regex", "Share", "Slug"]


def _known_band_or_none(name: str) -> str:
    return known_band(name) if name else name


def _slug(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", name):
        raise ValueError(f"{name!r} must be 1-40 of a-z, 0-9 and '-', and start with a letter or digit")
    return name


def _regex(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
    return pattern


def _link(template: str) -> str:
    try:
        forms = [form for _, name, form, _ in Formatter().parse(template) if name is not None]
        odd = [form for form in forms if not _PLAIN_FORM.fullmatch(form or "")]
        if not odd:
            template.format(ra=0.0, dec=0.0, id_str="")
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise ValueError(f"{template!r}: {error} (allowed: {{ra}}, {{dec}}, {{id_str}})") from error
    if odd:
        raise ValueError(f"{template!r}: {odd[0]!r} is no plain format of at most 99 characters, such as .6f")
    return template


Band = Annotated[str, AfterValidator(known_band)]
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
