"""Fields: which products show the same place on the sky, and which one is taken where two hold the same band.

Pure. Products of one name are one group; groups whose footprints overlap enough are one field, named after the
preferred group. Groups join the field they overlap, not each other's neighbours: a chain of visits that overlap one by
one stays a chain of fields.
"""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from gzjwst_core.archives.footprint import Footprint, join_footprints, overlap_of_smaller, parse_footprint
from gzjwst_core.bands import NIRCAM_BANDS
from gzjwst_core.models import Field, Mosaic, Product

__all__ = ["Candidate", "fields_of", "settle_fields"]


@dataclass(frozen=True)
class Candidate:
    """A product that passed the rules."""

    product: Product
    """`field` is the group that its name tells."""
    kind: str
    """`LE3`, `HLSP` or `OTHER`."""
    subarray: bool = False


@dataclass(frozen=True)
class _Group:
    """Candidates of one name."""

    name: str
    rank: int
    """Of its most preferred kind; 0 is best."""
    candidates: tuple[Candidate, ...]

    @cached_property
    def footprint(self) -> Footprint | None:
        found = (parse_footprint(region) for region in sorted({c.product.s_region for c in self.candidates}))
        return join_footprints([footprint for footprint in found if footprint is not None])

    @cached_property
    def order(self) -> tuple[int, float, str]:
        """Preferred kind first, then the larger footprint, then the name."""
        area = self.footprint.area_deg2 if self.footprint else 0.0
        return self.rank, -round(area, 12), self.name


def settle_fields(candidates: Sequence[Candidate], *, prefer: Sequence[str], overlap: float) -> list[Product]:
    """Give every candidate its field, and drop those whose band another one of the field holds.

    Parameters
    ----------
    candidates
        In a stable order.
    prefer
        Kinds, the preferred one first; kinds not named come last.
    overlap
        Share of the smaller footprint from which two groups are one field.

    Returns
    -------
    list of Product
        One for each candidate, kept or dropped as `duplicate_of:<uri>`.
    """
    ranks = {kind: rank for rank, kind in reversed(list(enumerate(prefer)))}
    settled: list[Product] = []
    for name, members in _fields(_groups(candidates, ranks), overlap):
        for candidate in members:
            winner = _best([c for c in members if c.product.band == candidate.product.band], ranks)
            settled.append(_settled(candidate, winner, name))
    return settled


def fields_of(products: Iterable[Product], *, expected_missing: Container[str] = ()) -> tuple[Field, ...]:
    """Make the survey's fields of its kept products.

    Parameters
    ----------
    products
        Kept and dropped.
    expected_missing
        obs_ids that the profile knows to be in no archive.

    Returns
    -------
    tuple of Field
        By name; the mosaics of each by wavelength.
    """
    kept = sorted((p for p in products if p.outcome == "kept"), key=_field_order)
    return tuple(
        Field(name=name, mosaics=tuple(_mosaic(p, expected=p.obs_id in expected_missing) for p in of))
        for name, of in groupby(kept, key=lambda product: product.field)
    )


def _field_order(product: Product) -> tuple[str, int, str]:
    return product.field, NIRCAM_BANDS.index(product.band), product.uri


def _mosaic(product: Product, *, expected: bool) -> Mosaic:
    return Mosaic(
        field=product.field,
        band=product.band,
        obs_id=product.obs_id,
        product_uri=product.uri,
        filename=product.filename,
        size=product.size,
        expected=expected,
    )


def _groups(candidates: Iterable[Candidate], ranks: dict[str, int]) -> list[_Group]:
    named: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        named.setdefault(candidate.product.field, []).append(candidate)
    return [_Group(name, min(_rank(c, ranks) for c in of), tuple(of)) for name, of in named.items()]


def _fields(groups: Iterable[_Group], overlap: float) -> list[tuple[str, list[Candidate]]]:
    """Let each group, preferred first, join the field it overlaps most, or found one."""
    founders: list[_Group] = []
    members: dict[str, list[Candidate]] = {}
    for group in sorted(groups, key=lambda g: g.order):
        shared = [(_overlap(group, founder), -i, founder) for i, founder in enumerate(founders)]
        best = max(shared, key=lambda entry: entry[:2], default=None)
        if best is None or best[0] < overlap or best[0] == 0.0:
            founders.append(group)
            members[group.name] = list(group.candidates)
        else:
            members[best[2].name] += group.candidates
    return list(members.items())


def _overlap(a: _Group, b: _Group) -> float:
    return overlap_of_smaller(a.footprint, b.footprint) if a.footprint and b.footprint else 0.0


def _rank(candidate: Candidate, ranks: dict[str, int]) -> int:
    return ranks.get(candidate.kind, len(ranks))


def _best(candidates: Iterable[Candidate], ranks: dict[str, int]) -> Candidate:
    """Preferred kind, then full frame, then the larger file (more sky, or deeper), then the later URI (newer)."""
    by_uri = sorted(candidates, key=lambda c: c.product.uri, reverse=True)
    return min(by_uri, key=lambda c: (_rank(c, ranks), c.subarray, -c.product.size))


def _settled(candidate: Candidate, winner: Candidate, field: str) -> Product:
    product = candidate.product.replace(field=field)
    if candidate is winner:
        return product
    return product.replace(outcome="dropped", reason=f"duplicate_of:{winner.product.uri}")
