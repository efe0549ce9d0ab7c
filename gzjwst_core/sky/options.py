"""The few choices that fix a synthetic sky: `SkyOptions`, strict and frozen.

Two equal options give the same scene, the same mosaics and the same bytes. What follows from them (field
centres, file names, exposure dates) is derived elsewhere; nothing here computes.
"""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gzjwst_core.sky.bands import BANDS

__all__ = ["SkyOptions"]

# TOML and JSON know lists only: the tuple itself may be built from one, its members stay strict
BandNames = Annotated[tuple[str, ...], Field(strict=False)]


class SkyOptions(BaseModel):
    """Options of the synthetic sky; the defaults are the demo's.

    Raises
    ------
    pydantic.ValidationError
        For an unknown key, a wrong type, a NaN, a band that is unknown, named twice, or both held and missing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    seed: int = Field(default=20260101, ge=0, description="Seed of every random number.")
    proposal: int = Field(default=9801, ge=1, le=99999, description="JWST programme that the fields belong to.")
    centre_ra_deg: float = Field(default=150.1, ge=0, lt=360, description="RA of field 1's centre, deg (ICRS).")
    centre_dec_deg: float = Field(default=2.2, ge=-85, le=85, description="Dec of field 1's centre, deg (ICRS).")
    size_arcsec: float = Field(default=60.0, ge=6, le=300, description="Side of a field's pixel grid, arcsec.")
    roll_deg: float = Field(
        default=17.0, ge=-360, le=360, description="Position angle of field 1's +y axis, deg E of N."
    )
    bands: BandNames = Field(default=("F115W", "F150W", "F277W", "F444W"), min_length=1, description="Bands held.")
    missing: BandNames = Field(
        default=("F356W",), description="Bands that MAST lists for field 1 and no archive holds."
    )
    galaxies_per_arcmin2: float = Field(
        default=500.0, ge=0, le=2000, description="Galaxies of AB 18.5-29 in F277W per square arcmin."
    )
    stars_per_arcmin2: float = Field(
        default=6.0, ge=0, le=1000, description="Unsaturated stars of AB 21-27 in F277W per square arcmin."
    )
    bright_stars: int = Field(default=2, ge=0, le=20, description="Saturated stars in each field.")
    grey_galaxies: int = Field(
        default=3, ge=0, le=20, description="Large isolated galaxies of equal flux in every band, in each field."
    )
    overlap_fraction: float = Field(
        default=0.15, ge=0, lt=1, description="Part of a field's footprint that the other field covers too."
    )
    depth_offset_mag: float = Field(
        default=0.0, ge=-5, le=5, description="Deeper than the survey's standard depth by this, mag."
    )

    @model_validator(mode="after")
    def _bands_are_known(self) -> Self:
        named = (*self.bands, *self.missing)
        unknown = [band for band in named if band not in BANDS]
        if unknown:
            raise ValueError(f"unknown band(s) {', '.join(unknown)}; allowed: {', '.join(BANDS)}")
        if len(set(named)) != len(named):
            raise ValueError(f"a band is named twice in bands {self.bands} and missing {self.missing}")
        return self
