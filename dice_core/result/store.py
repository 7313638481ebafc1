# SPDX-License-Identifier: GPL-3.0-or-later
"""The result file: an npz without pickle. docs/result-format.md describes every key."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DiceError
from ..files import UNREADABLE, atomic
from ..types import SIDES, Camera, Capture, Hand, Head, Skeleton

SCHEMA = 1
HEAD_KEYS = ("vertices", "faces", "deformation", "contact", "landmarks")
HAND_KEYS = ("vertices", "faces", "contact", "joints")
BONE_KEYS = ("names", "parents", "joints", "transforms", "weights")
MOST_BYTES = 1 << 28  # of a capture unpacked; what says more was not made by us
WHOLE = 1e-3  # by which the weights of a vertex may miss 1
GROUPS: dict[str, Callable[[NDArray], Any]] = {"params": np.asarray, "quality": float, "timings": float}


def to_arrays(capture: Capture) -> dict[str, NDArray]:
    """A capture as named arrays: what the file holds and what the worker sends."""
    camera = capture.camera
    arrays: dict[str, Any] = {
        "schema": np.int32(SCHEMA),
        "engine": capture.engine,
        "source": capture.source,
        "frame": np.int32(capture.frame),
        "image_size": np.asarray(camera.image_size, np.int32),
        "camera_model": camera.model,
        "contact_state": capture.contact_state,
        "contact_probability": np.float32(capture.contact_probability),
    }
    if camera.matrix is not None:
        arrays["camera_matrix"] = np.asarray(camera.matrix, np.float32)
    if camera.ortho is not None:
        arrays["camera_ortho"] = np.asarray(camera.ortho, np.float32)
    if capture.head is not None:
        arrays |= _mesh_arrays("head", HEAD_KEYS, capture.head)
    for hand in capture.hands:
        arrays |= _mesh_arrays(f"hand_{hand.side}", HAND_KEYS, hand)
    for name, value in capture.params.items():
        arrays[f"params_{name}"] = value
    if capture.notes:
        arrays["notes"] = np.array(capture.notes)
    if capture.picture:
        arrays["picture"] = np.frombuffer(capture.picture, np.uint8)
    for prefix in ("quality", "timings"):
        arrays |= {f"{prefix}_{name}": np.float32(value) for name, value in getattr(capture, prefix).items()}
    return {key: np.asarray(value) for key, value in arrays.items()}


def _mesh_arrays(name: str, keys: tuple[str, ...], mesh: Head | Hand) -> dict[str, Any]:
    arrays = {f"{name}_{key}": getattr(mesh, key) for key in keys}
    if mesh.skeleton is not None:
        arrays |= {f"{name}_bone_{key}": np.asarray(getattr(mesh.skeleton, key)) for key in BONE_KEYS}
    return arrays


def from_arrays(arrays: Mapping[str, NDArray]) -> Capture:
    """The capture that `to_arrays` took apart.

    Raises
    ------
    DiceError
        When a key is missing, a shape is wrong, a number is not finite or the schema is newer than this program.
    """
    try:
        schema = int(arrays["schema"])
        if schema > SCHEMA:
            raise DiceError(
                f"The result was written by a newer version (schema {schema}, this program reads {SCHEMA}).",
                "Update the extension.",
            )
        capture = _assemble(arrays)
    except (KeyError, ValueError, TypeError) as error:
        raise DiceError(f"This is not a complete capture result ({error}).", "Capture the picture again.") from error
    _check(capture)
    return capture


def _assemble(arrays: Mapping[str, NDArray]) -> Capture:
    def floats(key: str) -> NDArray[np.float32]:
        return np.asarray(arrays[key], np.float32)

    def part(prefix: str, keys: tuple[str, ...]) -> dict[str, Any]:
        mesh = {key: arrays[f"{prefix}_{key}"].astype(np.int32 if key == "faces" else np.float32) for key in keys}
        return mesh | {"skeleton": skeleton(f"{prefix}_bone") if f"{prefix}_bone_names" in arrays else None}

    def skeleton(prefix: str) -> Skeleton:
        names = tuple(str(name) for name in arrays[f"{prefix}_names"])
        parents = np.asarray(arrays[f"{prefix}_parents"], np.int32)
        return Skeleton(names, parents, *(floats(f"{prefix}_{key}") for key in BONE_KEYS[2:]))

    width, height = (int(value) for value in arrays["image_size"])
    perspective = str(arrays["camera_model"]) == "perspective"
    sides = [side for side in SIDES if f"hand_{side}_vertices" in arrays]
    groups = {
        prefix: {key[len(prefix) + 1 :]: convert(arrays[key]) for key in arrays if key.startswith(prefix + "_")}
        for prefix, convert in GROUPS.items()
    }
    return Capture(
        engine=str(arrays["engine"]),
        source=str(arrays["source"]),
        frame=int(arrays["frame"]),
        camera=Camera(
            (width, height),
            matrix=floats("camera_matrix") if perspective or "camera_matrix" in arrays else None,
            ortho=None if perspective else floats("camera_ortho"),
        ),
        head=Head(**part("head", HEAD_KEYS)) if "head_vertices" in arrays else None,
        hands=tuple(Hand(side=side, **part(f"hand_{side}", HAND_KEYS)) for side in sides),
        contact_state=str(arrays["contact_state"]),  # type: ignore[arg-type]
        contact_probability=float(arrays["contact_probability"]),
        notes=tuple(str(note) for note in arrays.get("notes", ())),
        picture=np.asarray(arrays.get("picture", ()), np.uint8).tobytes(),
        **groups,
    )


def _check(capture: Capture) -> None:
    shapes = {"matrix": (3, 3), "ortho": (3,)}
    there = {name: shape for name, shape in shapes.items() if getattr(capture.camera, name) is not None}
    _check_arrays("camera", there, capture.camera)
    if capture.head is not None:
        _check_mesh("head", HEAD_KEYS, capture.head)
    for hand in capture.hands:
        _check_mesh(f"hand_{hand.side}", HAND_KEYS, hand)


def _check_mesh(name: str, keys: tuple[str, ...], mesh: Head | Hand) -> None:
    vertices, faces = len(np.atleast_1d(mesh.vertices)), len(np.atleast_1d(mesh.faces))
    shapes = {"vertices": (vertices, 3), "faces": (faces, 3), "contact": (vertices,), "deformation": (vertices, 3)}
    shapes |= {"landmarks": (68, 3), "joints": (21, 3)}
    _check_arrays(name, {key: shapes[key] for key in keys}, mesh)
    if mesh.faces.size and (mesh.faces.min() < 0 or mesh.faces.max() >= vertices):
        raise DiceError(f"{name}_faces names vertices that do not exist.", "Capture the picture again.")
    if mesh.skeleton is not None:
        _check_skeleton(f"{name}_bone", mesh.skeleton, vertices)


def _check_skeleton(name: str, skeleton: Skeleton, vertices: int) -> None:
    bones = len(skeleton.names)
    shapes = {"parents": (bones,), "joints": (bones, 3), "transforms": (bones, 4, 4), "weights": (vertices, bones)}
    _check_arrays(name, shapes, skeleton)
    faults = {
        "names": len(set(skeleton.names)) != bones or not all(skeleton.names),
        "parents": (skeleton.parents < -1).any() or (skeleton.parents >= np.arange(bones)).any(),
        "weights": (skeleton.weights < 0).any() or (np.abs(skeleton.weights.sum(1) - 1) > WHOLE).any(),
    }
    for key in (key for key, wrong in faults.items() if wrong):
        raise DiceError(f"{name}_{key} does not describe a skeleton.", "Capture the picture again.")


def _check_arrays(name: str, shapes: Mapping[str, tuple[int, ...]], holder: Camera | Head | Hand | Skeleton) -> None:
    for key, shape in shapes.items():
        array = getattr(holder, key)
        if array.shape != shape:
            raise DiceError(f"{name}_{key} has shape {array.shape}, not {shape}.", "Capture the picture again.")
        if not np.isfinite(array).all():
            raise DiceError(f"{name}_{key} holds numbers that are not finite.", "Capture the picture again.")


def save(path: Path, capture: Capture) -> None:
    """Write a capture; the file appears whole or not at all."""
    with atomic(Path(path)) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **to_arrays(capture))  # type: ignore[arg-type]


def to_bytes(capture: Capture) -> bytes:
    """A capture packed up, as small as its file and twice as fast; `from_bytes` reads it."""
    file = io.BytesIO()
    np.savez(file, **to_arrays(capture))  # type: ignore[arg-type]
    return zlib.compress(file.getbuffer(), 1)


def load(path: Path) -> Capture:
    """Read a capture. Raises `DiceError` when the file is missing, broken or holds pickled objects."""
    try:
        with open(path, "rb") as file:
            return _read(file, Path(path).name)
    except FileNotFoundError as error:
        raise DiceError(f"There is no file {path}.", "Check the path.") from error
    except OSError as error:
        raise DiceError(f"{Path(path).name} cannot be read ({error.strerror}).", "Choose another file.") from error


def from_bytes(data: bytes, name: str) -> Capture:
    """The capture that `to_bytes` wrote; errors speak of it as `name`."""
    try:
        unpacked = zlib.decompressobj().decompress(data, MOST_BYTES)
    except zlib.error:
        unpacked = b""
    return _read(io.BytesIO(unpacked), name)


def _read(file: IO[bytes], name: str) -> Capture:
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except UNREADABLE as error:
        raise DiceError(f"{name} is not a capture result.", "Choose an .npz that this program wrote.") from error
    try:
        return from_arrays(arrays)
    except DiceError as error:
        raise DiceError(f"{name}: {error.message}", error.remedy) from error
