# SPDX-License-Identifier: GPL-3.0-or-later
"""The second look: the same in a mirror and at any size, in the right frame, and right about the sample."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dice_core.fit import glance
from dice_core.fit.glance import NUMBERS, OUTPUTS, PARTS, POINTS, POSE, Glance, look, view
from dice_core.landmarks.litert import FEATURES, FaceLandmarks, HandLandmarks


@pytest.fixture(scope="module")
def pixels(sample_frame) -> np.ndarray:
    return sample_frame.pixels


@pytest.fixture(scope="module")
def face(open_engine, pixels) -> FaceLandmarks:
    return open_engine.landmarker.faces(pixels)[0]


@pytest.fixture(scope="module")
def hand(open_engine, pixels, face) -> HandLandmarks:
    return open_engine.landmarker.hands(pixels, face.points)[0]


@pytest.fixture(scope="module")
def said(pixels, hand, face) -> Glance:
    return look(size(pixels), hand, face)


def size(pixels: np.ndarray) -> tuple[int, int]:
    return pixels.shape[1], pixels.shape[0]


def in_mirror(pixels, hand, face):
    """The same in a mirror: the picture's size, hand and face."""
    flip, start = np.array([-1, 1]), np.array([pixels.shape[1], 0])
    pairs = np.arange(478)  # which landmark is which in a mirror, as far as it is looked at
    pairs[glance.LANDMARKS] = glance.MIRRORED
    other = replace(
        hand,
        points=start + flip * hand.points,
        world=hand.world * [-1, 1, 1],
        side="left" if hand.side == "right" else "right",
        features=hand.features[::-1],
    )
    return size(pixels), other, replace(face, points=(start + flip * face.points)[pairs])


def test_answers_have_their_shapes_and_ranges(said):
    assert 0 <= said.touch <= 1 and said.depth_sigma > 0
    assert said.parts.shape == (len(PARTS),) and (0 <= said.parts).all() and (said.parts <= 1).all()
    assert said.joints.shape == (21, 3) and not said.joints[0].any()
    assert said.joints_sigma.shape == (21,) and (said.joints_sigma > 0).all()


def test_the_sample_touches(said):
    assert said.touch > 0.5
    assert abs(said.depth_ratio) < 0.3


def test_a_mirror_changes_nothing_but_the_side(said, pixels, hand, face):
    other = look(*in_mirror(pixels, hand, face))
    assert other.touch == pytest.approx(said.touch, abs=0.1)
    assert other.depth_ratio == pytest.approx(said.depth_ratio, abs=0.03)
    assert np.abs(other.joints - said.joints * [-1, 1, 1]).max() < 0.15


def test_the_picture_may_have_any_size(said, pixels, hand, face):
    width, height = size(pixels)
    small = replace(hand, points=hand.points / 2)
    other = look((width // 2, height // 2), small, replace(face, points=face.points / 2))
    assert other.touch == pytest.approx(said.touch, abs=0.02)
    assert np.abs(other.joints - said.joints).max() < 0.02
    assert np.abs(2 * other.points - said.points).max() < 0.02 * np.ptp(hand.points, axis=0).max()


def test_the_features_of_a_mirror_image_are_those_of_the_hand_in_a_mirror(open_engine, pixels, hand):
    turned = np.ascontiguousarray(pixels[:, ::-1])
    middle = size(pixels)[0] - hand.points.mean(0)[0]
    found = min(open_engine.landmarker.hands(turned), key=lambda one: abs(one.points.mean(0)[0] - middle))
    assert hand.features.shape == found.features.shape == (2, FEATURES)
    alike = [np.corrcoef(found.features[0], hand.features[index])[0, 1] for index in (0, 1)]
    assert alike[1] > 0.9 > alike[0]


def test_numbers_do_not_depend_on_the_pictures_size(pixels, hand, face):
    one = glance.numbers(view(size(pixels), hand, face, 900.0))
    width, height = size(pixels)
    double = view(
        (2 * width, 2 * height), replace(hand, points=2 * hand.points), replace(face, points=2 * face.points), 1800.0
    )
    assert one.shape == (NUMBERS,) and np.isfinite(one).all()
    assert np.abs(one - glance.numbers(double)).max() < 1e-4


def test_numbers_of_a_left_hand_are_those_of_a_right_one_in_a_mirror(pixels, hand, face):
    _, other, marks = in_mirror(pixels, hand, face)
    one, two = (glance.numbers(view(size(pixels), *pair, None)) for pair in ((hand, face), (other, marks)))
    # all but the distances to the face, for which every landmark counts
    assert np.quantile(np.abs(one - two), 0.85) < 1e-4


def test_what_the_network_adds_is_added_in_its_own_frame(pixels, hand, face):
    for pair in ((hand, face), in_mirror(pixels, hand, face)[1:]):
        seen = view(size(pixels), *pair, None)
        ideal = np.random.default_rng(0).normal(size=(21, 3))
        ideal -= ideal[0]
        mirrored = ideal * [-1, 1, 1] if seen.mirrored else ideal
        wanted = (mirrored @ seen.ray().T) @ glance.turn_about_sight(seen.angle).T
        out = np.zeros(OUTPUTS)
        out[POSE] = (wanted - glance.upright_world(seen)).ravel()
        where = np.random.default_rng(1).uniform(0, 500, (21, 2))
        flipped = np.array([seen.size[0], 0]) + where * [-1, 1] if seen.mirrored else where
        turn = glance.turn_about_sight(seen.angle)[:2, :2]
        out[POINTS] = ((flipped - seen.hand) @ turn.T / seen.extent).ravel()
        answer = glance.answer(out, seen, np.ones(6))
        assert np.abs(answer.joints - ideal).max() < 1e-6
        assert np.abs(answer.points - where).max() < 1e-6


def test_the_file_is_small_and_holds_no_pickle():
    assert glance.ASSET.stat().st_size < 6e6
    with np.load(glance.ASSET, allow_pickle=False) as data:
        assert data["calibration"].shape == (6,) and data["features.mean"].shape == (FEATURES,)
        assert all(np.isfinite(data[key].astype(np.float32)).all() for key in data.files)


@pytest.mark.slow
def test_photographs(open_engine, photos):
    """Hands on faces look more like touching than hands before them."""
    from dice_core.landmarks.people import assign_sides, find_people
    from dice_core.media.decode import read_picture

    def touches(name: str) -> float:
        frame = read_picture(photos / name)
        face, hands = find_people(open_engine.landmarker, frame)
        return max(look(frame.size, hand, face).touch for hand in assign_sides(hands, face, "auto"))

    on = [touches(name) for name in ("1.png", "2.png")]
    off = [touches(f"no-touch/{number}.jpg") for number in (1, 2, 3)]
    assert np.mean(on) > np.mean(off)
