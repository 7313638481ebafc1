# SPDX-License-Identifier: GPL-3.0-or-later
"""The .blend files that the commands write."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import bpy

from ..dice_core.errors import DiceError
from ..dice_core.files import atomic
from .compat import node_tree
from .scene import naming
from .scene.sequence import is_sequence

LAMP_STRENGTH, LAMP_ROTATION = 2.5, (0.9, -0.35, 0.3)  # from above, over the photographer's left shoulder
BACKGROUND = (0.6, 0.6, 0.6, 1.0)  # so that a render of the fresh scene shows something


def fresh_scene() -> None:
    """Start a new file that has a grey world and a lamp, and nothing else."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    world = bpy.data.worlds.new("World")
    background = next(node for node in node_tree(world).nodes if node.type == "BACKGROUND")
    background.inputs["Color"].default_value = BACKGROUND
    scene = bpy.context.scene
    scene.world = world
    lamp = bpy.data.objects.new("Key", bpy.data.lights.new("Key", "SUN"))
    lamp.data.energy = LAMP_STRENGTH
    lamp.rotation_euler = LAMP_ROTATION
    scene.collection.objects.link(lamp)


def how(options: argparse.Namespace) -> dict[str, Any]:
    """How to capture: what `api.capture` takes."""
    return {
        "engine": options.engine, "hand": options.hand, "crop": options.crop, "precision": options.precision,
        "fix_contact": options.fix_contact, "face": options.face,
    }  # fmt: skip


def make_relative(folder: Path) -> None:
    """Let a file that will lie in the folder name its sequences and their footage from there."""
    modifiers = (modifier for item in bpy.data.objects for modifier in item.modifiers)
    for owner in (*bpy.data.movieclips, *(modifier for modifier in modifiers if modifier.type == "MESH_CACHE")):
        owner.filepath = _from(folder, owner.filepath)
    for collection in bpy.data.collections:
        if is_sequence(collection):
            collection[naming.FOLDER] = _from(folder, collection[naming.FOLDER])


def _from(folder: Path, path: str) -> str:
    return bpy.path.relpath(path, start=str(folder)) if Path(path).drive == folder.drive else path


def save(output: Path) -> None:
    """The file appears whole or not at all: on a full disk, Blender 5 leaves half a file and does not say so."""
    with atomic(output) as temporary, TemporaryDirectory(prefix=".", dir=output.parent) as folder:
        written = Path(folder) / output.name
        try:
            bpy.ops.wm.save_as_mainfile(filepath=str(written), copy=True, relative_remap=False, compress=True)
            with bpy.data.libraries.load(str(written)):
                pass
        except (RuntimeError, OSError) as error:
            raise DiceError(
                f"Cannot write {output} ({str(error).strip()}).", "Free some disk space or choose another folder."
            ) from error
        written.replace(temporary)


def tell(output: Path, collection: bpy.types.Collection, found: str) -> None:
    """Say what was captured into a file."""
    for note in filter(None, collection["dice_notes"].split("\n")):
        sys.stdout.write(f"note: {note}\n")
    sys.stdout.write(f"{output}: {found}\n")
    sys.stdout.flush()
