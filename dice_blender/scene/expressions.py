# SPDX-License-Identifier: GPL-3.0-or-later
"""The captured expression as shape keys: the face becomes this person's neutral one, the keys what it does."""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np
from numpy.typing import NDArray

from ...dice_core.body.kinds import converted, where_from
from ...dice_core.body.skinned import UPRIGHT
from ...dice_core.errors import DiceError, ModelsMissing
from ...dice_core.files import UNREADABLE
from ...dice_core.paths import official_models_dir
from ...dice_core.types import Capture
from . import axes, naming
from .build import parts
from .kept import kept
from .meshes import ASSETS
from .skinning import blended, bones_of, check_count, coordinates, is_at_rest, placement, set_coordinates

FLAME_LIMIT = 3.0  # either end of the sliders, in standard deviations, unless the captured value lies beyond
FARTHEST = 10.0  # either end of any slider in Blender
FIRST = ("browDownLeft", naming.FLAME_KEY.format(0))


@dataclass(frozen=True)
class Expressions:
    """What a face can do.

    Attributes
    ----------
    names
        Of K shape keys.
    directions
        (K, V, 3) metres a unit at rest, in camera axes.
    values
        (K,) captured.
    limits
        Ends of the sliders.
    """

    names: tuple[str, ...]
    directions: NDArray
    values: NDArray
    limits: tuple[float, float]


def why_not(collection: bpy.types.Collection) -> str:
    """Why `add_expressions` would fail, as far as a glance tells; empty when it would not."""
    head = parts(collection).get("head")
    if head is None:
        return "The capture has no head"
    return "The head has its expressions" if any(name in _keys(head) for name in FIRST) else ""


def add_expressions(collection: bpy.types.Collection) -> list[bpy.types.ShapeKey]:
    """Give the captured head a shape key for each facial action, at the captured value; what is seen stays the same.

    `Basis` becomes this person's neutral face. The open head has the 52 actions that ARKit names, FLAME its 50
    expression components, out of the user's own converted file. `Deformation` and other shape keys stay what they
    add. A rigged head may have them as well, and a head that has them a rig.

    Parameters
    ----------
    collection
        The capture.

    Returns
    -------
    list of bpy.types.ShapeKey
        The new ones.

    Raises
    ------
    DiceError
        When there is no head, its expression is not known, it has these keys or other vertices than were captured, or
        FLAME's file is missing; nothing has changed then.
    """
    if reason := why_not(collection):
        raise DiceError(f"{reason}.", "Choose another capture, or reset this one.")
    head, capture = parts(collection)["head"], kept(collection)
    if capture.head is None:
        raise DiceError("No head was captured.", "Choose another capture.")
    check_count(head, len(capture.head.vertices))
    known = _known(capture)
    steps = _steps(head, capture, known)
    if head.data.shape_keys is None:
        head.shape_key_add(name=naming.BASIS, from_mix=False)
    points = coordinates(head)
    points -= np.tensordot(known.values, steps, 1)
    made = []
    for name in known.names:
        key = head.shape_key_add(name=name, from_mix=False)
        key.slider_min, key.slider_max = known.limits
        made.append(key)
    set_coordinates(head, np.concatenate([points, points[1] + steps]))
    for key, value in zip(made, known.values.tolist(), strict=True):
        key.value = value
    return made


def action_names() -> tuple[str, ...]:
    """What the numbers of `params_head_expression` are: ARKit's names of the 52 facial actions."""
    with np.load(ASSETS / "head.npz", allow_pickle=False) as data:
        return tuple(str(name) for name in data["expression_names"])


def _keys(item: bpy.types.Object) -> set[str]:
    return set(item.data.shape_keys.key_blocks.keys()) if item.data.shape_keys else set()


def _steps(head: bpy.types.Object, capture: Capture, known: Expressions) -> NDArray[np.float64]:
    """(K, V, 3) metres a unit, as the mesh's vertices are now: at rest, or turned as the bones turn them."""
    bones = bones_of(capture.head, axes.ground(capture))
    steps = known.directions.astype(np.float64) @ axes.TO_WORLD.T
    if not is_at_rest(head):
        steps = np.einsum("vij,kvj->kvi", blended(bones.weights, bones.transforms)[:, :3, :3], steps)
    return steps @ placement(head, bones)[:3, :3].T


def _known(capture: Capture) -> Expressions:
    """The actions of the head that was captured."""
    count = len(capture.head.vertices)
    found = _open(capture) if capture.engine == "open" else _flame(capture) if capture.engine == "dice" else None
    if found is None or found.directions.shape[1] != count or len(found.values) != len(found.names):
        raise DiceError("The expression of this head is not known.", "Capture the photograph again.")
    return found


def _open(capture: Capture) -> Expressions | None:
    values = capture.params.get("head_expression")
    if values is None:
        return None
    with np.load(ASSETS / "head.npz", allow_pickle=False) as data:
        names = tuple(str(name) for name in data["expression_names"])
        return Expressions(names, data["expression"], np.clip(values, 0, 1), (0.0, 1.0))


def _flame(capture: Capture) -> Expressions | None:
    # the network saw a mirror image where it was asked for a left hand first
    side = capture.hands[0].side if capture.hands else "right"
    values = capture.params.get(f"{side}_face_exp")
    if values is None or values.ndim != 1:
        return None
    path = converted(official_models_dir(), "flame")
    try:
        with np.load(path, allow_pickle=False) as data:
            directions = data["shapedirs"][-len(values) :]  # behind those of identity
    except FileNotFoundError as error:
        raise ModelsMissing(f"There is no {path}, which holds FLAME's expressions.", where_from("flame")) from error
    except UNREADABLE as error:
        raise ModelsMissing(f"{path} is damaged.", where_from("flame")) from error
    values = np.clip(values, -FARTHEST, FARTHEST)
    limit = max(FLAME_LIMIT, float(np.ceil(np.abs(values).max())))
    mirror = np.array([-1.0 if side == "left" else 1.0, 1, 1])
    names = tuple(naming.FLAME_KEY.format(number) for number in range(len(values)))
    return Expressions(names, directions * UPRIGHT * mirror, values, (-limit, limit))
