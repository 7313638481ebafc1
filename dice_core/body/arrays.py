# SPDX-License-Identifier: GPL-3.0-or-later
"""NumPy arrays out of what `untrusted.pickles` read: of NumPy, SciPy, chumpy and torch, none of which is asked.

Every shape is checked against the bytes that are there before anything is made of it.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..untrusted.pickles import Broken, Record, Reference

LARGEST = 2**24  # numbers in one array; FLAME's shape basis has 6 million
DEEPEST = 4  # arrays within arrays: chumpy's Select of a Ch of an ndarray is three
DENSEST = 2**20  # numbers of a sparse matrix that is made dense; FLAME's has 25 thousand
SPARSEST = 2**17  # numbers of one that stays as it is; SMPL-X's meshes have 31 thousand
NUMBERS = {"f8", "f4", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "b1"}


class Sparse(NamedTuple):
    """A sparse matrix: (n,) rows, (n,) columns, (n,) values, and its shape."""

    rows: NDArray
    columns: NDArray
    values: NDArray
    shape: tuple[int, int]


def array(value: Any, depth: int = 0) -> NDArray:
    """The array that a value stands for; sparse matrices of SciPy become dense.

    Raises
    ------
    Broken
        When it is none, or its shape does not fit its bytes.
    """
    if isinstance(value, Reference) and value.bring:
        value = value.bring()
    if isinstance(value, np.ndarray):
        return value
    kind = value.kind if isinstance(value, Record) and depth < DEEPEST else type(value).__name__
    try:
        if kind == "ndarray":
            _, shape, dtype, fortran, data = value.state
            return _ndarray(data, dtype, shape, bool(fortran))
        if kind == "buffer":
            data, dtype, shape, order = value.arguments
            return _ndarray(data, dtype, shape, order == "F")
        if kind == "Ch":
            return array(value.state["x"], depth + 1)
        if kind == "Select":
            source, chosen = (array(value.state[key], depth + 1) for key in ("a", "idxs"))
            return source.ravel()[chosen].reshape(sizes(value.state["preferred_shape"]))
        if kind == "csc_matrix":
            return _csc(value.state, depth + 1)
        if kind == "tensor":
            storage, offset, shape, strides = value.arguments[:4]
            return _strided(array(storage, depth + 1), offset, shape, strides)
    except Broken:
        raise
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise Broken(f"it has an array that makes no sense ({error})") from error
    raise Broken(f"it has {kind} where an array should be")


def sparse(value: Any) -> Sparse:
    """The sparse matrix that a torch tensor in coordinate form stands for."""
    try:
        layout, (indices, values, size, *_) = value.arguments
        if value.kind != "sparse" or layout.arguments != ("torch.sparse_coo",):
            raise Broken("it has a tensor that is not sparse where one should be")
        (rows, columns), numbers = array(indices), array(values)
        return checked(rows, columns, numbers, size.arguments[0])
    except Broken:
        raise
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise Broken(f"it has a sparse matrix that makes no sense ({error})") from error


def checked(rows: NDArray, columns: NDArray, values: NDArray, shape: Any) -> Sparse:
    """A sparse matrix whose places all exist."""
    height, width = sizes(shape)
    if not (rows.ndim == 1 and rows.shape == columns.shape == values.shape):
        raise Broken("it has a sparse matrix with fewer numbers than places")
    if values.size > SPARSEST:
        raise Broken("it has a sparse matrix larger than that of any body model")
    for places, size in ((rows, height), (columns, width)):
        if places.size and (places.dtype.kind not in "iu" or places.min() < 0 or places.max() >= size):
            raise Broken("it has a sparse matrix with numbers outside of it")
    return Sparse(rows.astype(np.int64), columns.astype(np.int64), values.astype(np.float64), (height, width))


def from_bytes(data: Any, kind: str, shape: Any, fortran: bool = False) -> NDArray:
    """The array of a number kind, such as "<f8", that the bytes hold."""
    order, number = kind[:1], kind[1:]
    if number not in NUMBERS or order not in "<>|=":
        raise Broken(f"it has an array of {kind[:20]!r}, which is no kind of number")
    dimensions, dtype = sizes(shape), np.dtype("<" + number if order in "|=" else kind)
    if math.prod(dimensions) * dtype.itemsize != len(data):
        raise Broken(f"it has an array of shape {dimensions} in {len(data)} bytes")
    native = np.frombuffer(data, dtype).astype(dtype.newbyteorder("="), copy=False)
    return native.reshape(dimensions, order="F" if fortran else "C")


def sizes(shape: Any) -> tuple[int, ...]:
    """A shape, checked to be one and not too large."""
    dimensions = tuple(shape) if isinstance(shape, tuple | list) else (shape,)
    if len(dimensions) > 8 or not all(type(size) is int and 0 <= size <= LARGEST for size in dimensions):
        raise Broken("it has an array whose shape makes no sense")  # which may be anything: it is not shown
    if math.prod(dimensions) > LARGEST:
        raise Broken(f"it has an array of shape {dimensions}, larger than that of any body model")
    return dimensions


def _ndarray(data: Any, dtype: Any, shape: Any, fortran: bool) -> NDArray:
    number, order = dtype.arguments[0], dtype.state[1]
    if not (dtype.kind == "dtype" and isinstance(number, str) and isinstance(order, str)):
        raise Broken("it has an array of no known kind of number")
    return from_bytes(_bytes(data, math.prod(sizes(shape))), order + number, shape, fortran)


def _bytes(data: Any, count: int) -> bytes | memoryview:
    """Bytes as the protocols write them: as such, as Latin-1 text (Python 2), or as text to be encoded."""
    if isinstance(data, Record) and data.kind == "bytes" and data.arguments[1] == "latin1":
        data = data.arguments[0]
        if isinstance(data, memoryview):
            if len(data) > 16 * count:  # at most two bytes of UTF-8 for each of at most eight
                raise Broken("it has an array with more bytes than numbers")
            data = str(data, "utf-8")
    if isinstance(data, str):
        return data.encode("latin-1")
    if isinstance(data, bytes | memoryview):
        return data
    raise Broken("it has an array without bytes")


def _csc(state: dict[str, Any], depth: int) -> NDArray:
    values, rows, starts = (array(state[key], depth) for key in ("data", "indices", "indptr"))
    shape = sizes(state["_shape"] if "_shape" in state else state["shape"])
    if math.prod(shape) > DENSEST:
        raise Broken("it has a sparse matrix larger than that of any body model")
    counts = np.diff(starts)
    sensible = counts.min(initial=0) >= 0 and counts.max(initial=0) <= len(rows) and counts.sum() == len(rows)
    if len(counts) != shape[1] or not sensible:
        raise Broken("it has a sparse matrix whose columns do not add up")
    matrix = checked(rows, np.repeat(np.arange(shape[1]), counts), values, shape)
    dense = np.zeros(matrix.shape)
    np.add.at(dense, (matrix.rows, matrix.columns), matrix.values)
    return dense


def _strided(storage: NDArray, offset: Any, shape: Any, strides: Any) -> NDArray:
    dimensions = sizes(shape)
    steps, start = tuple(strides), offset
    if not all(type(number) is int and 0 <= number <= LARGEST for number in (*steps, start)):
        raise Broken("it has a tensor with strides that make no sense")
    count = math.prod(dimensions)
    last = start + sum((size - 1) * step for size, step in zip(dimensions, steps, strict=True))
    if count > storage.size or (count and last >= storage.size):
        raise Broken(f"it has a tensor of shape {dimensions} in {storage.size} numbers")
    if not count:
        return np.zeros(dimensions, storage.dtype)
    view = np.lib.stride_tricks.as_strided(
        storage[start:], dimensions, [step * storage.itemsize for step in steps], writeable=False
    )
    return view.copy()
