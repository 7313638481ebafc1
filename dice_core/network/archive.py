# SPDX-License-Identifier: GPL-3.0-or-later
"""The zip archive that torch writes: a pickle beside the raw numbers, nothing compressed.

Only that is read: the table of contents, and members that are stored as they are, straight out of the mapped file. So
there is nothing to unpack, and no member can be larger than the file.
"""

from __future__ import annotations

import math
import mmap
import struct
import zlib
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .pickles import LONGEST, Name, Refused

END, ENTRY, LOCAL = struct.Struct("<4s4H2LH"), struct.Struct("<4s6H3L5H2L"), struct.Struct("<4s5H3L2H")
COMMENT = 1 << 16  # the longest comment after the table of contents
ENTRIES, LONGEST_NAME = 100_000, 512
DIMENSIONS = 8
STORAGES = {
    "torch FloatStorage": torch.float32,
    "torch HalfStorage": torch.float16,
    "torch BFloat16Storage": torch.bfloat16,
    "torch DoubleStorage": torch.float64,
    "torch LongStorage": torch.int64,
}


class Member(NamedTuple):
    """Where a file of the archive stands: the position of its header, its bytes, their checksum."""

    header: int
    size: int
    checksum: int


@dataclass(frozen=True)
class Storage:
    """Numbers in the archive, not yet looked at."""

    member: str
    dtype: torch.dtype
    count: int


class Archive:
    """A torch archive in memory.

    Parameters
    ----------
    data
        The file, mapped with copy on write: tensors are views of it.
    """

    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        self.members = contents(data)
        pickles = [name for name in self.members if name.endswith("/data.pkl")]
        if len(pickles) != 1 or any(name.endswith("/constants.pkl") for name in self.members):
            raise Refused("is an archive of something else")
        self.folder = pickles[0].removesuffix("data.pkl")
        if self.folder + "byteorder" in self.members and self.read(self.folder + "byteorder") != b"little":
            raise Refused("was written on a machine of another byte order")
        for name in self.members:
            self.check(name)
        self.budget = len(data)

    def pickle(self) -> bytes:
        """The pickle."""
        return self.read(self.folder + "data.pkl")

    def read(self, name: str) -> bytes:
        """A member's bytes."""
        start, member = self._start(name), self.members[name]
        if member.size > LONGEST:
            raise Refused(f"holds {name} of {member.size} bytes")
        return self.data[start : start + member.size]

    def check(self, name: str) -> None:
        """Raise `Refused` when a member is not what was written, as after a download that went wrong."""
        start, member = self._start(name), self.members[name]
        with memoryview(self.data) as view, view[start : start + member.size] as content:
            if zlib.crc32(content) != member.checksum:
                raise Refused(f"is damaged (the checksum of {name} is wrong)")

    def _start(self, name: str) -> int:
        member = self.members[name]
        signature, *_, names, extra = _unpack(LOCAL, self.data, member.header)
        start = member.header + LOCAL.size + names + extra
        if signature != b"PK\x03\x04" or start + member.size > len(self.data):
            raise Refused("is damaged or cut short")
        return start

    def storage(self, identity: Any) -> Storage:
        """What a persistent id of the pickle means: ('storage', type, key, device, count)."""
        kind, dtype, key, _, count = identity
        if kind != "storage" or type(dtype) is not Name or type(key) is not str or type(count) is not int:
            raise Refused("speaks of data in an unknown way")
        if dtype.text not in STORAGES:
            raise Refused(f"holds numbers of the kind {dtype.text}")
        storage = Storage(f"{self.folder}data/{key}", STORAGES[dtype.text], count)
        member = self.members.get(storage.member)
        if member is None or count < 0 or member.size != count * storage.dtype.itemsize:
            raise Refused(f"lacks the numbers {key}")
        return storage

    def tensor(self, storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Tensor:
        """A view of a storage. All views together cannot be larger than the file."""
        if type(storage) is not Storage or type(offset) is not int or offset < 0:
            raise Refused("holds a tensor without numbers")
        for numbers in (size, stride):
            if type(numbers) is not tuple or not all(type(n) is int and n >= 0 for n in numbers):
                raise Refused("holds a tensor of no shape")
        if len(size) != len(stride) or len(size) > DIMENSIONS:
            raise Refused(f"holds a tensor of {len(size)} dimensions")
        count = math.prod(size)
        reach = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) + 1 if count else 0
        self.budget -= count * storage.dtype.itemsize
        if count > storage.count or reach > storage.count or self.budget < 0:
            raise Refused(f"holds a tensor {size} larger than its numbers")
        if not count:
            return torch.zeros(0, dtype=storage.dtype)
        return torch.as_strided(self._numbers(storage), size, stride, offset)

    def _numbers(self, storage: Storage) -> Tensor:
        start = self._start(storage.member)
        if start % storage.dtype.itemsize:
            raise Refused("is not as torch wrote it")
        return torch.frombuffer(self.data, dtype=storage.dtype, count=storage.count, offset=start)


def contents(data: mmap.mmap) -> dict[str, Member]:
    """The archive's table of contents."""
    end = data.rfind(b"PK\x05\x06", max(0, len(data) - COMMENT - END.size))
    if end < 0:
        raise Refused("is cut short: its table of contents is missing")
    _, disk, first_disk, here, entries, size, position, _ = _unpack(END, data, end)
    if disk or first_disk or here != entries or entries > ENTRIES or position + size > end:
        raise Refused("has a damaged table of contents")
    members: dict[str, Member] = {}
    total = 0
    for _ in range(entries):
        (signature, _, _, flags, method, _, _, checksum, packed, size, names, extra, comment, *_,
         header) = _unpack(ENTRY, data, position)  # fmt: skip
        if signature != b"PK\x01\x02" or position + ENTRY.size + names > end:
            raise Refused("has a damaged table of contents")
        name = data[position + ENTRY.size : position + ENTRY.size + names]
        position += ENTRY.size + names + extra + comment
        if len(name) > LONGEST_NAME:
            raise Refused("has a damaged table of contents")
        if flags & 1 or method or packed != size:
            raise Refused("is compressed or encrypted, which torch's files never are")
        members[name.decode("utf-8", "replace")] = Member(header, size, checksum)
        total += size
    if total > len(data):
        raise Refused("has members that overlap")
    return members


def _unpack(form: struct.Struct, data: mmap.mmap, position: int) -> tuple[Any, ...]:
    if position < 0 or position + form.size > len(data):
        raise Refused("is cut short")
    return form.unpack_from(data, position)
