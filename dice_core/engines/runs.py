# SPDX-License-Identifier: GPL-3.0-or-later
"""What the network says of one hand each, brought into the space of the picture and onto one head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ..body.bodies import Bodies, Posed, orthographic
from ..errors import DiceError
from ..fit.orthographic import Placement
from ..network.model import Prediction
from ..types import Camera, Hand, Head, Side

# The iBUG landmarks in a mirror: jaw, brows, nose, eyes, lips.
IBUG_MIRROR = np.array([
    *range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, *range(35, 30, -1), 45, 44, 43, 42, 47, 46, 39, 38, 37, 36,
    41, 40, *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), 67, 66, 65,
])  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One answer of the network: a hand, and the head that it belongs to.

    Attributes
    ----------
    side
        Of the hand. For a left one the network saw a mirror image, so the head's vertices are those of the other side
        and its faces are wound the other way.
    presence
        Probability 0..1 that they touch.
    placement, camera
        How points got into the space of the picture, and the picture's cameras.
    head, hand
        In that space.
    """

    side: Side
    presence: float
    placement: Placement
    camera: Camera
    head: Head
    hand: Hand

    @property
    def mirrored(self) -> bool:
        return self.side == "left"


def answers(
    prediction: Prediction, bodies: Bodies, sides: Sequence[Side], to_picture: NDArray, size: int, guess: Camera
) -> list[Run]:
    """One run for each side.

    Parameters
    ----------
    prediction
        Of as many crops, each a mirror image if its side is left; NumPy arrays.
    bodies
        The official head and hand.
    to_picture, size
        See `Placement.of_crop`.
    guess
        The picture's perspective camera.

    Raises
    ------
    DiceError
        When the network's numbers make no sense.
    """
    if not all(np.isfinite(values).all() for values in prediction):
        raise DiceError(
            "The network's answer has numbers in it that are not finite.", "Convert its checkpoint again; use `exact`."
        )
    posed = bodies.from_parameters(prediction)
    displacement = bodies.displacement(prediction.deform)
    scales, shifts = orthographic(np.asarray(prediction.cam_param, np.float64))
    if scales.min() < 1:
        raise DiceError("The network sees no head in this crop.", "Choose another crop or picture.")
    runs = []
    for index, side in enumerate(sides):
        placement = Placement.of_crop(to_picture, size, side == "left", float(scales[index]), shifts[index])
        head, hand = _meshes(prediction, posed, displacement, bodies, index, side, placement, guess)
        runs.append(Run(side, float(prediction.presence[index, 0]), placement, placement.cameras(guess), head, hand))
    return runs


def _meshes(
    prediction: Prediction, posed: Posed, displacement: NDArray, bodies: Bodies, index: int, side: Side,
    placement: Placement, guess: Camera,
) -> tuple[Head, Hand]:  # fmt: skip
    def placed(points: NDArray) -> NDArray[np.float32]:
        return placement.points(points[index], guess).astype(np.float32)

    mirrored = side == "left"
    landmarks = placed(posed.landmarks)
    head = Head(
        vertices=placed(posed.head),
        faces=_wound(bodies.flame.faces, mirrored),
        deformation=placement.vectors(displacement[index]).astype(np.float32),
        contact=np.asarray(prediction.head_contact[index, :, 0], np.float32),
        landmarks=landmarks[IBUG_MIRROR] if mirrored else landmarks,
    )
    hand = Hand(
        side=side,
        vertices=placed(posed.hand),
        faces=_wound(bodies.mano.faces, mirrored),
        contact=np.asarray(prediction.hand_contact[index, :, 0], np.float32),
        joints=placed(posed.openpose_keypoints),
    )
    return head, hand


def _wound(faces: NDArray, mirrored: bool) -> NDArray[np.int32]:
    return np.ascontiguousarray(faces[:, [0, 2, 1]] if mirrored else faces, np.int32)


def one_head(runs: Sequence[Run], counterparts: NDArray) -> tuple[Head, tuple[Hand, ...]]:
    """The first run's head with what every hand does to it, and the hands, moved along with their own heads onto it.

    Parameters
    ----------
    runs
        At least one.
    counterparts
        (V,) vertex of the head on the other side for each.
    """
    first, *others = runs
    head, hands = first.head, [first.hand]
    for run in others:
        there, here = run.head.landmarks, head.landmarks
        turn, _ = Rotation.align_vectors(here - here.mean(0), there - there.mean(0))
        same = counterparts if run.mirrored != first.mirrored else np.arange(len(counterparts))
        head = replace(
            head,
            deformation=head.deformation + turn.apply(run.head.deformation[same]).astype(np.float32),
            contact=np.maximum(head.contact, run.head.contact[same]),
        )
        moved = {
            name: (turn.apply(getattr(run.hand, name) - there.mean(0)) + here.mean(0)).astype(np.float32)
            for name in ("vertices", "joints")
        }
        hands.append(replace(run.hand, **moved))
    return head, tuple(hands)
