# SPDX-License-Identifier: GPL-3.0-or-later
"""Still pictures in order: which ones belong together, which are missing, which cannot be used."""

from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest

from dice_core.errors import MediaError
from dice_core.media.source import Gap, open_source
from tests.core.movies import SIZE, numbers, paint


def test_a_numbered_series(tmp_path):
    """From any of its pictures; gaps are kept, padding is not needed, what is no part of it does not matter."""
    paint(tmp_path, "a_8.png", "a_9.png", "a_10.png", "a_012.PNG", "a_13.png")
    paint(tmp_path / "a_11.png")
    paint(tmp_path, "b_8.png", "a_8.jpg", ".a_11.png", "a_8b.png")
    (tmp_path / "a_11.txt").write_text("no picture")
    for name in ("a_8.png", "a_012.PNG"):
        source = open_source([tmp_path / name])
        assert (source.name, source.rate, source.count, source.size) == (name, 24.0, 6, SIZE)
        assert numbers(source) == [0, 1, 2, None, 3, 4]
        assert numbers(source, 1, 3) == [1, 2, None] and numbers(source, 5, 900) == [4]
    gap = list(source.frames(3, 3))[0]
    assert gap.error.message == "a_012.PNG has no picture for frame 3." and gap.error.remedy
    assert [frame.source for frame in source.frames(4)] == ["a_012.PNG", "a_13.png"]
    assert open_source([tmp_path / "a_8.png"], 29.97).rate == 29.97
    with pytest.raises(MediaError, match="has no frame 6: it has 6 from 0 on"):
        next(source.frames(6))
    paint(tmp_path, "alone.png")
    assert numbers(open_source([tmp_path / "alone.png"])) == [0]


def test_a_folder(tmp_path):
    paint(tmp_path, *(f"shot2_v3_{index:04}.png" for index in range(9, 13)))
    paint(tmp_path, "poster.png", ".shot2_v3_0000.png", "thumb1.png")
    paint(tmp_path / "more", "a_1.png", "a_2.png")
    source = open_source([tmp_path])
    assert source.name == tmp_path.name and numbers(source) == [0, 1, 2, 3]
    assert source.notes == ["Left out beside shot2_v3_#.png: poster.png, thumb1.png."]
    paint(tmp_path, "cam_1.png", "cam_2.png")
    several = r"several series of pictures: cam_#.png \(2\), shot2_v3_#.png \(4\)"
    with pytest.raises(MediaError, match=several) as caught:
        open_source([tmp_path])
    assert caught.value.remedy == "Choose a picture of the one you mean."


def test_a_folder_without_numbers(tmp_path):
    paint(tmp_path, "Anna.png", "ben.png", "Ben 2 b.png", "ben 10 a.png", "clara.png")
    assert numbers(open_source([tmp_path])) == [0, 2, 3, 1, 4]
    paint(tmp_path / "none")
    with pytest.raises(MediaError, match="none holds no pictures"):
        open_source([tmp_path / "none"])


def test_numbers_that_mean_nothing(tmp_path):
    paint(tmp_path, "a_1.png", "a_2.png", "a_02.png")
    with pytest.raises(MediaError, match="a_0?2.png and a_0?2.png have the same number"):
        open_source([tmp_path])
    paint(tmp_path / "b", "a_1.png", "a_20240131.png")
    with pytest.raises(MediaError, match="The numbers of 2 pictures go from a_1.png to a_20240131.png"):
        open_source([tmp_path / "b"])


@pytest.mark.skipif(sys.platform == "win32", reason="links need permission")
def test_links_that_lead_in_a_circle(tmp_path):
    paint(tmp_path / "real", "a_1.png", "a_3.png")
    folder = tmp_path / "f"
    folder.mkdir()
    (folder / "a_1.png").symlink_to(tmp_path / "real" / "a_1.png")
    (folder / "a_2.png").symlink_to(folder / "a_2.png")
    (folder / "a_3.png").symlink_to(tmp_path / "real" / "a_3.png")
    (folder / "a_4.png").symlink_to(tmp_path / "missing.png")
    (folder / "again").symlink_to(folder)
    (folder / "again.png").symlink_to(folder)
    assert numbers(open_source([folder / "again" / "again"])) == [0, None, 1]
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "loop.mp4").symlink_to(tmp_path / "loop.mp4")
    for path in (folder / "a_2.png", tmp_path / "loop", tmp_path / "loop.mp4", tmp_path / "loop" / "a_1.png"):
        with pytest.raises(MediaError):
            open_source([path])


def test_pictures_in_order(tmp_path):
    """An empty one is a gap; the same one again is the same object."""
    paint(tmp_path, "x.png", "a 3.png")
    x, a = str(tmp_path / "x.png"), tmp_path / "a 3.png"
    source = open_source(["", x, x, a, "", str(tmp_path / "missing.png"), x])
    assert source.name == "x.png" and numbers(source) == [None, 0, 0, 1, None, None, 0]
    items = list(source.frames())
    assert items[1].pixels is items[2].pixels and (items[1].index, items[2].index) == (1, 2)
    assert [frame.index for frame in source.frames(2, 3)] == [2, 3]
    for paths, said in [([x, tmp_path / "m.mp4"], "m.mp4 is no picture"), ([], "nothing to capture"),
                        ([""], "nothing to capture"), ([tmp_path / "no.png"], "There is no picture .*no.png"),
                        ([tmp_path / "no.png", ""], "There is no picture"),
                        ([tmp_path / "no.png", tmp_path / "n.png"], "None of the pictures of no.png")]:  # fmt: skip
        with pytest.raises(MediaError, match=said) as caught:
            open_source(paths)
        assert caught.value.remedy
    for rate in (-1.0, float("nan"), float("inf")):
        with pytest.raises(MediaError, match="frames a second are impossible"):
            open_source([x], rate)


def test_pictures_that_cannot_be_used_are_gaps(tmp_path):
    paint(tmp_path, *(f"{index:03}.jpg" for index in range(7)))
    (tmp_path / "000.jpg").write_bytes(b"no picture")
    (tmp_path / "002.jpg").write_bytes((tmp_path / "002.jpg").read_bytes()[:1000])
    (tmp_path / "003.jpg").unlink()
    paint(tmp_path, "004.jpg", size=(160, 96))
    source = open_source([tmp_path])
    assert source.count == 7 and numbers(source) == [None, 1, None, None, None, 5, 6]
    errors = [item.error.message for item in source.frames() if isinstance(item, Gap)]
    assert "000.jpg is not a picture" in errors[0] and "002.jpg is broken" in errors[1]
    assert errors[3] == "004.jpg has 160 x 96 and not 320 x 192 pixels."
    known = source.fingerprint()
    (tmp_path / "005.jpg").unlink()
    with pytest.raises(MediaError, match="was changed since"):
        list(source.frames())
    with pytest.raises(MediaError, match="was changed since"):
        open_source([tmp_path]).check(known)


def test_transparent_pictures(tmp_path):
    """On white, as one picture alone."""
    image = np.zeros((4, 4, 4), np.uint8)
    for name in ("1.png", "2.png"):
        cv2.imwrite(str(tmp_path / name), image)
    assert [frame.pixels.min() for frame in open_source([tmp_path]).frames()] == [255, 255]
