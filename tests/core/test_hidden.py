# SPDX-License-Identifier: GPL-3.0-or-later
"""Landmarks of faces with a hand: left alone without one, alike at any size, nearer to the truth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dice_core.body.openbody import head_model
from dice_core.fit import hidden
from dice_core.fit.hidden import NUMBERS, uncovered, upright
from dice_core.landmarks.litert import FACE_FEATURES
from dice_core.landmarks.people import find_people
from dice_core.media.decode import read_picture
from dice_core.result.store import load

STORED = Path(__file__).parents[1] / "data" / "benchmark"


@pytest.fixture(scope="module")
def people(open_engine, sample_frame):
    return find_people(open_engine.landmarker, sample_frame)


def covering(face, hands):
    """The first hand, in the middle of the face."""
    return replace(hands[0], points=hands[0].points - hands[0].points.mean(0) + face.points.mean(0))


def test_the_frame_of_a_face_goes_there_and_back():
    face = np.random.default_rng(0).uniform(100, 300, (478, 2))
    frame = upright(face)
    flat = frame.into(face)
    assert np.abs(flat[:468].mean(0)).max() < 1e-9
    assert np.sqrt((flat[:468] ** 2).sum(1).mean()) == pytest.approx(1)
    assert (flat[263] - flat[33])[1] == pytest.approx(0, abs=1e-9) and (flat[263] - flat[33])[0] > 0
    assert np.abs(frame.back(flat) + frame.middle - face).max() < 1e-9


def test_a_face_without_a_hand_stays_as_it_is(people):
    face, _ = people
    assert uncovered(face, [], (640, 640)) is face


def test_the_hand_nearest_to_the_face_counts(people):
    face, hands = people
    near, far = covering(face, hands), replace(hands[0], points=hands[0].points + [5000, 0])
    one, other = (uncovered(face, some, (640, 640)).points for some in ([near], [far, near]))
    assert np.array_equal(one, other)


def test_numbers_have_their_shape_with_and_without_a_hand(people):
    face, hands = people
    for points in (None, hands[0].points):
        made = hidden.numbers(face, points, (640, 640))
        assert made.shape == (NUMBERS,) and made.dtype == np.float32 and np.isfinite(made).all()


def test_the_picture_may_have_any_size(people):
    face, hands = people
    hand = covering(face, hands)
    one = uncovered(face, [hand], (640, 640)).points
    small = replace(face, points=face.points / 4), [replace(hand, points=hand.points / 4)]
    assert np.abs(4 * uncovered(*small, (160, 160)).points - one).max() < 0.05


def test_landmarks_are_turned_with_the_picture(people):
    face, hands = people
    hand, turn = covering(face, hands), np.array([[0.0, -1.0], [1.0, 0.0]])
    middle = np.array([320.0, 320.0])
    offset = uncovered(face, [hand], (640, 640)).points - face.points
    turned = replace(face, points=(face.points - middle) @ turn.T + middle)
    other = replace(hand, points=(hand.points - middle) @ turn.T + middle)
    found = uncovered(turned, [other], (640, 640)).points - turned.points
    # all but where in the picture the face is says the same
    assert np.abs(found - offset @ turn.T).max() < 0.2 * np.abs(offset).max()


def test_they_come_nearer_to_the_truth_in_drawn_pictures(open_engine):
    """Four pictures by another renderer than those it learnt from."""
    before, after = [], []
    for path in sorted(STORED.glob("*.jpg")):
        truth, frame = load(path.with_suffix(".npz")), read_picture(path)
        face, hands = find_people(open_engine.landmarker, frame)
        true = truth.camera.project(head_model().landmarks(truth.head.vertices.astype(float)))
        if face is not None and hands:
            before.append(np.linalg.norm(face.points - true, axis=1).mean())
            after.append(np.linalg.norm(uncovered(face, hands, frame.size).points - true, axis=1).mean())
    assert len(after) > 1 and np.mean(after) < np.mean(before)


def test_the_file_is_small_and_holds_no_pickle():
    assert hidden.ASSET.stat().st_size < 3e6
    with np.load(hidden.ASSET, allow_pickle=False) as data:
        assert data["features.mean"].shape == (FACE_FEATURES,) and data["basis.bias"].shape == (956,)
        assert all(np.isfinite(data[key].astype(np.float32)).all() for key in data.files)
