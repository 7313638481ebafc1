# SPDX-License-Identifier: GPL-3.0-or-later
"""The camera that a picture was taken with, as far as it can be known."""

from __future__ import annotations

import numpy as np

from ..types import Camera, Frame

DEFAULT_FOCAL = 1.2  # of the longer side: about 45 degrees, between a phone and a portrait lens


def guess_camera(frame: Frame) -> Camera:
    """A perspective camera with the picture's own focal length, or the default, and the centre as principal point."""
    return default_camera(frame.size, frame.focal)


def default_camera(size: tuple[int, int], focal: float | None = None) -> Camera:
    """The same for pictures of a width and height in pixels."""
    width, height = size
    focal = focal or DEFAULT_FOCAL * max(width, height)
    matrix = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]], np.float32)
    return Camera((width, height), matrix=matrix)
