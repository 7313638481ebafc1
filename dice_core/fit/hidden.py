# SPDX-License-Identifier: GPL-3.0-or-later
"""With a hand in the picture the detector guesses many of the face's landmarks; this guesses better.

A small network learnt from drawn people (assets/hidden.md) how far the detector's landmarks are off, from where they
are, where the hand is, and from what the detector's face model, which learnt from photographs, saw.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..landmarks.litert import FaceLandmarks, HandLandmarks
from .perceptron import Perceptron, relu

ASSET = Path(__file__).parent / "assets" / "hidden.npz"
MESH = 468  # landmarks but for the irises
ASKED = slice(0, MESH, 6)  # landmarks whose depth under the hand is told
NUMBERS = 2 * 478 + 78 + 2 * 21 + 5


@dataclass(frozen=True)
class Upright:
    """The frame of a face in the picture: its middle, its size and the angle of its eyes, clockwise in radians."""

    middle: NDArray
    size: float
    angle: float

    @property
    def _turn(self) -> NDArray:
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return np.array([[cos, sin], [-sin, cos]])

    def into(self, points: NDArray) -> NDArray:
        """(..., 2) pixels -> units of the face."""
        return self.turn(points - self.middle) / self.size

    def turn(self, offsets: NDArray) -> NDArray:
        return offsets @ self._turn.T

    def back(self, offsets: NDArray) -> NDArray:
        """(..., 2) offsets in units of the face -> in pixels."""
        return self.size * offsets @ self._turn


def upright(face: NDArray) -> Upright:
    """Of (478, 2) landmarks."""
    eyes, middle = face[263] - face[33], face[:MESH].mean(0)
    size = float(np.sqrt(((face[:MESH] - middle) ** 2).sum(1).mean()))
    return Upright(middle, max(size, 1e-6), float(np.arctan2(eyes[1], eyes[0])))


def numbers(face: FaceLandmarks, hand: NDArray | None, size: tuple[int, int]) -> NDArray[np.float32]:
    """(NUMBERS,) what the landmarks of a face and (21, 2) of a hand before it say in a picture of a size."""
    frame = upright(face.points)
    under, seen = np.full(78, -1.0), np.zeros(42)
    if hand is not None:
        hull = cv2.convexHull(hand.astype(np.float32))
        depths = [cv2.pointPolygonTest(hull, (float(x), float(y)), True) for x, y in face.points[ASKED]]
        under, seen = np.clip(np.array(depths) / frame.size, -1, 1), frame.into(hand).ravel()
    longer = max(size)
    rest = [float(hand is not None), np.log(frame.size / longer), *(frame.middle - np.array(size) / 2) / longer,
            face.score]  # fmt: skip
    return np.concatenate([frame.into(face.points).ravel(), under, np.clip(seen, -8, 8), rest]).astype(np.float32)


def uncovered(face: FaceLandmarks, hands: list[HandLandmarks], size: tuple[int, int]) -> FaceLandmarks:
    """The face with its landmarks where they probably are; without a hand as it is.

    Parameters
    ----------
    face, hands
        In pixels of the picture.
    size
        Width and height of the picture.
    """
    if not hands:
        return face
    hand = min(hands, key=lambda one: float(np.linalg.norm(one.points.mean(0) - face.points.mean(0))))
    network = _network()
    said = network.standard("numbers", numbers(face, hand.points, size))
    seen = network.standard("features", face.features)
    said = network.linear("numbers.2", relu(network.linear("numbers.0", said)))
    joined = relu(np.concatenate([said, network.linear("features", seen)]))
    offsets = network.linear("basis", network.linear("out", relu(network.linear("trunk", joined))))
    return replace(face, points=face.points + upright(face.points).back(offsets.reshape(478, 2)))


@lru_cache(maxsize=1)
def _network() -> Perceptron:
    return Perceptron(ASSET)
