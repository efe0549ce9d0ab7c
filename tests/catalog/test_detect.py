"""Detection image and extraction: stacking, kernels, cores, edges, SEP's quirks."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import sep
from numpy.typing import NDArray

from gzjwst_core.detection import detect
from gzjwst_core.detection.calibrated_frame import Frame
from gzjwst_core.detection.detect import combine, extract, fill_cores, kernel_for, touches_edge
from gzjwst_core.errors import CatalogError
from gzjwst_core.options import DetectOptions

OPTIONS = DetectOptions(threshold=4.0, kernel_arcsec=0.06, min_area_arcsec2=0.0144)
Image = NDArray[np.float32]


def blob(image: Image, y: float, x: float, flux: float, sigma: float = 1.5) -> None:
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    image += flux * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * sigma**2)) / (2 * np.pi * sigma**2)


def scene(noise: float = 1.0, seed: int = 1) -> Frame:
    image = np.random.default_rng(seed).normal(0, noise, (120, 140)).astype(np.float32)
    for y, x, flux in ((30, 30, 300), (60.3, 99.6, 800), (90, 40, 200), (92, 50, 400)):
        blob(image, y, x, flux)
    return Frame(image, np.full_like(image, noise), np.zeros(image.shape, bool))


def test_objects_are_found_where_they_are() -> None:
    found = extract(scene(), OPTIONS, 0.06, filter_noise=0.3)
    order = np.argsort(found.objects["y"])
    places = np.column_stack([found.objects["y"], found.objects["x"]])[order]
    assert places == pytest.approx(np.array([[30, 30], [60.3, 99.6], [90, 40], [92, 50]]), abs=0.35)
    assert set(np.unique(found.labels)) == set(range(5))


def test_an_inverse_variance_stack_is_deeper_and_survives_gaps() -> None:
    one, two = scene(seed=1), scene(2.0, seed=2)
    two.bad[:10], two.sub[:10], two.err[:10] = True, 0, 0
    one.bad[:5], one.sub[:5], one.err[:5] = True, 0, 0
    stack = combine([one, two])
    assert stack.bad.sum() == 5 * 140
    assert stack.err[50, 50] == pytest.approx(1 / np.sqrt(1 + 1 / 4))
    assert stack.err[7, 7] == 1
    np.testing.assert_allclose(stack.sub[50], (one.sub[50] + two.sub[50] / 4) / 1.25, rtol=1e-5, atol=1e-5)
    assert combine([one]) is one


@pytest.mark.parametrize("scale", [0.03, 0.06])
def test_kernels_keep_their_size_on_the_sky(scale: float) -> None:
    for shape in ("gaussian", "tophat"):
        kernel = kernel_for(DetectOptions(kernel=shape, kernel_arcsec=0.12), scale)
        assert kernel.sum() == pytest.approx(1)
        assert kernel.shape[0] % 2 == 1
        half = kernel.shape[0] // 2
        x = np.mgrid[-half : half + 1, -half : half + 1][1]
        rms = np.sqrt(float((kernel * x**2).sum()))
        expected = 0.12 if shape == "gaussian" else 0.12 / 2  # the rms of a disc along one axis is half its radius
        assert rms * scale == pytest.approx(expected, rel=0.08)
        np.testing.assert_allclose(kernel, kernel.T, rtol=1e-6)


def test_masked_pixels_never_carry_a_label() -> None:
    frame = scene()
    frame.bad[58:63, 99] = True
    frame.sub[frame.bad], frame.err[frame.bad] = 0, 0
    found = extract(frame, OPTIONS, 0.06, filter_noise=0.3)
    assert (found.labels > 0).any()
    assert not found.labels[frame.bad].any()


def test_a_saturated_core_is_one_object_and_a_gap_stays_a_gap() -> None:
    frame = scene()
    blob(frame.sub, 60, 50, 50_000, 3.0)
    frame.bad[57:64, 47:54] = True
    frame.bad[:4] = True  # an edge without data
    frame.bad[100, 120] = True  # a dead pixel on the sky
    frame.sub[frame.bad], frame.err[frame.bad] = 0, 0
    filled = fill_cores(frame, 0.06)
    assert not filled.bad[57:64, 47:54].any()
    assert filled.bad[:4].all()
    assert filled.bad[100, 120]
    near = [
        np.hypot(e.objects["x"] - 50, e.objects["y"] - 60) < 12
        for e in (extract(f, OPTIONS, 0.06, filter_noise=0.3) for f in (frame, filled))
    ]
    assert near[1].sum() == 1
    assert near[0].sum() >= near[1].sum()
    assert frame.bad[60, 50]  # the frame that is measured is as it was
    assert fill_cores(scene(), 0.06).sub.shape == (120, 140)


def test_one_rms_for_all_pixels_is_the_reference_s_threshold() -> None:
    frame = scene()
    strict = extract(frame, DetectOptions(recipe="reference"), 0.06, rms=1.0)
    loose = extract(frame, DetectOptions(recipe="reference"), 0.06, rms=0.2)
    assert (strict.objects["thresh"] == 3).all()
    assert 0 < (strict.labels > 0).sum() < (loose.labels > 0).sum()


def test_a_family_that_the_window_cuts_is_told() -> None:
    labels = np.zeros((8, 8), dtype=np.int32)
    labels[0:2, 1], labels[2:4, 1], labels[6, 5] = 1, 2, 3  # 2 hangs on 1, which the bottom edge cuts
    assert touches_edge(labels, 3, (True, True, True, True)).tolist() == [True, True, False]
    assert touches_edge(labels, 3, (False, True, True, True)).tolist() == [False, False, False]
    assert touches_edge(np.zeros((4, 4), np.int32), 0, (True, True, True, True)).tolist() == []


@pytest.fixture
def small_buffers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = sep.get_extract_pixstack(), sep.get_sub_object_limit()
    monkeypatch.setattr(detect, "_PIXSTACK", 300)
    yield
    sep.set_extract_pixstack(before[0])
    sep.set_sub_object_limit(before[1])


@pytest.mark.usefixtures("small_buffers")
def test_an_overflowing_buffer_is_enlarged_and_then_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = scene()
    busy.sub[:] += 10
    found = extract(busy, OPTIONS, 0.06, filter_noise=0.3)
    assert len(found.objects) >= 1
    assert sep.get_extract_pixstack() > 300
    monkeypatch.setattr(detect, "_LARGEST_PIXSTACK", 400)
    with pytest.raises(CatalogError) as caught:
        extract(busy, OPTIONS, 0.06, filter_noise=0.3)
    assert caught.value.reason == "extraction_overflow"


def rippled(side: int) -> Frame:
    """A pedestal of 10 sigma with structure everywhere, so that there is much to deblend."""
    rows, columns = np.indices((side, side))
    image = 10 + np.random.default_rng(1).normal(0, 1, (side, side)) + 4 * np.sin(rows / 5) * np.sin(columns / 5)
    return Frame(image.astype(np.float32), np.ones((side, side), np.float32), np.zeros((side, side), bool))


def test_a_window_that_is_above_the_threshold_all_over_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """SEP would take gigabytes and minutes for what is no source."""
    monkeypatch.setattr(sep, "extract", None)
    with pytest.raises(CatalogError, match="100% of the pixels") as caught:
        extract(rippled(1280), OPTIONS, 0.06)
    assert caught.value.reason == "saturated"


def test_a_small_window_may_be_filled_by_one_galaxy() -> None:
    assert len(extract(rippled(200), OPTIONS, 0.06).objects) > 0


def test_a_very_large_object_is_parted_at_fewer_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    """SEP keeps every level's pixels: levels times pixels are bounded."""
    given: list[dict[str, Any]] = []

    def noted(image: Image, **options: Any) -> tuple[NDArray[Any], NDArray[np.int32]]:
        given.append(options)
        return np.zeros(0), np.zeros(image.shape, np.int32)

    monkeypatch.setattr(sep, "extract", noted)
    frame = rippled(1000)
    frame.sub[:, 640:] = 0
    extract(frame, OPTIONS, 0.06)
    extract(scene(), OPTIONS, 0.06)
    levels = [options["deblend_nthresh"] for options in given]
    assert 13 <= levels[0] <= 32 * 300_000 // 640_000  # the filter adds some pixels at the rim
    assert levels[1] == 32


def test_memory_that_sep_is_refused_is_called_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def starve(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(sep, "extract", starve)
    with pytest.raises(MemoryError, match="SEP"):
        extract(scene(), OPTIONS, 0.06)
