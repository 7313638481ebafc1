# SPDX-License-Identifier: GPL-3.0-or-later
"""The safetensors format: a header in JSON, then the numbers. Written whole or not at all, read without copying."""

from __future__ import annotations

import json
import math
import mmap
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from ..body.kinds import LONGEST_HEADER
from ..untrusted.pickles import Broken, Truncated

DIMENSIONS, LARGEST = 8, 1 << 40
MAPPED = 1 << 16  # bytes; what is smaller is copied
ALIGNMENT = 64
DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "F64": torch.float64, "I64": torch.int64}
NAMES = {dtype: name for name, dtype in DTYPES.items()}


def write(path: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, str]) -> None:
    """Write tensors, and notes about them."""
    header: dict[str, Any] = {"__metadata__": dict(notes)}
    end = 0
    for name, tensor in tensors.items():
        start, end = end, end + tensor.nbytes
        header[name] = {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % ALIGNMENT)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the notes. Large tensors are views of the file, mapped one by one: what is let go of is unmapped.

    Raises `Broken` or OSError.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        try:
            (length,) = struct.unpack("<Q", file.read(8))
            if not 2 <= length <= min(LONGEST_HEADER, size - 8):
                raise Truncated("it ends too early, or is not in the safetensors format")
            header = json.loads(file.read(length))
            notes = header.pop("__metadata__", {})
            entries = {name: _entry(**entry) for name, entry in header.items()}
        except Truncated:
            raise
        except (ValueError, TypeError, KeyError, AttributeError, struct.error, RecursionError) as error:
            raise Broken("its header is damaged") from error
        if not isinstance(notes, dict) or not all(isinstance(value, str) for value in notes.values()):
            raise Broken("its header is damaged")
        base = 8 + length
        if sum(math.prod(shape) * dtype.itemsize for dtype, shape, _ in entries.values()) > size - base or any(
            start + math.prod(shape) * dtype.itemsize > size - base for dtype, shape, start in entries.values()
        ):
            raise Truncated("it ends too early")
        return {name: _tensor(file, dtype, shape, base + at) for name, (dtype, shape, at) in entries.items()}, notes


def _entry(dtype: str, shape: list[int], data_offsets: list[int]) -> tuple[torch.dtype, list[int], int]:
    """A tensor's kind, shape, and where its numbers begin."""
    kind, (start, end) = DTYPES[dtype], data_offsets
    if type(shape) is not list or len(shape) > DIMENSIONS:
        raise ValueError
    if not all(type(n) is int and 0 <= n <= LARGEST for n in [*shape, start, end]):
        raise ValueError
    if end - start != math.prod(shape) * kind.itemsize:
        raise ValueError
    return kind, shape, start


def _tensor(file: BinaryIO, dtype: torch.dtype, shape: list[int], at: int) -> Tensor:
    count = math.prod(shape)
    if not count:
        return torch.zeros(shape, dtype=dtype)
    length = count * dtype.itemsize
    if length < MAPPED:
        file.seek(at)
        return torch.frombuffer(bytearray(file.read(length)), dtype=dtype).reshape(shape)
    skipped = at % mmap.ALLOCATIONGRANULARITY
    data = mmap.mmap(file.fileno(), skipped + length, access=mmap.ACCESS_COPY, offset=at - skipped)
    return torch.frombuffer(data, dtype=dtype, count=count, offset=skipped).reshape(shape)
