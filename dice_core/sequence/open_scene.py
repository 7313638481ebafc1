# SPDX-License-Identifier: GPL-3.0-or-later
"""Head and hands of one frame, as the head at rest sees them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ..body.openbody import hand_model
from ..fit.head import POSE
from ..interaction.distance import Surface
from ..types import Side
from .folder import Arrays
from .person import Person


@dataclass
class Hand:
    """A hand of one frame.

    Attributes
    ----------
    parameters
        See `HandModel`, in camera space.
    surface, joints
        Of the mesh, and (21, 3) metres, as the head at rest sees them.
    weight
        0..1, how much its contact counts.
    """

    side: Side
    parameters: NDArray
    surface: Surface
    joints: NDArray
    weight: float

    @property
    def vertices(self) -> NDArray:
        """(V, 3) metres."""
        return self.surface.vertices


@dataclass(frozen=True)
class Scene:
    """A frame as the head at rest sees it: there its skin is known (`Person.skin`).

    Attributes
    ----------
    still, surface
        (V, 3) metres, the head with its expression.
    turn, transl
        From there to camera space.
    """

    person: Person
    still: NDArray
    surface: Surface
    turn: Rotation
    transl: NDArray

    @classmethod
    def of(cls, person: Person, pose: NDArray) -> Scene:
        still = person.still(pose[POSE:])
        return cls(person, still, person.surface(still), Rotation.from_rotvec(pose[:3]), pose[3:POSE])

    def out(self, points: NDArray) -> NDArray:
        """(N, 3) to camera space."""
        return self.turn.apply(points) + self.transl

    def into(self, points: NDArray) -> NDArray:
        """(N, 3) from camera space."""
        return self.turn.inv().apply(points - self.transl)

    def to_camera(self, hand: Hand) -> NDArray:
        """(3,) the unit vector from a hand to the camera."""
        away = self.into(np.zeros((1, 3)))[0] - hand.vertices.mean(0)
        return away / np.linalg.norm(away)

    def follow(self, hand: Hand, offset: NDArray) -> None:
        """Let the rest of a hand follow its surface, which was moved by (3,) metres as the head at rest sees them."""
        hand.parameters = hand.parameters.copy()
        hand.parameters[3:6] += self.turn.apply(offset)
        hand.joints = hand.joints + offset


def hand_in(scene: Scene | None, row: Arrays, side: Side) -> Hand:
    """The hand of a frame, whose movement `row` holds, as the head sees it; in camera space without a head."""
    parameters = row[f"{side}_parameters"]
    vertices, joints = (points[0] for points in hand_model(side).pose(parameters[None]))
    weight = float(row[f"{side}_weight"]) if row["head_seen"] else 0.0
    if scene is not None:
        vertices, joints = scene.into(vertices), scene.into(joints)
    model = hand_model(side)
    return Hand(side, parameters, Surface(vertices, model.faces, model.wrist_rim), joints, weight)
