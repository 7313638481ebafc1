# SPDX-License-Identifier: GPL-3.0-or-later
"""One picture file to one frame: upright, 8-bit RGB, of bounded size."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from ..errors import MediaError
from ..types import Frame

WORKING_SIDE = 2048  # enough for the landmark crops; keeps memory bounded whatever the camera
XMP = ("xmp", "XML:com.adobe.xmp")
JPEG_QUALITY = 92
MAX_PIXELS = 512_000_000
SENSOR_WIDTH = 36.0  # mm, long side of the 35 mm film that the EXIF equivalent refers to
# What Pillow raises for damaged files, besides saying so.
BROKEN = (OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, ArithmeticError, struct.error, zlib.error)
FORMATS = "JPEG, PNG, TIFF, WebP or BMP, or say which frame of a movie (--frame; in Blender a movie clip or strip)"


def read_picture(path: Path) -> Frame:
    """The picture at `path`.

    Any bit depth and colour mode becomes 8-bit RGB; transparent pixels are shown on white; the EXIF orientation is
    applied; the longer side of the pixels is at most WORKING_SIDE, while the frame's size is the full picture's.

    Raises
    ------
    MediaError
        When there is no such file, it is no picture, it is cut short, or it is absurdly large.
    """
    Image.MAX_IMAGE_PIXELS = None  # our own limit below; Pillow's warning would only reach a log
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as image:  # broken EXIF does not matter
            for key in XMP:  # Pillow would take the orientation from there; no viewer does
                image.info.pop(key, None)
            if image.width * image.height > MAX_PIXELS:
                raise MediaError(f"{path.name} has {image.width} x {image.height} pixels.", "Scale it down first.")
            return _frame(image, path.name)
    except IsADirectoryError as error:
        raise MediaError(f"{path} is a folder.", "Choose a picture in it.") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MediaError(f"There is no picture {path}.", "Check the path.") from error
    except PermissionError as error:
        raise MediaError(f"{path} may not be read.", "Change the file's permissions or copy it.") from error
    except UnidentifiedImageError as error:
        raise MediaError(f"{path.name} is not a picture that can be read.", f"Use {FORMATS}.") from error
    except MemoryError as error:
        raise MediaError(f"The memory does not suffice for {path.name}.", "Scale the picture down first.") from error
    except BROKEN as error:
        raise MediaError(f"{path.name} is broken or cut short ({error}).", "Copy or download it again.") from error


def from_array(pixels: NDArray[np.uint8], source: str) -> Frame:
    """A frame from an (h, w, 3) uint8 RGB array."""
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or not pixels.size:
        raise MediaError(f"{source} is not an 8-bit RGB picture.", "Convert it to 8-bit RGB.")
    return _frame(Image.fromarray(pixels), source)


def _frame(image: Image.Image, source: str) -> Frame:
    size = image.size
    image.draft("RGB", (WORKING_SIDE, WORKING_SIDE))  # lets a huge JPEG decode at a fraction of its size
    image.load()
    exif = image.getexif()  # not before: TIFF is turned while it is loaded, and has no orientation any more
    if exif.get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8):
        size = size[::-1]
    if image.mode.startswith("I;16"):  # Pillow cannot reduce these, and would clip them at 255
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    image.thumbnail((WORKING_SIDE, WORKING_SIDE), Image.Resampling.BOX)
    upright = _eight_bit(image)
    upright.info["exif"] = exif.tobytes()
    ImageOps.exif_transpose(upright, in_place=True)
    picture = b"" if exif.get(ExifTags.Base.Orientation, 1) == 1 else _jpeg(upright)
    return Frame(np.array(upright), size, source, focal_length(exif, size), picture=picture)


def _jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()


def _eight_bit(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F"):  # Pillow would clip these at 255
        values = np.asarray(image, np.float64)
        top = 65535.0 if values.max() > 255 else max(values.max(), 1.0)
        image = Image.fromarray(np.uint8(np.clip(values / top, 0, 1) * 255))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return image.convert("RGB")


def focal_length(exif: Image.Exif, size: tuple[int, int]) -> float | None:
    """Focal length in pixels from the EXIF 35 mm equivalent (tag 0xA405), or None."""
    try:
        equivalent = float(exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.FocalLengthIn35mmFilm, 0))
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return equivalent / SENSOR_WIDTH * max(size) if 8 <= equivalent <= 1000 else None
