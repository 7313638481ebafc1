# SPDX-License-Identifier: GPL-3.0-or-later
"""The cameras of a sequence: still ones, or ones that follow what the engine said in each frame."""

from __future__ import annotations

from dataclasses import replace

import bpy
import numpy as np
from numpy.typing import NDArray

from ...dice_core.result.sequence import Sequence
from ...dice_core.types import Camera
from . import axes, curves, naming
from .camera import SIZES, add_camera, view_of
from .timing import Timing

FINE = 0.02  # of the tolerance: what is seen must lie on the footage
NAMES = {"camera": naming.CAMERA, "camera_perspective": naming.PERSPECTIVE}


def add_cameras(sequence: Sequence, origin: NDArray) -> dict[str, bpy.types.Object]:
    """By part, in no collection yet: one, or an orthographic one and its perspective counterpart."""
    nearest, farthest = (float(corner[2]) for corner in sequence.bounds)
    return {
        part: add_camera(camera, nearest, farthest, origin, NAMES[part])
        for part, camera in _cameras(sequence, 0).items()
    }


def animate_camera(
    item: bpy.types.Object, part: str, sequence: Sequence, origin: NDArray, timing: Timing, tolerance: float
) -> None:
    """Key what changes: the place, the lens or the width of what is seen, the shift."""
    if not {"camera_ortho", "camera_matrix"} & sequence.curves.keys():
        return
    nearest = float(sequence.bounds[0][2])
    views = [view_of(_cameras(sequence, k)[part], nearest) for k in range(timing.count)]
    places = axes.to_world(np.array([view.place for view in views]), origin)
    sizes, shifts = np.array([view.size for view in views]), np.array([view.shift for view in views])
    for owner, path, values in (
        (item, "location", places),
        (item.data, SIZES[views[0].kind], sizes[:, None]),
        (item.data, "shift_x", shifts[:, :1]),
        (item.data, "shift_y", shifts[:, 1:]),
    ):
        if np.ptp(values, axis=0).any():
            curves.smooth(owner, [curves.Property(path)], values[:, None], timing, FINE * tolerance)


def _cameras(sequence: Sequence, k: int) -> dict[str, Camera]:
    camera = sequence.camera(k)
    if camera.model == "orthographic" and camera.matrix is not None:
        return {"camera": camera, "camera_perspective": replace(camera, ortho=None)}
    return {"camera": camera}
