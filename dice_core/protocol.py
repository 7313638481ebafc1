# SPDX-License-Identifier: GPL-3.0-or-later
"""What the worker and its client say to each other over stdin and stdout.

A message is one line of JSON, then the raw bytes of its arrays, each behind an 8-byte little-endian length. The
line holds the message's fields, its `type`, and `arrays`: a list of name, dtype and shape. No pickle crosses.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass, field, fields
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .errors import KINDS, DiceError

VERSION = 1
MAX_ARRAY_BYTES = 1 << 31
LENGTH = struct.Struct("<Q")


@dataclass(frozen=True)
class Hello:
    """Worker -> client, first: the protocol's version, the interpreter, the device in words."""

    version: int
    python: str
    device: str


@dataclass(frozen=True)
class CaptureRequest:
    """Client -> worker: capture the picture at `path`, or the array `image` ((h, w, 3) uint8 RGB) called `source`.

    `crop` holds left, top and side in pixels of the full picture; empty for the whole. `frame` is which one of a
    movie; None of a picture. `face` is the number of one of several from the left; 0 for the largest.
    """

    job: int
    engine: str = "open"
    hand: str = "auto"
    path: str = ""
    source: str = ""
    arrays: dict[str, NDArray] = field(default_factory=dict)
    crop: list[float] = field(default_factory=list)
    precision: str = "exact"
    fix_contact: bool = False
    frame: int | None = None
    face: int = 0


@dataclass(frozen=True)
class FixRequest:
    """Client -> worker: fix the contact of the capture in `arrays`, as `result.store.to_arrays` gives it."""

    job: int
    arrays: dict[str, NDArray] = field(default_factory=dict)


@dataclass(frozen=True)
class SequenceRequest:
    """Client -> worker: capture moving pictures into the folder `output`, see `sequence.job`.

    `paths`: one movie, one folder of pictures or one picture of a numbered series; or several pictures in order, an
    empty one being a gap. `start` and `end` say which frames, the first is 0, the last belongs to it and None is the
    movie's own. `rate`: frames a second of pictures; 0 for what the source says. `smoothing`: 0..1. The rest is as in
    `CaptureRequest`.
    """

    job: int
    paths: list[str]
    output: str
    engine: str = "open"
    hand: str = "auto"
    crop: list[float] = field(default_factory=list)
    precision: str = "exact"
    fix_contact: bool = False
    face: int = 0
    start: int = 0
    end: int | None = None
    rate: float = 0.0
    smoothing: float = 0.5
    resume: bool = False


@dataclass(frozen=True)
class SmoothRequest:
    """Client -> worker: smooth what the folder holds anew; nothing is captured again."""

    job: int
    folder: str
    smoothing: float


@dataclass(frozen=True)
class Cancel:
    """Client -> worker: stop the job as soon as you can."""

    job: int


@dataclass(frozen=True)
class ProgressMessage:
    """Worker -> client: the stage of the job and the fraction of the whole that is done."""

    job: int
    stage: str
    fraction: float


@dataclass(frozen=True)
class Glimpse:
    """Worker -> client: how far a sequence's first look at its frames is, and now and then what it sees.

    `frame` is the latest one of `count`, `fps` how many a second. The array `picture`, where there is one, is the
    frame made small, (h, w, 3) uint8 RGB, with the landmarks drawn in.
    """

    job: int
    frame: int
    count: int
    fps: float
    arrays: dict[str, NDArray] = field(default_factory=dict)


@dataclass(frozen=True)
class SequenceDone:
    """Worker -> client: the folder holds the whole sequence, see `result.sequence`."""

    job: int
    folder: str


@dataclass(frozen=True)
class Result:
    """Worker -> client: the capture as `result.store.to_arrays` gives it."""

    job: int
    arrays: dict[str, NDArray] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """Worker -> client: the error that ended the job; `kind` is a class name of `errors`."""

    job: int
    kind: str
    message: str
    remedy: str

    @classmethod
    def of(cls, job: int, error: DiceError) -> Failure:
        return cls(job, type(error).__name__, error.message, error.remedy)

    def error(self) -> DiceError:
        return KINDS.get(self.kind, DiceError)(self.message, self.remedy)


Request: TypeAlias = "CaptureRequest | FixRequest | SequenceRequest | SmoothRequest"
Message: TypeAlias = "Hello | Request | Cancel | ProgressMessage | Glimpse | Result | SequenceDone | Failure"
REQUESTS = (CaptureRequest, FixRequest, SequenceRequest, SmoothRequest)
TYPES: dict[str, Any] = {
    cls.__name__: cls for cls in (Hello, *REQUESTS, Cancel, ProgressMessage, Glimpse, Result, SequenceDone, Failure)
}


def write(stream: BinaryIO, message: Message) -> None:
    """Send one message and flush."""
    arrays: dict[str, NDArray] = getattr(message, "arrays", {})
    header = {item.name: getattr(message, item.name) for item in fields(message) if item.name != "arrays"}
    header["type"] = type(message).__name__
    header["arrays"] = [
        {"name": name, "dtype": array.dtype.str, "shape": list(array.shape)} for name, array in arrays.items()
    ]
    stream.write(json.dumps(header).encode() + b"\n")
    for array in arrays.values():
        data = np.ascontiguousarray(array).reshape(-1).view(np.uint8)  # no copy: pictures are large
        stream.write(LENGTH.pack(data.nbytes))
        stream.write(data.data)
    stream.flush()


def read(stream: BinaryIO) -> Message | None:
    """Receive one message; None at the end of the stream.

    Raises
    ------
    DiceError
        When what arrives is not a message of this protocol.
    """
    line = stream.readline()
    if not line:
        return None
    try:
        header = json.loads(line)
        cls = TYPES[header.pop("type")]
        arrays = {item["name"]: _read_array(stream, item) for item in header.pop("arrays")}
        return cls(**header, arrays=arrays) if arrays else cls(**header)
    except EOFError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise DiceError(
            "The capture process sent something that is not a message.",
            "Restart the capture; repair the runtime if it happens again.",
        ) from error


def _read_array(stream: BinaryIO, item: dict) -> NDArray:
    dtype = np.dtype(item["dtype"])
    if dtype.hasobject:
        raise ValueError("arrays of objects are not allowed")
    (length,) = LENGTH.unpack(_read_exactly(stream, LENGTH.size).data)
    shape = tuple(int(size) for size in item["shape"])
    if length != dtype.itemsize * math.prod(shape) or length > MAX_ARRAY_BYTES:
        raise ValueError("an array's length does not fit its shape")
    return _read_exactly(stream, length).view(dtype).reshape(shape)


def _read_exactly(stream: BinaryIO, count: int) -> NDArray[np.uint8]:
    data = np.zeros(count, np.uint8)
    rest = data.data
    while rest:
        taken = stream.readinto(rest)  # type: ignore[attr-defined]
        if not taken:
            raise EOFError
        rest = rest[taken:]
    return data
