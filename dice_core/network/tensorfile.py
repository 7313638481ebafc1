# SPDX-License-Identifier: GPL-3.0-or-later
"""The safetensors format: a header in JSON, then the numbers. Written whole or not at all, read without copying."""

from __future__ import annotations

import json
import math
import mmap
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .pickles import Refused

LONGEST_HEADER = 16 << 20
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
    """The tensors, which are views of the mapped file, and the notes. Raises `Refused` or OSError."""
    with open(path, "rb") as file:
        try:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        except ValueError as error:
            raise Refused("is empty") from error
    try:
        (length,) = struct.unpack("<Q", data[:8])
        if not 2 <= length <= min(LONGEST_HEADER, len(data) - 8):
            raise Refused("is not in the safetensors format, or is cut short")
        header = json.loads(data[8 : 8 + length])
        notes = header.pop("__metadata__", {})
        tensors = {name: _tensor(data, 8 + length, **entry) for name, entry in header.items()}
    except (ValueError, TypeError, KeyError, AttributeError, struct.error, RecursionError) as error:
        raise Refused("has a damaged header") from error
    if not isinstance(notes, dict) or not all(isinstance(value, str) for value in notes.values()):
        raise Refused("has a damaged header")
    return tensors, notes


def _tensor(data: mmap.mmap, base: int, dtype: str, shape: list[int], data_offsets: list[int]) -> Tensor:
    kind, (start, end) = DTYPES[dtype], data_offsets
    count = math.prod(shape)
    if not all(type(n) is int and n >= 0 for n in [*shape, start, end]) or end - start != count * kind.itemsize:
        raise ValueError
    if base + end > len(data):
        raise Refused("is cut short")
    if not count:
        return torch.zeros(shape, dtype=kind)
    return torch.frombuffer(data, dtype=kind, count=count, offset=base + start).reshape(shape)
