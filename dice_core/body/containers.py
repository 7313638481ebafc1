# SPDX-License-Identifier: GPL-3.0-or-later
"""Values out of the files that hold pickles: bare ones, NumPy's .npy and torch's two formats. Nothing is unpickled
in Python's sense and torch is not needed: see `pickles`.
"""

from __future__ import annotations

import math
import mmap
import re
import struct
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from .arrays import from_bytes
from .pickles import Broken, Name, Pickle, Record, Reference, Truncated, read_pickle

NPY, ZIP, PICKLE = b"\x93NUMPY", b"PK\x03\x04", b"\x80"
LEGACY = 0x1950A86A20F9469CFC6C  # what torch wrote first, before version 1.6
LONGEST = 1000  # bytes of an .npy file's header
NPY_HEADER = re.compile(
    rb"\{'descr': '([<>|=][a-z]\d{1,4}|\|?O)', 'fortran_order': (True|False), "
    rb"'shape': \(((?:\d{1,18}L?(?:, \d{1,18}L?){0,8},?)?)\),? *\}\s*"
)


def mapped(path: Path) -> memoryview:
    """A file's bytes, of which only those that are looked at take memory."""
    with open(path, "rb") as file:
        if not path.stat().st_size:
            return memoryview(b"")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


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
        return _torch_zip(path)
    pickle = read_pickle(data)
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
    value = read_pickle(body).value
    content = value.state[4:] if isinstance(value, Record) and isinstance(value.state, tuple) else None
    if not content or not isinstance(content[0], list) or len(content[0]) != 1:
        raise Broken("it does not hold one object")
    return content[0][0]


def _torch_zip(path: Path) -> Any:
    """What `torch.save` writes. Its members are stored, never compressed: together they are no larger than the file."""
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(info.file_size for info in archive.infolist()) > path.stat().st_size:
                raise Broken("its parts are larger than itself")
            pickle = read_pickle(memoryview(_member(archive, "data.pkl")))
            if any(name.endswith("/byteorder") for name in archive.namelist()):
                if _member(archive, "byteorder") != b"little":
                    raise Broken("it was written on a machine with another order of bytes")
            numbers: dict[tuple[str, str, int], NDArray] = {}
            for reference in pickle.references:
                storage = key, kind, count = _storage(reference)
                if storage not in numbers:
                    numbers[storage] = from_bytes(_member(archive, f"data/{key}"), kind, count)
                reference.value = numbers[storage]
            return pickle.value
    except Broken:
        raise
    except (zipfile.BadZipFile, EOFError) as error:
        raise Truncated("it ends too early, or is damaged") from error
    except (NotImplementedError, RuntimeError, ValueError, struct.error) as error:  # compressed, encrypted, mended
        raise Broken(f"torch did not write it ({error})") from error


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    found = [info for info in archive.infolist() if info.filename.partition("/")[2] == name]
    stored = [info for info in found if info.compress_type == zipfile.ZIP_STORED]
    if len(found) != 1 or not stored or stored[0].compress_size != stored[0].file_size:
        raise Broken(f"it has no part {name[:40]} that torch wrote")
    return archive.read(found[0])


def _torch_legacy(data: memoryview, position: int) -> Any:
    """What `torch.save` wrote before version 1.6: pickles one after the other, then the numbers of each storage."""

    def following() -> Pickle:
        nonlocal position
        pickle = read_pickle(data, position)
        position = pickle.end
        return pickle

    _version, _machine, pickle, keys = following(), following(), following(), following().value
    storages = {_storage(reference)[0]: _storage(reference)[1:] for reference in pickle.references}
    numbers: dict[str, NDArray] = {}
    for key in keys if isinstance(keys, list) else []:
        if not isinstance(key, str):
            raise Broken("it has a storage without a name")
        kind, count = storages.get(key, ("<f4", 0))
        end = position + 8 + count * int(kind[-1])
        if end > len(data):
            raise Truncated("it ends too early")
        if struct.unpack_from("<q", data, position)[0] != count:
            raise Broken("it has a storage of another length than it says")
        numbers[key] = from_bytes(data[position + 8 : end], kind, count)
        position = end
    for reference in pickle.references:
        reference.value = numbers.get(_storage(reference)[0])
    return pickle.value


def _storage(reference: Reference) -> tuple[str, str, int]:
    """Key, kind of number and length of a tensor's storage."""
    key = reference.key
    if isinstance(key, tuple) and len(key) >= 5 and key[0] == "storage":
        _, kind, name, _, count = key[:5]
        if isinstance(kind, Name) and kind.short.startswith("<") and isinstance(name, str) and type(count) is int:
            return name, kind.short, count
    raise Broken("it has a tensor without numbers")
