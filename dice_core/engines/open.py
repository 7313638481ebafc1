# SPDX-License-Identifier: GPL-3.0-or-later
"""The open engine: LiteRT landmarks, the open body, and geometry. Needs no GPU and nothing that is licensed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..body.openbody import EYEBALL, POSE, SHAPES, hand_model, head_model
from ..body.openbones import hand_skeleton, head_skeleton
from ..errors import NothingFound
from ..fit.camera import guess_camera
from ..fit.glance import Glance, look
from ..fit.hand import HandFit, HandProblem, fit_hand, likelier_side, moved
from ..fit.head import HeadFit, fit_head
from ..fit.hidden import uncovered
from ..fit.observed import WORSE, detected, lifted
from ..fit.placement import Placement, place_hand
from ..interaction.contact import mutual_contact
from ..interaction.deform import deformation
from ..interaction.distance import Surface
from ..interaction.sheet import allowed_press, flesh_of
from ..landmarks.litert import FaceLandmarks, HandLandmarks, Landmarker
from ..landmarks.people import assign_sides, choice_note, find_people, occlusion, side_notes
from ..types import Camera, Capture, ContactState, Crop, Frame, Hand, HandChoice, Head, Progress
from .base import BETTER_PICTURE, OPEN_DEVICE, Clock

STAGES = ("landmarks", "head", "hands", "placement", "contact", "deformation")
RELIEFS, LEFT = 4, 0.0012  # times that a hand backs off, and metres of penetration that may remain
SURE_SIDE = 0.9  # of its side, a hand is not fitted as the other one too
RANKING: tuple[ContactState, ...] = ("touch", "unsure", "no-touch")


@dataclass
class _Hand:
    """A hand on its way through the stages."""

    seen: HandLandmarks
    glance: Glance | None
    problem: HandProblem
    fit: HandFit
    placement: Placement | None = None
    contact: NDArray = field(default_factory=lambda: np.zeros(0, np.float32))
    _measured: tuple[HandFit, Surface] | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def surface(self) -> Surface:
        """Of the hand where it is now."""
        if self._measured is None or self._measured[0] is not self.fit:
            model = hand_model(self.seen.side)
            self._measured = self.fit, Surface(self.fit.vertices, model.faces, model.wrist_rim)
        return self._measured[1]


class OpenEngine:
    """See `Engine`.

    Parameters
    ----------
    models
        Folder of the landmark models.
    """

    name = "open"
    device = OPEN_DEVICE

    def __init__(self, models: Path) -> None:
        self.landmarker = Landmarker(models)
        self.head = head_model()
        self.solid = self.head.solid
        self.flesh = flesh_of(self.head)
        self.skin = self.flesh.skin
        self.allowed = allowed_press(self.head, self.head.solid)

    def capture(
        self, frame: Frame, hand: HandChoice, report: Progress, crop: Crop | None = None, face: int = 0
    ) -> Capture:
        """See `Engine.capture`."""
        clock = Clock(STAGES, report)
        camera = guess_camera(frame)
        with clock("landmarks"):
            shown, seen = find_people(self.landmarker, frame, crop, face)
        if shown is None and not seen:
            raise NothingFound(f"No face and no hand were found in {frame.source}.", BETTER_PICTURE)
        with clock("head"):
            head = None
            if shown is not None:
                points = uncovered(shown, seen, frame.size).points
                head = fit_head(self.head, points, camera, occlusion(shown, seen))
        with clock("hands"):
            chosen = assign_sides(seen, shown, hand)
            if len(chosen) == 1 and hand in ("auto", "both"):
                chosen = [_sided(chosen[0], camera)]
            glances = [None if shown is None else look(frame.size, one, shown, frame.focal) for one in chosen]
            hands = [self._fit(*pair, camera, head) for pair in zip(chosen, glances, strict=True)]
        surface = None if head is None else Surface(head.vertices, self.solid, self.head.neck_rim)
        with clock("placement"):
            if surface is not None:
                for one in hands:
                    self._place(one, surface)
        hands = _chosen(hands, hand)
        with clock("contact"):
            contact: NDArray | None = self._contact(head, surface, hands)
        with clock("deformation"):
            displaced = self._deformation(head, surface, hands)
            for _ in range(RELIEFS):
                if not self._relieved(head, hands, displaced):
                    break
                displaced = self._deformation(head, surface, hands)
                contact = None  # of where the hands were
            if contact is None:
                contact = self._contact(head, surface, hands)
        return Capture(
            engine=self.name,
            source=frame.source,
            frame=frame.index,
            camera=camera,
            head=None if head is None else self._head_result(head, displaced, contact),
            hands=tuple(_hand_result(one) for one in hands),
            **_contact_state(head, hands),
            params=_params(head, hands),
            quality=self._quality(shown, head, hands, surface, displaced),
            timings=clock.seconds,
            notes=(*choice_note(shown, face), *side_notes(one.seen for one in hands)),
        )

    def _fit(self, seen: HandLandmarks, glance: Glance | None, camera: Camera, head: HeadFit | None) -> _Hand:
        """The hand by itself: as the second look has it, unless the detector's landmarks suit a hand much better."""
        eyes = None if head is None else float(head.vertices[self.head.part == EYEBALL, 2].mean())
        problems = [detected(seen, glance, camera, eyes)]
        if glance is not None:
            problems.insert(0, lifted(seen, glance, camera, eyes))
        fits = [fit_hand(problem) for problem in problems]
        errors = [float(np.median(fit.errors)) for fit in fits]
        best = int(errors[0] > WORSE * errors[-1])
        return _Hand(seen, glance, problems[best], fits[best])

    def _place(self, hand: _Hand, surface: Surface) -> None:
        assert hand.glance is not None  # there is a face
        hand.placement = place_hand(hand.problem, hand.fit, surface, self.allowed, hand.glance)
        hand.fit = hand.placement.fit

    def _contact(self, head: HeadFit | None, surface: Surface | None, hands: list[_Hand]) -> NDArray[np.float32]:
        total = np.zeros(len(self.head.mean), np.float32)
        for hand in hands:
            hand.contact = np.zeros(len(hand.fit.vertices), np.float32)
            if head is None or surface is None or hand.placement is None or not _may_touch(hand):
                continue
            on_head, on_hand = mutual_contact(surface, hand.surface, self.skin)
            sure = 1.0 if _touches(hand) else hand.placement.probability
            hand.contact = np.float32(sure) * on_hand
            total = np.maximum(total, np.float32(sure) * on_head)
        return total

    def _deformation(self, head: HeadFit | None, surface: Surface | None, hands: list[_Hand]) -> NDArray[np.float32]:
        pushing = [hand.surface for hand in hands if _touches(hand)]
        if head is None or surface is None or not pushing:
            return np.zeros_like(self.head.mean, np.float32)
        return deformation(self.flesh, head.vertices, surface, pushing)

    def _relieved(self, head: HeadFit | None, hands: list[_Hand], displaced: NDArray) -> bool:
        """Backs hands off that are still in the skin after it gave way; says whether any was."""
        if head is None or not displaced.any():
            return False
        deformed = Surface(head.vertices + displaced, self.solid, self.head.neck_rim)
        backed = False
        for hand in hands:
            excess = _deepest(deformed, hand.fit.vertices) - LEFT
            if _touches(hand) and excess > 0:
                middle = hand.fit.vertices.mean(0)
                hand.fit = moved(hand.fit, hand.problem, -(excess + LEFT / 2) * middle / np.linalg.norm(middle))
                backed = True
        return backed

    def _head_result(self, head: HeadFit, displaced: NDArray, contact: NDArray) -> Head:
        landmarks = self.head.landmarks(head.vertices)[self.head.ibug]
        faces = self.head.faces.astype(np.int32)
        bones = head_skeleton(head.identity, head.global_orient, head.transl)
        return Head(head.vertices.astype(np.float32), faces, displaced, contact, landmarks.astype(np.float32), bones)

    def _quality(self, face: FaceLandmarks | None, head: HeadFit | None, hands: list[_Hand],
                 surface: Surface | None, displaced: NDArray) -> dict[str, float]:
        quality: dict[str, float] = {}
        if face is not None and head is not None:
            quality["face_score"] = face.score
            quality["face_error"] = 100 * float(np.median(head.errors)) / head.face_width
            quality["deformation_mm"] = 1000 * float(np.linalg.norm(displaced, axis=1).max())
        for hand in hands:
            side = hand.seen.side
            unit = hand.problem.seen.size if head is None else head.face_width
            quality[f"hand_{side}_score"] = hand.seen.score
            quality[f"hand_{side}_side_score"] = hand.seen.side_score
            off = np.linalg.norm(hand.problem.project(hand.fit.landmarks) - hand.seen.points, axis=1)
            quality[f"hand_{side}_error"] = 100 * float(np.median(off)) / unit
            if hand.placement is not None:
                quality[f"hand_{side}_gap_mm"] = 1000 * hand.placement.gap
        if head is not None and surface is not None and hands:
            deformed = Surface(head.vertices + displaced, self.solid, self.head.neck_rim)
            vertices = np.vstack([hand.fit.vertices for hand in hands])
            quality["pressed_mm"] = 1000 * _deepest(surface, vertices)
            quality["penetration_mm"] = 1000 * _deepest(deformed, vertices)
        return quality


def _sided(seen: HandLandmarks, camera: Camera) -> HandLandmarks:
    """The only hand in the picture: when the detector is not sure of its side, it is fitted as both."""
    if seen.side_score >= SURE_SIDE:
        return seen
    side = likelier_side(seen.points, seen.world, seen.side, camera)
    return seen if side == seen.side else replace(seen, side=side, side_score=1 - seen.side_score)


def _chosen(hands: list[_Hand], choice: HandChoice) -> list[_Hand]:
    """For `auto`: the hands that touch, or else the nearest one; all when there is no face to touch."""
    placed = [hand for hand in hands if hand.placement is not None]
    if choice != "auto" or not placed:
        return hands
    return [hand for hand in placed if _may_touch(hand)] or [min(placed, key=lambda hand: hand.placement.gap)]  # type: ignore[union-attr]


def _may_touch(hand: _Hand) -> bool:
    return hand.placement is not None and hand.placement.state != "no-touch"


def _touches(hand: _Hand) -> bool:
    """Skin only gives way where it is sure that a hand touches."""
    return hand.placement is not None and hand.placement.state == "touch"


def _contact_state(head: HeadFit | None, hands: list[_Hand]) -> dict:
    placements = [hand.placement for hand in hands if hand.placement is not None]
    if not placements:
        return {"contact_state": "no-head" if head is None else "no-hand", "contact_probability": 0.0}
    best = min(placements, key=lambda placement: (RANKING.index(placement.state), -placement.probability))
    return {"contact_state": best.state, "contact_probability": best.probability}


def _deepest(surface: Surface, points: NDArray) -> float:
    nearest = surface.nearest(points)
    return float(np.maximum(-nearest.distance[~nearest.on_cap], 0).max(initial=0.0))


def _hand_result(hand: _Hand) -> Hand:
    return Hand(
        side=hand.seen.side,
        vertices=hand.fit.vertices.astype(np.float32),
        faces=hand_model(hand.seen.side).faces.astype(np.int32),
        contact=hand.contact,
        joints=hand.fit.joints.astype(np.float32),
        skeleton=hand_skeleton(hand_model(hand.seen.side), hand.fit.parameters),
    )


def _params(head: HeadFit | None, hands: list[_Hand]) -> dict[str, NDArray]:
    params: dict[str, NDArray] = {}
    if head is not None:
        keys = ("global_orient", "transl", "identity", "expression")
        params = {f"head_{key}": getattr(head, key).astype(np.float32) for key in keys}
    for hand in hands:
        x = hand.fit.parameters.astype(np.float32)
        parts = {"global_orient": x[:3], "transl": x[3:6], "betas": x[6 : 6 + SHAPES], "pose": x[POSE]}
        params |= {f"hand_{hand.seen.side}_{key}": value for key, value in parts.items()}
    return params
