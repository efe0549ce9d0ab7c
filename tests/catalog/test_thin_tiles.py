"""A mosaic's last tile may be a strip narrower than any aperture: sides of 2050 pixels leave one of 2."""

import numpy as np
import pytest

from gzjwst_core.detection.noise import empty_apertures


@pytest.mark.parametrize("shape", [(64, 2), (2, 64), (2, 2)])
def test_a_strip_has_no_apertures_and_does_no_harm(shape: tuple[int, int]) -> None:
    image = np.zeros(shape, dtype=np.float32)
    found = empty_apertures(image, image + 1, image > 0, [1.7, 10.0])
    assert len(found) == 2


def test_a_strip_on_one_side_only() -> None:
    """As wide as one aperture: the small ones fit, the large ones do not."""
    image = np.random.default_rng(3).normal(size=(64, 8)).astype(np.float32)
    assert len(empty_apertures(image, np.ones_like(image), np.zeros(image.shape, dtype=bool), [1.7, 10.0])) == 2
