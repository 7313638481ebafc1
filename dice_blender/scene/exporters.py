# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's own exporters: what they are told so that each writes one self-contained file of the scene it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from ...dice_core.errors import DiceError
from ..compat import usd_textures


@dataclass(frozen=True)
class Format:
    """One kind of file.

    Attributes
    ----------
    name, description
        For people.
    operator
        Blender's exporter, a name in bpy.ops.
    settings
        What it is told.
    keys, textures
        Whether it holds shape keys and rigs, and images.
    moving
        What it is told besides when things move; None when it holds nothing that moves.
    frames
        Whether it holds a mesh of its own for each frame, not shape keys.
    """

    name: str
    description: str
    operator: str
    settings: dict[str, Any]
    keys: bool = True
    textures: bool = True
    moving: dict[str, Any] | None = None
    frames: bool = False


FBX = {
    "apply_scale_options": "FBX_SCALE_ALL", "path_mode": "COPY", "embed_textures": True, "mesh_smooth_type": "FACE",
    "use_custom_props": False, "add_leaf_bones": False, "bake_anim": False,
}  # fmt: skip
GLB = {
    "export_format": "GLB", "use_active_scene": True, "export_cameras": True, "export_animations": False,
    "export_rest_position_armature": False,  # the pose stays
    "export_extras": False, "export_attributes": False, "export_vertex_color": "NONE",
}  # fmt: skip
USD = {
    "export_animation": True,  # of one frame: without it, the values of shape keys are left out
    "export_custom_properties": False, "convert_world_material": False,
}  # fmt: skip
ABC = {"export_custom_properties": False, "as_background_job": False}
OBJ = {"export_materials": False}
MOVING_FBX = {
    "bake_anim": True, "bake_anim_use_nla_strips": False, "bake_anim_use_all_actions": False,
    "bake_anim_simplify_factor": 0.0,
}  # fmt: skip
MOVING_GLB = {
    "export_animations": True, "export_animation_mode": "SCENE", "export_anim_scene_split_object": False,
}  # fmt: skip
MOVING_USD = {"export_shapekeys": False}
FORMATS = {
    ".fbx": Format("FBX", "Shape keys, rigs and textures, for most programs", "export_scene.fbx", FBX,
                   moving=MOVING_FBX),
    ".glb": Format("glTF", "Shape keys, rigs and textures, for game engines and the web", "export_scene.gltf", GLB,
                   moving=MOVING_GLB),
    ".usdc": Format("USD", "Shape keys and rigs, without textures", "wm.usd_export", USD, textures=False,
                    moving=MOVING_USD, frames=True),
    ".usdz": Format("USD Package", "Shape keys, rigs and textures", "wm.usd_export", USD, moving=MOVING_USD,
                    frames=True),
    ".usda": Format("USD Text", "Shape keys and rigs, to read", "wm.usd_export", USD, textures=False,
                    moving=MOVING_USD, frames=True),
    ".abc": Format("Alembic", "The present shape, with all modifiers", "wm.alembic_export", ABC, False, False,
                   moving={}, frames=True),
    ".obj": Format("Wavefront", "The present shape, without materials", "wm.obj_export", OBJ, False, False),
}  # fmt: skip


def format_of(path: Path) -> Format:
    """The kind of file that the extension asks for.

    Raises
    ------
    DiceError
        When there is none, or this Blender cannot write it.
    """
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise DiceError(f"{path.name} has no known extension.", f"Choose one of {', '.join(FORMATS)}.")
    group, _, name = kind.operator.partition(".")
    if name not in dir(getattr(bpy.ops, group)):  # an add-on that is switched off, or a Blender built without it
        addon = f"Enable the add-on for {kind.name} in the preferences, or choose" if group != "wm" else "Choose"
        raise DiceError(f"This Blender has no exporter for {path.suffix} files.", f"{addon} another format.")
    return kind


def write(kind: Format, path: Path, moving: bool = False) -> None:
    """Export the context's scene, in all its frames where they are `moving`.

    Raises
    ------
    DiceError
        When the exporter failed.
    """
    group, _, name = kind.operator.partition(".")
    settings = kind.settings | (usd_textures(kind.textures) if name == "usd_export" else {})
    if name == "alembic_export":
        settings |= {"start": bpy.context.scene.frame_start, "end": bpy.context.scene.frame_end}
    if moving:
        settings |= kind.moving or {}
    try:
        done = getattr(getattr(bpy.ops, group), name)(filepath=str(path), **settings)
    except RuntimeError as error:  # how an operator's report reaches its caller; a traceback ends with the reason
        lines = [line for line in str(error).splitlines() if line.strip() and not line.startswith("Location:")]
        reason = lines[-1].removeprefix("Error: ").strip()
    else:
        reason = "" if "FINISHED" in done and path.is_file() and path.stat().st_size else "nothing was written"
    if reason:
        raise DiceError(
            f"The {kind.name} file could not be written ({reason}).", "Free some disk space or choose another place."
        )
