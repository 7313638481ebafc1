# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be true of a sequence's arrays before anything is built of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ..errors import DiceError
from ..types import Array
from .store import WHOLE

STATES = {"touch", "no-touch", "unsure", "no-hand", "no-head"}
BLOCK = 1 << 22  # numbers of a cache that are looked at together


def damaged(name: str) -> DiceError:
    """The error for a file that is not as it was written."""
    return DiceError(f"{name} of the sequence is damaged.", "Capture the sequence again.")


def check_static(parts: list[str], static: Mapping[str, NDArray]) -> None:
    """Raises `DiceError` when the faces or bones of a part are missing or wrong, or a number is not finite."""
    for part in parts:
        weights = _there(static, f"{part}_bone_weights", 2)
        vertices, bones = weights.shape
        faces, parents = _there(static, f"{part}_faces", 2), _there(static, f"{part}_bone_parents", 1)
        names, joints = _there(static, f"{part}_bone_names", 1), _there(static, f"{part}_bone_joints", 2)
        sound = (
            faces.shape[1] == 3 and len(faces) and 0 <= faces.min() and faces.max() < vertices
            and len(set(names.tolist())) == bones and all(names.tolist())
            and parents.shape == (bones,) and (parents >= -1).all() and (parents < np.arange(bones)).all()
            and joints.shape == (bones, 3)
            and (weights >= 0).all() and (np.abs(weights.sum(1) - 1) <= WHOLE).all()
        )  # fmt: skip
        if not sound:
            raise damaged(f"{part} in static.npz")
    _check_finite(static)


def check_curves(count: int, bones: Mapping[str, int], curves: Mapping[str, NDArray]) -> None:
    """Raises `DiceError` when a curve is missing, of a wrong shape or not finite.

    Parameters
    ----------
    count
        Frames.
    bones
        How many each part has.
    curves
        (N, ...) by name.
    """
    shapes: dict[str, tuple[int, ...]] = {"contact_state": (), "contact_probability": ()}
    for part, number in bones.items():
        points = ("head_landmarks", (68, 3)) if part == "head" else (f"{part}_joints", (21, 3))
        shapes |= dict([points]) | {f"{part}_seen": (), f"{part}_confidence": ()}
        shapes[f"{part}_bone_transforms"] = (number, 4, 4)
    for name, shape in shapes.items():
        if _there(curves, name, 1 + len(shape)).shape != (count, *shape):
            raise damaged(f"{name} in the frames")
    if any(len(curve) != count for curve in curves.values()) or not set(curves["contact_state"].tolist()) <= STATES:
        raise damaged("One of the frames' files")
    if any(curves[f"{part}_seen"].dtype != bool for part in bones):
        raise damaged("One of the frames' files")
    _check_finite({name: curve for name, curve in curves.items() if not name.startswith("quality_")})


def check_cameras(count: int, static: Mapping[str, NDArray], curves: Mapping[str, NDArray]) -> None:
    """Raises `DiceError` when there is no camera, or one of a wrong shape."""
    shapes = {"camera_matrix": (3, 3), "camera_ortho": (3,)}
    found = {name: (static.get(name), curves.get(name)) for name in shapes}
    for name, (still, moving) in found.items():
        wrong = still is not None and still.shape != shapes[name]
        if wrong or (moving is not None and moving.shape != (count, *shapes[name])):
            raise damaged(name)
    needed = "camera_matrix" if str(static.get("camera_model")) == "perspective" else "camera_ortho"
    if all(array is None for array in found[needed]):
        raise damaged(needed)


def check_caches(
    count: int, vertices: Mapping[str, int], surfaces: list[str], caches: Mapping[str, Array]
) -> tuple[NDArray, NDArray]:
    """(3,) least and (3,) largest coordinates of the surfaces.

    Raises `DiceError` when a cache has other frames or vertices than it should, or numbers that are not finite.
    """
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for name, cache in caches.items():
        if cache.shape != (count, vertices[name], 3):
            raise damaged(f"{name}.pc2")
        step = max(1, BLOCK // cache[0].size)
        for start in range(0, count, step):
            block = cache[start : start + step]
            least, most = block.min(0).min(0), block.max(0).max(0)  # in two steps, or it takes twenty times as long
            if not (np.isfinite(least).all() and np.isfinite(most).all()):
                raise damaged(f"{name}.pc2")
            if name in surfaces:
                low, high = np.minimum(low, least), np.maximum(high, most)
    return low, high


def _there(arrays: Mapping[str, NDArray], name: str, axes: int) -> NDArray:
    if name not in arrays or arrays[name].ndim != axes:
        raise damaged(name)
    return arrays[name]


def _check_finite(arrays: Mapping[str, NDArray]) -> None:
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise damaged(name)
