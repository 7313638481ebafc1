# SPDX-License-Identifier: GPL-3.0-or-later
"""Keyed properties, written all at once: a thousand keys in the time that Blender takes to insert five."""

from __future__ import annotations

import re
from typing import NamedTuple

import bpy
import numpy as np
from numpy.typing import NDArray

from ...dice_core.result.keys import Keys, reduced
from ..compat import channels
from .timing import Timing

CONSTANT, LINEAR, BEZIER = range(3)  # of keys, as RNA counts
FREE = 0  # of handles
COLORS = {"quaternion": "AUTO_YRGB", "location": "AUTO_RGB"}  # as Blender's own


class Property(NamedTuple):
    """What is keyed: the path from its data-block on, and the group that its curves are shown in."""

    path: str
    group: str = ""


def smooth(owner: bpy.types.ID, what: list[Property], values: NDArray, timing: Timing, tolerance: float) -> None:
    """Key properties that have numbers in common with few keys, see `keys.reduced`; what never changes is only set.

    Parameters
    ----------
    owner
        Whose they are.
    what
        G properties.
    values
        (N, G, D) in each frame of the sequence.
    timing
        When those are.
    tolerance
        By how much the curves may differ from the values.
    """
    for one, keys in zip(what, reduced(values, tolerance), strict=True):
        if len(keys.positions) == 1:
            settle(owner, one, keys.values[0].tolist())
            continue
        frames = timing.first + keys.positions / timing.speed
        for index in range(values.shape[2]):
            curve = _new(owner, one, index)
            _fill(curve, frames, keys.values[:, index], BEZIER)
            _bend(curve, frames, keys, index, timing.speed)


def steps(owner: bpy.types.ID, what: Property, frames: NDArray, values: NDArray) -> None:
    """Key a property where it changes; in between it stays. (N,) frames and values."""
    changes = np.flatnonzero(np.diff(values, prepend=values[0] + 1))
    _fill(_new(owner, what, 0), frames[changes], values[changes], CONSTANT)


def lines(owner: bpy.types.ID, what: Property, frames: NDArray, values: NDArray) -> None:
    """Key a property with lines between the values. (N,) frames and values."""
    _fill(_new(owner, what, 0), frames, values, LINEAR)


def settle(owner: bpy.types.ID, what: Property, values: list[float]) -> None:
    """Give the property a value that stays, instead of curves that it has."""
    remove(owner, what)
    holder, _, name = what.path.rpartition(".")
    target = owner.path_resolve(holder) if holder else owner
    if name.startswith("["):
        target[name[2:-2]] = values[0]
    else:
        setattr(target, name, values if len(values) > 1 else values[0])


def remove(owner: bpy.types.ID, what: Property) -> bool:
    """Remove the property's curves; whether there were any."""
    if not (owner.animation_data and owner.animation_data.action):
        return False
    place = channels(owner).fcurves
    found = [curve for curve in place if curve.data_path == what.path]
    for curve in found:
        place.remove(curve)
    return bool(found)


def custom(name: str) -> Property:
    """A custom property of one number."""
    return Property(f'["{name}"]')


def _new(owner: bpy.types.ID, what: Property, index: int) -> bpy.types.FCurve:
    """A curve for one number of a property, instead of the one that there is."""
    place = channels(owner)
    old = place.fcurves.find(what.path, index=index)
    if old is not None:
        place.fcurves.remove(old)
    curve = place.fcurves.new(what.path, index=index)
    curve.color_mode = COLORS.get(re.split("[._]", what.path)[-1], "AUTO_RAINBOW")
    if what.group:
        curve.group = place.groups.get(what.group) or place.groups.new(what.group)
    return curve


def _fill(curve: bpy.types.FCurve, frames: NDArray, values: NDArray, interpolation: int) -> None:
    points = curve.keyframe_points
    points.add(len(frames))
    points.foreach_set("co", np.ravel(np.stack([frames, values], 1)).astype(np.float32))
    points.foreach_set("interpolation", np.full(len(frames), interpolation, np.int32))
    if interpolation != BEZIER:
        curve.update()


def _bend(curve: bpy.types.FCurve, frames: NDArray, keys: Keys, index: int, speed: float) -> None:
    """Handles a third of the way to the next key: between them the curve is the cubic with the keys' slopes then."""
    thirds = np.diff(frames) / 3
    thirds = np.concatenate([thirds[:1], thirds, thirds[-1:]]) if len(thirds) else np.ones(2)
    points = curve.keyframe_points
    for side, lengths, slopes in (("left", -thirds[:-1], keys.before), ("right", thirds[1:], keys.after)):
        values = keys.values[:, index] + slopes[:, index] * speed * lengths
        points.foreach_set(f"handle_{side}_type", np.full(len(frames), FREE, np.int32))
        points.foreach_set(f"handle_{side}", np.ravel(np.stack([frames + lengths, values], 1)).astype(np.float32))
    curve.update()
