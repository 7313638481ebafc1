# SPDX-License-Identifier: GPL-3.0-or-later
"""Captures of single frames as the folder of a sequence, so that they are compared as one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dice_core.result.caches import CacheFile
from dice_core.sequence.folder import CHUNK, Folder
from dice_core.types import SIDES, Capture, Hand, Head, Skeleton

PARTS = ("head", *(f"hand_{side}" for side in SIDES))


def write_captures(folder: Path, captures: Sequence[Capture | None], rate: float, start: int = 0) -> None:
    """Write the folder; None is a frame in which nothing was found. What is not found keeps its last pose, or has its
    first one until then. Raises ValueError when nothing was found at all."""
    there = [capture for capture in captures if capture is not None]
    parts = {name: found for name in PARTS if any(found := [part_of(capture, name) for capture in captures])}
    if not parts:
        raise ValueError("nothing was found in any frame")
    folder.mkdir(parents=True, exist_ok=True)
    made, (width, height) = Folder(folder), there[0].camera.image_size
    static: dict[str, NDArray] = {"image_size": np.array([width, height], np.int32),
                                  "camera_model": np.array(there[0].camera.model)}  # fmt: skip
    curves: dict[str, NDArray] = {
        "contact_state": np.array(["no-head" if one is None else one.contact_state for one in captures]),
        "contact_probability": np.array([one.contact_probability if one else 0 for one in captures], np.float32),
        "camera_matrix": np.stack([one.camera.matrix for one in _held(captures)]),
    }
    for name, found in parts.items():
        _write_part(folder, name, found, static, curves)
    made.save("static", static)
    for first in made.starts(len(captures)):
        made.save("frames", {name: values[first : first + CHUNK] for name, values in curves.items()}, first)
    source = {"name": there[0].source, "paths": [there[0].source], "size": 0, "modified": 0}
    made.note(engine=there[0].engine, source=source, rate=float(rate), start=start, end=None, count=len(captures),
              image_size=[width, height], settings={}, notes=[], timings={}, complete=True)  # fmt: skip


def part_of(capture: Capture | None, name: str) -> Head | Hand | None:
    """The head or a hand of a capture."""
    if capture is None:
        return None
    if name == "head":
        return capture.head
    return next((hand for hand in capture.hands if f"hand_{hand.side}" == name), None)


def _held(values: Sequence) -> list:
    """Each value that is there, else the last one before it, else the first."""
    last = next(value for value in values if value is not None)
    result = []
    for value in values:
        last = last if value is None else value
        result.append(last)
    return result


def _write_part(
    folder: Path, name: str, found: Sequence, static: dict[str, NDArray], curves: dict[str, NDArray]
) -> None:
    seen = np.array([one is not None for one in found])
    held = _held(found)
    bones = [one.skeleton or _one_bone(len(one.vertices)) for one in held]
    static |= {f"{name}_faces": held[0].faces, f"{name}_bone_names": np.array(bones[0].names),
               f"{name}_bone_parents": bones[0].parents, f"{name}_bone_joints": bones[0].joints,
               f"{name}_bone_weights": bones[0].weights}  # fmt: skip
    points = "head_landmarks" if name == "head" else f"{name}_joints"
    curves |= {f"{name}_seen": seen, f"{name}_confidence": seen.astype(np.float32),
               f"{name}_bone_transforms": np.stack([one.transforms for one in bones]),
               points: np.stack([one.landmarks if name == "head" else one.joints for one in held])}  # fmt: skip
    write_cache(folder, name, np.stack([one.vertices for one in held]))
    contact = np.zeros((len(held), len(held[0].vertices), 3), np.float32)
    contact[..., 0] = [one.contact for one in held]
    write_cache(folder, f"{name}_contact", contact)
    if name == "head":
        write_cache(folder, "head_deformation", np.stack([one.deformation for one in held]))


def write_cache(folder: Path, name: str, values: NDArray) -> None:
    """A whole cache, (N, V, 3)."""
    cache = CacheFile.create(folder / f"{name}.pc2", values.shape[1], len(values))
    cache.write(0, values)
    cache.finish()


def _one_bone(vertices: int) -> Skeleton:
    """Of a mesh without a skeleton."""
    joints, transforms = np.zeros((1, 3), np.float32), np.eye(4, dtype=np.float32)[None]
    return Skeleton(("root",), np.array([-1], np.int32), joints, transforms, np.ones((vertices, 1), np.float32))
