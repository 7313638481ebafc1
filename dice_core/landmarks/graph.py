# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a TensorFlow Lite model for more than its outputs: what it computes on the way."""

from __future__ import annotations

import struct
from collections.abc import Sequence

SUBGRAPHS, TENSORS, OUTPUTS, NAME = 2, 0, 2, 3  # fields of the schema's Model, SubGraph, SubGraph and Tensor


def with_outputs(content: bytes, names: Sequence[str]) -> bytes:
    """A model whose first graph also gives the tensors called `names`, after its own outputs and in their order.

    The file is a FlatBuffer, in which a table points to its vectors: a longer list of outputs is put at the end, and
    the graph is pointed to it (tensorflow/compiler/mlir/lite/schema/schema.fbs).

    Raises
    ------
    KeyError
        When there is no such tensor.
    """
    data = bytearray(content) + bytes(-len(content) % 4)
    graph = _elements(data, _field(data, _target(data, 0), SUBGRAPHS))[0]
    tensors = _elements(data, _field(data, graph, TENSORS))
    index = {_text(data, _field(data, tensor, NAME)): number for number, tensor in enumerate(tensors)}
    place = _field(data, graph, OUTPUTS)
    own = _target(data, place)
    count = _number(data, own)
    outputs = [*struct.unpack_from(f"<{count}i", data, own + 4), *(index[name] for name in names)]
    struct.pack_into("<I", data, place, len(data) - place)
    return bytes(data + struct.pack(f"<I{len(outputs)}i", len(outputs), *outputs))


def _number(data: bytearray, place: int) -> int:
    return int(struct.unpack_from("<I", data, place)[0])


def _target(data: bytearray, place: int) -> int:
    return place + _number(data, place)


def _field(data: bytearray, table: int, number: int) -> int:
    """Where a table keeps a field."""
    layout = table - struct.unpack_from("<i", data, table)[0]
    return table + int(struct.unpack_from("<H", data, layout + 4 + 2 * number)[0])


def _elements(data: bytearray, place: int) -> list[int]:
    """Where the tables of a vector are."""
    start = _target(data, place)
    return [_target(data, start + 4 + 4 * number) for number in range(_number(data, start))]


def _text(data: bytearray, place: int) -> str:
    start = _target(data, place)
    return data[start + 4 : start + 4 + _number(data, start)].decode()
