# SPDX-License-Identifier: GPL-3.0-or-later
"""Movies from beginning to end: each frame once, in order, under its number, whatever is broken between."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from dice_core.errors import MediaError
from dice_core.media.source import Gap, ahead, open_source
from dice_core.media.video import BROKEN, NEAR, read_frame
from dice_core.types import Frame
from tests.core import movies
from tests.core.movies import ALL, MOVIES, RATE, SIZE, drawn, number, numbers, pack, paint, write


@pytest.fixture(scope="module")
def movie(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`movie("avi")` is one of MOVIES, written once."""
    folder = tmp_path_factory.mktemp("movies")

    def made(kind: str) -> Path:
        path = folder / f"m.{kind}"
        return path if path.exists() else write(path, *MOVIES[kind])

    return made


def same(first: Frame, second: Frame) -> bool:
    return np.array_equal(first.pixels, second.pixels) and (first.index, first.size) == (second.index, second.size)


@pytest.mark.parametrize("kind", MOVIES)
def test_a_movie_from_beginning_to_end(kind, movie):
    source = open_source([str(movie(kind))], rate=12.0)
    assert (source.name, source.size) == (f"m.{kind}", SIZE)
    assert source.count - len(ALL) in ((0, 1) if kind in ("mpg", "mjpeg") else (0,)), "some do not say"
    assert source.rate == pytest.approx(MOVIES[kind][1], abs=1e-3), "its own"
    assert numbers(source) == list(ALL)
    assert numbers(source, 70, 73) == [70, 71, 72, 73]
    assert source.notes == []


@pytest.mark.parametrize("kind", ["mp4", "mkv", "ts"])
def test_each_frame_is_the_one_that_is_read_alone(kind, movie):
    frames = list(open_source([movie(kind)]).frames(60))
    assert all(same(frame, read_frame(movie(kind), frame.index)) for frame in frames[::6])
    assert {(frame.source, frame.picture) for frame in frames} == {(f"m.{kind}", b"")}


def test_the_ends_of_a_movie(movie):
    source = open_source([movie("mp4")])
    assert numbers(source, ALL[-1]) == [ALL[-1]]
    assert numbers(source, 100, 5000) == [100, 101, 102, 103]
    for start, end, said in [(104, None, "has no frame 104: the last one is 103"), (-1, None, "no frame -1"),
                             (5, 4, "no frame between 5 and 4")]:  # fmt: skip
        with pytest.raises(MediaError, match=said):
            next(source.frames(start, end))


def test_a_rate_that_varies(tmp_path):
    """A frame that lasts has several numbers and is the same object each time, also when one begins in its midst."""
    lasting = [(1, 1, 2, 5)[one % 4] for one in range(20)] + [NEAR + 40, 1, 1]
    path, shown = movies.write_lasting(tmp_path / "m.mkv", lasting)
    source = open_source([path])
    assert 0 <= source.count - len(shown) <= 1
    frames = list(source.frames())
    assert [number(frame) for frame in frames] == shown
    assert len({id(frame.pixels) for frame in frames}) == 23
    assert [frame.index for frame in frames] == list(range(len(shown)))
    assert all(same(frames[index], read_frame(path, index)) for index in (0, 5, 8, 9, 44, 45, 46, 120, len(shown) - 2))
    for start in (7, 45, 140, len(shown) - 2):
        assert numbers(source, start) == shown[start:]


@pytest.mark.parametrize("rate", [1.0, 240.0, 1000 / 1001])
def test_slow_and_fast_movies(rate, tmp_path):
    source = open_source([write(tmp_path / "m.mov", "mjpg", rate)])
    assert source.rate == pytest.approx(rate, rel=1e-3) and source.count == len(ALL)
    assert numbers(source) == list(ALL)


@pytest.mark.parametrize("turns", movies.TURNS)
def test_rotation_is_honoured(turns, movie, tmp_path):
    source = open_source([movies.turn(movie("mp4"), turns, tmp_path / "m.mp4")])
    assert source.size == (SIZE if turns == 2 else SIZE[::-1])
    for upright, lying in zip(source.frames(70, 72), open_source([movie("mp4")]).frames(70, 72), strict=True):
        assert np.array_equal(upright.pixels, np.rot90(lying.pixels, turns)) and upright.size == source.size


def test_huge_frames_are_reduced(tmp_path):
    """8K; the size is the full one."""
    image = cv2.resize(drawn(5), (7680, 4320), interpolation=cv2.INTER_NEAREST)
    path = pack(tmp_path / "m.avi", "MJPG", [image])
    (frame,) = open_source([path]).frames()
    assert (frame.size, frame.pixels.shape) == ((7680, 4320), (1152, 2048, 3))
    wanted = cv2.resize(drawn(5), (2048, 1152), interpolation=cv2.INTER_NEAREST)
    assert np.abs(frame.pixels.astype(int) - wanted).mean() < 3
    assert same(frame, read_frame(path, 0))


def test_alpha_and_deep_colours(tmp_path):
    """PNG in a movie: transparent, and with 16 bits a channel. FFV1: grey with 16 bits."""
    colours = np.full((SIZE[1], SIZE[0], 3), (10, 120, 230), np.uint8)
    opacity = np.full((SIZE[1], SIZE[0], 1), 255, np.uint8)
    opacity[:, :160] = 0
    clear = pack(tmp_path / "clear.mov", "png ", [np.dstack([colours, opacity])] * 2, kind=".png")
    deep = pack(tmp_path / "deep.mov", "png ", [np.uint16(colours) * 257] * 2, kind=".png")
    for path in (clear, deep):
        for frame in open_source([path]).frames():
            assert frame.pixels.dtype == np.uint8 and frame.pixels.shape == (SIZE[1], SIZE[0], 3)
            assert np.abs(frame.pixels[:, 160:] - np.int32([230, 120, 10])).max() <= 2
    path, codec = tmp_path / "grey.mkv", cv2.VideoWriter_fourcc(*"FFV1")
    grey = [cv2.VIDEOWRITER_PROP_DEPTH, cv2.CV_16U, cv2.VIDEOWRITER_PROP_IS_COLOR, 0]
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, codec, RATE, SIZE, grey)
    for value in (0, 128, 255):
        writer.write(np.full(SIZE[::-1], value * 257, np.uint16))
    writer.release()
    levels = [frame.pixels.mean() for frame in open_source([path]).frames()]
    assert levels == pytest.approx([0, 128, 255], abs=2)


@pytest.mark.parametrize("case", movies.NO_MOVIES)
def test_what_is_no_movie(case, tmp_path, capfd):
    path, said = movies.no_movie(tmp_path, case)
    capfd.readouterr()
    with pytest.raises(MediaError, match=said) as caught:
        open_source([path])
    assert caught.value.remedy.endswith(".")
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "m.mp4")
    with pytest.raises(MediaError, match="is not a file"):
        open_source([tmp_path / "m.mp4"])


def damage(path: Path, output: Path, start: float, end: float) -> Path:
    """Overwrite a part of a file, given in fractions of its length."""
    data = bytearray(path.read_bytes())
    part = slice(round(len(data) * start), round(len(data) * end))
    data[part] = np.random.default_rng(1).bytes(part.stop - part.start)
    output.write_bytes(data)
    return output


@pytest.mark.parametrize("part", [0.05, 0.35])
@pytest.mark.parametrize("kind", ["mov", "mp4", "webm", "mkv", "ts"])
def test_broken_packets(kind, part, movie, tmp_path):
    """What comes after them is there, at its time; between, the last good frame is held."""
    source = open_source([damage(movie(kind), tmp_path / f"m.{kind}", 0.4, 0.4 + part)])
    seen = numbers(source)
    assert len(seen) == source.count == len(ALL)
    first, last = 104 * 0.4 - 12, 104 * (0.4 + part) + 24  # frames depend on others; the part is one of bytes
    assert [seen[index] for index in ALL if not first < index < last] == [
        index for index in ALL if not first < index < last
    ]
    assert all(value <= index for index, value in enumerate(seen)), "nothing comes too early"
    if kind == "mov":
        frames = list(source.frames())
        held = [frame.index for frame in frames[1:] if frame.pixels is frames[frame.index - 1].pixels]
        assert held == list(range(held[0], held[-1] + 1)) and abs(len(held) - 104 * part) < 3
        assert [seen[index] for index in held] == [held[0] - 1] * len(held)
        assert source.notes == [f"m.mov is broken near frame {held[0] - 1}: the last good frame is held there."]


@pytest.mark.parametrize("kind", ["avi", "mkv", "webm"])
def test_a_movie_that_is_cut_short(kind, movie, tmp_path):
    data = movie(kind).read_bytes()
    path = tmp_path / f"cut.{kind}"
    path.write_bytes(data[: len(data) // 2])
    source = open_source([path])
    seen = numbers(source)
    assert 30 < len(seen) < 65 and abs(source.count - len(seen)) <= 2
    assert seen[:-2] == list(range(len(seen) - 2)), "the last packet may be half a one"
    told = f"cut.{kind} ends after frame {len(seen) - 1}, though it says that it has {len(ALL)} frames."
    assert source.notes[-1] == told
    with pytest.raises(MediaError, match=f"cut.{kind} is broken after frame {len(seen) - 1}"):
        next(source.frames(90))


def test_a_broken_time(tmp_path):
    """Half a minute late, of a frame in a movie of 4 s, and a day late, of its last one: no endless stream."""
    path = pack(tmp_path / "m.mkv", "MJPG", map(drawn, ALL))
    data = bytearray(path.read_bytes())
    block = [at for at in range(len(data)) if data[at : at + 2] == b"\xff\xd8" and data[at - 4] == 0x81][50]
    data[block - 3 : block - 1] = (30_000).to_bytes(2, "big")
    path.write_bytes(data)
    assert numbers(open_source([path])) == list(ALL)
    path = pack(tmp_path / "n.mkv", "MJPG", map(drawn, range(5)), [0, 1, 2, 3, 86400 * 25])
    assert numbers(open_source([path])) == list(range(5))


def test_frames_of_many_sizes_in_a_movie(tmp_path):
    images = [cv2.resize(drawn(one), (160, 96) if one in (3, 4) else SIZE) for one in range(8)]
    source = open_source([pack(tmp_path / "m.mkv", "MJPG", images)])
    assert numbers(source) == list(range(8))
    assert {frame.size for frame in source.frames()} == {SIZE}


def test_reading_on_at_the_end_ends(movie):
    assert BROKEN < 10_000
    frames = open_source([movie("mp4")]).frames(ALL[-1])
    next(frames)
    started = time.perf_counter()
    assert next(frames, None) is None
    assert time.perf_counter() - started < 5


@pytest.mark.skipif(sys.platform == "win32", reason="what is open cannot be changed there")
def test_a_movie_that_changes_meanwhile(movie, tmp_path):
    path = tmp_path / "m.avi"
    path.write_bytes(movie("avi").read_bytes())
    source = open_source([path])
    known = source.fingerprint()
    assert known == {"size": path.stat().st_size, "modified": path.stat().st_mtime_ns}
    source.check()
    source.check(known)
    frames = source.frames()
    next(frames)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(MediaError, match="m.avi was changed since it was first read"):
        list(frames)
    path.unlink()
    for ask in (source.fingerprint, source.check):
        with pytest.raises(MediaError, match="m.avi is gone"):
            ask()
    path.write_bytes(movie("avi").read_bytes())
    os.utime(path, ns=(1, known["modified"]))
    source.check(known)
    with pytest.raises(MediaError, match="was changed"):
        source.check(known | {"modified": 1})


def test_no_frame_is_kept(movie, tmp_path):
    paint(tmp_path, *(f"{index}.png" for index in range(20)))
    for path in (movie("avi"), tmp_path):
        living: list[weakref.ref] = []
        for frame in open_source([path]).frames():
            living = [ref for ref in living if ref() is not None] + [weakref.ref(frame.pixels)]
            assert len(living) <= 3


def counted(taken: list[int], last: int = 1000, closed: list[bool] | None = None) -> Iterator[Gap]:
    try:
        for index in range(last):
            taken.append(index)
            yield Gap(index, MediaError("no"))
        raise MediaError("The end.", "Stop.")
    finally:
        if closed is not None:
            closed.append(True)


def test_reading_ahead(movie):
    source = open_source([movie("avi")])
    assert [number(frame) for frame in ahead(source.frames(3, 90), 4)] == list(range(3, 91))
    assert list(ahead(iter([]))) == []


def test_reading_ahead_goes_no_further_than_asked():
    taken: list[int] = []
    items = ahead(counted(taken), 5)
    assert taken == []
    assert [next(items).index for _ in range(3)] == [0, 1, 2]
    time.sleep(0.2)
    assert len(taken) <= 3 + 5 + 1
    items.close()


def test_errors_of_reading_ahead_arrive(tmp_path):
    items = ahead(counted([], 20), 3)
    assert [next(items).index for _ in range(20)] == list(range(20))
    with pytest.raises(MediaError, match="The end. Stop."):
        next(items)
    with pytest.raises(ZeroDivisionError):
        next(ahead(1 / 0 for _ in range(1)))


@pytest.mark.parametrize("depth", [0, 1, 8])
@pytest.mark.parametrize("how", ["closed", "forgotten", "at an error"])
def test_the_thread_ends(how, depth):
    before, closed = threading.active_count(), []
    items = ahead(counted([], closed=closed), depth)
    assert next(items).index == 0
    assert threading.active_count() == before + 1
    if how == "closed":
        items.close()
    elif how == "at an error":
        with pytest.raises(KeyError):
            items.throw(KeyError("mine"))
    del items
    gc.collect()
    assert threading.active_count() == before and closed == [True]
