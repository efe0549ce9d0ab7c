"""Chunks: by name alone, stable under additions; and the chunk that is cut."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from gzjwst_core.cutouts.chunk import CutJob, cut_chunk
from gzjwst_core.cutouts.chunks import chunk_of, chunks, number_of_chunks
from gzjwst_core.cutouts.fits import Provenance
from gzjwst_core.cutouts.read import read_cutout
from gzjwst_core.errors import ImageError
from gzjwst_core.mosaics.shift import SkyShift, moved
from gzjwst_core.options import CutoutOptions, MosaicOptions
from tests.cutouts.skies import RA, Field, rows_of

NAMES = st.lists(st.text(st.characters(codec="ascii"), max_size=20), unique=True, max_size=60)


@given(st.integers(0, 10**6), st.integers(1, 5000))
def test_number_is_the_smallest_power_of_two(rows: int, size: int) -> None:
    count = number_of_chunks(rows, size)
    assert count & (count - 1) == 0
    assert rows <= count * size
    assert count == 1 or rows > count // 2 * size


@given(NAMES, st.integers(1, 10))
def test_every_row_is_in_one_chunk(names: list[str], size: int) -> None:
    found = chunks(names, size)
    assert sorted(row for rows in found.values() for row in rows) == list(range(len(names)))
    assert list(found) == sorted(found)


@given(NAMES, st.text(max_size=20))
def test_an_addition_moves_nobody(names: list[str], new: str) -> None:
    size = len(names) + 1
    before, after = chunks(names, size), chunks([*names, new], size)
    assert all(set(rows) <= set(after[chunk]) for chunk, rows in before.items())


@given(st.text(max_size=20), st.sampled_from([1, 2, 4, 64]))
def test_doubling_splits_a_chunk_in_two(name: str, count: int) -> None:
    assert chunk_of(name, 2 * count) % count == chunk_of(name, count)


def test_chunks_are_even() -> None:
    sizes = [len(rows) for rows in chunks([f"ceers_J{i}" for i in range(4000)], 500).values()]
    assert len(sizes) == 8
    assert max(sizes) < 1.25 * 500


@pytest.fixture
def job(field: Field) -> CutJob:
    return CutJob(
        sources=field.sources,
        reference="F277W",
        options=CutoutOptions(),
        mosaics=MosaicOptions(),
        provenance=Provenance("test", "0.1", "abc"),
        segmap=field.segmap_path,
    )


def test_every_target_ends_somehow(field: Field, job: CutJob) -> None:
    rows = rows_of(field.blobs)
    rows["ra"][2] = RA + 0.1
    cuts = list(cut_chunk(rows, job))
    assert sorted(cut.id_str for cut in cuts) == sorted(rows["id_str"])
    ended = {cut.id_str: cut.outcome for cut in cuts}
    assert [ended[name].kind for name in rows["id_str"]] == ["done", "done", "skipped"]
    assert ended[rows["id_str"][2]].reason == "off_footprint"
    assert all((cut.data is None) == (cut.outcome.kind != "done") for cut in cuts)


def test_a_field_of_view_of_too_many_pixels_is_skipped_with_its_reason(field: Field, job: CutJob) -> None:
    """What one cutout takes in memory does not depend on a stated size, or on how small a mosaic's pixels are."""
    options = CutoutOptions(fov_rule="fixed", fov_fixed_arcsec=1000, fov_max_arcsec=1000)
    cuts = list(cut_chunk(rows_of(field.blobs), replace(job, options=options)))
    assert {(cut.outcome.kind, cut.outcome.reason) for cut in cuts} == {("skipped", "too_large")}
    assert "at most 4096 are cut out" in cuts[0].outcome.detail


def test_names_and_order(field: Field, job: CutJob) -> None:
    cuts = list(cut_chunk(rows_of(field.blobs), job))
    assert all(cut.name == f"{cut.id_str}.fits" for cut in cuts)
    at = [read_cutout(cut.data).header["CUTY0"] for cut in cuts if cut.data]
    assert at == sorted(at, key=float)


def test_order_of_rows_does_not_matter(field: Field, job: CutJob) -> None:
    rows = rows_of(field.blobs)
    assert list(cut_chunk(rows, job)) == list(cut_chunk(rows[::-1], job))


def test_target_from_a_table_has_no_segment(field: Field, job: CutJob) -> None:
    rows = rows_of(field.blobs)[:1]
    rows["segment_id"], rows["bbox_diagonal"], rows["isophote_diagonal"] = 0, np.nan, np.nan
    (cut,) = cut_chunk(rows, job)
    assert cut.data is not None
    assert read_cutout(cut.data).segment_id == 0
    made = read_cutout(cut.data)
    assert (made.fov_arcsec, made.header["FOVRULE"]) == (1.9, "isophote")
    assert np.isnan(made.size_arcsec)


def test_a_cutout_says_by_which_rule_it_was_sized_and_what_that_measured(field: Field, job: CutJob) -> None:
    rows = rows_of(field.blobs)[:2]
    rows["ext_fov"], rows["isophote_diagonal"] = [np.nan, 5.0], np.float32(1.7)
    by_rule, stated = (read_cutout(cut.data or b"") for cut in sorted(cut_chunk(rows, job), key=lambda c: c.id_str))
    assert (by_rule.header["FOVRULE"], by_rule.size_arcsec, by_rule.fov_arcsec) == ("isophote", 1.7, 3.22)
    assert (by_rule.fov_rule, stated.fov_rule) == ("isophote", "stated")
    assert by_rule.floor_arcsec == by_rule.header["FOVFLOOR"] == pytest.approx(2 / 2**0.5 / 0.65, abs=1e-6)
    assert (stated.header["FOVRULE"], stated.fov_arcsec) == ("stated", 5.45)
    assert np.isnan([stated.size_arcsec, stated.floor_arcsec]).all()
    assert not {"FOVSIZE", "FOVFLOOR"} & set(stated.header)


def test_wrong_reference_is_refused(field: Field, job: CutJob) -> None:
    wrong = CutJob(job.sources, "F090W", job.options, job.mosaics, job.provenance)
    with pytest.raises(ImageError, match="F090W"):
        list(cut_chunk(rows_of(field.blobs), wrong))


def test_names_from_outside_are_checked(field: Field, job: CutJob, tmp_path: Path) -> None:
    rows = rows_of(field.blobs)[:1]
    rows["id_str"] = ["../../evil"]
    with pytest.raises(ValueError, match="may not name a file"):
        list(cut_chunk(rows, job))


def test_corrected_positions_are_cut_from_their_own_pixels_with_a_corrected_wcs(field: Field, job: CutJob) -> None:
    """Every plane is the one without the correction; its WCS lies a shift farther, and the cards say so."""
    shift = SkyShift(140.0, -90.0)
    rows, corrected = rows_of(field.blobs), rows_of(field.blobs)
    corrected["ra"], corrected["dec"] = moved(np.asarray(rows["ra"]), np.asarray(rows["dec"]), shift)
    plain = {cut.id_str: cut.data for cut in cut_chunk(rows, job)}
    made = {cut.id_str: cut.data for cut in cut_chunk(corrected, replace(job, shift=shift))}
    for name, data in made.items():
        old, new = read_cutout(plain[name] or b""), read_cutout(data or b"")
        assert np.array_equal(old.mask, new.mask)
        assert old.seg is not None
        assert new.seg is not None
        assert np.array_equal(old.seg, new.seg)
        for band, window in new.bands.items():
            assert np.array_equal(window.data, old.bands[band].data, equal_nan=True)
            was, now = old.placed(old.bands[band].wcs), new.placed(window.wcs)
            assert np.hypot(was.x - now.x, was.y - now.y) < 0.001
        for hdu in fits.open(io.BytesIO(data or b"")):
            assert (hdu.header["ASTRDRA"], hdu.header["ASTRDDEC"]) == (140.0, -90.0)
    assert b"ASTRDRA" not in b"".join(data or b"" for data in plain.values())
