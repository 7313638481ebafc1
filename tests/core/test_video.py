# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of movies that carry their own number: the one that was asked for comes, whatever the container can do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from dice_core.errors import MediaError, NothingFound
from dice_core.media.video import NEAR, read_frame
from tests.core.movies import ALL, MOVIES, NO_MOVIES, RATE, SIZE, TURNS, no_movie, number, turn, write, write_lasting

ASKED = [0, 1, 2, 11, 12, 13, NEAR, NEAR + 1, NEAR + 15, NEAR + 16, NEAR + 17, NEAR + 30, ALL[-1]]


@pytest.fixture(scope="module")
def movie(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`movie("avi")` is one of MOVIES, written once."""
    folder = tmp_path_factory.mktemp("movies")

    def made(kind: str) -> Path:
        path = folder / f"m.{kind}"
        return path if path.exists() else write(path, *MOVIES[kind])

    return made


@pytest.mark.parametrize("kind", MOVIES)
def test_each_frame_is_the_one_that_was_asked_for(kind, movie):
    frames = [read_frame(movie(kind), index) for index in ASKED]
    assert [number(frame) for frame in frames] == ASKED
    assert [frame.index for frame in frames] == ASKED
    assert {(frame.size, frame.source) for frame in frames} == {(SIZE, f"m.{kind}")}


@pytest.mark.parametrize("kind", MOVIES)
def test_past_the_end(kind, movie):
    with pytest.raises(MediaError, match=rf"m.{kind} has no frame {len(ALL)}: the last one is {ALL[-1]}"):
        read_frame(movie(kind), len(ALL))
    with pytest.raises(MediaError, match="no frame -1"):
        read_frame(movie(kind), -1)


def test_a_rate_that_varies_counts_by_time(tmp_path):
    """As Blender does: every fourth frame lasts ten times as long, and has ten numbers. Searching goes astray there."""
    path, shown = write_lasting(tmp_path / "m.mkv", [10 if one % 4 == 3 else 1 for one in ALL])
    asked = [0, 1, 2, 3, 4, 12, 13, 14, *range(150, 170), 300]
    assert [number(read_frame(path, index)) for index in asked] == [shown[index] for index in asked]


@pytest.mark.parametrize("turns", TURNS)
def test_rotation_is_honoured(turns, movie, tmp_path):
    lying, upright = read_frame(movie("mp4"), 77), read_frame(turn(movie("mp4"), turns, tmp_path / "m.mp4"), 77)
    assert upright.size == (SIZE if turns == 2 else SIZE[::-1])
    assert np.array_equal(upright.pixels, np.rot90(lying.pixels, turns))


def test_the_whole_frame_goes_along(movie):
    """As a JPEG of the full size, for whoever shows the result."""
    frame = read_frame(movie("avi"), 77)
    shown = cv2.imdecode(np.frombuffer(frame.picture, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert shown.shape == (SIZE[1], SIZE[0], 3)
    assert np.abs(shown.astype(int) - frame.pixels).mean() < 2


@pytest.mark.parametrize("kind", ["avi", "mkv"])
def test_a_movie_that_is_cut_short(kind, movie, tmp_path):
    data = movie(kind).read_bytes()
    path = tmp_path / f"cut.{kind}"
    path.write_bytes(data[: len(data) // 2])
    assert number(read_frame(path, 20)) == 20
    for index in (ALL[-1], NEAR):
        with pytest.raises(MediaError, match=f"cut.{kind} is broken after frame [345]\\d"):
            read_frame(path, index)


@pytest.mark.parametrize("case", [*NO_MOVIES, "folder"])
def test_what_is_no_movie(case, tmp_path, capfd):
    path, said = (tmp_path, "is a folder") if case == "folder" else no_movie(tmp_path, case)
    capfd.readouterr()
    with pytest.raises(MediaError, match=said) as caught:
        read_frame(path, 3)
    assert caught.value.remedy.endswith(".")
    assert capfd.readouterr() == ("", ""), "FFmpeg's own words are for nobody"


def test_a_movie_is_captured(command, sample, tmp_path):
    """Of a movie in which a person appears late; the default name says which frame it was."""
    picture = cv2.imread(str(sample))
    writer = cv2.VideoWriter(str(tmp_path / "a.avi"), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"MJPG"), RATE, (768, 768))
    for index in range(8):
        writer.write(picture if index == 6 else np.full_like(picture, 90))
    writer.release()
    assert command("capture", "a.avi", "--frame", "5").code == NothingFound.exit_code
    ran = command("capture", "a.avi", "--frame", "6", "--preview", "p.png", "--obj", ".")
    assert ran.code == 0, ran.err
    assert {"a-6.npz", "p.png", "a-6_head.obj"} <= {path.name for path in tmp_path.iterdir()}
    from dice_core.result.store import load

    capture = load(tmp_path / "a-6.npz")
    assert (capture.source, capture.frame, capture.contact_state) == ("a.avi", 6, "touch")
    shown = cv2.imdecode(np.frombuffer(capture.picture, np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(shown.astype(int) - picture).mean() < 3
    ran = command("capture", "a.avi")  # all of it
    assert ran.code == 0 and (tmp_path / "a-sequence" / "capture.json").is_file(), ran.err


def test_pictures_ignore_the_frame(pipeline, sample, sample_capture):
    capture = pipeline.capture(sample, frame=7)
    assert np.array_equal(capture.head.vertices, sample_capture.head.vertices)
    assert (capture.frame, capture.picture) == (0, b"")
