# SPDX-License-Identifier: GPL-3.0-or-later
"""What the open engine decides by itself: which hands, whose side, what is covered, how far skin gives way."""

from __future__ import annotations

import numpy as np
import pytest

from dice_core.body.openbody import SKIN, head_model
from dice_core.engines.open import _chosen, _contact_state, _Hand
from dice_core.fit.hand import HandFit, HandObservation
from dice_core.fit.placement import Placement
from dice_core.landmarks.litert import FaceLandmarks, HandLandmarks
from dice_core.landmarks.people import assign_sides, occlusion


def seen(side: str, side_score: float, at: float = 0.0) -> HandLandmarks:
    return HandLandmarks(np.full((21, 2), at), np.zeros((21, 3)), side, 0.9, side_score, np.zeros((2, 0)))


def sides(hands: list[HandLandmarks]) -> set[tuple[str, float]]:
    """Side and place of each hand."""
    return {(hand.side, hand.points[0, 0]) for hand in hands}


def test_one_hand_a_side():
    both = [seen("right", 0.95, 1), seen("left", 0.6, 2)]
    for choice in ("both", "auto"):
        assert sides(assign_sides(both, None, choice)) == {("right", 1), ("left", 2)}


def test_of_two_right_hands_the_less_certain_one_is_a_left_one():
    hands = [seen("right", 0.7, 1), seen("right", 0.95, 2)]
    assert sides(assign_sides(hands, None, "auto")) == {("left", 1), ("right", 2)}


def test_two_certain_right_hands_are_two_people():
    hands = [seen("right", 0.97, 1), seen("right", 0.95, 2)]
    assert sides(assign_sides(hands, None, "both")) == {("right", 1)}


def test_a_third_hand_is_nobodys():
    hands = [seen("right", 0.97, 1), seen("left", 0.95, 2), seen("left", 0.6, 3)]
    assert sides(assign_sides(hands, None, "both")) == {("right", 1), ("left", 2)}


@pytest.mark.parametrize("choice, expected", [("left", {("left", 2)}), ("right", {("right", 1)})])
def test_the_side_asked_for(choice, expected):
    assert sides(assign_sides([seen("right", 0.9, 1), seen("left", 0.9, 2)], None, choice)) == expected


def test_the_side_asked_for_overrules_the_detector():
    assert sides(assign_sides([seen("right", 0.99, 1)], None, "left")) == {("left", 1)}
    assert assign_sides([], None, "left") == []


def hand(side: str, state: str, probability: float = 0.5, gap: float = 0.0) -> _Hand:
    fit = HandFit(np.zeros(3), np.zeros((5, 3)), np.zeros((21, 3)), np.zeros((21, 3)), np.zeros(21), 0.0)
    placement = Placement(fit, state, probability, "index", gap, 0.0)
    return _Hand(seen(side, 0.9), None, HandObservation(np.zeros((21, 2)), np.zeros((21, 3))), fit, placement)


def test_auto_takes_the_hands_that_touch():
    touching, apart, doubtful = hand("right", "touch"), hand("left", "no-touch"), hand("left", "unsure")
    assert _chosen([touching, apart], "auto") == [touching]
    assert _chosen([touching, doubtful], "auto") == [touching, doubtful]
    assert _chosen([touching, apart], "both") == [touching, apart]


def test_auto_takes_the_nearest_when_none_touches():
    near, far = hand("right", "no-touch", gap=0.03), hand("left", "no-touch", gap=0.05)
    assert _chosen([far, near], "auto") == [near]
    assert _chosen([far], "auto") == [far]


def test_the_picture_is_as_sure_as_its_surest_hand():
    hands = [hand("right", "no-touch", 0.05), hand("left", "unsure", 0.4)]
    assert _contact_state(None, hands) == {"contact_state": "unsure", "contact_probability": 0.4}
    hands.append(hand("right", "touch", 0.95))
    assert _contact_state(None, hands)["contact_state"] == "touch"


def test_what_a_hand_covers_weighs_less():
    """A hand as a square over the left part of a face that is a row of points."""
    face = FaceLandmarks(np.column_stack([np.linspace(0, 100, 478), np.full(478, 50.0)]), 1.0, np.zeros(0))
    square = np.array([[-10, 0], [30, 0], [30, 100], [-10, 100.0]])
    corners = HandLandmarks(square[np.arange(21) % 4], np.zeros((21, 3)), "right", 1.0, 1.0, np.zeros((2, 0)))
    weights = occlusion(face, [corners])
    assert (weights[face.points[:, 0] < 29] < 0.5).all() and (weights[face.points[:, 0] > 31] == 1).all()
    assert (occlusion(face, []) == 1).all()


def test_cheeks_give_way_and_bone_does_not(open_engine):
    """Metres: a millimetre or two over bone, half a centimetre in the cheek, nothing but skin more than that."""
    model, allowed = head_model(), open_engine.allowed
    assert allowed.min() >= 0.001 and allowed.max() <= 0.0051
    at = {name: allowed[(open_engine.solid == model.triangles[mark, 0]).any(1)].mean()
          for name, mark in {"cheek": 50, "forehead": 151, "chin": 152}.items()}  # fmt: skip
    assert at["cheek"] > 0.0035 > at["chin"] and at["forehead"] < 0.002
    assert (allowed[(model.part[open_engine.solid] != SKIN).all(1)] == 0.001).all()
