# SPDX-License-Identifier: GPL-3.0-or-later
"""What hides a capture: the start-up file's cube stands exactly where heads appear."""

from __future__ import annotations

import bpy
import numpy as np
from numpy.typing import NDArray

from ...dice_core.errors import DiceError
from . import naming
from .build import meshes, parts


class InTheWay(DiceError):
    """Something hides the capture; the captured scene is fine."""


def in_the_way(scene: bpy.types.Scene, collection: bpy.types.Collection) -> list[str]:
    """Names of visible meshes whose bounding box holds the capture's camera or lies between it and a mesh."""
    layer = scene.view_layers[0]
    layer.update()
    eye = np.array(parts(collection)["camera"].matrix_world.translation)
    targets = [_box(item).mean(0) for item in meshes(collection)]
    others = [item for item in layer.objects if item.type == "MESH" and naming.PART not in item]
    return [
        item.name
        for item in others
        if item.visible_get(view_layer=layer) and any(_crosses(_box(item), eye, target) for target in targets)
    ]


def _box(item: bpy.types.Object) -> NDArray[np.float64]:
    """(8, 3) corners of the bounding box in the world."""
    matrix = np.array(item.matrix_world)
    return np.array(item.bound_box) @ matrix[:3, :3].T + matrix[:3, 3]


def _crosses(box: NDArray, start: NDArray, end: NDArray) -> bool:
    """Whether the segment meets the axis-aligned box around the corners."""
    way = np.where(end == start, 1e-12, end - start)
    first, second = (box.min(0) - start) / way, (box.max(0) - start) / way
    return bool(max(np.minimum(first, second).max(), 0.0) <= min(np.maximum(first, second).min(), 1.0))
