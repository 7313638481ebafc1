# SPDX-License-Identifier: GPL-3.0-or-later
"""Which official file some contents are, and the arrays in it that we keep; or what else they are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..untrusted.pickles import Broken, Record, Reference
from . import flame, mano
from .arrays import Sparse, array, sparse
from .topology import LEVELS

Arrays = dict[str, NDArray]
FLAME_COMPONENTS = (300, 100)  # identity and expression in the file; DICE uses the first 100 and 50 of them
MANO_FACES, FLAME_FACES = 1538, 9976
MOST_LEVELS = 8
OTHER_BODIES = {6890: "an SMPL or SMPL-H body", 10475: "an SMPL-X body"}
# All FLAME heads have the same shapes: only their makers' file names tell which is which, and not always.
OTHER_HEADS = {
    r"flame[ _-]?2023": "FLAME 2023",
    r"flame[ _-]?2019": "FLAME 2019",
    r"flame[ _-]?2017": "FLAME 2017",
    r"/female_model": "FLAME's female head",
    r"/male_model": "FLAME's male head",
}
CHOOSE_FLAME = "Choose generic_model.pkl of FLAME 2020: with another head the network's numbers mean other faces."


class Wrong(Exception):
    """The file is another one than needed: "is ..." and what to do."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.remedy = remedy


def arrays_of(content: Any, name: str) -> tuple[str, Arrays]:
    """The key in `kinds.KINDS` and the arrays to keep of a file's contents; `name` is "its folder's/its own".

    Raises
    ------
    Wrong, Broken
        When it is another file; when it is nothing known.
    """
    if isinstance(content, dict):
        if "v_template" in content:
            return _body(content, name)
        if "full_lmk_faces_idx" in content:
            return "landmark_embedding", _embedding(content)
        if {"lmk_face_idx", "lmk_faces_idx", "static_lmk_faces_idx"} & set(content):
            raise Wrong("has other landmarks of FLAME, not all 68", "Choose landmark_embedding.npy.")
        if isinstance(content.get("D"), list):
            return _levels(content)
        raise Broken(f"it has {', '.join(map(str, list(content)[:5])) or 'nothing'} in it"[:200])
    if isinstance(content, np.ndarray | Record | Reference):
        return _array(array(content))
    raise Broken(f"it has {type(content).__name__} in it")


def body_of(shape: tuple[int, ...]) -> str:
    """What body has vertices of this shape."""
    count = shape[0] if len(shape) == 2 and shape[1] == 3 else 0
    known = {mano.VERTICES: "a MANO hand", flame.VERTICES: "a FLAME head"} | OTHER_BODIES
    return known.get(count, f"a body with {count} vertices" if count else "no body")


def _body(content: Mapping[Any, Any], name: str) -> tuple[str, Arrays]:
    shape = array(content["v_template"]).shape
    if shape == (mano.VERTICES, 3):
        arrays = _model(content, mano.JOINTS, mano.BETAS, MANO_FACES, "a MANO hand")
        if not _is_right(arrays):
            raise Wrong(
                "is the left hand of MANO, not the right",
                "Choose MANO_RIGHT.pkl, which comes with it: left hands are made from the right by mirroring.",
            )
        return "mano_right", arrays
    if shape == (flame.VERTICES, 3):
        _check_head(content, name)
        arrays = _model(content, flame.JOINTS, sum(FLAME_COMPONENTS), FLAME_FACES, "a FLAME head")
        used = [*range(flame.SHAPE), *range(FLAME_COMPONENTS[0], FLAME_COMPONENTS[0] + flame.EXPRESSION)]
        return "flame", arrays | {"shapedirs": np.ascontiguousarray(arrays["shapedirs"][used])}
    raise Wrong(f"is {body_of(shape)}", "Choose MANO_RIGHT.pkl of MANO and generic_model.pkl of FLAME 2020.")


def _check_head(content: Mapping[Any, Any], name: str) -> None:
    components = array(content["shapedirs"]).shape[-1] if "shapedirs" in content else 0
    if components and components != sum(FLAME_COMPONENTS):
        raise Wrong(f"is a FLAME head with {components} components, not the 400 of FLAME 2020", CHOOSE_FLAME)
    for pattern, what in OTHER_HEADS.items():
        if re.search(pattern, name.lower()):
            raise Wrong(f"is {what} by its name", CHOOSE_FLAME)


def _model(content: Mapping[Any, Any], joints: int, components: int, faces: int, what: str) -> Arrays:
    """The parts of a body model, in the layout of `SkinnedModel`."""
    count = len(array(content["v_template"]))
    shapes = {
        "v_template": (count, 3),
        "shapedirs": (count, 3, components),
        "posedirs": (count, 3, 9 * (joints - 1)),
        "J_regressor": (joints, count),
        "weights": (count, joints),
        "f": (faces, 3),
        "kintree_table": (2, joints),
    }
    missing = [name for name in shapes if name not in content]
    if missing:
        raise Wrong(f"is {what} without {', '.join(missing)}", "Download it again from its official page.")
    parts = {name: array(content[name]) for name in shapes}
    for name, shape in shapes.items():
        if parts[name].shape != shape:
            raise Wrong(
                f"is {what} whose {name} has the shape {parts[name].shape}, not {shape}",
                "Download it again from its official page.",
            )
    parents = parts["kintree_table"][0].astype(np.int64)
    parents[0] = -1  # 4294967295 in the file
    indices_ok = parts["f"].min() >= 0 and parts["f"].max() < count
    if not (indices_ok and (parents[1:] >= 0).all() and (parents[1:] < np.arange(1, joints)).all()):
        raise Wrong(f"is {what} whose faces or joints make no sense", "Download it again from its official page.")
    return {
        "template": _finite(parts["v_template"]),
        "shapedirs": _finite(parts["shapedirs"].transpose(2, 0, 1)),
        "posedirs": _finite(parts["posedirs"].transpose(2, 0, 1)),
        "joint_regressor": _finite(parts["J_regressor"]),
        "weights": _finite(parts["weights"]),
        "faces": parts["f"].astype(np.int32),
        "parents": parents.astype(np.int32),
    }


def _finite(values: NDArray) -> NDArray:
    numbers = np.array(values, np.float64, order="C")  # a copy: the file can be closed
    if not np.isfinite(numbers).all():
        raise Wrong("has numbers in it that are not finite", "Download it again.")
    return numbers


def _is_right(arrays: Arrays) -> bool:
    """A thumb lies on the palm's side of the plane through wrist, index and little finger."""
    wrist, index, little, thumb = (arrays["joint_regressor"] @ arrays["template"])[[0, 1, 7, 14]]
    return bool(np.cross(index - wrist, little - wrist) @ (thumb - wrist) > 0)


def _embedding(content: Mapping[Any, Any]) -> Arrays:
    faces, weights = (array(content.get(f"full_lmk_{part}")) for part in ("faces_idx", "bary_coords"))
    if faces.size != flame.LANDMARKS or weights.size != 3 * flame.LANDMARKS:
        raise Wrong(f"has {faces.size} landmarks of FLAME, not 68", "Choose landmark_embedding.npy of the DICE page.")
    faces, weights = faces.reshape(-1).astype(np.int64), _finite(weights.reshape(-1, 3))
    if faces.min() < 0 or faces.max() >= FLAME_FACES or np.abs(weights.sum(1) - 1).max() > 1e-3:
        raise Wrong("has landmarks that lie on no head", "Download it again.")
    return {"faces": faces.astype(np.int32), "weights": weights}


def _levels(content: Mapping[Any, Any]) -> tuple[str, Arrays]:
    ways = [content["D"], content["U"] if isinstance(content.get("U"), list) else []]
    if max(map(len, ways)) > MOST_LEVELS:
        raise Broken(f"it has more than {MOST_LEVELS} coarser meshes")
    down, up = ([sparse(value) for value in way] for way in ways)
    for part, sizes in LEVELS.items():
        if [matrix.shape for matrix in down] == list(zip(sizes[1:], sizes[:-1], strict=True)):
            if [matrix.shape for matrix in up] != list(zip(sizes[:-1], sizes[1:], strict=True)):
                raise Wrong("has no way up from its coarser meshes", "Download it again.")
            return f"{part}_mesh_transforms", _matrices("down", down) | _matrices("up", up)
    shapes = ", ".join(f"{matrix.shape[1]} to {matrix.shape[0]}" for matrix in down)
    raise Wrong(
        f"has coarser meshes of another body ({shapes} vertices)"[:200],
        "Choose head_mesh_transforms.pt and hand_mesh_transforms.pt of the DICE page.",
    )


def _matrices(name: str, matrices: list[Sparse]) -> Arrays:
    return {
        f"{name}{level}_{part}": np.asarray(_finite(value) if part == "values" else value)
        for level, matrix in enumerate(matrices)
        for part, value in matrix._asdict().items()
    }


def _array(values: NDArray) -> tuple[str, Arrays]:
    """The files that hold one array and nothing else."""
    values = values[0] if values.ndim == 3 and len(values) == 1 else values
    floating = values.dtype.kind == "f"
    if floating and values.shape == (flame.VERTICES, 3):
        return "head_ref_vs", {"vertices": _finite(values)}
    if floating and values.shape == (mano.VERTICES, 3):
        return "rh_ref_vs", {"vertices": _finite(values)}
    if floating and values.shape == (flame.VERTICES,):
        stiffness = _finite(values)
        if stiffness.min() < 0 or stiffness.max() > 1:
            raise Wrong("has a number for each vertex of a head, but not from 0 to 1", "Choose stiffness_final.npy.")
        return "stiffness_final", {"stiffness": stiffness}
    if values.dtype.kind in "iu" and values.ndim == 1 and 0 < len(values) <= flame.VERTICES:
        if values.min() >= 0 and values.max() < flame.VERTICES and len(np.unique(values)) == len(values):
            return "neck_idx", {"vertices": values.astype(np.int32)}
    raise Broken(f"it has an array of shape {values.shape}")
