# SPDX-License-Identifier: GPL-3.0-or-later
"""Camera space (metres, x right, y down, z forward) to Blender's world (x right, y away, z up), once and for all.

The camera is level and looks along +Y, so an upright person in the picture stands upright in the scene and faces -Y,
like Blender's front view. The world's origin lies below the middle of the head, as if it stood on the floor.
"""

from __future__ import annotations

from math import pi

import numpy as np
from numpy.typing import NDArray

from ...dice_core.types import Capture

TO_WORLD = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])  # a rotation: faces keep their winding
CAMERA_ROTATION = (pi / 2, 0.0, 0.0)  # Blender's cameras look along their own -Z


def ground(capture: Capture) -> NDArray[np.float64]:
    """(3,) the camera-space point that becomes the world's origin.

    The middle of the head's bounding box at the height of its lowest point; of the hands', without a head.
    """
    meshes = [capture.head] if capture.head is not None else list(capture.hands)
    points = np.concatenate([mesh.vertices for mesh in meshes]) if meshes else np.zeros((1, 3))
    low, high = points.min(0).astype(np.float64), points.max(0).astype(np.float64)
    return np.array([(low[0] + high[0]) / 2, high[1], (low[2] + high[2]) / 2])


def world_matrix(origin: NDArray) -> NDArray[np.float64]:
    """(4, 4) the same as `to_world`."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = TO_WORLD, -TO_WORLD @ origin
    return matrix


def to_world(points: NDArray, origin: NDArray) -> NDArray[np.float64]:
    """(..., 3) camera space -> (..., 3) world, where `origin` is `ground` of the capture."""
    return (points - origin) @ TO_WORLD.T
