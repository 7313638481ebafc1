# SPDX-License-Identifier: GPL-3.0-or-later
"""Which triangle each pixel of a frame shows, and what a lamp sees: OpenCV's z-buffer, some 50 ms at 1280 x 720."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

NEAR, FAR = 0.05, 10.0  # metres
FLIP = np.array([1, -1, -1], np.float32)  # OpenCV draws as OpenGL does: y up, looking along -z
NUMBERS = 65536.0  # a triangle's number travels as a colour, which must be below 1
MAP = 512  # pixels of a lamp's map
BIAS = 0.0025  # metres that a point may lie behind what the lamp sees and still be lit
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Seen:
    """The n pixels that show something.

    Attributes
    ----------
    pixel
        (n,) index into the picture, row by row.
    triangle, weights
        (n,), and (n, 3) of its corners, true to perspective.
    """

    pixel: NDArray
    triangle: NDArray
    weights: Floats

    def at(self, values: Floats, faces: NDArray) -> Floats:
        """(n, k) of (V, k) per-vertex values."""
        corners = faces.take(self.triangle, 0)
        result = self.weights[:, :1] * values.take(corners[:, 0], 0)
        for k in (1, 2):
            result += self.weights[:, k : k + 1] * values.take(corners[:, k], 0)
        return result


def seen(vertices: Floats, faces: NDArray, size: tuple[int, int], focal: float) -> Seen:
    """Draw (V, 3) camera-space vertices as a camera of that focal length sees them, its axis in the middle."""
    corners = np.ascontiguousarray((vertices * FLIP)[faces].reshape(-1, 3))
    index = np.arange(len(corners), dtype=np.int32).reshape(-1, 3)
    colours = np.zeros((len(faces), 3, 3), np.float32)
    colours[:, 1, 0] = colours[:, 2, 1] = 1
    colours[:, :, 2] = (np.arange(1, len(faces) + 1) / NUMBERS)[:, None]
    picture = np.zeros((size[1], size[0], 3), np.float32)
    depth = np.full((size[1], size[0]), FAR, np.float32)
    settings = _settings()
    settings.setShadingType(cv2.RASTERIZE_SHADING_SHADED)
    angle = 2 * np.arctan(size[1] / (2 * focal))
    cv2.triangleRasterize(corners, index, colours.reshape(-1, 3), picture, depth, np.eye(4), angle, NEAR, FAR, settings)
    flat = picture.reshape(-1, 3)
    pixel = np.flatnonzero(flat[:, 2] > 0)
    second, third, number = flat[pixel].T
    triangle = np.rint(number * NUMBERS).astype(np.int64) - 1
    return Seen(pixel, triangle, np.stack([1 - second - third, second, third], 1))


def _settings() -> cv2.TriangleRasterizeSettings:
    settings = cv2.TriangleRasterizeSettings()
    settings.setCullingMode(cv2.RASTERIZE_CULLING_NONE)
    return settings


@dataclass(frozen=True)
class LampMap:
    """What a lamp sees: (MAP, MAP) metres along its axis; rows of `turn` are its right, up and backward."""

    depth: Floats
    place: Floats
    turn: Floats
    scale: float

    def lights(self, points: Floats, more: Floats) -> NDArray[np.bool_]:
        """(n,) whether the lamp sees (n, 3) points; (n, 2) `more` shifts where the map is looked up."""
        x, y, backward = self.turn @ (points - self.place).T
        along = np.maximum(-backward, np.float32(NEAR))
        scale, middle = np.float32(self.scale) / along, np.float32(MAP / 2)
        column = np.clip(x * scale + (middle + more[:, 0]), 0, MAP - 1).astype(np.int32)
        row = np.clip((middle + more[:, 1]) - y * scale, 0, MAP - 1).astype(np.int32)
        return along < self.depth.take(row * MAP + column) + np.float32(BIAS)


def lamp_map(vertices: Floats, faces: NDArray, place: NDArray, target: NDArray, reach: float) -> LampMap:
    """From `place` towards `target`, so wide that what lies within `reach` metres of it is seen."""
    backward = place - target
    distance = float(np.linalg.norm(backward))
    backward = backward / distance
    right = np.cross([0.1, 1.0, 0.3], backward)
    right /= np.linalg.norm(right)
    turn = np.stack([right, np.cross(backward, right), backward])
    view = np.eye(4)
    view[:3, :3], view[:3, 3] = turn, -turn @ place
    depth = np.full((MAP, MAP), FAR, np.float32)
    angle = 2 * np.arctan(reach / distance)
    cv2.triangleRasterizeDepth(vertices, faces.astype(np.int32), depth, view, angle, NEAR, FAR, _settings())
    return LampMap(depth, place.astype(np.float32), turn.astype(np.float32), MAP / 2 / np.tan(angle / 2))
