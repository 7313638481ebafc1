# SPDX-License-Identifier: GPL-3.0-or-later
"""The result that a collection was built from, kept in the .blend: 150 KB that make everything possible afterwards."""

from __future__ import annotations

from dataclasses import replace

import bpy

from ...dice_core.errors import DiceError
from ...dice_core.result import store
from ...dice_core.types import Capture
from . import naming


def keep(collection: bpy.types.Collection, capture: Capture) -> None:
    """Keep the capture in its collection, packed up."""
    collection.pop(naming.RESULT, None)  # Blender cuts bytes at a zero where there are some already
    collection[naming.RESULT] = store.to_bytes(replace(capture, picture=b""))  # the camera shows it


def kept(collection: bpy.types.Collection) -> Capture:
    """The capture that the collection was built from, whatever became of its objects.

    Raises
    ------
    DiceError
        When the collection holds none, or it is damaged.
    """
    if naming.FOLDER in collection:
        raise DiceError(f"{collection.name} is a sequence.", "Bake one of its frames, and choose that.")
    data = collection.get(naming.RESULT)
    if not isinstance(data, bytes):
        raise DiceError(f"{collection.name} does not hold its capture result.", "Capture the photograph again.")
    return store.from_bytes(data, collection.name)


def is_kept(collection: bpy.types.Collection) -> bool:
    """Whether the collection holds the capture that it was built from."""
    return naming.RESULT in collection
