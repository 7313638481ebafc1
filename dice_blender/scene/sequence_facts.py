# SPDX-License-Identifier: GPL-3.0-or-later
"""What a sequence's collection says about itself: its folder, and when it is shown."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import bpy

from ...dice_core.errors import DiceError
from ...dice_core.result.sequence import Sequence
from ...dice_core.result.sequence_info import CAPTURE
from ..compat import node_input
from . import naming
from .build import parts
from .cache_mesh import caches_of, stored_path
from .timing import Timing


def note(collection: bpy.types.Collection, sequence: Sequence, timing: Timing, tolerance: float) -> None:
    """The facts as custom properties, where the panel and scripts find them without the folder."""
    info = sequence.info
    collection[naming.FOLDER] = stored_path(Path(sequence.folder).absolute())
    collection[naming.TIMING] = [timing.first, timing.speed]
    collection[naming.TOLERANCE] = tolerance
    collection[naming.SIZE] = info.image_size
    facts = {"engine": info.engine, "source": info.source, "frame": info.start, "frames": info.count, "rate": info.rate,
             "notes": "\n".join(info.notes),
             "contact_states": dict(Counter(sequence.curve("contact_state").tolist()))}  # fmt: skip
    for name, value in facts.items():
        collection[f"dice_{name}"] = value


def is_sequence(collection: bpy.types.Collection) -> bool:
    """Whether the collection was built from a sequence."""
    return naming.FOLDER in collection


def folder_of(collection: bpy.types.Collection) -> Path:
    """The folder that a sequence was built from: where its caches are, or where it was said to be.

    Raises
    ------
    DiceError
        When the collection is no sequence, or there is none in that folder any more.
    """
    if not is_sequence(collection):
        raise DiceError(f"{collection.name} is no captured sequence.", "Choose one.")
    modifiers = (modifier for item in parts(collection).values() for modifier in caches_of(item))
    files = [modifier.filepath for modifier in modifiers if modifier.type == "MESH_CACHE"]  # Blender keeps them right
    said = [*(str(Path(bpy.path.abspath(file, library=collection.library)).parent) for file in files),
            bpy.path.abspath(collection[naming.FOLDER], library=collection.library)]  # fmt: skip
    for folder in map(Path, said):
        if (folder / CAPTURE).is_file():
            return folder
    raise DiceError(f"{collection.name} has no sequence folder {said[-1]} here.", "Put it back, or open it anew.")


def timing_of(collection: bpy.types.Collection, count: int) -> Timing:
    """When a sequence of so many frames is shown."""
    first, speed = collection[naming.TIMING]
    return Timing(first, speed, count)


def factor_of(item: bpy.types.Object) -> float:
    """How often a sequence's mesh adds its deformation now."""
    nodes = (modifier for modifier in caches_of(item) if modifier.type == "NODES" and modifier.node_group)
    found = (node_input(modifier, naming.DEFORMATION).value for modifier in nodes)
    return next(found, item.get(naming.DEFORMATION, 1.0))


def check_vertices(item: bpy.types.Object, count: int) -> None:
    """Raises `DiceError` when the mesh has not as many vertices as the sequence."""
    if len(item.data.vertices) != count:
        raise DiceError(
            f"{item.name} has {len(item.data.vertices)} vertices, and the sequence has {count}.",
            "Delete the sequence and open its folder anew.",
        )
