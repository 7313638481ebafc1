# SPDX-License-Identifier: GPL-3.0-or-later
"""A collection filled with the moving objects of a sequence."""

from __future__ import annotations

from collections.abc import Iterator

import bpy
import numpy as np
from numpy.typing import NDArray

from ...dice_core.result.sequence import Sequence
from . import axes, curves, naming
from .cache_mesh import add_caches
from .camera import show_clip
from .contact import add_contact, prepare_contact
from .expressions import action_names
from .fill import body, link
from .moving_camera import add_cameras, animate_camera
from .moving_rig import add_rig, animate_rig
from .plate import load_clip
from .sequence_facts import note
from .shape_frames import add_frames
from .timing import Timing

ZERO = np.zeros(3)


def fill_sequence(
    collection: bpy.types.Collection, sequence: Sequence, timing: Timing, *, caches: bool, tolerance: float
) -> dict[str, bpy.types.Object]:
    """Put the sequence's objects and facts into the collection, the footage behind its cameras; gives the objects."""
    origin, made = _ground(sequence), {}
    for part in sequence.parts:
        item = made[part] = _mesh(sequence, part, origin)
        link(collection, part, item)
        if caches:
            prepare_contact(item)
            add_caches(item, sequence.folder, timing)
        else:
            add_shapes(item, sequence, range(timing.count), timing)
    for part in sequence.parts:
        made[naming.RIG.format(part)] = add_rig(collection, made[part], sequence, first_seen(sequence, part))
    cameras = add_cameras(sequence, origin)
    clip = load_clip(sequence.info, timing)
    for part, item in cameras.items():
        link(collection, part, item)
        if clip is not None:
            show_clip(item, clip)
    made |= cameras
    collection[naming.MADE] = " ".join(made)
    note(collection, sequence, timing, tolerance)
    animate(made, sequence, timing, tolerance)
    return made


def animate(made: dict[str, bpy.types.Object], sequence: Sequence, timing: Timing, tolerance: float) -> None:
    """Write the curves of those objects that are there, in place of older ones."""
    for part in sequence.parts:
        there = [made[name] for name in (part, naming.RIG.format(part)) if name in made]
        for item in there:
            _show(item, sequence.seen(part), timing)
        if part in made:
            _key_numbers(made[part], sequence, part, timing, tolerance)
        if len(there) == 2:
            animate_rig(there[1], sequence, part, first_seen(sequence, part), timing, tolerance)
    for part in ("camera", "camera_perspective"):
        if part in made:
            animate_camera(made[part], part, sequence, _ground(sequence), timing, tolerance)


def add_shapes(item: bpy.types.Object, sequence: Sequence, positions: range, timing: Timing) -> None:
    """Let a mesh object move by shape keys in some of the sequence's frames, and stand still before and after them.

    Its contact, and its attribute `dice_deformation`, are the largest of all those frames.
    """
    part = item[naming.PART]
    item[naming.POSITIONS] = [positions.start, positions.stop - 1]
    add_frames(item, _shapes(sequence, part, positions), timing.frames[positions.start : positions.stop])
    contact = sequence.caches[f"{part}_contact"][positions.start : positions.stop, :, 0]
    add_contact(item, contact.max(0))
    longest = np.zeros(len(item.data.vertices), np.float32)
    for k in positions if part == "head" else ():
        np.maximum(longest, np.linalg.norm(sequence.deformation(k), axis=1), out=longest)
    attributes = item.data.attributes
    length = attributes.get(naming.DEFORMATION_ATTRIBUTE)
    length = length or attributes.new(naming.DEFORMATION_ATTRIBUTE, "FLOAT", "POINT")
    length.data.foreach_set("value", longest)


def first_seen(sequence: Sequence, part: str) -> int:
    """The position of the first frame that shows the part."""
    return int(sequence.seen(part).argmax())


def _ground(sequence: Sequence) -> NDArray[np.float64]:
    """`axes.ground` of the first frame that shows the head, or any part of those without one."""
    parts = ["head"] if "head" in sequence.parts else list(sequence.parts)
    return axes.ground(sequence.capture(min((first_seen(sequence, part) for part in parts), default=0)))


def _mesh(sequence: Sequence, part: str, origin: NDArray) -> bpy.types.Object:
    """A head or a hand in the first frame that shows it. Its own space has the camera's origin: the caches have."""
    vertices = axes.to_world(sequence.vertices(part, first_seen(sequence, part)), ZERO)
    item = body(part, vertices, sequence.parts[part].faces)
    item.location = axes.to_world(ZERO, origin)
    return item


def _shapes(sequence: Sequence, part: str, positions: range) -> Iterator[tuple[NDArray, NDArray]]:
    still = np.zeros((1, 3))
    for k in positions:
        displacement = axes.to_world(sequence.deformation(k), ZERO) if part == "head" else still
        yield axes.to_world(sequence.vertices(part, k), ZERO), displacement


def _show(item: bpy.types.Object, seen: NDArray, timing: Timing) -> None:
    """Hide the object where the part is not seen."""
    for path in ("hide_viewport", "hide_render"):
        if not seen.all():
            curves.steps(item, curves.Property(path), timing.frames, (~seen).astype(float))
        elif curves.remove(item, curves.Property(path)):
            setattr(item, path, False)


def _key_numbers(item: bpy.types.Object, sequence: Sequence, part: str, timing: Timing, tolerance: float) -> None:
    """Confidence, and of a head contact and expression, as keyed custom properties."""
    numbers = {naming.CONFIDENCE: sequence.curve(f"{part}_confidence")}
    if part == "head":
        numbers[naming.TOUCHING] = sequence.curve("contact_probability")
        expression = sequence.curves.get("params_head_expression")
        names = action_names()
        if expression is not None and expression.shape[1:] == (len(names),):
            numbers |= zip(names, expression.T, strict=True)
    for name, values in numbers.items():
        item[name] = float(values[0])
        item.id_properties_ui(name).update(min=0.0, max=1.0)
    values = np.stack(list(numbers.values()), 1)[..., None]
    curves.smooth(item, [curves.custom(name) for name in numbers], values, timing, tolerance)
