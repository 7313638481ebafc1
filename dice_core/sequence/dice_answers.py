# SPDX-License-Identifier: GPL-3.0-or-later
"""What the official network says of the frames of a sequence, and the same freed of the crops that it was shown.

The network is shown a crop, for a left hand in a mirror, and speaks of two bodies with a rotation and a translation
too many. Poses are compared over time in the axes of the whole picture, or for a left hand of its mirror image, and
the hand's as the head sees it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ..body import flame, mano
from ..body.bodies import Bodies, orthographic
from ..fit.orthographic import MIRROR, Placement
from ..landmarks.regions import Region
from ..network.preprocess import SIZE
from ..types import Side
from .folder import Arrays


class Said(NamedTuple):
    """What is kept of the network's `Prediction` of n crops."""

    cam_param: NDArray
    presence: NDArray
    rh_betas: NDArray
    rh_transl: NDArray
    rh_rot: NDArray
    rh_pose: NDArray
    face_shape: NDArray
    face_exp: NDArray
    face_pose: NDArray
    face_rot: NDArray
    face_transl: NDArray
    hand_contact: NDArray
    head_contact: NDArray
    deform: NDArray


SHAPES = dict(zip(Said._fields, [
    (3,), (1,), (mano.BETAS,), (3,), (3,), (mano.POSE,), (flame.SHAPE,), (flame.EXPRESSION,), (6,), (3,), (3,),
    (mano.VERTICES, 1), (flame.VERTICES, 1), (flame.VERTICES, 3),
], strict=True))  # fmt: skip
SURFACES = ("hand_contact", "head_contact", "deform")  # what it says of vertices
LIFTED = {
    "turn": (3,), "crop_turn": (3,), "scale": (), "shift": (2,), "jaw": (3,), "expression": (flame.EXPRESSION,),
    "hand_turn": (3,), "wrist": (3,), "pose": (mano.POSE,), "presence": (),
}  # fmt: skip


def sensible(said: Said) -> NDArray[np.bool_]:
    """(n,) whether an answer is one: its numbers are finite, and there is a head in it."""
    finite = [np.isfinite(values).all(tuple(range(1, values.ndim))) for values in said]
    return np.logical_and.reduce([*finite, orthographic(said.cam_param)[0] >= 1])


def lifted(rows: Arrays, side: Side, bodies: Bodies, width: int) -> Arrays:
    """The poses that a chunk's answers of one side hold, NaN where there is none.

    Parameters
    ----------
    rows
        See `dice_eyes`.
    bodies
        The official ones.
    width
        Of the pictures.

    Returns
    -------
    For n frames, in the axes of the picture or its mirror image: `turn` (n, 3) of the head, `scale` (n,) pixels a
    metre, `shift` (n, 2) pixel of the head's mean; `crop_turn` (n, 3) of the head as the crop shows it; `jaw` (n, 3)
    and `expression` (n, 50); as the head sees the hand: `hand_turn` (n, 3), and `wrist` (n, 3) metres from its mean;
    `pose` (n, 45), `presence` (n,). Rotations are vectors.
    """
    answered = rows[f"{side}_answered"]
    found = {name: np.full((len(answered), *shape), np.nan) for name, shape in LIFTED.items()}
    if answered.any():
        said = Said(*(rows[f"{side}_{name}"].astype(float) for name in Said._fields))
        crops = [Region(row[:2], row[2], row[3]).to_picture(SIZE) for row in rows["region"][answered]]
        for name, values in _of_picture(said, crops, bodies, side == "left", width).items():
            found[name][answered] = values
    return {f"{side}_{name}": values for name, values in found.items()}


def _of_picture(said: Said, crops: list[NDArray], bodies: Bodies, mirrored: bool, width: int) -> Arrays:
    places = [
        Placement.of_crop(crop, SIZE, mirrored, float(scale), shift)
        for crop, scale, shift in zip(crops, *orthographic(said.cam_param), strict=True)
    ]
    mirror = MIRROR if mirrored else np.ones(3)
    level = Rotation.from_matrix([mirror[:, None] * place.rotation for place in places])
    shift = np.array([place.shift for place in places])
    if mirrored:
        shift[:, 0] = width - shift[:, 0]
    head = Rotation.from_rotvec(said.face_rot) * Rotation.from_rotvec(said.face_pose[:, :3])
    return {
        "turn": (level * head).as_rotvec(),
        "crop_turn": head.as_rotvec(),
        "scale": np.array([place.scale for place in places]),
        "shift": shift,
        "jaw": said.face_pose[:, 3:],
        "expression": said.face_exp,
        "hand_turn": (head.inv() * Rotation.from_rotvec(said.rh_rot)).as_rotvec(),
        "wrist": head.inv().apply(wrists(bodies, said)),
        "pose": said.rh_pose,
        "presence": said.presence[:, 0],
    }


def wrists(bodies: Bodies, said: Said) -> NDArray:
    """(n, 3) metres from the mean of each head."""
    bones = bodies.bones(said)
    wrist, joint = bones.hand_transforms[:, 0], bones.hand_joints[:, 0]
    return np.einsum("nij,nj->ni", wrist[:, :3, :3], joint) + wrist[:, :3, 3]
