# SPDX-License-Identifier: GPL-3.0-or-later
"""What the network says of one hand each, brought into the space of the picture and onto one head."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ..body import flame, mano
from ..body.bodies import Bodies, Bones, Parameters, Posed, orthographic
from ..body.skinned import UPRIGHT, SkinnedModel
from ..body.skinning import Array, shares
from ..errors import DiceError
from ..fit.orthographic import MIRROR, Placement
from ..types import Camera, Hand, Head, Side, Skeleton

FAR_OFF = 25.0  # % of the face's width between head and face: not a poor answer but a wrong one
# The iBUG landmarks in a mirror: jaw, brows, nose, eyes, lips.
IBUG_MIRROR = np.array([
    *range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, *range(35, 30, -1), 45, 44, 43, 42, 47, 46, 39, 38, 37, 36,
    41, 40, *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), 67, 66, 65,
])  # fmt: skip


class Answer(Parameters, Protocol):
    """What is made use of in the network's `Prediction`; it needs no torch."""

    @property
    def cam_param(self) -> Array: ...
    @property
    def hand_contact(self) -> Array: ...
    @property
    def head_contact(self) -> Array: ...
    @property
    def deform(self) -> Array: ...
    @property
    def presence(self) -> Array: ...
    def __iter__(self) -> Iterator[Array]: ...


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
    prediction: Answer, bodies: Bodies, sides: Sequence[Side], to_picture: NDArray, size: int, guess: Camera
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
    bones = bodies.bones(prediction)
    displacement = bodies.displacement(prediction.deform)
    scales, shifts = orthographic(np.asarray(prediction.cam_param, np.float64))
    if scales.min() < 1:
        raise DiceError("The network sees no head in this crop.", "Choose another crop or picture.")
    runs = []
    for index, side in enumerate(sides):
        placement = Placement.of_crop(to_picture, size, side == "left", float(scales[index]), shifts[index])
        head, hand = _meshes(prediction, posed, displacement, bodies, index, side, placement, guess)
        head, hand = _with_bones(head, hand, bones, bodies, index, placement, guess)
        runs.append(Run(side, float(prediction.presence[index, 0]), placement, placement.cameras(guess), head, hand))
    return runs


def _meshes(
    prediction: Answer, posed: Posed, displacement: NDArray, bodies: Bodies, index: int, side: Side,
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


def _with_bones(head: Head, hand: Hand, bones: Bones, bodies: Bodies, index: int, placement: Placement, guess: Camera
                ) -> tuple[Head, Hand]:  # fmt: skip
    """Both with their skeletons. In a mirror rest is a mirror image too; what is an eye's side, its place says."""
    upright = UPRIGHT * MIRROR if hand.side == "left" else UPRIGHT
    shift = placement.points(np.zeros((1, 3)), guess)[0]

    def skeleton(names: Sequence[str], model: SkinnedModel, joints: NDArray, transforms: NDArray) -> Skeleton:
        return Skeleton(
            names=tuple(names),
            parents=np.array(model.parents, np.int32),
            joints=(joints * upright).astype(np.float32),
            transforms=transforms * np.append(upright, 1),
            weights=shares(model.weights),
        ).moved(placement.rotation, shift)

    _, _, _, one, other = bones.head_joints[index] * upright
    eyes = ("eye.L", "eye.R") if one[0] > other[0] else ("eye.R", "eye.L")
    end = ".L" if hand.side == "left" else ".R"
    heads = skeleton((*flame.BONES[:3], *eyes), bodies.flame, bones.head_joints[index], bones.head_transforms[index])
    hands = skeleton([name + end for name in mano.BONES], bodies.mano, bones.hand_joints[index],
                     bones.hand_transforms[index])  # fmt: skip
    return replace(head, skeleton=heads), replace(hand, skeleton=hands)


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
        hands.append(run.hand.moved(turn.as_matrix(), here.mean(0) - turn.apply(there.mean(0))))
    return head, tuple(hands)
