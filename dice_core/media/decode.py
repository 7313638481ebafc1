# SPDX-License-Identifier: GPL-3.0-or-later
"""One picture file to one frame: upright, 8-bit RGB, of bounded size."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from ..errors import MediaError
from ..types import Frame

WORKING_SIDE = 2048  # enough for the landmark crops; keeps memory bounded whatever the camera
MAX_PIXELS = 512_000_000
SENSOR_WIDTH = 36.0  # mm, long side of the 35 mm film that the EXIF equivalent refers to
FORMATS = "JPEG, PNG, TIFF, WebP or BMP"


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
        with warnings.catch_warnings(), Image.open(path) as image:
            warnings.simplefilter("ignore")  # broken EXIF is no reason to refuse the pixels
            if image.width * image.height > MAX_PIXELS:
                raise MediaError(f"{path.name} has {image.width} x {image.height} pixels.", "Scale it down first.")
            return _frame(image, path.name)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise MediaError(f"There is no picture {path}.", "Check the path.") from error
    except PermissionError as error:
        raise MediaError(f"{path} may not be read.", "Change the file's permissions or copy it.") from error
    except UnidentifiedImageError as error:
        raise MediaError(f"{path.name} is not a picture that can be read.", f"Use {FORMATS}.") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise MediaError(f"{path.name} is broken or cut short ({error}).", "Copy or download it again.") from error


def from_array(pixels: NDArray[np.uint8], source: str) -> Frame:
    """A frame from an (h, w, 3) uint8 RGB array."""
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or not pixels.size:
        raise MediaError(f"{source} is not an 8-bit RGB picture.", "Convert it to 8-bit RGB.")
    return _frame(Image.fromarray(pixels), source)


def _frame(image: Image.Image, source: str) -> Frame:
    exif = image.getexif()
    turned = exif.get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
    size = image.size[::-1] if turned else image.size
    image.draft("RGB", (WORKING_SIDE, WORKING_SIDE))  # lets a huge JPEG decode at a fraction of its size
    image.thumbnail((WORKING_SIDE, WORKING_SIDE), Image.Resampling.BOX)
    upright = ImageOps.exif_transpose(_eight_bit(image))
    pixels = np.array(upright)
    upright.close()
    return Frame(pixels, size, source, focal_length(exif, size))


def _eight_bit(image: Image.Image) -> Image.Image:
    exif = image.getexif()
    if image.mode.startswith("I") or image.mode == "F":  # 16-bit grey: Pillow would clip at 255
        values = np.asarray(image, np.float64)
        top = 65535.0 if image.mode.startswith("I;16") or values.max() > 255 else max(values.max(), 1.0)
        image = Image.fromarray(np.uint8(np.clip(values / top, 0, 1) * 255))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    result = image.convert("RGB")
    result.info["exif"] = exif.tobytes()
    return result


def focal_length(exif: Image.Exif, size: tuple[int, int]) -> float | None:
    """Focal length in pixels from the EXIF 35 mm equivalent (tag 0xA405), or None."""
    try:
        equivalent = float(exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.FocalLengthIn35mmFilm, 0))
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return equivalent / SENSOR_WIDTH * max(size) if 8 <= equivalent <= 1000 else None
