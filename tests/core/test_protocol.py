# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker's messages: every one survives the wire, nothing else is taken for one."""

from __future__ import annotations

import io
import json
import struct
import tracemalloc
from dataclasses import fields

import numpy as np
import pytest

from dice_core import protocol
from dice_core.errors import KINDS, Cancelled, DiceError, MediaError
from dice_core.result.store import from_arrays, to_arrays

ARRAYS = {
    "image": np.arange(24, dtype=np.uint8).reshape(2, 4, 3),
    "scalar": np.asarray(np.float32(1.5)),
    "text": np.asarray("größer"),
    "no text": np.asarray(""),
    "empty": np.zeros((0, 3), np.float32),
    "turned": np.arange(6, dtype=np.int64).reshape(2, 3).T,
    "big-endian": np.arange(3, dtype=">f8"),
}
MESSAGES = [
    protocol.Hello(1, "3.11.7", "CPU"),
    protocol.CaptureRequest(3, "open", "left", "C:\\Bilder\\Übung 1.png", "Übung", {}),
    protocol.CaptureRequest(4, arrays={"image": ARRAYS["image"]}),
    protocol.Cancel(4),
    protocol.ProgressMessage(4, "head", 0.25),
    protocol.Result(4, ARRAYS),
    protocol.Result(5),
    protocol.Failure(4, "MediaError", "What\nhappened.", "What to do."),
    protocol.CaptureRequest(5, "dice", path="a.png", crop=[10.5, 20.0, 300.0], precision="fast", fix_contact=True),
    protocol.CaptureRequest(6, path="a.mp4", frame=0, face=2),
    protocol.FixRequest(7, {"head_vertices": ARRAYS["empty"]}),
    protocol.SequenceRequest(8, ["C:\\Bilder\\Übung.mp4"], "Übung"),
    protocol.SequenceRequest(
        9, ["1.png", "", "3.png"], "out", "dice", "both", [10.5, 20.0, 300.0], "fast", fix_contact=True, face=2,
        start=5, end=7, rate=23.976, smoothing=0.25, resume=True,
    ),
    protocol.SmoothRequest(10, "out", 0.75),
    protocol.Glimpse(9, 6, 300, 11.5),
    protocol.Glimpse(9, 7, 300, 11.5, {"picture": ARRAYS["image"]}),
    protocol.SequenceDone(9, "Übung"),
]  # fmt: skip


def sent(*messages: protocol.Message) -> io.BytesIO:
    stream = io.BytesIO()
    for message in messages:
        protocol.write(stream, message)
    stream.seek(0)
    return stream


def raw(header: object, *arrays: bytes) -> io.BytesIO:
    body = b"".join(struct.pack("<Q", len(data)) + data for data in arrays)
    return io.BytesIO(json.dumps(header).encode() + b"\n" + body)


def assert_same(one: protocol.Message, other: protocol.Message | None) -> None:
    assert type(one) is type(other)
    for item in fields(one):
        first, second = getattr(one, item.name), getattr(other, item.name)
        if item.name != "arrays":
            assert first == second
            continue
        assert first.keys() == second.keys()
        for name in first:
            assert first[name].dtype == second[name].dtype and first[name].shape == second[name].shape, name
            assert np.array_equal(first[name], second[name]), name


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_round_trip(message):
    assert_same(message, protocol.read(sent(message)))


def test_messages_follow_each_other_then_the_stream_ends():
    stream = sent(*MESSAGES)
    for message in MESSAGES:
        assert_same(message, protocol.read(stream))
    assert protocol.read(stream) is None


def test_every_type_is_tried_above():
    assert {type(message) for message in MESSAGES} == set(protocol.TYPES.values())


def test_the_wire_format_is_a_line_of_json_then_sized_bytes():
    """Written out by hand: another program could speak it."""
    array = np.array([[1, 2, 3]], "<i4")
    stream = sent(protocol.Result(9, {"a": array}))
    header = json.loads(stream.readline())
    assert header == {"type": "Result", "job": 9, "arrays": [{"name": "a", "dtype": "<i4", "shape": [1, 3]}]}
    assert stream.read() == struct.pack("<Q", 12) + struct.pack("<3i", 1, 2, 3)


def test_received_arrays_may_be_written_to():
    """Blender's side and the engines change arrays in place."""
    answer = protocol.read(sent(protocol.Result(1, {"a": np.zeros(3)})))
    answer.arrays["a"][0] = 1


def test_a_capture_survives(make_capture):
    capture = make_capture(sides=("right", "left"))
    answer = protocol.read(sent(protocol.Result(1, to_arrays(capture))))
    assert np.array_equal(from_arrays(answer.arrays).hands[1].vertices, capture.hands[1].vertices)


def test_a_capture_of_a_nameless_picture_survives(make_capture):
    arrays = to_arrays(make_capture()) | {"source": np.asarray("")}
    assert from_arrays(protocol.read(sent(protocol.Result(1, arrays))).arrays).source == ""


def one_array(dtype: str, shape: list) -> dict:
    return {"type": "Result", "job": 1, "arrays": [{"name": "a", "dtype": dtype, "shape": shape}]}


GARBAGE = {
    "text": io.BytesIO(b"Traceback (most recent call last):\n"),
    "bytes": io.BytesIO(b"\xff\xfe\x00\n"),
    "a number": raw(7),
    "a list": raw([1, 2]),
    "no type": raw({"job": 1}),
    "another type": raw({"type": "DiceError", "arrays": []}),
    "a field too many": raw({"type": "Cancel", "job": 1, "arrays": [], "path": "x"}),
    "a field too few": raw({"type": "Failure", "job": 1, "arrays": []}),
    "arrays where none belong": raw({**one_array("<i4", [1]), "type": "Cancel"}, b"abcd"),
    "arrays that are no list": raw({"type": "Result", "job": 1, "arrays": 3}),
    "objects": raw(one_array("|O", [1]), b"12345678"),
    "objects within": raw(one_array("i4,O", [1]), b"123456789012"),
    "no such dtype": raw(one_array("rubbish", [1]), b"1234"),
    "too short for its shape": raw(one_array("<i4", [2]), b"1234"),
    "too long for its shape": raw(one_array("<i4", [2]), b"123456789012"),
    "negative sizes": raw(one_array("<i4", [-1, -2]), b"12345678"),
    "endless size": raw(one_array("<i4", [float("inf")]), b"1234"),
    "size beyond integers": raw(one_array("<i4", [10**30]), b"1234"),
    "sizes that wrap around": raw(one_array("|u1", [2**32, 2**32]), b""),
    "no bytes an item": raw(one_array("|V0", [4]), b""),
}


@pytest.mark.parametrize("case", GARBAGE)
def test_garbage_is_refused_in_words(case):
    GARBAGE[case].seek(0)
    with pytest.raises(DiceError) as caught:
        protocol.read(GARBAGE[case])
    assert caught.value.remedy


def test_a_length_beyond_reason_is_refused_before_it_is_read():
    size = protocol.MAX_ARRAY_BYTES + 1
    stream = io.BytesIO(json.dumps(one_array("|u1", [size])).encode() + b"\n" + struct.pack("<Q", size))
    with pytest.raises(DiceError):
        protocol.read(stream)


def test_a_stream_cut_anywhere_ends_or_is_refused():
    whole = sent(MESSAGES[5]).getvalue()
    line = whole.index(b"\n") + 1
    for cut in range(len(whole)):
        stream = io.BytesIO(whole[:cut])
        if 0 < cut < line - 1:
            with pytest.raises(DiceError):
                protocol.read(stream)
        else:
            assert protocol.read(stream) is None


class Trickle(io.BytesIO):
    """A pipe: gives a few bytes at a time."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(size or 0, 5) if size and size > 0 else size)

    def readinto(self, buffer: memoryview) -> int:
        return super().readinto(buffer[:5])


def test_slow_pipes():
    assert_same(MESSAGES[5], protocol.read(Trickle(sent(MESSAGES[5]).getvalue())))


def test_a_large_picture_is_in_memory_once(tmp_path):
    """A process that takes one from a pipe, or sends it, needs no second copy."""
    image = np.full((2000, 3000, 3), 7, np.uint8)
    with open(tmp_path / "wire", "w+b") as stream:
        tracemalloc.start()
        protocol.write(stream, protocol.CaptureRequest(1, arrays={"image": image}))
        written = tracemalloc.get_traced_memory()[1]
        stream.seek(0)
        tracemalloc.reset_peak()
        answer = protocol.read(stream)
        read = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert np.array_equal(answer.arrays["image"], image)
    assert written < 0.1 * image.nbytes
    assert read < 1.1 * image.nbytes


@pytest.mark.parametrize("kind", KINDS.values())
def test_errors_keep_their_kind_on_the_wire(kind):
    failure = protocol.read(sent(protocol.Failure.of(2, kind("What happened.", "What to do."))))
    error = failure.error()
    assert type(error) is kind
    assert (error.message, error.remedy) == ("What happened.", "What to do.")


def test_unknown_kinds_become_plain_errors():
    assert type(protocol.Failure(1, "Exit", "m", "r").error()) is DiceError


def test_exit_codes_and_text():
    assert [KINDS[name].exit_code for name in ("DiceError", "NothingFound", "Cancelled")] == [1, 3, 130]
    assert str(MediaError("What happened.", "What to do.")) == "What happened. What to do."
    assert str(Cancelled()) == "The capture was cancelled."
