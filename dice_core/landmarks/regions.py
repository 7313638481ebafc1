# SPDX-License-Identifier: GPL-3.0-or-later
"""Turned square crops, and the boxes that single-shot detectors give.

The decoding follows the published MediaPipe model cards and graphs (BlazeFace, BlazePalm): anchors on a grid,
offsets in units of the network's input, crops turned so that the face or hand stands upright.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

MAX_BOXES = 16


@dataclass(frozen=True)
class Region:
    """A turned square of the picture: centre and side in pixels, angle in radians (clockwise on the screen)."""

    center: NDArray
    side: float
    angle: float = 0.0

    @property
    def rotation(self) -> NDArray:
        """(2, 2) matrix from crop axes to picture axes."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return np.array([[cos, -sin], [sin, cos]])

    def to_picture(self, size: int) -> NDArray:
        """(2, 3) affine matrix from pixels of a crop `size` wide to pixels of the picture."""
        linear = self.rotation * (self.side / size)
        return np.c_[linear, self.center - linear @ [size / 2, size / 2]]

    def crop(self, pixels: NDArray[np.uint8], size: int) -> NDArray:
        """The region as a (size, size, 3) picture, black outside."""
        matrix = self.to_picture(size)
        if self.side > 2 * size:  # shrink by areas first: a bilinear warp alone would skip pixels
            pixels, matrix = self._reduced(pixels, matrix, 2 * size / self.side)
        return cv2.warpAffine(pixels, matrix, (size, size), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)

    def _reduced(self, pixels: NDArray[np.uint8], matrix: NDArray, factor: float) -> tuple[NDArray[np.uint8], NDArray]:
        """What the region shows of a picture, smaller by a factor, and the matrix from the crop to that."""
        reach = self.side / 2 * float(np.abs(self.rotation).sum(1).max()) + 2
        extent = np.array(pixels.shape[1::-1])
        low, high = (np.clip(self.center + way, 0, extent).astype(int) for way in (-reach, reach + 1))
        if (high - low).min() < 1:  # it shows nothing
            return pixels, matrix
        part = pixels[low[1] : high[1], low[0] : high[0]]
        small = cv2.resize(part, tuple(np.maximum(np.round(factor * (high - low)), 1).astype(int)),
                           interpolation=cv2.INTER_AREA)  # fmt: skip
        factors = np.array(small.shape[1::-1]) / (high - low)
        return np.asarray(small, np.uint8), np.c_[matrix[:, :2], matrix[:, 2] - low] * factors[:, None]


@dataclass(frozen=True)
class Box:
    """A detection in picture pixels: score 0..1, centre (2,), size (2,), keypoints (K, 2)."""

    score: float
    center: NDArray
    size: NDArray
    keypoints: NDArray


def anchors(grids: tuple[tuple[int, int], ...]) -> NDArray:
    """(A, 2) anchor centres in 0..1 for (cells per side, anchors per cell) layers."""
    layers = []
    for cells, count in grids:
        ticks = (np.arange(cells) + 0.5) / cells
        layers.append(np.repeat(np.stack(np.meshgrid(ticks, ticks), -1).reshape(-1, 2), count, axis=0))
    return np.concatenate(layers)


def decode_boxes(raw: NDArray, logits: NDArray, centers: NDArray, size: int, to_picture: NDArray, threshold: float
                 ) -> list[Box]:
    """Boxes above the threshold, best first, one for each object.

    Parameters
    ----------
    raw
        (A, 4 + 2 K) offsets: centre, size, keypoints, in pixels of the network's input.
    logits
        (A,) scores before the sigmoid.
    centers
        (A, 2) anchors.
    size
        Side of the network's input in pixels.
    to_picture
        (2, 3) affine matrix from the network's input to the picture.
    """
    scores = 1 / (1 + np.exp(-np.clip(logits, -60, 60)))
    scale = np.linalg.norm(to_picture[:, 0])
    boxes: list[Box] = []
    for index in np.argsort(-scores)[:64]:
        if scores[index] < threshold or len(boxes) == MAX_BOXES:
            break
        points = np.vstack([raw[index, :2], raw[index, 4:].reshape(-1, 2)]) + centers[index] * size
        points = points @ to_picture[:, :2].T + to_picture[:, 2]
        box = Box(float(scores[index]), points[0], raw[index, 2:4] * scale, points[1:])
        if not any(overlaps(box, other) for other in boxes):
            boxes.append(box)
    return boxes


def overlaps(one: Box, other: Box) -> bool:
    """Whether two boxes are of the same object: each centre lies well inside the other's box."""
    reach = 0.5 * max(one.size.max(), other.size.max())
    return bool(np.abs(one.center - other.center).max() < reach)
