# SPDX-License-Identifier: GPL-3.0-or-later
"""The contact deformation as a shape key that can be faded out and exaggerated, and as an attribute."""

from __future__ import annotations

import bpy
import numpy as np
from numpy.typing import NDArray

from . import naming

EXAGGERATION = 3.0  # upper end of the slider; 1 is what was captured


def add_deformation(item: bpy.types.Object, displacement: NDArray) -> None:
    """Give the mesh object its shape keys and `dice_deformation`.

    Parameters
    ----------
    item
        A mesh object whose vertices are the surface without deformation.
    displacement
        (V, 3) metres in world axes, added at slider value 1.
    """
    mesh = item.data
    basis = np.zeros(3 * len(mesh.vertices), np.float32)
    mesh.attributes["position"].data.foreach_get("vector", basis)
    item.shape_key_add(name=naming.BASIS, from_mix=False)
    key = item.shape_key_add(name=naming.DEFORMATION, from_mix=False)
    key.points.foreach_set("co", basis + np.ravel(displacement).astype(np.float32))
    key.slider_max = EXAGGERATION
    key.value = 1.0
    length = mesh.attributes.new(naming.DEFORMATION_ATTRIBUTE, "FLOAT", "POINT")
    length.data.foreach_set("value", np.linalg.norm(displacement, axis=1).astype(np.float32))


def key_of(item: bpy.types.Object) -> bpy.types.ShapeKey | None:
    """The `Deformation` shape key, unless the user removed it."""
    keys = item.data.shape_keys if item.type == "MESH" else None
    return keys.key_blocks.get(naming.DEFORMATION) if keys else None
