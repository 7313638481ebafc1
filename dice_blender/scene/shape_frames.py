# SPDX-License-Identifier: GPL-3.0-or-later
"""A mesh that moves by shape keys, one for each frame: all is in the .blend, can be edited and goes to other programs.

`f0001` is the surface in the first frame, without deformation; it is 1 there and 0 from the frames beside it on. Where
skin was pressed there is a `d0001` too, which adds the deformation: it is as large as `f0001`, times the object's
custom property `Deformation`, by a driver that needs no Python.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import bpy
import numpy as np
from numpy.typing import NDArray

from . import curves, naming
from .deformation import EXAGGERATION

MANY = 250  # keys, from where on playback gets slow
OURS = re.compile("[fd][0-9]{4,}")


def add_frames(item: bpy.types.Object, shapes: Iterable[tuple[NDArray, NDArray]], frames: NDArray) -> None:
    """Give the mesh object a shape key for each frame, in place of those that it has; other shape keys stay.

    Parameters
    ----------
    item
        A mesh object.
    shapes
        For each frame (V, 3) vertices without deformation and (V, 3) displacements, metres in the mesh's own space.
    frames
        (n,) of the scene, ascending.
    """
    _remove(item)
    if item.data.shape_keys is None:
        item.shape_key_add(name=naming.BASIS, from_mix=False)
    item[naming.DEFORMATION] = item.get(naming.DEFORMATION, 1.0)
    item.id_properties_ui(naming.DEFORMATION).update(min=0.0, soft_max=EXAGGERATION)
    pressed = []
    for number, (vertices, displacement) in enumerate(shapes, 1):
        key = _key(item, naming.FRAME_KEY.format(number), vertices)
        if displacement.any():
            pressed.append(number)
            added = _key(item, naming.FRAME_DEFORMATION.format(number), vertices + displacement)
            added.relative_key = key
            added.slider_max = EXAGGERATION
    _key_values(item.data.shape_keys, frames)
    for number in pressed:
        _drive(item, number)


def has_frames(item: bpy.types.Object) -> bool:
    """Whether the mesh object moves by shape keys of ours."""
    keys = item.data.shape_keys
    return keys is not None and naming.FRAME_KEY.format(1) in keys.key_blocks


def _remove(item: bpy.types.Object) -> None:
    keys = item.data.shape_keys
    for key in [key for key in keys.key_blocks if OURS.fullmatch(key.name)] if keys else ():
        key.driver_remove("value")
        item.shape_key_remove(key)


def _key(item: bpy.types.Object, name: str, vertices: NDArray) -> bpy.types.ShapeKey:
    key = item.shape_key_add(name=name, from_mix=False)
    key.points.foreach_set("co", np.ravel(vertices).astype(np.float32))
    return key


def _key_values(keys: bpy.types.Key, frames: NDArray) -> None:
    """1 in its own frame; of the first and the last one, before and after it too."""
    for index in range(len(frames)):
        start, end = max(index - 1, 0), min(index + 2, len(frames))
        what = curves.Property(f'key_blocks["{naming.FRAME_KEY.format(index + 1)}"].value')
        curves.lines(keys, what, frames[start:end], (np.arange(start, end) == index).astype(float))


def _drive(item: bpy.types.Object, number: int) -> None:
    keys = item.data.shape_keys
    driver = keys.key_blocks[naming.FRAME_DEFORMATION.format(number)].driver_add("value").driver
    driver.expression = "shown * amount"
    for name, owner, path in (
        ("shown", keys, f'key_blocks["{naming.FRAME_KEY.format(number)}"].value'),
        ("amount", item, f'["{naming.DEFORMATION}"]'),
    ):
        variable = driver.variables.new()
        variable.name = name
        target = variable.targets[0]
        target.id_type = owner.id_type
        target.id, target.data_path = owner, path
