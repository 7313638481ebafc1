# SPDX-License-Identifier: GPL-3.0-or-later
"""The zip archive that torch writes: a pickle beside the raw numbers, nothing compressed.

Only that is read: the table of contents, and members that are stored as they are, as views of the mapped file. So
there is nothing to unpack, no member can be larger than the file, and none takes memory until it is looked at.
"""

from __future__ import annotations

import mmap
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from .pickles import Broken, Name, Reference, Truncated

ZIP = b"PK\x03\x04"
END, ENTRY, LOCAL = struct.Struct("<4s4H2LH"), struct.Struct("<4s6H3L5H2L"), struct.Struct("<4s5H3L2H")
# What tensors' numbers may be, for the `known` of `read_pickle`: NumPy's names, which end in the bytes of a number.
STORAGES = {
    ("torch", "FloatStorage"): "<f4",
    ("torch", "HalfStorage"): "<f2",
    ("torch", "BFloat16Storage"): "<bf2",
    ("torch", "DoubleStorage"): "<f8",
    ("torch", "LongStorage"): "<i8",
    ("torch", "IntStorage"): "<i4",
    ("torch", "ShortStorage"): "<i2",
    ("torch", "CharStorage"): "<i1",
    ("torch", "ByteStorage"): "<u1",
    ("torch", "BoolStorage"): "<b1",
}
COMMENT = 1 << 16  # the longest comment after the table of contents
ENTRIES, LONGEST_NAME = 100_000, 512


class Member(NamedTuple):
    """Where a file of the archive stands: the position of its header, its bytes, their checksum."""

    header: int
    size: int
    checksum: int


@dataclass(frozen=True, slots=True)
class Storage:
    """The numbers of tensors: the name of their member, their kind (`<f4`), how many there are."""

    key: str
    kind: str
    count: int

    @property
    def bytes(self) -> int:
        return self.count * int(self.kind[-1])


def mapped(path: Path) -> memoryview:
    """A file's bytes, of which only those that are looked at take memory; what is written to them stays here."""
    with open(path, "rb") as file:
        if not path.stat().st_size:
            return memoryview(b"")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))


def storage_of(reference: Reference) -> Storage:
    """What a tensor's numbers are by its pickle: ('storage', type, key, device, count)."""
    key = reference.key
    if isinstance(key, tuple) and len(key) >= 5 and key[0] == "storage":
        _, kind, name, _, count = key[:5]
        known = isinstance(kind, Name) and kind.short.startswith("<")
        if known and isinstance(name, str) and type(count) is int and count >= 0:
            return Storage(name, kind.short, count)
    raise Broken("it has a tensor without numbers")


class Archive:
    """A torch archive. Its members appear without the folder that they all lie in.

    Raises
    ------
    Broken
        When torch did not write it; `Truncated` when its end is missing.
    """

    def __init__(self, data: memoryview) -> None:
        self.data = data
        self.members = contents(data)
        pickles = [name for name in self.members if name.endswith("/data.pkl")]
        if len(pickles) != 1 or any(name.endswith("/constants.pkl") for name in self.members):
            raise Broken("it is an archive of something else")
        self.folder = pickles[0].removesuffix("data.pkl")
        self.views: dict[str, memoryview] = {}
        if self.folder + "byteorder" in self.members and self.view("byteorder") != b"little":
            raise Broken("it was written on a machine of another byte order")

    def view(self, name: str) -> memoryview:
        """A member's bytes; of a damaged one, as after a download that went wrong, `Broken`."""
        if name not in self.views:
            member = self.members.get(self.folder + name)
            if member is None:
                raise Broken(f"it lacks its part {name[:40]}")
            signature, *_, names, extra = _unpack(LOCAL, self.data, member.header)
            start = member.header + LOCAL.size + names + extra
            if signature != ZIP or start + member.size > len(self.data):
                raise Broken("it is damaged")
            view = self.data[start : start + member.size]
            if zlib.crc32(view) != member.checksum:
                raise Broken(f"it is damaged (the checksum of {name[:40]} is wrong)")
            self.views[name] = view
        return self.views[name]

    def numbers(self, storage: Storage) -> memoryview:
        """The bytes of a storage, as many as it says."""
        view = self.view(f"data/{storage.key}")
        if len(view) != storage.bytes:
            raise Broken("it has fewer or more numbers than it says")
        return view


def contents(data: memoryview) -> dict[str, Member]:
    """The archive's table of contents."""
    tail = bytes(data[-COMMENT - END.size :])
    found = tail.rfind(b"PK\x05\x06")
    if found < 0:
        raise Truncated("it ends too early: its table of contents is missing")
    end = len(data) - len(tail) + found
    _, disk, first_disk, here, entries, size, position, _ = _unpack(END, data, end)
    if disk or first_disk or here != entries or entries > ENTRIES or position + size > end:
        raise Broken("its table of contents is damaged")
    members: dict[str, Member] = {}
    total = 0
    for _ in range(entries):
        (signature, _, _, flags, method, _, _, checksum, packed, size, names, extra, comment, *_,
         header) = _unpack(ENTRY, data, position)  # fmt: skip
        if signature != b"PK\x01\x02" or position + ENTRY.size + names > end or names > LONGEST_NAME:
            raise Broken("its table of contents is damaged")
        name = bytes(data[position + ENTRY.size : position + ENTRY.size + names])
        position += ENTRY.size + names + extra + comment
        if flags & 1 or method or packed != size:
            raise Broken("it is compressed or encrypted, which torch's files never are")
        members[name.decode("utf-8", "replace")] = Member(header, size, checksum)
        total += size
    if total > len(data):
        raise Broken("its parts overlap")
    return members


def _unpack(form: struct.Struct, data: memoryview, position: int) -> tuple[Any, ...]:
    if position < 0 or position + form.size > len(data):
        raise Truncated("it ends too early")
    return form.unpack_from(data, position)
