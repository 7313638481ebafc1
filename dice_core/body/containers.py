# SPDX-License-Identifier: GPL-3.0-or-later
"""Values out of the files that hold pickles: bare ones, NumPy's .npy and torch's two formats. Nothing is unpickled
in Python's sense and torch is not needed: see `untrusted`.
"""

from __future__ import annotations

import math
import re
import struct
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from ..untrusted.archive import STORAGES, ZIP, Archive, Storage, mapped, storage_of
from ..untrusted.pickles import Broken, Pickle, Record, Truncated, read_pickle
from .arrays import from_bytes

NPY, PICKLE = b"\x93NUMPY", b"\x80"
# What the official files name, exactly; what else a file names is refused.
KNOWN = STORAGES | {
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    ("numpy.core.multiarray", "_reconstruct"): "ndarray",
    ("numpy._core.multiarray", "_reconstruct"): "ndarray",
    ("numpy.core.numeric", "_frombuffer"): "buffer",
    ("numpy._core.numeric", "_frombuffer"): "buffer",
    ("_codecs", "encode"): "bytes",
    ("scipy.sparse.csc", "csc_matrix"): "csc_matrix",
    ("scipy.sparse._csc", "csc_matrix"): "csc_matrix",
    ("chumpy.ch", "Ch"): "Ch",
    ("chumpy.reordering", "Select"): "Select",
    ("__builtin__", "set"): "set",
    ("builtins", "set"): "set",
    ("collections", "OrderedDict"): "dict",
    ("torch", "Size"): "Size",
    ("torch._utils", "_rebuild_tensor_v2"): "tensor",
    ("torch._utils", "_rebuild_sparse_tensor"): "sparse",
    ("torch.serialization", "_get_layout"): "layout",
    ("torch.storage", "_load_from_bytes"): "storage",
}
LEGACY = 0x1950A86A20F9469CFC6C  # what torch wrote first, before version 1.6
LONGEST = 1000  # bytes of an .npy file's header
NPY_HEADER = re.compile(
    rb"\{'descr': '([<>|=][a-z]\d{1,4}|\|?O)', 'fortran_order': (True|False), "
    rb"'shape': \(((?:\d{1,18}L?(?:, \d{1,18}L?){0,8},?)?)\),? *\}\s*"
)


def read_container(path: Path) -> Any:
    """What a file holds: for `arrays.array` and `arrays.sparse` to make arrays of, or an array already.

    Raises
    ------
    Broken
    """
    data = mapped(path)
    if data[:6] == NPY:
        return read_npy(data)
    if data[:4] == ZIP:
        return _torch_zip(data)
    pickle = read_pickle(data, KNOWN)
    return _torch_legacy(data, pickle.end) if pickle.value == LEGACY else pickle.value


class NpyHeader(NamedTuple):
    """The header of a .npy file: kind of number, shape, order, and where the numbers begin."""

    kind: str
    shape: tuple[int, ...]
    fortran: bool
    end: int


def npy_header(data: memoryview) -> NpyHeader:
    """Taken by the letter, not evaluated."""
    size, start = ("<H", 10) if data[6:7] == b"\x01" else ("<I", 12)
    if len(data) < start:
        raise Truncated("it ends too early")
    (length,) = struct.unpack_from(size, data, 8)
    if length <= LONGEST and start + length > len(data):
        raise Truncated("it ends too early")
    header = NPY_HEADER.fullmatch(bytes(data[start : start + min(length, LONGEST)]))
    if not header:
        raise Broken("it has no header that an .npy file has")
    kind, fortran, shape = (part.decode() for part in header.groups())
    sizes = tuple(int(size.rstrip("L")) for size in shape.replace(" ", "").split(",") if size)
    return NpyHeader(kind, sizes, fortran == "True", start + length)


def read_npy(data: memoryview) -> Any:
    """The array of a .npy file, or the one object that it holds."""
    header = npy_header(data)
    body = data[header.end :]
    if not header.kind.endswith("O"):
        if len(body) < math.prod(header.shape) * int(header.kind[2:]):
            raise Truncated("it ends too early")
        return from_bytes(body, header.kind, header.shape, header.fortran)
    value = read_pickle(body, KNOWN).value
    content = value.state[4:] if isinstance(value, Record) and isinstance(value.state, tuple) else None
    if not content or not isinstance(content[0], list) or len(content[0]) != 1:
        raise Broken("it does not hold one object")
    return content[0][0]


def _torch_zip(data: memoryview) -> Any:
    """What `torch.save` writes."""
    archive = Archive(data)
    pickle = read_pickle(archive.view("data.pkl"), KNOWN)
    for reference in pickle.references:
        storage = storage_of(reference)
        reference.bring = partial(_numbers, archive, storage)
    return pickle.value


def _numbers(archive: Archive, storage: Storage) -> NDArray:
    return from_bytes(archive.numbers(storage), storage.kind, storage.count)


def _torch_legacy(data: memoryview, position: int) -> Any:
    """What `torch.save` wrote before version 1.6: pickles one after the other, then the numbers of each storage."""

    def following() -> Pickle:
        nonlocal position
        pickle = read_pickle(data, KNOWN, position)
        position = pickle.end
        return pickle

    _version, _machine, pickle, keys = following(), following(), following(), following().value
    storages = {storage.key: storage for storage in map(storage_of, pickle.references)}
    numbers: dict[str, NDArray] = {}
    for key in keys if isinstance(keys, list) else []:
        if not isinstance(key, str):
            raise Broken("it has a storage without a name")
        if key not in storages:
            raise Broken("it has numbers of no tensor")
        storage = storages[key]
        end = position + 8 + storage.bytes
        if end > len(data):
            raise Truncated("it ends too early")
        if struct.unpack_from("<q", data, position)[0] != storage.count:
            raise Broken("it has a storage of another length than it says")
        numbers[key] = from_bytes(data[position + 8 : end], storage.kind, storage.count)
        position = end
    for reference in pickle.references:
        reference.bring = partial(numbers.get, storage_of(reference).key)
    return pickle.value
