# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that the official network needs besides its own: which one a file is, and what is in it.

They belong to their makers and come from the user. They are recognised by content, never by name alone, and read as
data: see `untrusted`.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import DiceError, ModelsMissing
from ..files import UNREADABLE
from ..untrusted.archive import ZIP, mapped
from ..untrusted.mistaken import START, refuse_mistaken
from ..untrusted.pickles import Broken, Refused, Truncated
from . import flame, mano
from .containers import LONGEST, PICKLE, npy_header, read_container
from .kinds import KINDS, NETWORK, converted, where_from
from .recognise import FLAME_FACES, MANO_FACES, Wrong, arrays_of, body_of
from .topology import LEVELS

# In the first megabyte of the network's file, whole, as a state dict, or converted.
NETWORK_MARKS = (b"metro.modeling", b"trans_encoder.0.")
NETWORK_HEAD = 1 << 20
ANY = -1  # a size that the file decides


def _skinned(vertices: int, shapes: int, joints: int, faces: int) -> dict[str, tuple[int, ...]]:
    return {
        "template": (vertices, 3),
        "shapedirs": (shapes, vertices, 3),
        "posedirs": (9 * (joints - 1), vertices, 3),
        "joint_regressor": (joints, vertices),
        "weights": (vertices, joints),
        "faces": (faces, 3),
        "parents": (joints,),
    }


def _levels(part: str) -> dict[str, tuple[int, ...]]:
    matrices = [f"{way}{level}" for way in ("down", "up") for level in range(len(LEVELS[part]) - 1)]
    sizes = {"rows": (ANY,), "columns": (ANY,), "values": (ANY,), "shape": (2,)}
    return {f"{matrix}_{name}": size for matrix in matrices for name, size in sizes.items()}


# What a converted file holds: by key in KINDS, the shape of each array.
LAYOUT: dict[str, dict[str, tuple[int, ...]]] = {
    "mano_right": _skinned(mano.VERTICES, mano.BETAS, mano.JOINTS, MANO_FACES),
    "flame": _skinned(flame.VERTICES, flame.SHAPE + flame.EXPRESSION, flame.JOINTS, FLAME_FACES),
    "landmark_embedding": {"faces": (flame.LANDMARKS,), "weights": (flame.LANDMARKS, 3)},
    "head_mesh_transforms": _levels("head"),
    "hand_mesh_transforms": _levels("hand"),
    "head_ref_vs": {"vertices": (flame.VERTICES, 3)},
    "rh_ref_vs": {"vertices": (mano.VERTICES, 3)},
    "neck_idx": {"vertices": (ANY,)},
    "stiffness_final": {"stiffness": (flame.VERTICES,)},
}


class Unrecognised(DiceError):
    """The file is none of those that are needed, nor one that is often taken for them."""


@dataclass(frozen=True)
class Found:
    """A file that is needed: its key in KINDS and what is in it, ready to be kept; nothing for the network's."""

    key: str
    path: Path
    arrays: Mapping[str, NDArray]


def read(path: Path) -> Found:
    """Recognise a file and read it.

    Raises
    ------
    DiceError
        When it is another file, which the message names as far as it can be told; `Unrecognised` when it is nothing
        known.
    """
    path = Path(path)
    if not os.path.isfile(path):  # which, unlike Path's, never raises
        if os.path.isdir(path):
            raise DiceError(f"{path} is a folder.", "Name the file in it.")
        raise DiceError(f"There is no file {path}.", "Check the path.")
    try:
        head = bytes(mapped(path)[:NETWORK_HEAD])
        refuse_mistaken(path.name, head[:START])
        if is_model(head) and any(mark in head for mark in NETWORK_MARKS):
            return Found(NETWORK, path, {})
        if head.startswith(ZIP):
            _recognise_archive(path)
        key, arrays = arrays_of(read_container(path), f"{path.absolute().parent.name}/{path.name}")
        return Found(key, path, arrays)
    except Wrong as error:
        raise DiceError(f"{path.name} {error}.", error.remedy) from error
    except Refused as error:
        raise Unrecognised(
            f"{path.name} is none of the files that the dice engine needs: {error}. Nothing in it was run.",
            "Get the file from its official page, and be wary of the place where this one came from.",
        ) from error
    except Truncated as error:
        raise DiceError(f"{path.name} is incomplete: {error}.", "Download it again.") from error
    except Broken as error:
        raise Unrecognised(
            f"{path.name} is none of the files that the dice engine needs: {error}.", "Choose another file."
        ) from error
    except (RecursionError, MemoryError) as error:
        raise DiceError(f"{path.name} is too deep or too large to be one of them.", "Choose another file.") from error
    except OSError as error:
        raise DiceError(f"Cannot read {path.name} ({error.strerror}).", "Check that you may read it.") from error


def load(folder: Path, key: str) -> dict[str, NDArray]:
    """The arrays of a converted file.

    Raises
    ------
    ModelsMissing
        When it is missing, damaged or another one.
    """
    kind, path, remedy = KINDS[key], converted(folder, key), where_from(key)
    if not path.is_file():
        raise ModelsMissing(f"The dice engine needs {kind.title}.", remedy)
    again = f"Convert {kind.file} again: python -m dice_core convert {kind.file}."
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except UNREADABLE as error:
        raise ModelsMissing(f"{path.name} is damaged.", again) from error
    if str(arrays.pop("kind", "")) != key:
        raise ModelsMissing(f"{path.name} is not {kind.title}.", remedy)
    for name, shape in LAYOUT[key].items():
        found = arrays[name].shape if name in arrays else ()
        if len(found) != len(shape) or any(size not in (n, ANY) for n, size in zip(found, shape, strict=True)):
            raise ModelsMissing(f"{path.name} is damaged: {name} is {found}, not {shape}.", again)
    return arrays


def is_model(start: bytes) -> bool:
    """Whether a file that begins like this could be a model: a torch archive, a pickle, or safetensors."""
    return start.startswith((ZIP, PICKLE)) or start[8:9] == b"{"


def _recognise_archive(path: Path) -> None:
    """Name a ZIP archive that torch did not write."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if any(name.rpartition("/")[2] == "data.pkl" for name in names):
                return
            inside = {name.rpartition("/")[2] for name in names}
            for kind in KINDS.values():
                if kind.file in inside and not kind.file.endswith(".npy"):
                    raise Wrong(f"is an archive with {kind.file} in it", "Unpack it and choose the files in it.")
            if "kind.npy" in inside:
                raise Unrecognised(
                    f"{path.name} has been converted already.", "Choose the original, or its folder as DICE_MODELS."
                )
            if "v_template.npy" in inside:
                (member,) = (info for info in archive.infolist() if info.filename.endswith("v_template.npy"))
                if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others unpack whole blocks
                    raise Broken("it is a ZIP archive that NumPy did not write")
                with archive.open(member) as file:
                    shape = npy_header(memoryview(file.read(LONGEST))).shape
                raise Wrong(f"is {body_of(shape)} in another format", "Choose the official .pkl file.")
    except Broken:
        raise
    except UNREADABLE as error:
        raise Truncated("it ends too early, or is damaged") from error
    raise Broken("it is a ZIP archive with nothing in it that is needed")
