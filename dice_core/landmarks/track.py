# SPDX-License-Identifier: GPL-3.0-or-later
"""One face and its hands, followed from frame to frame: models look where things were, and search what is lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..types import Crop, Frame
from .litert import PALM_SCORE, FaceLandmarks, HandLandmarks, Landmarker, around, face_region, hand_region, whole
from .people import part_of
from .regions import Box

HANDS = 2
JUMP = 0.6  # of its size: what moves farther from one frame to the next is something else
SAME = 0.35  # of its size: two hands whose points are nearer to each other are one
CENSUS, TILES = 0.5, 0.5  # seconds between two looks at who else is there; at small parts of the picture
HAND_SEARCH, HIDDEN_SEARCH = 0.15, 1.0  # seconds between two searches for hands; for those that are hard to find
MEMORY = 0.5  # seconds over which it is made up which hand one is
CERTAIN, SETTLED = 0.9, 0.3  # when it is certain for so many seconds, it stays that hand
GROWTH = 1.5  # sizes a second by which somebody lost may have moved
STEADY = 0.25  # sizes: who was known to be so near a moment ago is still who they were, wherever that is


@dataclass(frozen=True)
class Other:
    """Somebody else: where and how large the face was, in pixels."""

    center: NDArray
    size: float


@dataclass
class TrackedHand:
    """A hand on its way.

    Attributes
    ----------
    seen
        When it was last looked at.
    right
        0..1, that it is a right one, by all that was seen.
    certain
        Seconds for which that has been certain.
    """

    seen: HandLandmarks
    right: float
    certain: float = 0.0

    def judged(self) -> HandLandmarks:
        """With the side that it has by all that was seen."""
        return replace(self.seen, side="right" if self.right > 0.5 else "left",
                       side_score=max(self.right, 1 - self.right))  # fmt: skip


class Tracker:
    """Follows the face that is chosen in the first frame that shows it, and up to two hands.

    Parameters
    ----------
    landmarker
        The models.
    number
        Which face, the leftmost is 1; 0 for the largest.
    crop
        The part of the picture to look at; all of it without.
    """

    def __init__(self, landmarker: Landmarker, number: int = 0, crop: Crop | None = None) -> None:
        self.landmarker, self.number, self.crop = landmarker, number, crop
        self.face: FaceLandmarks | None = None  # where it was last
        self.lost = 0.0  # seconds since then
        self.others: list[Other] = []
        self.hands: list[TrackedHand] = []
        # seconds until each is to be done
        self.due = {"census": 0.0, "tiles": 0.0, "hands": 0.0, "whole": 0.0, "hidden": 0.0}
        self._beside = ThreadPoolExecutor(1)

    def __call__(self, frame: Frame, step: float) -> tuple[FaceLandmarks | None, list[HandLandmarks]]:
        """The face and every hand in the next frame, `step` seconds later, in pixels of the full picture."""
        pixels, corner = part_of(frame, self.crop)
        self.due = {name: seconds - step for name, seconds in self.due.items()}
        near = None if self.face is None else self.face.points  # of the frame before: both can be looked at at once
        looking = self._beside.submit(self._see_face, pixels, step)
        self._follow_hands(pixels, step, near)
        face = looking.result()
        if face is not None:
            face = replace(face, points=(face.points + corner) * frame.scale, others=len(self.others))
        hands = [hand.judged() for hand in self.hands]
        return face, [replace(hand, points=(hand.points + corner) * frame.scale) for hand in hands]

    def state(self) -> dict[str, NDArray]:
        """All that the next frame's answer depends on, as arrays."""
        hands = self.hands
        return {
            "face": np.zeros((0, 2)) if self.face is None else self.face.points,
            "lost": np.array(self.lost),
            "others": np.array([[*other.center, other.size] for other in self.others]).reshape(-1, 3),
            "hands": np.array([hand.seen.points for hand in hands]).reshape(-1, 21, 2),
            "sides": np.array([[hand.right, hand.certain] for hand in hands]).reshape(-1, 2),
            "due": np.array(list(self.due.values())),
        }

    def restore(self, state: dict[str, NDArray]) -> None:
        """Go on where `state` was asked for."""
        nothing = np.zeros(0)
        points = state["face"]
        self.face = FaceLandmarks(points, 1.0, nothing) if len(points) else None
        self.lost = float(state["lost"])
        self.others = [Other(np.array([x, y]), float(size)) for x, y, size in state["others"]]
        self.hands = [
            TrackedHand(HandLandmarks(points, nothing, "right", 1.0, 1.0, nothing), float(right), float(certain))
            for points, (right, certain) in zip(state["hands"], state["sides"], strict=True)
        ]
        self.due = dict(zip(self.due, state["due"].tolist(), strict=True))

    def _see_face(self, pixels: NDArray[np.uint8], step: float) -> FaceLandmarks | None:
        found = None
        if self.face is not None and self.lost == 0:
            found = self.landmarker.face_in(pixels, face_region(self.face.points[:468]), passes=1)
            if found is not None and _moved(found.points, self.face.points) > JUMP:
                found = None
        if found is None:
            found = self._search_face(pixels, step)
        elif self._is_due("census", CENSUS):
            self.others = self._strangers(self.landmarker.detect_faces(pixels, [whole(pixels)]), found)
        if found is not None:
            self.face, self.lost = found, 0.0
        return found

    def _search_face(self, pixels: NDArray[np.uint8], step: float) -> FaceLandmarks | None:
        if self.face is None:
            return self._first_face(pixels)
        self.lost += step
        boxes = self.landmarker.detect_faces(pixels, [whole(pixels)])
        last, size = _middle(self.face.points), _size(self.face.points)
        others, own = [], []
        for box in boxes:
            known = min(self.others, key=lambda one: float(np.linalg.norm(one.center - box.center)), default=None)
            apart = np.inf if known is None else float(np.linalg.norm(known.center - box.center)) / known.size
            away = float(np.linalg.norm(box.center - last)) / size
            if apart < max(STEADY, min(1 + GROWTH * step, away)):
                others.append(Other(box.center, float(box.size.max())))
            elif away < JUMP + GROWTH * self.lost:
                own.append((away, box))
        self.others = others or self.others
        faces = (self.landmarker.face_at(pixels, box) for _, box in sorted(own, key=lambda pair: pair[0]))
        return next((face for face in faces if face is not None), None)

    def _first_face(self, pixels: NDArray[np.uint8]) -> FaceLandmarks | None:
        if not self.landmarker.detect_faces(pixels, [whole(pixels)]) and not self._is_due("tiles", TILES):
            return None
        faces = self.landmarker.faces(pixels, everywhere=self.number > 0)
        if len(faces) < max(self.number, 1):
            return None
        if self.number:
            faces.sort(key=lambda face: float(face.points[:, 0].mean()))
        chosen = faces.pop(max(self.number - 1, 0))
        self.others = [Other(_middle(face.points), _size(face.points)) for face in faces]
        return chosen

    def _strangers(self, boxes: list[Box], chosen: FaceLandmarks) -> list[Other]:
        middle, size = _middle(chosen.points), _size(chosen.points)
        away = [box for box in boxes if np.abs(box.center - middle).max() > 0.5 * size]
        return [Other(box.center, float(box.size.max())) for box in away]

    def _follow_hands(self, pixels: NDArray[np.uint8], step: float, near: NDArray | None) -> None:
        followed = []
        for hand in self.hands:
            seen = self.landmarker.hand_in(pixels, hand_region(hand.seen.points))
            if seen is not None and _moved(seen.points, hand.seen.points) < JUMP:
                followed.append((hand, seen))
        followed.sort(key=lambda pair: _moved(pair[1].points, pair[0].seen.points))  # the steadier one is the real one
        self.hands = []
        for hand, seen in followed:
            if self._is_new(seen):
                self.hands.append(_judged(hand, seen, step))
        if len(self.hands) < HANDS and self._is_due("hands", HAND_SEARCH):
            for seen in self._search_hands(pixels, near):
                if len(self.hands) < HANDS and self._is_new(seen):
                    right = seen.side_score if seen.side == "right" else 1 - seen.side_score
                    self.hands.append(TrackedHand(seen, right))

    def _search_hands(self, pixels: NDArray[np.uint8], near: NDArray | None) -> list[HandLandmarks]:
        if near is None:
            return self.landmarker.hands(pixels)
        if not self.hands and self._is_due("hidden", HIDDEN_SEARCH):
            return self.landmarker.hands(pixels, near)
        regions = [whole(pixels), around(near, 3.2)]
        if self.hands:  # at one after the other: that there are two is not usual
            regions = regions[:1] if self._is_due("whole", 2 * HAND_SEARCH) else regions[1:]
        boxes = [box for region in regions for box in self.landmarker.detect_palms(pixels, region, PALM_SCORE)]
        unknown = [box for box in boxes if all(_outside(box, hand.seen.points) for hand in self.hands)]
        found = [hand for box in unknown if (hand := self.landmarker.hand_at(pixels, box)) is not None]
        return sorted(found, key=lambda hand: -hand.score)

    def _is_new(self, seen: HandLandmarks) -> bool:
        size = _size(seen.points)
        apart = (np.linalg.norm(seen.points - hand.seen.points, axis=1).mean() for hand in self.hands)
        return all(distance > SAME * size for distance in apart)

    def _is_due(self, what: str, period: float) -> bool:
        if self.due[what] > 0:
            return False
        self.due[what] = period
        return True


def _judged(hand: TrackedHand, seen: HandLandmarks, step: float) -> TrackedHand:
    """The hand as it is seen now. Which one it is changes slowly, and not any more once it was certain."""
    if hand.certain >= SETTLED:
        return replace(hand, seen=seen)
    now = seen.side_score if seen.side == "right" else 1 - seen.side_score
    right = hand.right + (now - hand.right) * min(step / MEMORY, 1)
    certain = hand.certain + step if max(right, 1 - right) > CERTAIN else 0.0
    return TrackedHand(seen, right, certain)


def _middle(points: NDArray) -> NDArray:
    return (points.min(0) + points.max(0)) / 2


def _size(points: NDArray) -> float:
    return max(float(np.ptp(points, axis=0).max()), 1.0)


def _moved(now: NDArray, before: NDArray) -> float:
    """How far, in sizes."""
    return float(np.linalg.norm(now.mean(0) - before.mean(0))) / _size(before)


def _outside(box: Box, points: NDArray) -> bool:
    """Whether a palm that was detected belongs to no hand with these points."""
    return bool(np.linalg.norm(box.center - points[[0, 5, 9, 13, 17]].mean(0)) > 0.5 * _size(points))
