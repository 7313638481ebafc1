# SPDX-License-Identifier: GPL-3.0-or-later
"""The tracker against made-up detections: who is followed, which hand is which, and what is searched when."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from dice_core.landmarks.litert import FaceLandmarks, HandLandmarks
from dice_core.landmarks.people import assign_sides
from dice_core.landmarks.regions import Box, Region
from dice_core.landmarks.track import Tracker
from dice_core.types import Frame

RANDOM = np.random.default_rng(3)
FACE = np.vstack([RANDOM.uniform(-1, 1, (478, 2))])
FACE[33], FACE[263] = (-0.4, -0.2), (0.4, -0.2)
HAND = RANDOM.uniform(-1, 1, (21, 2))
HAND[0], HAND[9] = (0, 1), (0, -0.2)
STEP = 1 / 24
FRAME = Frame(np.zeros((480, 640, 3), np.uint8), (640, 480), "clip")


@dataclass
class Thing:
    """Somebody's face or hand: where, how large in pixels, and that it is a right hand."""

    x: float
    y: float
    size: float = 40.0
    right: float = 1.0


@dataclass
class Stage:
    """Plays the landmarker: it sees what is there, and counts how often it searches."""

    faces_there: list[Thing] = field(default_factory=list)
    hands_there: list[Thing] = field(default_factory=list)
    searches: list[str] = field(default_factory=list)

    def faces(self, pixels: np.ndarray, everywhere: bool = False) -> list[FaceLandmarks]:
        self.searches.append("faces")
        return [face(one) for one in sorted(self.faces_there, key=lambda one: -one.size)]

    def detect_faces(self, pixels: np.ndarray, regions: list[Region]) -> list[Box]:
        self.searches.append("boxes")
        return [Box(1.0, np.array([one.x, one.y]), np.full(2, 2 * one.size), np.zeros((6, 2)))
                for one in self.faces_there]  # fmt: skip

    def face_at(self, pixels: np.ndarray, box: Box) -> FaceLandmarks | None:
        return self.face_in(pixels, Region(box.center, float(box.size.max())))

    def face_in(self, pixels: np.ndarray, region: Region, passes: int = 4) -> FaceLandmarks | None:
        there = [one for one in self.faces_there if np.hypot(*(region.center - (one.x, one.y))) < region.side / 2]
        return face(min(there, key=lambda one: np.hypot(*(region.center - (one.x, one.y))))) if there else None

    def hands(self, pixels: np.ndarray, near: np.ndarray | None = None) -> list[HandLandmarks]:
        self.searches.append("hands")
        return [hand(one) for one in self.hands_there]

    def detect_palms(self, pixels: np.ndarray, region: Region, score: float) -> list[Box]:
        self.searches.append("palms")
        return [Box(1.0, hand(one).points[[0, 5, 9, 13, 17]].mean(0), np.full(2, one.size), np.zeros((7, 2)))
                for one in self.hands_there]  # fmt: skip

    def hand_at(self, pixels: np.ndarray, box: Box) -> HandLandmarks | None:
        return self.hand_in(pixels, Region(box.center, 2 * float(box.size.max())))

    def hand_in(self, pixels: np.ndarray, region: Region) -> HandLandmarks | None:
        there = [one for one in self.hands_there if np.hypot(*(region.center - (one.x, one.y))) < region.side / 2]
        return hand(min(there, key=lambda one: np.hypot(*(region.center - (one.x, one.y))))) if there else None


def face(one: Thing) -> FaceLandmarks:
    return FaceLandmarks(FACE * one.size + (one.x, one.y), 0.9, np.zeros(0))


def hand(one: Thing) -> HandLandmarks:
    side = "right" if one.right > 0.5 else "left"
    points = HAND * one.size + (one.x, one.y)
    return HandLandmarks(points, np.zeros((21, 3)), side, 0.9, max(one.right, 1 - one.right), np.zeros(0))


def middle(found: FaceLandmarks | HandLandmarks) -> float:
    return float((found.points.min(0) + found.points.max(0))[0] / 2)


def test_detection_only_when_lost() -> None:
    stage = Stage([Thing(300, 200)], [Thing(200, 300), Thing(400, 300, right=0.0)])
    tracker = Tracker(stage)  # type: ignore[arg-type]
    tracker(FRAME, STEP)
    stage.searches.clear()
    for _ in range(10):
        stage.faces_there[0].x += 4
        found, hands = tracker(FRAME, STEP)
        assert found is not None and len(hands) == 2
    assert set(stage.searches) <= {"boxes"} and len(stage.searches) <= 1  # who else is there, twice a second


@pytest.mark.parametrize(("number", "x"), [(0, 300), (1, 150), (3, 500)])
def test_the_chosen_one_is_followed_among_others(number: int, x: float) -> None:
    stage = Stage([Thing(150, 200, 30), Thing(300, 200, 45), Thing(500, 200, 35)])
    tracker = Tracker(stage, number)  # type: ignore[arg-type]
    for _ in range(3):
        found, _ = tracker(FRAME, STEP)
    assert found is not None and abs(middle(found) - x) < 10 and found.others == 2


def test_who_leaves_is_not_taken_for_who_stays() -> None:
    stage = Stage([Thing(200, 200, 45), Thing(420, 200, 35)])
    tracker = Tracker(stage)  # type: ignore[arg-type]
    for _ in range(15):
        tracker(FRAME, STEP)
    chosen = stage.faces_there.pop(0)
    for step in (-4, 4):
        for _ in range(70):
            stage.faces_there[0].x += step  # even through where the first one was
            assert tracker(FRAME, STEP)[0] is None
    chosen.x = 240
    stage.faces_there.append(chosen)
    found, _ = tracker(FRAME, STEP)
    assert found is not None and abs(middle(found) - 240) < 10


def test_nobody_and_then_somebody() -> None:
    stage = Stage()
    tracker = Tracker(stage, number=2)  # type: ignore[arg-type]
    for _ in range(30):
        assert tracker(FRAME, STEP) == (None, [])
    stage.faces_there = [Thing(200, 200)]
    assert tracker(FRAME, STEP)[0] is None  # there is no second one yet
    stage.faces_there.append(Thing(400, 200))
    found, _ = tracker(FRAME, STEP)
    assert found is not None and abs(middle(found) - 400) < 10


def test_hands_stay_who_they_are_when_they_cross() -> None:
    """And the detector is fooled while they do: it takes both for the same one."""
    right, left = Thing(150, 300), Thing(450, 300, right=0.0)
    stage = Stage([Thing(300, 120)], [right, left])
    tracker = Tracker(stage)  # type: ignore[arg-type]
    for _ in range(20):
        tracker(FRAME, STEP)
    for step in range(60):
        right.x, left.x = 150 + 5 * step, 450 - 5 * step
        left.right = 0.8 if 20 < step < 40 else 0.0
        stage.hands_there = [right] if abs(right.x - left.x) < 40 else [right, left]  # one hides the other
        hands = assign_sides(tracker(FRAME, STEP)[1], None, "both")
        for one in hands:
            true = right if one.side == "right" else left
            assert abs(middle(one) - middle(hand(true))) < 45, step
    assert {one.side for one in hands} == {"right", "left"}


def test_a_hand_that_vanishes_is_found_again_soon() -> None:
    stage = Stage([Thing(300, 120)], [Thing(200, 300)])
    tracker = Tracker(stage)  # type: ignore[arg-type]
    for _ in range(5):
        tracker(FRAME, STEP)
    gone = stage.hands_there.pop()
    for _ in range(24):
        assert tracker(FRAME, STEP)[1] == []
    stage.hands_there.append(gone)
    waited = next(frame for frame in range(10) if tracker(FRAME, STEP)[1])
    assert waited <= 4  # 0.15 s


def test_a_jump_is_something_else() -> None:
    """What is within the crop but too far away is not followed: it is searched, and its side made up anew."""
    stage = Stage([Thing(200, 200)], [Thing(150, 350)])
    tracker = Tracker(stage)  # type: ignore[arg-type]
    for _ in range(20):
        tracker(FRAME, STEP)
    assert tracker.hands[0].certain > 0.3
    stage.hands_there[0].x = 215
    while not tracker(FRAME, STEP)[1]:
        pass
    assert tracker.hands[0].certain == 0


def test_its_state_is_all_there_is() -> None:
    stage = Stage([Thing(150, 200, 30), Thing(300, 200, 45)], [Thing(200, 300), Thing(400, 300, right=0.1)])
    one, other = Tracker(stage), Tracker(stage)  # type: ignore[arg-type]
    for index in range(40):
        stage.faces_there[1].x += 1
        if index == 12:
            stage.hands_there.pop()
        answers = [one(FRAME, STEP)]
        if index:
            answers.append(other(FRAME, STEP))
            pairs = zip(*(hands for _, hands in answers), strict=True)
            assert all(np.array_equal(a.points, b.points) for a, b in pairs)
            assert [h.side_score for h in answers[0][1]] == [h.side_score for h in answers[1][1]]
        state = {key: np.array(value) for key, value in one.state().items()}
        other = Tracker(stage)  # type: ignore[arg-type]
        other.restore(state)
