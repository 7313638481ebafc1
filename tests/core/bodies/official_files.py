# SPDX-License-Identifier: GPL-3.0-or-later
"""Made-up body files in the official formats: random numbers, nothing of anyone's model in them.

Python 2 wrote the official pickles: text and bytes are one, classes have old names. `python2` writes such files.
"""

from __future__ import annotations

import collections
import io
import pickle  # noqa: TID251 - to write what must be refused
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import ConvexHull

V_HAND, V_HEAD = 778, 5023
PARENTS = {16: [-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14], 5: [-1, 0, 1, 1, 1]}


class Ch:
    """Stands for chumpy.ch.Ch."""

    def __init__(self, x: Any = None) -> None:
        self._dirty_vars: set = set()
        self._itr = None
        self.x = x


class Select(Ch):
    """Stands for chumpy.reordering.Select: columns of an array with twice as many."""

    def __init__(self, array: np.ndarray) -> None:
        super().__init__()
        del self.x
        padded = np.concatenate([array, array + 1], 2)
        index = np.arange(padded.size).reshape(padded.shape)[:, :, : array.shape[2]]
        self.a, self.idxs, self.preferred_shape = Ch(padded), index.ravel(), array.shape


class csc_matrix:
    """Stands for scipy.sparse.csc.csc_matrix."""

    def __init__(self, dense: np.ndarray) -> None:
        columns, rows = np.nonzero(dense.T)
        self._shape, self.maxprint = dense.shape, 50
        self.data, self.indices = dense[rows, columns], rows.astype(np.int32)
        self.indptr = np.searchsorted(columns, np.arange(dense.shape[1] + 1)).astype(np.int32)


OLD_NAMES = {
    Ch: ("chumpy.ch", "Ch"),
    Select: ("chumpy.reordering", "Select"),
    csc_matrix: ("scipy.sparse.csc", "csc_matrix"),
    set: ("__builtin__", "set"),
    np.ndarray: ("numpy", "ndarray"),
    np.dtype: ("numpy", "dtype"),
}


class Pickler(pickle._Pickler):
    """Writes the old names; with `python2`, text and bytes as Python 2 does."""

    def __init__(self, file: Any, protocol: int, python2: bool) -> None:
        super().__init__(file, protocol)
        self.python2 = python2

    def save_global(self, obj: Any, name: str | None = None) -> None:
        module, name = OLD_NAMES.get(obj, (obj.__module__, obj.__name__))
        module = module.replace("numpy._core", "numpy.core")
        self.write(b"c" + f"{module}\n{name}\n".encode())
        self.memoize(obj)

    def save_string(self, obj: Any) -> None:
        if not self.python2:
            (pickle._Pickler.save_bytes if isinstance(obj, bytes) else pickle._Pickler.save_str)(self, obj)
            return
        data = obj.encode() if isinstance(obj, str) else obj
        self.write((b"U" + bytes([len(data)]) if len(data) < 256 else b"T" + struct.pack("<I", len(data))) + data)
        self.memoize(obj)

    def save_class(self, obj: Any) -> None:
        self.save_global(obj)

    dispatch = pickle._Pickler.dispatch | {str: save_string, bytes: save_string, type: save_class}


def dump(value: Any, protocol: int = 2, python2: bool = True) -> bytes:
    """A pickle, as Python 2 wrote it."""
    file = io.BytesIO()
    Pickler(file, protocol, python2).dump(value)
    return file.getvalue()


def model_data(vertices: int, faces: int, components: int, joints: int, seed: int) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    regressor = np.zeros((joints, vertices))
    regressor[np.arange(joints), 20 * np.arange(joints)] = 1  # each joint lies on a vertex
    parents = np.array(PARENTS[joints])
    parents[0] = 4294967295
    return {
        "v_template": 0.05 * random.normal(size=(vertices, 3)),
        "shapedirs": 0.003 * random.normal(size=(vertices, 3, components)),
        "posedirs": 0.001 * random.normal(size=(vertices, 3, 9 * (joints - 1))),
        "J_regressor": regressor,
        "weights": random.dirichlet(np.ones(joints), vertices),
        "f": random.integers(0, vertices, (faces, 3)).astype(np.uint32),
        "kintree_table": np.stack([parents, np.arange(joints)]),
        "bs_style": "lbs",
    }


def mano_data() -> dict[str, Any]:
    """A right hand: fingers to -x, thumb to +z and, being the palm's side, to -y."""
    data = model_data(V_HAND, 1538, 10, 16, 0)
    wrist, index, little, thumb = [0.09, 0, 0], [0, 0, 0.03], [0.02, 0, -0.04], [0.05, -0.02, 0.05]
    for joint, place in {0: wrist, 1: index, 7: little, 14: thumb}.items():
        data["v_template"][20 * joint] = place
    random = np.random.default_rng(1)
    return data | {"hands_mean": random.normal(size=45), "hands_components": random.normal(size=(45, 45))}


def flame_data() -> dict[str, Any]:
    return model_data(V_HEAD, 9976, 400, 5, 2)


def ball(vertices: int, rim: int, radius: float, middle: tuple[float, float, float] = (0, 0, 0)
         ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """A ball whose lowest part (+y) is cut off along a ring of so many vertices; closed without one."""
    turns = np.arange(vertices - rim) * np.pi * (3 - 5**0.5)
    height = np.linspace(-0.995, 0.9 if rim else 0.995, vertices - rim)
    ring = 2 * np.pi * np.arange(rim) / max(rim, 1)
    turns, height = np.append(turns, ring), np.append(height, np.full(rim, 0.93))
    wide = np.sqrt(1 - height**2)
    points = np.column_stack([wide * np.cos(turns), height, wide * np.sin(turns)])
    faces = ConvexHull(points).simplices
    faces = faces[~(faces >= vertices - rim).all(1)]
    corners = points[faces]
    inward = (np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]) * corners.mean(1)).sum(1) < 0
    faces[inward] = faces[inward][:, ::-1]
    return radius * points + middle, faces


def head_ball(radius: float = 0.09) -> tuple[np.ndarray, np.ndarray]:
    """As many vertices and faces as FLAME has: an open ball, and two eyeballs that look out of it in front (-z)."""
    parts = [ball(3931, 60, radius), *(ball(546, 0, 0.01, (side, -0.02, -0.074)) for side in (-0.03, 0.03))]
    starts = np.cumsum([0, *(len(points) for points, _ in parts[:-1])])
    faces = [part[1] + start for part, start in zip(parts, starts, strict=True)]
    return np.vstack([points for points, _ in parts]), np.vstack(faces)


def hand_ball(radius: float = 0.03) -> tuple[np.ndarray, np.ndarray]:
    """As many vertices and faces as MANO has: an open ball."""
    return ball(V_HAND, 16, radius)


def as_ball(data: dict[str, Any], ball: tuple[np.ndarray, np.ndarray]) -> dict[str, Any]:
    """Model data with the shape of a ball, which shape and pose change smoothly: distances to it take no minutes."""
    points, faces = ball
    random = np.random.default_rng(4)
    joints = points[data["J_regressor"].argmax(1)]
    near = np.exp(-((np.linalg.norm(points[:, None] - joints, axis=2) / 0.03) ** 2)) + 1e-9
    fields = {
        name: np.einsum("vj,jic->vic", points, 0.02 * random.normal(size=(3, 3, data[name].shape[2])))
        for name in ("shapedirs", "posedirs")
    }
    weights = near / near.sum(1, keepdims=True)
    return data | fields | {"v_template": points, "f": faces.astype(np.uint32), "weights": weights}


def mano_pickle(data: dict[str, Any], **options: Any) -> bytes:
    """As MANO_RIGHT.pkl is."""
    sparse = csc_matrix(data["J_regressor"])
    return dump(data | {"shapedirs": Select(data["shapedirs"]), "J_regressor": sparse}, **options)


def flame_pickle(data: dict[str, Any], all_chumpy: bool = False, **options: Any) -> bytes:
    """As generic_model.pkl is; which of its arrays are chumpy's differs between releases."""
    names = ("v_template", "shapedirs", "posedirs", "weights") if all_chumpy else ("shapedirs",)
    arrays: dict[str, Any] = {name: Ch(data[name]) for name in names}
    return dump(data | arrays | {"J_regressor": csc_matrix(data["J_regressor"])}, **options)


def embedding() -> dict[str, Any]:
    random = np.random.default_rng(3)
    return {
        "static_lmk_faces_idx": np.arange(51),
        "full_lmk_faces_idx": random.integers(0, 9976, (1, 68)),
        "full_lmk_bary_coords": random.dirichlet(np.ones(3), (1, 68)),
    }


def npy_object(value: Any) -> bytes:
    """A .npy file that holds one object, as `numpy.save` writes it."""
    holder = np.zeros((), object)
    holder[()] = value
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
    return file.getvalue() + dump(holder, 3, python2=False)


def rows_of(coarse: int, fine: int) -> tuple[np.ndarray, np.ndarray]:
    """Which fine vertex each coarse one is, and which coarse one each fine vertex comes from."""
    picked = np.arange(coarse) * fine // coarse
    return picked, np.searchsorted(picked, np.arange(fine), side="right") - 1


class TorchPickler(Pickler):
    """Writes tensors as torch does; needs no torch."""

    def __init__(self, file: Any, storages: list[np.ndarray]) -> None:
        super().__init__(file, 2, python2=False)
        self.storages = storages

    def name(self, module: str, name: str) -> None:
        self.write(b"c" + f"{module}\n{name}\n".encode())

    def save_tensor(self, array: np.ndarray) -> None:
        self.name("torch._utils", "_rebuild_tensor_v2")
        self.write(b"((")
        self.save("storage")
        self.name("torch", {"f": "DoubleStorage", "i": "LongStorage"}[array.dtype.kind])
        self.save(str(len(self.storages)))
        self.save("cpu")
        self.save(array.size)
        self.write(b"tQ")
        strides = tuple(step // array.itemsize for step in array.strides)
        for part in (0, array.shape, strides, False, collections.OrderedDict()):
            self.save(part)
        self.write(b"tR")
        self.storages.append(array)

    def save_sparse(self, matrix: Coordinates) -> None:
        self.name("torch._utils", "_rebuild_sparse_tensor")
        self.write(b"(")
        self.name("torch.serialization", "_get_layout")
        self.save(("torch.sparse_coo",))
        self.write(b"R(")
        self.save_tensor(np.array([matrix.rows, matrix.columns]))
        self.save_tensor(matrix.values)
        self.name("torch", "Size")
        self.save((matrix.shape,))
        self.write(b"R\x88ttR")


class Coordinates:
    """A sparse tensor."""

    def __init__(self, rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> None:
        self.rows, self.columns, self.shape = rows, columns, shape
        self.values = np.ones(len(rows))


TorchPickler.dispatch = Pickler.dispatch | {Coordinates: TorchPickler.save_sparse}


def torch_zip(value: Any) -> bytes:
    """A file as `torch.save` writes it since version 1.6."""
    pickled, storages, file = io.BytesIO(), [], io.BytesIO()
    TorchPickler(pickled, storages).dump(value)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("made_up/data.pkl", pickled.getvalue())
        archive.writestr("made_up/byteorder", "little")
        archive.writestr("made_up/version", "3\n")
        for index, array in enumerate(storages):
            archive.writestr(f"made_up/data/{index}", np.ascontiguousarray(array).tobytes())
    return file.getvalue()


def transforms(*sizes: int) -> dict[str, Any]:
    down, up = [], []
    for fine, coarse in zip(sizes[:-1], sizes[1:], strict=True):
        picked, origin = rows_of(coarse, fine)
        down.append(Coordinates(np.arange(coarse), picked, (coarse, fine)))
        up.append(Coordinates(np.arange(fine), origin, (fine, coarse)))
    return {"A": [], "U": up, "D": down, "F": []}


def write_all(folder: Path, mano: dict[str, Any], flame: dict[str, Any]) -> None:
    """Every file, under its official name."""
    (folder / "MANO_RIGHT.pkl").write_bytes(mano_pickle(mano))
    (folder / "generic_model.pkl").write_bytes(flame_pickle(flame))
    (folder / "landmark_embedding.npy").write_bytes(npy_object(embedding()))
    (folder / "head_mesh_transforms.pt").write_bytes(torch_zip(transforms(5023, 1675, 559)))
    (folder / "hand_mesh_transforms.pt").write_bytes(torch_zip(transforms(778, 195)))
    (folder / "head_ref_vs.pt").write_bytes(torch_zip(flame["v_template"].astype(np.float32)))
    (folder / "rh_ref_vs.pt").write_bytes(torch_zip(mano["v_template"].astype(np.float32)))
    np.save(folder / "stiffness_final.npy", np.linspace(0, 1, V_HEAD))
    np.save(folder / "neck_idx.npy", np.arange(300, 500))
