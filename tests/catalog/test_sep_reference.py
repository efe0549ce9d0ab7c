"""Our arithmetic against SExtractor's own files: a real image with its background, noise and catalog (default.sex).

Meshes of 64 px on 256 x 256: 12 of the 16 cells are at the edge, where our maps differ by design.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import sep
from astropy.io import fits
from astropy.table import Table
from numpy.typing import NDArray

from gzjwst_core.detection.background import Mesh, fill_cells, mesh_statistics
from gzjwst_core.detection.calibrated_frame import Frame
from gzjwst_core.detection.detect import Extraction, extract
from gzjwst_core.detection.noise import WHITE
from gzjwst_core.detection.regrid import Ellipses
from gzjwst_core.mosaics.geometry import whole
from gzjwst_core.options import DetectOptions, PhotometryOptions
from gzjwst_core.photometry import measure
from gzjwst_core.photometry.curve_of_growth import light_radii
from gzjwst_core.photometry.measure import Scene
from tests.catalog.real_data import real_data

Image = NDArray[np.float32]

MESH, APERTURE_RADIUS = 64, 5.0
OPTIONS = DetectOptions(threshold=1.5, min_area_arcsec2=5.0, deblend_contrast=1.0, kernel_arcsec=0.72)
"""default.sex on pixels of 1 arcsec; its 3 x 3 kernel of FWHM 2 px has the second moment of this Gaussian."""


@dataclass(frozen=True)
class Reference:
    """The image and what SExtractor made of it."""

    image: Image
    back: Image
    rms: Image
    catalog: Table

    @property
    def place(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return np.asarray(self.catalog["X_IMAGE"], float) - 1, np.asarray(self.catalog["Y_IMAGE"], float) - 1

    @property
    def sigma(self) -> float:
        """SExtractor's noise of the whole image: without a weight map its errors and thresholds are in this unit."""
        return float(sep.Background(self.image, bw=MESH, bh=MESH, fw=3, fh=3).globalrms)

    def frame(self) -> Frame:
        """Subtract SExtractor's own background."""
        noise = np.full(self.image.shape, self.sigma, dtype=np.float32)
        return Frame(np.ascontiguousarray(self.image - self.back), noise, np.zeros(self.image.shape, dtype=bool))


@pytest.fixture(scope="module")
def reference() -> Reference:
    return read_reference(real_data("sep_reference"))


def read_reference(folder: Path) -> Reference:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cards of 1992
        images = [np.ascontiguousarray(fits.getdata(folder / f"{n}.fits"), "f4") for n in ("image", "back", "rms")]
    return Reference(images[0], images[1], images[2], Table.read(folder / "image.cat", format="ascii.sextractor"))


@pytest.fixture(scope="module")
def cells(reference: Reference) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return mesh_statistics(reference.image, np.ones(reference.image.shape, dtype=bool), MESH)


def at_centres(image: Image) -> NDArray[np.float64]:
    """Means of the four pixels around each cell's centre, where a spline passes through the cell's own value."""
    middle = image.reshape(4, MESH, 4, MESH)[:, MESH // 2 - 1 : MESH // 2 + 1, :, MESH // 2 - 1 : MESH // 2 + 1]
    means: NDArray[np.float64] = middle.mean(axis=(1, 3), dtype=np.float64)
    return means


def test_statistics_of_the_meshes_are_sextractors(
    reference: Reference, cells: tuple[NDArray[np.float64], NDArray[np.float64]]
) -> None:
    """0.15 of 65 counts: what the spline moves within half a pixel of a cell's centre."""
    back, rms = (fill_cells(values) for values in cells)
    assert np.abs(back - at_centres(reference.back)).max() < 0.15
    assert np.abs(rms - at_centres(reference.rms)).max() < 0.05


def test_maps_are_sextractors(reference: Reference, cells: tuple[NDArray[np.float64], NDArray[np.float64]]) -> None:
    mesh = Mesh(MESH, fill_cells(cells[0]), fill_cells(cells[1]))
    box = whole(reference.image.shape)
    apart = (mesh.back_in(box) - reference.back) / reference.sigma
    assert np.abs(apart).max() < 0.005
    assert np.abs(mesh.rms_in(box) / reference.rms - 1).max() < 0.001


def test_aperture_fluxes_and_errors_are_sextractors(reference: Reference) -> None:
    """To the seven digits of its catalog; at the image's edge it counts the area beyond as noise too."""
    x, y = reference.place
    shape, none = reference.image.shape, np.zeros(len(reference.catalog), dtype=np.int32)
    scene = Scene(reference.frame(), np.zeros(shape, dtype=np.int32), none, WHITE, flat=True)
    flux, _, error = measure.aperture_sums(scene, x, y, APERTURE_RADIUS)
    np.testing.assert_allclose(flux, reference.catalog["FLUX_APER"], rtol=1e-6)
    np.testing.assert_allclose(error, reference.catalog["FLUXERR_APER"], rtol=1e-6)


@pytest.fixture(scope="module")
def found(reference: Reference) -> Extraction:
    return extract(reference.frame(), OPTIONS, 1.0, rms=reference.sigma)


def matched(reference: Reference, found: Extraction) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For each of SExtractor's: the row of ours that is nearest, and how far it is."""
    x, y = reference.place
    apart = np.hypot(found.objects["x"][:, None] - x, found.objects["y"][:, None] - y)
    return apart.argmin(axis=0), apart.min(axis=0)


def test_the_same_objects_are_detected(reference: Reference, found: Extraction) -> None:
    row, apart = matched(reference, found)
    assert np.mean(apart < 1) > 0.98
    assert len(found.objects) - np.unique(row[apart < 1]).size <= 3
    assert np.median(apart) < 0.05


def test_kron_fluxes_and_radii_agree(reference: Reference, found: Extraction) -> None:
    """Without neighbours masked (MASK_TYPE NONE) and without our least apertures."""
    row, apart = matched(reference, found)
    count = len(found.objects)
    e = Ellipses(*(np.asarray(found.objects[n], dtype=float) for n in ("x", "y", "a", "b", "theta")))
    nobody, shape = np.zeros(count, dtype=np.int32), reference.image.shape
    scene = Scene(reference.frame(), np.zeros(shape, dtype=np.int32), nobody, WHITE, flat=True)
    options = PhotometryOptions(kron_min_factor=0.01, kron_min_radius_arcsec=0.01)
    kron = measure.kron_ellipses(scene, e, options, 1.0)
    flux, _ = measure.ellipse_fluxes(scene, kron.ellipses)
    r50 = light_radii(scene, e.x, e.y, 1.5 * kron.ellipses.a, flux)[:, 1]
    theirs = reference.catalog
    good = (apart < 1) & (theirs["FLAGS"] == 0) & (theirs["FLUX_AUTO"] > 0)
    ratio = flux[row[good]] / np.asarray(theirs["FLUX_AUTO"][good])
    bright = np.asarray(theirs["FLUX_AUTO"][good] / theirs["FLUXERR_AUTO"][good]) > 20
    assert abs(np.median(ratio) - 1) < 0.01
    assert np.abs(ratio[bright] - 1).max() < 0.06
    assert abs(np.median(r50[row[good]] / np.asarray(theirs["FLUX_RADIUS_1"][good])) - 1) < 0.02
