# SPDX-License-Identifier: GPL-3.0-or-later
"""From an orthographic camera of a crop to the whole picture.

A crop's camera shows a point p, in metres about the head's mean, at pixel s p + t of the crop. The crop may be turned,
and be a mirror image. Undoing both gives a camera of the picture, and the points the axes of that picture. How far
away the head is, such a camera does not say: it follows from the focal length, s = f / z.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..types import Camera

MIRROR = np.array([-1.0, 1, 1])


@dataclass(frozen=True)
class Placement:
    """How points about the head's mean come into the camera space of the picture.

    Attributes
    ----------
    rotation
        (3, 3), a turn about the viewing axis, and a mirror if the crop was one.
    scale
        Pixels of the picture per metre.
    shift
        (2,) pixel of the picture at which the head's mean lies.
    """

    rotation: NDArray
    scale: float
    shift: NDArray

    @classmethod
    def of_crop(cls, to_picture: NDArray, size: int, mirrored: bool, scale: float, shift: NDArray) -> Self:
        """From the crop's camera.

        Parameters
        ----------
        to_picture
            (2, 3) affine matrix, a turn and a scale, from pixels of the upright crop to those of the picture.
        size, mirrored
            Width of the crop; whether the network was shown its mirror image.
        scale, shift
            s > 0 and (2,) t of the crop's camera.
        """
        enlarged = float(np.sqrt(np.linalg.det(to_picture[:, :2])))
        rotation = np.eye(3)
        rotation[:2, :2] = to_picture[:, :2] / enlarged
        if mirrored:
            rotation = rotation * MIRROR
            shift = np.array([size - shift[0], shift[1]])
        return cls(rotation, enlarged * scale, to_picture[:, :2] @ shift + to_picture[:, 2])

    def cameras(self, guess: Camera) -> Camera:
        """Both cameras of the picture, given its perspective one: of one space, alike at the depth of the head."""
        assert guess.matrix is not None
        centre = guess.matrix[:2, 2]
        return Camera(guess.image_size, matrix=guess.matrix, ortho=np.array([self.scale, *centre], np.float32))

    def points(self, points: NDArray, guess: Camera) -> NDArray:
        """(N, 3) points about the head's mean -> (N, 3) metres in the space of those cameras."""
        assert guess.matrix is not None
        sideways = (self.shift - guess.matrix[:2, 2]) / self.scale
        return self.vectors(points) + [*sideways, guess.matrix[0, 0] / self.scale]

    def vectors(self, vectors: NDArray) -> NDArray:
        """(N, 3) displacements, likewise."""
        return vectors @ self.rotation.T
