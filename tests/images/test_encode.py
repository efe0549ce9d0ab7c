"""Files of images: format, metadata, the same bytes."""

import io

import numpy as np
import pytest
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile, get_sampling

from gzjwst_core.errors import ImageError
from gzjwst_core.images.encode import encode, encode_jpeg, metadata, read_metadata, recipe_digest
from gzjwst_core.options import ImageOptions

RGB = np.random.default_rng(1).integers(0, 255, (40, 50, 3), dtype=np.uint8)
JPG, PNG = ImageOptions(), ImageOptions(format="png")


def test_png_is_lossless_and_tells_its_source() -> None:
    meta = metadata("s_J1+2", 3.4, PNG, filled=("blue",))
    with Image.open(io.BytesIO(encode(RGB, PNG, meta))) as image:
        assert image.format == "PNG"
        assert (np.asarray(image) == RGB).all()
        assert image.info.pop("srgb") == 0
        assert image.info == {
            "id_str": "s_J1+2",
            "fov_arcsec": "3.4",
            "pixscale_arcsec": "0.008018867925",
            "recipe": "asinh",
            "recipe_digest": recipe_digest(PNG),
            "filled": "blue",
        }


def test_jpeg_keeps_full_colour_resolution_and_a_comment() -> None:
    data = encode(RGB, JPG, metadata("s_J1+2", 3.4, JPG))
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "JPEG"
        assert isinstance(image, JpegImageFile)
        assert get_sampling(image) == 0  # 4:4:4
        assert image.info["comment"].decode("ascii").startswith("id_str=s_J1+2; fov_arcsec=3.4; pixscale_arcsec=")
        assert image.getexif()[0x010E] == image.info["comment"].decode("ascii")
        assert np.abs(np.asarray(image).astype(int) - RGB).mean() < 12


@pytest.mark.parametrize("options", [JPG, PNG], ids=["jpg", "png"])
def test_same_bytes(options: ImageOptions) -> None:
    assert encode(RGB, options, {"a": "b"}) == encode(RGB.copy(), options, {"a": "b"})


def test_text_is_ascii() -> None:
    assert b"caf?" in encode(RGB, JPG, {"name": "café"})


def test_recipe_digest_is_of_colour_alone() -> None:
    assert recipe_digest(JPG) == recipe_digest(PNG) == recipe_digest(ImageOptions(jpeg_quality=80))
    assert recipe_digest(JPG) == recipe_digest(ImageOptions(layout="panels", strip_px=0))
    assert recipe_digest(JPG) != recipe_digest(ImageOptions(knee_sigma=4.0))
    assert recipe_digest(JPG) != recipe_digest(ImageOptions(gain={"F115W": 2.0}))


@pytest.mark.parametrize("options", [JPG, PNG], ids=["jpg", "png"])
def test_metadata_is_read_back(options: ImageOptions) -> None:
    panels = "rgb=0,0,424,424 F115W=428,0,852,424"
    meta = metadata("s_J1+2", 3.4, options, bands="R=F444W G=F277W B=-", filled=("blue",), panels=panels)
    assert set(meta) == {
        "id_str",
        "fov_arcsec",
        "pixscale_arcsec",
        "recipe",
        "recipe_digest",
        "bands",
        "filled",
        "panels",
    }
    assert read_metadata(encode(RGB, options, meta)) == meta


def test_grey_is_one_channel_and_tells_its_source() -> None:
    data = encode_jpeg(RGB[..., 0], 90, {"bands": "F115W,F444W"})
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == "L"
    assert read_metadata(data) == {"bands": "F115W,F444W"}


@pytest.mark.parametrize("cut", [0, 3, 20, 60])
@pytest.mark.parametrize("options", [JPG, PNG], ids=["jpg", "png"])
def test_what_is_no_image_has_no_metadata(options: ImageOptions, cut: int) -> None:
    with pytest.raises(ImageError):
        read_metadata(encode(RGB, options, {"a": "b"})[:cut] + b"xx")


def test_a_foreign_image_says_nothing() -> None:
    out = io.BytesIO()
    Image.fromarray(RGB).save(out, "JPEG")
    assert read_metadata(out.getvalue()) == {}
