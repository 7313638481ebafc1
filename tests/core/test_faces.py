# SPDX-License-Identifier: GPL-3.0-or-later
"""Several people in one picture: which of them is captured."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from dice_core.errors import NothingFound
from dice_core.media.decode import from_array
from dice_core.types import Frame

WIDTHS = (384, 768, 512)  # of copies of the sample, from left to right


@pytest.fixture(scope="module")
def three(sample_frame) -> Frame:
    """The sample three times, each of another size and height in the picture; the largest is in the middle."""
    canvas = np.full((max(WIDTHS), sum(WIDTHS), 3), 120, np.uint8)
    left = 0
    for width in WIDTHS:
        copy = cv2.resize(sample_frame.pixels, (width, width), interpolation=cv2.INTER_AREA)
        canvas[len(canvas) - width :, left : left + width] = copy
        left += width
    return from_array(canvas, "three")


def place(capture) -> int:
    """Which of the copies the head lies on: 1, 2 or 3."""
    middle = capture.camera.project(capture.head.vertices)[:, 0].mean()
    return int(np.searchsorted(np.cumsum(WIDTHS), middle)) + 1


@pytest.mark.parametrize("face, where", [(0, 2), (1, 1), (2, 2), (3, 3)])
def test_the_face_of_that_number_is_captured(face, where, pipeline, three):
    capture = pipeline.capture(three.pixels, source="three", face=face)
    assert place(capture) == where
    hand = capture.camera.project(capture.hands[0].joints)[:, 0].mean()
    assert abs(hand - capture.camera.project(capture.head.vertices)[:, 0].mean()) < WIDTHS[where - 1] / 2, "its hand"
    said = "3 faces were found; the largest was captured. Choose another with Face."
    assert capture.notes == (() if face else (said,))


@pytest.mark.parametrize(
    "face, pixels, found",
    [
        (4, "three", "3 faces were"),
        (2, "sample", "1 face was"),
        (1, "nobody", "no face was"),
        (-1, "three", "3 faces were"),
    ],
)
def test_a_number_that_is_not_there(face, pixels, found, pipeline, three, sample_frame):
    nobody = np.full((300, 300, 3), 120, np.uint8)
    picture = {"three": three.pixels, "sample": sample_frame.pixels, "nobody": nobody}[pixels]
    with pytest.raises(NothingFound, match=f"Face {face} was asked for, but {found} found in {pixels}") as caught:
        pipeline.capture(picture, source=pixels, face=face)
    assert caught.value.exit_code == 3


def test_a_crop_counts_those_that_it_shows(pipeline, three):
    crop = (float(WIDTHS[0]), 0.0, float(WIDTHS[1] + WIDTHS[2]))  # without the leftmost
    assert place(pipeline.capture(three.pixels, source="three", crop=crop, face=2)) == 3


def test_one_face_is_no_choice(pipeline, sample, sample_capture):
    assert sample_capture.notes == ()
    named = pipeline.capture(sample, face=1)
    assert np.array_equal(named.head.vertices, sample_capture.head.vertices)


@pytest.mark.torch
@pytest.mark.slow
def test_the_dice_engine_chooses_alike(runtime, official_models, three):
    from dice_core.engines.dice import DiceEngine
    from dice_core.paths import models_dir
    from dice_core.types import silent

    engine = DiceEngine(models_dir(runtime), official_models)
    for face, where in ((0, 2), (3, 3)):
        capture = engine.capture(three, "auto", silent, None, face)
        middle = capture.params["crop"] @ [112, 112, 1]
        assert int(np.searchsorted(np.cumsum(WIDTHS), middle[0])) + 1 == where
        assert ("3 faces were found" in " ".join(capture.notes)) == (face == 0)
    with pytest.raises(NothingFound, match="Face 4"):
        engine.capture(three, "auto", silent, None, 4)
