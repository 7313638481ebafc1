# SPDX-License-Identifier: GPL-3.0-or-later
"""Captures as OBJ, PLY and GLB, for programs other than Blender. Axes: x right, y up, z towards the viewer; metres."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import trimesh
from numpy.typing import NDArray
from trimesh.exchange.gltf import export_glb
from trimesh.exchange.obj import export_obj
from trimesh.exchange.ply import export_ply

from ..errors import DiceError
from ..files import atomic
from ..types import Capture

FORMATS = ("obj", "ply", "glb")
TO_Y_UP = np.array([1.0, -1.0, -1.0])
SKIN_COLORS = {"head": (214, 205, 198), "hand": (236, 150, 96)}


def export(capture: Capture, path: Path) -> list[Path]:
    """Write the deformed meshes.

    Parameters
    ----------
    capture
        What to write.
    path
        `NAME.glb`: one scene. `NAME.obj`, `NAME.ply`: one file a mesh, NAME_head, NAME_hand_right, NAME_hand_left.

    Returns
    -------
    The files written. PLY and GLB carry `contact` as vertex colour (white to red).

    Raises
    ------
    DiceError
        For another format, or when the folder cannot be written.
    """
    kind = Path(path).suffix[1:].lower()
    if kind not in FORMATS:
        raise DiceError(f"Cannot export {path.name}.", f"Use one of: {', '.join(FORMATS)}.")
    meshes = {name: _mesh(name, *parts) for name, parts in _parts(capture).items()}
    if kind == "glb":
        _write(Path(path), export_glb(trimesh.Scene(meshes)))  # type: ignore[arg-type]
        return [Path(path)]
    paths = []
    for name, mesh in meshes.items():
        target = path.with_name(f"{path.stem}_{name}.{kind}")
        # vertex colours in OBJ are an extension that some programs refuse
        _write(target, export_obj(mesh, include_color=False) if kind == "obj" else export_ply(mesh))
        paths.append(target)
    return paths


def _parts(capture: Capture) -> dict[str, tuple[NDArray, NDArray, NDArray]]:
    parts = {}
    if capture.head is not None:
        head = capture.head
        parts["head"] = (head.vertices + head.deformation, head.faces, head.contact)
    for hand in capture.hands:
        parts[f"hand_{hand.side}"] = (hand.vertices, hand.faces, hand.contact)
    return parts


def _mesh(name: str, vertices: NDArray, faces: NDArray, contact: NDArray) -> trimesh.Trimesh:
    base = np.array(SKIN_COLORS[name.partition("_")[0]], float)
    colors = base + contact[:, None] * (np.array([220.0, 30, 30]) - base)
    return trimesh.Trimesh(vertices * TO_Y_UP, faces, vertex_colors=np.uint8(colors), process=False)


def _write(path: Path, data: str | bytes) -> None:
    with atomic(path) as temporary:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)
