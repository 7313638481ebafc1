# SPDX-License-Identifier: GPL-3.0-or-later
"""The photograph: a file, or an image that is already in Blender; what to send away, and what to show behind."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
from numpy.typing import NDArray

from ...dice_core.errors import DiceError, MediaError
from ...dice_core.types import Capture
from .exif import TRANSPOSED, orientation, upright

JPEG_QUALITY = 92
LONGEST = 4096  # pixels of a side of a picture that we must turn: it keeps Blender waiting
ROWS = 256  # converted at a time: large pictures would fill the memory with intermediate results
REFUSED = {"MOVIE": "a movie", "SEQUENCE": "an image sequence", "TILED": "a tiled image"}


@dataclass(frozen=True)
class Photo:
    """One photograph.

    Attributes
    ----------
    source
        File or image name, for people.
    path
        The file, or None when there are only pixels.
    pixels
        (h, w, 3) uint8 sRGB, first row on top, or None when there is a file.
    frame
        Which frame, when the file is a movie; the first is 0.
    jpeg
        The contents of a JPEG file, when there is neither; the runtime sent it.
    """

    source: str
    path: Path | None = None
    pixels: NDArray[np.uint8] | None = None
    frame: int | None = None
    jpeg: bytes = b""


def from_path(path: str | Path) -> Photo:
    """The photograph in a file. Blender's `//` paths are understood."""
    file = Path(bpy.path.abspath(str(path))).absolute()
    if not file.is_file():
        raise MediaError(f"There is no picture {file}.", "Choose a file that exists.")
    return Photo(file.name, file)


def from_image(image: bpy.types.Image) -> Photo:
    """The photograph in an image data-block: its file while that is what Blender shows, else its pixels.

    Float images go as pixels too: the runtime reads no EXR.
    """
    if image.source in REFUSED:
        raise MediaError(
            f"{image.name} is {REFUSED[image.source]}.",
            "Choose a single picture. Frames of movies and sequences are captured in the Movie Clip Editor and in the "
            "Video Sequencer.",
        )
    if not all(image.size):  # asking for the size loads it
        raise MediaError(f"The pixels of {image.name} cannot be read.", "Save it to a file and choose the file.")
    path = file_of(image)
    return Photo(image.name, pixels=_pixels(image)) if path is None else Photo(path.name, path)


def file_of(image: bpy.types.Image) -> Path | None:
    """The file that shows the same as the image, or None when only its pixels do."""
    if image.source != "FILE" or image.packed_file or image.is_dirty or image.is_float or not image.filepath:
        return None
    path = Path(bpy.path.abspath(image.filepath, library=image.library))
    return path if path.is_file() else None


def behind(capture: Capture, picture: Photo | None, pack: bool = True) -> bpy.types.Image | None:
    """A new image data-block to show behind a capture: what came with it, of a movie or of a picture that has to be
    turned, or else the picture.

    See `show`.
    """
    if picture is None or picture.frame is not None or (capture.picture and picture.source == capture.source):
        picture = Photo(capture.source, jpeg=capture.picture) if capture.picture else None
    return None if picture is None else show(picture, capture.camera.image_size, pack)


def show(photo: Photo, size: tuple[int, int], pack: bool = True) -> bpy.types.Image:
    """A new image data-block with the upright photograph.

    Parameters
    ----------
    photo
        The photograph.
    size
        Width and height that the capture was made from.
    pack
        Keep a copy of the file in the .blend. What has no file is always kept.

    Raises
    ------
    DiceError
        When the file is not readable or not the picture that was captured.
    """
    if photo.jpeg:
        return _unpacked(photo, size)
    if photo.path is None:
        _check(photo, photo.pixels.shape[1::-1], size)
        image = _from_pixels(photo.source, photo.pixels)
        image.pack()
        return image
    image, turn = load(photo.path), orientation(photo.path)
    try:
        _check(photo, tuple(reversed(image.size)) if turn in TRANSPOSED else image.size, size)
    except DiceError:
        bpy.data.images.remove(image)
        raise
    if turn != 1:  # Blender shows the pixels as they are stored
        return _turned(image, turn, photo.path)
    if pack:
        image.pack()
    return image


def sample(image: bpy.types.Image, uv: NDArray) -> NDArray[np.float64]:
    """(N, 3) linear RGB of the image's pixels at (N, 2) places from 0 to 1, v up."""
    values = _values(image)
    height, width = values.shape[:2]
    columns, rows = (np.clip((uv * [1, -1] + [0, 1]) * [width, height], 0, [width - 1, height - 1]).astype(int)).T
    colors = np.broadcast_to(_colors(values[rows, columns][None], image.is_float)[0], (len(uv), 3)).astype(np.float64)
    return np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)


def _check(photo: Photo, size: Sequence[int], expected: Sequence[int]) -> None:
    if tuple(size) != tuple(expected):
        raise DiceError(
            f"{photo.source} has {size[0]} x {size[1]} pixels, but the capture was made from "
            f"{expected[0]} x {expected[1]}.",
            "Choose the photograph that was captured.",
        )


def _turned(image: bpy.types.Image, turn: int, path: Path) -> bpy.types.Image:
    """The picture as it should be seen, a packed JPEG of at most LONGEST; `image` is gone then."""
    scale = LONGEST / max(image.size)
    if scale < 1:
        image.scale(*(max(1, round(side * scale)) for side in image.size))
    values, linear = _values(image), image.is_float
    bpy.data.images.remove(image)
    height, width = values.shape[1::-1] if turn in TRANSPOSED else values.shape[:2]
    pixels = np.ones((height, width, 4), np.float32)
    stored = upright(pixels[::-1], {6: 8, 8: 6}.get(turn, turn))  # a view in which they lie as in the file
    for row in range(0, len(values), ROWS):
        stored[row : row + ROWS, :, :3] = _colors(values[row : row + ROWS], linear)
    turned = bpy.data.images.new(path.name, width, height)
    turned.pixels.foreach_set(pixels.ravel())
    with tempfile.TemporaryDirectory() as folder:  # packed as they are, they would be a PNG of 25 MB
        file = Path(folder) / f"{path.stem}.jpg"
        turned.file_format = "JPEG"
        turned.save(filepath=str(file), quality=JPEG_QUALITY)
        bpy.data.images.remove(turned)
        image = load(file)
        image.pack()
    image.filepath_raw = f"//{file.name}"  # where Blender would unpack it to
    return image


def _unpacked(photo: Photo, size: Sequence[int]) -> bpy.types.Image:
    """Of the contents of a JPEG file, which stay in the .blend; the picture may be reduced."""
    image = bpy.data.images.new(photo.source, 1, 1)
    image.source = "FILE"
    image.pack(data=photo.jpeg, data_len=len(photo.jpeg))
    image.filepath_raw = f"//{Path(photo.source).stem}.jpg"  # where Blender would unpack it to
    width, height = image.size
    if not width or abs(width / height - size[0] / size[1]) > 2 / min(width, height):
        bpy.data.images.remove(image)
        _check(photo, (width, height), size)
    return image


def load(path: Path) -> bpy.types.Image:
    """A new image data-block. Raises `MediaError` when Blender cannot read the file."""
    try:
        return bpy.data.images.load(str(path))
    except RuntimeError as error:
        raise MediaError(f"Blender cannot read {path.name}.", "Convert it to JPEG or PNG.") from error


def _from_pixels(name: str, pixels: NDArray[np.uint8]) -> bpy.types.Image:
    height, width = pixels.shape[:2]
    image = bpy.data.images.new(name, width, height)
    values = np.ones((height, width, 4), np.float32)
    np.divide(pixels[::-1], 255, out=values[..., :3], dtype=np.float32)
    image.pixels.foreach_set(values.ravel())
    return image


def _pixels(image: bpy.types.Image) -> NDArray[np.uint8]:
    """(h, w, 3) uint8 sRGB, first row on top."""
    values = _values(image)
    pixels = np.zeros((*values.shape[:2], 3), np.uint8)
    for row in range(0, len(values), ROWS):
        pixels[row : row + ROWS] = np.clip(_colors(values[row : row + ROWS], image.is_float), 0, 1) * 255 + 0.5
    return pixels


def _values(image: bpy.types.Image) -> NDArray[np.float32]:
    """(h, w, channels) the numbers in Blender's memory, first row on top."""
    width, height = image.size
    values = np.zeros(width * height * image.channels, np.float32)
    image.pixels.foreach_get(values)
    return values.reshape(height, width, image.channels)[::-1]


def _colors(values: NDArray[np.float32], linear: bool) -> NDArray[np.float32]:
    """(h, w, 3 or 1) sRGB, transparency shown on white as it is for files.

    Float images hold scene-linear light, multiplied by alpha; the others sRGB as it is. sRGB's curve: IEC 61966-2-1.
    """
    channels = values.shape[2]
    colors = values[..., :3] if channels >= 3 else values[..., :1]
    alpha = values[..., -1:] if channels in (2, 4) else np.ones(1, np.float32)
    clear = alpha.min() < 1
    if linear:
        colors = np.clip(colors / np.where(alpha > 0, alpha, 1) if clear else colors, 0, 1)
        colors = np.where(colors <= 0.0031308, 12.92 * colors, 1.055 * colors ** (1 / 2.4) - 0.055)
    return colors * alpha + (1 - alpha) if clear else colors
