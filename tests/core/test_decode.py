# SPDX-License-Identifier: GPL-3.0-or-later
"""Picture files of every make: upright 8-bit RGB of bounded size, or an error that says what to do."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from dice_core.errors import MediaError
from dice_core.media.decode import WORKING_SIDE, from_array, read_picture
from dice_core.paths import ROOT

ORIENTATION, EXIF_IFD, FOCAL_35MM = 0x0112, 0x8769, 0xA405

# What each EXIF orientation says was done to the upright picture (TIFF 6.0: where row 0 and column 0 lie).
STORED = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: upright.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda upright: np.rot90(upright, -1),
}


@pytest.fixture
def picture() -> np.ndarray:
    """(40, 60, 3): smooth, and different in each corner."""
    y, x = np.mgrid[0:40, 0:60]
    return np.uint8(np.stack([4 * x, 6 * y, 128 + 0 * x], -1))


def save(path: Path, pixels: np.ndarray, *, orientation: int = 1, focal: float | None = None, **options) -> Path:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    if focal is not None:
        exif.get_ifd(EXIF_IFD)[FOCAL_35MM] = focal
    Image.fromarray(np.ascontiguousarray(pixels)).save(path, exif=exif, **options)
    return path


@pytest.mark.parametrize("kind", ["png", "tif", "jpg", "webp"])
@pytest.mark.parametrize("orientation", STORED)
def test_every_orientation_stands_upright(orientation, kind, picture, tmp_path):
    options = {"quality": 95, "subsampling": 0} if kind == "jpg" else {"lossless": True} if kind == "webp" else {}
    path = save(tmp_path / f"a.{kind}", STORED[orientation](picture), orientation=orientation, **options)
    frame = read_picture(path)
    assert frame.size == (60, 40) and frame.pixels.shape == (40, 60, 3)
    difference = np.abs(frame.pixels.astype(int) - picture)
    assert difference.max() <= (6 if kind == "jpg" else 0)


def test_an_orientation_that_only_xmp_states_is_ignored(picture, tmp_path):
    """As Blender and picture viewers do: the photograph and the meshes must stand the same way up."""
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    Image.fromarray(picture).save(tmp_path / "a.jpg", xmp=xmp, quality=95)
    assert read_picture(tmp_path / "a.jpg").size == picture.shape[1::-1]


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_the_focal_length_is_in_pixels_of_the_longer_side(orientation, picture, tmp_path):
    """28 mm on 36 mm film: a picture 60 wide has 60 * 28 / 36 pixels, however the phone was held."""
    path = save(tmp_path / "a.jpg", STORED[orientation](picture), orientation=orientation, focal=28)
    assert read_picture(path).focal == pytest.approx(60 * 28 / 36)
    portrait = save(tmp_path / "b.jpg", STORED[orientation](np.rot90(picture)), orientation=orientation, focal=28)
    assert read_picture(portrait).size == (40, 60)
    assert read_picture(portrait).focal == pytest.approx(60 * 28 / 36)


@pytest.mark.parametrize("focal", [None, 0, 3, 60000])
def test_no_or_absurd_focal_lengths_are_not_believed(focal, picture, tmp_path):
    assert read_picture(save(tmp_path / "a.jpg", picture, focal=focal)).focal is None


def test_large_pictures_are_reduced_and_keep_their_size_and_focal_length(tmp_path):
    wide = np.zeros((1500, 3000, 3), np.uint8)
    wide[:, 1500:] = 255
    frame = read_picture(save(tmp_path / "a.png", wide, focal=35))
    assert frame.size == (3000, 1500) and frame.pixels.shape == (1024, WORKING_SIDE, 3)
    assert frame.scale == pytest.approx(3000 / 2048)
    assert frame.focal == pytest.approx(3000 * 35 / 36)
    assert frame.pixels[:, :1020].max() == 0 and frame.pixels[:, 1028:].min() == 255


def test_a_large_turned_jpeg_keeps_its_proportions(tmp_path):
    """The decoder reduces before it turns."""
    tall = np.zeros((4200, 2800, 3), np.uint8)
    tall[:2100] = 200
    frame = read_picture(save(tmp_path / "a.jpg", STORED[6](tall), orientation=6))
    assert frame.size == (2800, 4200) and frame.pixels.shape[0] == WORKING_SIDE
    assert frame.pixels.shape[1] == pytest.approx(WORKING_SIDE * 2 / 3, abs=1)
    assert frame.pixels[:1000].mean() > 195 and frame.pixels[1050:].mean() < 5


@pytest.mark.parametrize("kind", ["png", "tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_become_eight(kind, channels, picture, tmp_path):
    deep = picture[:, :, :1] if channels == 1 else picture
    assert cv2.imwrite(str(tmp_path / f"a.{kind}"), deep[:, :, ::-1].astype(np.uint16) * 257)
    pixels = read_picture(tmp_path / f"a.{kind}").pixels
    assert np.abs(pixels.astype(int) - deep).max() <= 1


def test_a_dark_sixteen_bit_picture_stays_dark(tmp_path):
    """Its range is that of its file, not of its brightest pixel."""
    cv2.imwrite(str(tmp_path / "a.png"), np.full((8, 8), 200, np.uint16))
    assert read_picture(tmp_path / "a.png").pixels.max() <= 1


def test_sixteen_bits_with_alpha(tmp_path):
    deep = np.zeros((8, 8, 4), np.uint16)
    deep[:4] = [0, 0, 65535, 65535]  # blue, green, red, alpha
    cv2.imwrite(str(tmp_path / "a.png"), deep)
    pixels = read_picture(tmp_path / "a.png").pixels
    assert (pixels[:4] == [255, 0, 0]).all() and (pixels[4:] == 255).all()


def test_floating_point_tiff(tmp_path):
    values = np.float32(np.linspace(0, 1, 64).reshape(8, 8))
    Image.fromarray(values).save(tmp_path / "a.tif")
    assert np.abs(read_picture(tmp_path / "a.tif").pixels[:, :, 0] - 255 * values).max() <= 1


def test_transparent_pixels_are_seen_on_white(tmp_path):
    rgba = np.zeros((4, 4, 4), np.uint8)
    rgba[0] = [200, 100, 0, 255]
    rgba[1] = [200, 100, 0, 128]
    Image.fromarray(rgba).save(tmp_path / "a.png")
    pixels = read_picture(tmp_path / "a.png").pixels
    assert (pixels[0] == [200, 100, 0]).all() and (pixels[2:] == 255).all()
    assert np.abs(pixels[1].astype(int) - [227, 177, 127]).max() <= 1


def test_a_large_transparent_picture_has_no_dark_fringe(tmp_path):
    rgba = np.zeros((2600, 2600, 4), np.uint8)
    rgba[:1301] = [255, 200, 255, 255]
    Image.fromarray(rgba).save(tmp_path / "a.png", compress_level=1)
    assert read_picture(tmp_path / "a.png").pixels[:, :, [0, 2]].min() >= 254


def test_palettes_with_and_without_transparency(picture, tmp_path):
    palette = Image.fromarray(picture).quantize(64)
    palette.save(tmp_path / "a.png")
    expected = np.array(palette.convert("RGB"))
    assert np.array_equal(read_picture(tmp_path / "a.png").pixels, expected)
    corner = palette.getpixel((0, 0))
    palette.save(tmp_path / "b.png", transparency=corner)
    holes = np.array(palette) == corner
    pixels = read_picture(tmp_path / "b.png").pixels
    assert (pixels[holes] == 255).all() and np.array_equal(pixels[~holes], expected[~holes])


@pytest.mark.parametrize("mode", ["L", "LA", "1"])
def test_greyscale(mode, picture, tmp_path):
    grey = Image.fromarray(picture).convert("L")
    grey.convert(mode).save(tmp_path / "a.png")
    pixels = read_picture(tmp_path / "a.png").pixels
    assert pixels.shape == (40, 60, 3) and (pixels == pixels[:, :, :1]).all()
    if mode != "1":
        assert np.array_equal(pixels[:, :, 0], np.array(grey))


def test_cmyk_jpeg_is_not_a_negative(tmp_path):
    Image.new("CMYK", (32, 32), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=95)
    red = read_picture(tmp_path / "a.jpg").pixels.reshape(-1, 3).mean(0)
    assert red[0] > 220 and red[1] < 60 and red[2] < 60


def test_one_pixel(tmp_path):
    Image.new("RGB", (1, 1), (1, 2, 3)).save(tmp_path / "a.png")
    frame = read_picture(tmp_path / "a.png")
    assert frame.size == (1, 1) and frame.pixels.tolist() == [[[1, 2, 3]]]


def test_a_very_long_picture_keeps_at_least_a_row(tmp_path):
    Image.new("RGB", (20000, 2)).save(tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png").pixels.shape == (1, WORKING_SIDE, 3)


def test_animations_give_their_first_picture(tmp_path):
    frames = [Image.new("RGB", (20, 10), color) for color in ("red", "blue")]
    for kind in ("gif", "png", "webp", "tif"):
        path = tmp_path / f"a.{kind}"
        frames[0].save(path, save_all=True, append_images=frames[1:], **({"lossless": True} if kind == "webp" else {}))
        assert read_picture(path).pixels[0, 0].tolist() == [255, 0, 0], kind


def test_spaces_and_letters_of_all_the_world(picture, tmp_path):
    folder = tmp_path / "Fotos für Zoë 照片"
    folder.mkdir()
    frame = read_picture(save(folder / "mein Bild №1 🙂.png", picture))
    assert frame.source == "mein Bild №1 🙂.png" and np.array_equal(frame.pixels, picture)


def test_the_ending_does_not_matter(picture, tmp_path):
    save(tmp_path / "a.png", picture).rename(tmp_path / "a.jpg")
    assert np.array_equal(read_picture(tmp_path / "a.jpg").pixels, picture)


def refused(path: Path, *words: str) -> str:
    with pytest.raises(MediaError) as caught:
        read_picture(path)
    error = caught.value
    assert error.message.endswith(".") and error.remedy.endswith(".")
    assert path.name in error.message, error.message
    for word in words:
        assert word in str(error).lower(), error
    return str(error)


@pytest.mark.parametrize("kind", ["jpg", "png", "tif", "webp", "bmp", "gif"])
def test_pictures_cut_short(kind, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / f"whole.{kind}")
    data = (tmp_path / f"whole.{kind}").read_bytes()
    (tmp_path / f"a.{kind}").write_bytes(data[: len(data) // 2])
    refused(tmp_path / f"a.{kind}", "again")


def test_files_that_are_no_pictures(tmp_path):
    (tmp_path / "text.jpg").write_text("I am a letter.\n")
    (tmp_path / "empty.png").touch()
    (tmp_path / "album").mkdir()
    refused(tmp_path / "text.jpg", "not a picture", "jpeg")
    refused(tmp_path / "empty.png", "not a picture")
    refused(tmp_path / "album", "is a folder", "choose a picture in it")
    for missing in (tmp_path / "none.png", tmp_path / "text.jpg" / "none.png"):
        refused(missing, "there is no picture", "check the path")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is forbidden to root")
def test_unreadable_files(picture, tmp_path):
    save(tmp_path / "a.png", picture).chmod(0)
    refused(tmp_path / "a.png", "permission")


def test_forbidden_files_in_words(picture, tmp_path, monkeypatch):
    """The same for whoever runs the tests as root."""

    def forbidden(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Image, "open", forbidden)
    refused(save(tmp_path / "a.png", picture), "permission")


def png_header(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    first = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + first + struct.pack(">I", 9) + b"IDAT"


def test_absurd_sizes_are_refused_before_any_memory_is_taken(tmp_path):
    (tmp_path / "a.png").write_bytes(png_header(100_000, 100_000))
    assert "100000 x 100000" in refused(tmp_path / "a.png", "scale")


@pytest.mark.parametrize("kind", ["jpg", "png", "tif", "webp", "gif", "bmp"])
def test_damaged_files_never_end_in_anything_but_an_explanation(kind, picture, tmp_path):
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    exif.get_ifd(EXIF_IFD)[FOCAL_35MM] = 28
    Image.fromarray(picture).save(stream, {"jpg": "jpeg", "tif": "tiff"}.get(kind, kind), exif=exif)
    good = np.frombuffer(stream.getvalue(), np.uint8)
    random = np.random.default_rng(1)
    for _ in range(150):
        bad = good.copy()
        bad[random.integers(0, min(len(bad), 400), 4)] = random.integers(0, 256, 4)
        (tmp_path / "bad").write_bytes(bad.tobytes())
        try:
            frame = read_picture(tmp_path / "bad")
        except MediaError:
            continue
        assert frame.pixels.dtype == np.uint8 and frame.pixels.shape[2] == 3
        assert max(frame.pixels.shape) <= WORKING_SIDE


@pytest.mark.parametrize("error", [KeyError(262), struct.error("not an integer"), zlib.error("-3"), IndexError()])
def test_whatever_pillow_raises_for_a_damaged_file(error, picture, tmp_path, monkeypatch):
    """Each was seen for one file in some thousands of damaged ones."""

    def broken(*args, **kwargs):
        raise error

    monkeypatch.setattr(Image.Image, "thumbnail", broken)
    refused(save(tmp_path / "a.png", picture), "again")


def test_a_picture_larger_than_the_memory(picture, tmp_path, monkeypatch):
    monkeypatch.setattr(Image.Image, "thumbnail", lambda *args: bytearray(1 << 62))
    refused(save(tmp_path / "a.png", picture), "memory", "scale")


@pytest.mark.parametrize("array", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3)),
                                   np.zeros((0, 4, 3), np.uint8)])  # fmt: skip
def test_arrays_that_are_no_rgb_pictures(array):
    with pytest.raises(MediaError, match="RGB"):
        from_array(array, "Image")


def test_arrays(picture):
    turned = picture[::-1].transpose(1, 0, 2)  # not contiguous
    frame = from_array(turned, "Image")
    assert np.array_equal(frame.pixels, turned) and frame.size == (40, 60) and frame.focal is None
    large = from_array(np.zeros((5000, 100, 3), np.uint8), "Image")
    assert large.size == (100, 5000) and large.pixels.shape[:2] == (WORKING_SIDE, 41)


MEASURE = """
import sys
from pathlib import Path
from dice_core.media.decode import read_picture
def peak(): return int(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))) // 1024
before = peak()
frame = read_picture(Path(sys.argv[1]))
print(before, peak(), *frame.size, *frame.pixels.shape)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts memory in Linux' units")
@pytest.mark.parametrize(
    "kind, mode, bound", [("jpg", "RGB", 200), ("png", "RGB", 700), ("png", "RGBA", 1000), ("tif", "I;16", 1000)]
)
def test_a_hundred_megapixels_fit_into_bounded_memory(kind, mode, bound, tmp_path):
    """MiB at most; whatever the picture, the frame is small."""
    Image.new(mode, (10_000, 10_000)).save(tmp_path / f"big.{kind}")
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path / f"big.{kind}")],
        capture_output=True, text=True, cwd=ROOT, check=True,
    )  # fmt: skip
    before, peak, *shape = map(int, done.stdout.split())
    sys.stdout.write(f"{kind} {mode}: peak {peak} MiB, of it {before} before the picture\n")
    assert shape == [10_000, 10_000, WORKING_SIDE, WORKING_SIDE, 3]
    assert peak < bound
