# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is in a sequence: the head's identity and the hands' shape, the same in every frame."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ..body.openbody import EYEBALL, IDENTITIES, SHAPES, HeadModel, head_model
from ..fit.hand import SHAPE_MEAN, HandFit, HandProblem, fit_hand
from ..fit.head import POSE, Face, follow_head
from ..fit.observed import detected, lifted
from ..fit.placement import place_hand
from ..interaction.distance import Surface
from ..interaction.sheet import Flesh, Skin, allowed_press, flesh_of
from ..landmarks.people import OCCLUDED
from ..types import SIDES, Camera
from .folder import Arrays
from .open_eyes import hand_of

PORTRAITS, TOUCHES = 7, 5  # frames by which somebody is known, and by which the size of hands that touch
BETAS = slice(6, 6 + SHAPES)
LIKELY = 0.5  # how much a hand looks like touching in those


class Person:
    """Somebody who is known.

    Parameters
    ----------
    identity
        (IDENTITIES,) of the head.
    betas
        (SHAPES,) of each hand by side.
    camera
        That all frames are taken with.
    """

    def __init__(self, identity: NDArray, betas: dict[str, NDArray], camera: Camera) -> None:
        self.model: HeadModel = head_model()
        self.identity, self.betas, self.camera = identity, betas, camera
        self.rest = self.model.mean + np.tensordot(identity, self.model.identity, 1)

    @cached_property
    def face(self) -> Face:
        """What the head is fitted with."""
        return Face(self.model, self.identity)

    @cached_property
    def flesh(self) -> Flesh:
        """What of the head gives way."""
        return flesh_of(self.model)

    @cached_property
    def allowed(self) -> NDArray:
        """(F,) metres that each of the head's faces may be pressed in."""
        return allowed_press(self.model, self.model.outside[0])

    @cached_property
    def skin(self) -> Skin:
        """How the head at rest gives way."""
        return Skin(self.flesh, self.rest)

    def still(self, expression: NDArray) -> NDArray:
        """(V, 3) the head at rest with an expression."""
        return self.rest + np.tensordot(expression, self.model.expression, 1)

    def surface(self, vertices: NDArray) -> Surface:
        """Of the posed head."""
        return Surface(vertices, *self.model.outside)

    def posed(self, pose: NDArray) -> NDArray:
        """(V, 3) the head in a pose (POSE + E,)."""
        return Rotation.from_rotvec(pose[:3]).apply(self.still(pose[POSE:])) + pose[3:POSE]

    def eyes(self, vertices: NDArray) -> float:
        """Metres along the camera's axis to the eyes of the posed head."""
        return float(vertices[self.model.part == EYEBALL, 2].mean())


def weights(row: Arrays) -> NDArray:
    """(478,) of the face's landmarks in a fit."""
    return np.where(row["face_covered"], OCCLUDED, 1.0)


def acquainted(rows: list[Arrays], camera: Camera) -> Arrays:
    """Identity and betas, by the middle of what each of the best frames says.

    Parameters
    ----------
    rows
        Frames as `portraits` chooses them, as `open_eyes` writes them.
    """
    anybody = Face(head_model())
    heads = [follow_head(anybody, row["face_points"].astype(float), camera, weights(row))[0]
             for row in rows if row["face_seen"]]  # fmt: skip
    identity = np.median([x[POSE : POSE + IDENTITIES] for x in heads], axis=0) if heads else np.zeros(IDENTITIES)
    person = Person(identity, {}, camera)
    hands = [(row, side) for row in rows for side in SIDES if row[f"{side}_seen"]]
    hands.sort(key=lambda one: -float(one[0][f"{one[1]}_glance_touch"]))
    likely = [one for one in hands if one[0][f"{one[1]}_glance_touch"] > LIKELY][:TOUCHES]
    told = [betas for one in likely if (betas := _touching_shape(person, *one)) is not None]
    told = told or [_free(person, *one)[1].parameters[BETAS] for one in hands] or [SHAPE_MEAN]
    # nobody has two sizes of hands
    return {"head_identity": identity} | {f"hand_{side}_betas": np.median(told, axis=0) for side in SIDES}


def _touching_shape(person: Person, row: Arrays, side: str) -> NDArray | None:
    """(SHAPES,) of a hand that touches the face, if it does: as large as takes it to the skin, however large the head
    is thought to be."""
    problem, fit, vertices = _free(person, row, side)
    if vertices is None:
        return None
    glance = hand_of(row, side)[1]  # type: ignore[index]
    placement = place_hand(problem, fit, person.surface(vertices), person.allowed, glance)  # type: ignore[arg-type]
    return placement.fit.parameters[BETAS] if placement.state == "touch" else None


def _free(person: Person, row: Arrays, side: str) -> tuple[HandProblem, HandFit, NDArray | None]:
    """A hand by itself, with its own size; and the (V, 3) vertices of the face, if that is seen."""
    hand, glance = hand_of(row, side)  # type: ignore[misc]
    vertices = None
    if row["face_seen"]:
        pose, _ = follow_head(person.face, row["face_points"].astype(float), person.camera, weights(row))
        vertices = person.posed(pose)
    eyes = None if vertices is None else person.eyes(vertices)
    problem = (detected(hand, None, person.camera, eyes) if glance is None
               else lifted(hand, glance, person.camera, eyes))  # fmt: skip
    return problem, fit_hand(problem), vertices


def portraits(seen: Arrays) -> list[int]:
    """The best frames to know somebody by: spread over the clip, the face seen well and little covered, and for each
    hand as many in which it is seen well, and some in which it looks like touching.

    Parameters
    ----------
    seen
        `..._seen`, `..._score`, `..._glance_touch` and `face_covered` of all frames.
    """
    covered = seen["face_covered"].mean(1)
    chosen: set[int] = set()
    for name, merit in [("face", seen["face_score"] - covered), *((side, seen[f"{side}_score"]) for side in SIDES)]:
        there = np.flatnonzero(seen[f"{name}_seen"])
        for part in np.array_split(there, PORTRAITS):
            if len(part):
                chosen.add(int(part[np.argmax(merit[part])]))
    for side in SIDES:
        looks = seen[f"{side}_glance_touch"]
        for part in np.array_split(np.flatnonzero(looks > LIKELY), TOUCHES):
            if len(part):
                chosen.add(int(part[np.argmax(looks[part])]))
    return sorted(chosen)
