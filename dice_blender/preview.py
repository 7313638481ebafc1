# SPDX-License-Identifier: GPL-3.0-or-later
"""The latest frame of a running capture as an icon, which panels draw; nothing of it gets into the .blend."""

from __future__ import annotations

import bpy
import bpy.utils.previews
import numpy as np
from numpy.typing import NDArray

NAME = "latest"
_previews: bpy.utils.previews.ImagePreviewCollection | None = None


def show(picture: NDArray[np.uint8]) -> None:
    """Make the icon show a picture, (h, w, 3) uint8 RGB."""
    global _previews
    if _previews is None:
        _previews = bpy.utils.previews.new()
    _previews.clear()  # Blender keeps what it drew of an icon: another one is looked at anew
    height, width = picture.shape[:2]
    pixels = np.full((height, width, 4), 255, np.uint8)
    pixels[..., :3] = picture[::-1]
    icon = _previews.new(NAME)
    icon.image_size = width, height
    icon.image_pixels.foreach_set(pixels.view(np.int32).ravel())


def icon() -> int:
    """Its number; 0 where there is none, as without a window."""
    return _previews[NAME].icon_id if _previews else 0


def clear() -> None:
    """Forget the picture and free its memory."""
    global _previews
    if _previews is not None:
        bpy.utils.previews.remove(_previews)
        _previews = None


def register() -> None:
    pass


unregister = clear
