"""Targets of a person's table that became no cutout, each with its reason: the table is what it is.

`bad_position` and `outside_fields` are the table's own doing, `same_object` and `not_asked` the run's. `field_failed`
is a failure: the target lies, or may lie, in a field whose catalog could not be made.
"""

from collections.abc import Mapping

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from gzjwst_core.archives.fields import fields_of
from gzjwst_core.archives.footprint import parse_footprint
from gzjwst_core.catalog.target_list import OUTSIDE, read_targets, unplaced
from gzjwst_core.models import Product
from gzjwst_core.runs.receipts import all_latest
from gzjwst_core.runs.record import Missing
from gzjwst_core.survey.query import MARGIN_DEG, products_of
from gzjwst_core.survey.run import SurveyRun

__all__ = ["FIELD_FAILED", "NOT_ASKED", "lost_targets"]

FIELD_FAILED, NOT_ASKED = "field_failed", "not_asked"
_SAID = {FIELD_FAILED: "in field {}, which has no catalog", NOT_ASKED: "in field {}, which this run left out"}


def lost_targets(run: SurveyRun, catalog: Table | None) -> list[Missing]:
    """Name the targets of which no row is a primary.

    Parameters
    ----------
    run
        The run; without a table of targets there are none.
    catalog
        Columns ext_id and is_primary of the survey catalog; None = there is none.

    Returns
    -------
    list of Missing
        Those without any row in the order of the table, then those that are secondaries of another target. With the
        primaries they are all the targets there are.
    """
    if not run.targets:
        return []
    targets = read_targets(run.targets, run.profile.targets)
    lost = unplaced(targets, {} if catalog is None else {"survey": catalog})
    fields = _fields_without(run, targets, {one["what"] for one in lost})
    missing = [_missing(one, fields) for one in lost]
    if catalog is None:
        return missing
    chosen = set(catalog["ext_id"][catalog["is_primary"]].tolist()) | {one.what for one in missing}
    same = [name for name in targets["ext_id"].tolist() if name not in chosen]
    told = [Missing(what=name, reason="same_object", detail="as another target", expected=True) for name in same]
    return missing + told


def _missing(lost: Mapping[str, str], fields: Mapping[str, tuple[str, str]]) -> Missing:
    if lost["reason"] != OUTSIDE or lost["what"] not in fields:
        return Missing.model_validate({**lost, "expected": True})
    reason, field = fields[lost["what"]]
    detail = f"{lost['detail']}, {_SAID[reason].format(field)}"
    return Missing(what=lost["what"], reason=reason, detail=detail, expected=reason == NOT_ASKED)


def _fields_without(run: SurveyRun, targets: Table, names: set[str]) -> dict[str, tuple[str, str]]:
    """By target: why the field it may lie in has no catalog, and the field; a failure wins."""
    kept = [product for product in products_of(run) if product.outcome == "kept"]
    fields = fields_of(kept)
    made = {r.unit for r in all_latest(run.folder, "catalog") if r.inputs.get("targets") == run.targets_digest}
    asked = {field.name for field in run.chosen(fields)}
    lost = targets[np.isin(targets["ext_id"], sorted(names)) & (np.asarray(targets["reason"]) == "")]
    found: dict[str, tuple[str, str]] = {}
    for field in sorted({field.name for field in fields} - made, key=lambda name: (name in asked, name)):
        inside = _may_hold([product for product in kept if product.field == field], lost)
        reason = FIELD_FAILED if field in asked else NOT_ASKED
        found |= dict.fromkeys(lost["ext_id"][inside].tolist(), (reason, field))
    return found


def _may_hold(products: list[Product], targets: Table) -> NDArray[np.bool_]:
    """Which targets may lie on some mosaic of a field: all of them where no footprint says otherwise."""
    ra, dec = (np.asarray(targets[name], dtype=np.float64) for name in ("ra", "dec"))
    inside = np.zeros(ra.shape, dtype=bool)
    for product in products if ra.size else ():
        region = parse_footprint(product.s_region)
        inside |= True if region is None else region.holds(ra, dec, margin_deg=MARGIN_DEG)
    return inside
