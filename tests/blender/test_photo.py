# SPDX-License-Identifier: GPL-3.0-or-later
"""Photographs: what is sent to the worker, what is shown behind the meshes."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import bpy
import numpy as np
import pytest
from dice_capture.dice_blender import api
from dice_capture.dice_blender.scene import exif, photo
from dice_capture.dice_core.errors import DiceError
from synthetic import LANDSCAPE, capture, gradient, write_picture

PIXELS = gradient((40, 24))


def new_image(pixels: np.ndarray, floating: bool = False) -> bpy.types.Image:
    height, width = pixels.shape[:2]
    image = bpy.data.images.new("painted", width, height, float_buffer=floating)
    values = np.ones((height, width, 4), np.float32)
    values[..., : pixels.shape[2]] = pixels[::-1]
    image.pixels.foreach_set(values.ravel())
    return image


def test_an_untouched_file_is_sent_as_a_path(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "photo.png", PIXELS)
    chosen = photo.from_image(bpy.data.images.load(str(path)))
    assert (chosen.path, chosen.pixels, chosen.source) == (path, None, "photo.png")


@pytest.mark.parametrize("change", ["packed", "painted over", "file gone"])
def test_what_blender_shows_is_sent_as_pixels(change: str, tmp_path: Path) -> None:
    path = write_picture(tmp_path / "photo.png", PIXELS)
    image = bpy.data.images.load(str(path))
    expected = PIXELS.copy()
    if change == "packed":
        image.pack()
    elif change == "painted over":
        image.pixels[0:3] = (0, 0, 1)  # Blender's first pixel is at the bottom left
        expected[-1, 0] = (0, 0, 255)
    else:
        assert image.size[0]
        image.pixels[0]
        path.unlink()
    chosen = photo.from_image(image)
    assert chosen.path is None
    np.testing.assert_allclose(chosen.pixels.astype(int), expected, atol=1)


def test_float_images_are_scene_linear() -> None:
    linear = np.full((4, 6, 3), 0.21404114)  # middle grey: 0.5 in sRGB
    chosen = photo.from_image(new_image(linear, floating=True))
    assert np.unique(chosen.pixels).tolist() == [128]


def test_transparency_is_white() -> None:
    clear = np.zeros((4, 6, 4))
    clear[0, 0] = (1, 0, 0, 1)
    pixels = photo.from_image(new_image(clear)).pixels
    assert pixels[0, 0].tolist() == [255, 0, 0]
    assert pixels[3, 5].tolist() == [255, 255, 255]


@pytest.mark.parametrize("turn", [1, 3])
def test_transparency_of_deep_pictures_is_white(turn: int, tmp_path: Path) -> None:
    """16 bits a channel become light multiplied by alpha in Blender; what is sent is what the file would give."""
    patches = np.random.default_rng(2).integers(3000, 65536, (3, 4, 4))
    patches[0, :2, 3] = 0, 65535
    stored = patches.repeat(16, 0).repeat(16, 1)  # JPEG keeps such patches
    straight = stored / 65535
    expected = 255 * (straight[..., :3] * straight[..., 3:] + 1 - straight[..., 3:])
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in stored)
    tiff = b"MM\0*" + struct.pack(">IHHHIHH", 8, 1, 0x0112, 3, 1, turn, 0) + bytes(4)
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", 64, 48, 16, 6, 0, 0, 0)), (b"eXIf", tiff))
    chunks += ((b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    path = tmp_path / "deep.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    image = bpy.data.images.load(str(path))
    assert image.is_float
    image.pack()
    np.testing.assert_allclose(photo.from_image(image).pixels, expected, atol=1)
    if turn == 3:
        image = photo.show(photo.from_path(path), (64, 48))
        assert np.abs(shown(image) - expected[::-1, ::-1]).mean() < 3


def test_an_image_without_pixels_is_a_message() -> None:
    image = bpy.data.images.new("gone", 4, 4)
    image.source = "FILE"
    image.filepath = "/nowhere/gone.png"
    image.reload()
    with pytest.raises(DiceError, match="cannot be read"):
        photo.from_image(image)


def test_a_movie_is_a_message() -> None:
    image = bpy.data.images.new("film", 4, 4)
    image.source = "MOVIE"
    with pytest.raises(DiceError, match="is a movie"):
        photo.from_image(image)


def test_a_missing_file_is_a_message() -> None:
    with pytest.raises(DiceError, match="no picture"):
        photo.from_path("/nowhere/at all.png")


def in_front(path: Path, segment: bytes) -> Path:
    """Put an APP1 segment at the beginning of a JPEG."""
    data = path.read_bytes()
    path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:])
    return path


def phone(path: Path, upright: np.ndarray, turn: int) -> Path:
    """A phone's JPEG lies on its side in the file; `stored` undoes, step by step, what the EXIF standard describes."""
    stored = upright
    for step in {2: "H", 3: "HV", 4: "V", 5: "T", 6: "TV", 7: "THV", 8: "TH"}.get(turn, ""):
        stored = {"H": stored[:, ::-1], "V": stored[::-1], "T": stored.swapaxes(0, 1)}[step]
    tiff = b"MM\0*" + struct.pack(">IHHHIHH", 8, 1, 0x0112, 3, 1, turn, 0) + b"\0\0\0\0"
    return in_front(write_picture(path, stored), b"Exif\0\0" + tiff)


def shown(image: bpy.types.Image) -> np.ndarray:
    """(h, w, 3) float 0..255, first row on top."""
    width, height = image.size
    values = np.zeros(width * height * image.channels, np.float32)
    image.pixels.foreach_get(values)
    return values.reshape(height, width, -1)[::-1, :, :3] * 255


@pytest.mark.parametrize("turn", range(1, 9))
def test_exif_orientation_is_applied(turn: int, tmp_path: Path) -> None:
    upright = gradient((48, 32))
    path = phone(tmp_path / "phone.jpg", upright, turn)
    assert exif.orientation(path) == turn
    image = photo.show(photo.from_path(path), (48, 32))
    assert np.abs(shown(image) - upright).max() < 40  # JPEG
    assert np.abs(shown(image) - upright).mean() < 4
    assert image.packed_file is not None


@pytest.mark.parametrize("turn", [1, 6])
def test_orientation_in_xmp_does_not_count(turn: int, tmp_path: Path) -> None:
    """No viewer looks there, so the capture does not either: a picture with both is turned as EXIF says."""
    upright = gradient((48, 32))
    rdf = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
    packet = f"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{rdf}"><rdf:Description
        xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="8"/></rdf:RDF></x:xmpmeta>"""
    path = tmp_path / "edited.jpg"
    path = write_picture(path, upright) if turn == 1 else phone(path, upright, turn)
    in_front(path, b"http://ns.adobe.com/xap/1.0/\0" + packet.encode())
    image = photo.show(photo.from_path(path), (48, 32))
    assert np.abs(shown(image) - upright).mean() < 4


@pytest.mark.parametrize("turn", [3, 6, 7])
def test_a_large_turned_picture_is_shown_reduced(turn: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Turning it would keep Blender waiting; the scene's numbers are still the full picture's."""
    monkeypatch.setattr(photo, "LONGEST", 80)
    path = phone(tmp_path / "phone.jpg", gradient((320, 240)), turn)
    picture = photo.from_path(path)
    collection = api.import_capture(capture(LANDSCAPE), picture)
    scene = bpy.context.scene
    assert (scene.render.resolution_x, scene.render.resolution_y) == (320, 240)
    background = api.parts(collection)["camera"].data.background_images[0]
    assert tuple(background.image.size) == (80, 60) and background.frame_method == "STRETCH"
    assert np.abs(shown(background.image) - gradient((80, 60))).mean() < 4
    images = len(bpy.data.images)
    for size in ((80, 60), (640, 480), (240, 320)):  # another picture, though of the same shape
        with pytest.raises(DiceError, match="320 x 240"):
            photo.show(picture, size)
    assert len(bpy.data.images) == images


def tagged(kind: str, path: Path, tiff: bytes) -> Path:
    """A file with nothing but what leads to the EXIF tags."""
    if kind == "png":
        body = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4s13xI", 13, b"IHDR", 0)
        body += struct.pack(">I4s", len(tiff), b"eXIf") + tiff + bytes(4)
    elif kind == "webp":
        chunks = b"VP8 " + struct.pack("<I", 3) + bytes(4) + b"EXIF" + struct.pack("<I", len(tiff)) + tiff
        body = b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks
    else:
        body = tiff
    path.write_bytes(body)
    return path


@pytest.mark.parametrize("kind", ["png", "webp", "tif"])
@pytest.mark.parametrize("order", "<>")
def test_other_formats_have_an_orientation_too(kind: str, order: str, tmp_path: Path) -> None:
    mark = b"II*\0" if order == "<" else b"MM\0*"
    tiff = mark + struct.pack(order + "IHHHIHH", 8, 1, 0x0112, 3, 1, 6, 0) + bytes(4)
    assert exif.orientation(tagged(kind, tmp_path / f"picture.{kind}", tiff)) == 6


def test_a_broken_jpeg_has_no_orientation(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe1\x00")
    assert exif.orientation(tmp_path / "broken.jpg") == 1
