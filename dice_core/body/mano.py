# SPDX-License-Identifier: GPL-3.0-or-later
"""The MANO hand (Romero, Tzionas, Black 2017), from the user's own file, as the official DICE code poses it.

All 45 numbers of a pose are axis-angles of the 15 finger joints; there is no PCA and no mean pose. Two sets of 21
keypoints are in use. They differ in order and in fingertips, so each has its name:

    decaf      the 16 MANO joints (wrist, index, middle, little, ring, thumb), then the tips of thumb, index, middle,
               ring and little finger, each pulled in to 70 % of the last segment
    openpose   wrist, then thumb to little finger, palm to tip: what the network and our results speak of
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from .skinned import SkinnedModel, skinned_parts
from .skinning import Array, namespace

VERTICES, JOINTS, BETAS, POSE = 778, 16, 10, 45
DECAF_TIPS = (744, 320, 443, 554, 671)
DECAF_LAST = (15, 3, 6, 12, 9)  # the joints below those tips
TIP_REACH = 0.7
OPENPOSE_TIPS = (745, 317, 445, 556, 673)
BONES = ("hand", *(f"{finger}.{bone:02}" for finger in ("f_index", "f_middle", "f_pinky", "f_ring", "thumb")
                   for bone in range(1, 4)))  # fmt: skip
OPENPOSE_ORDER = (0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20)


@dataclass(frozen=True)
class Mano(SkinnedModel):
    """The right hand, or with `mirrored` the left."""

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray]) -> Self:
        """From the arrays of a converted file."""
        return cls(**skinned_parts(arrays))

    def pose(self, betas: Array, global_orient: Array, pose: Array, transl: Array) -> tuple[Array, Array]:
        """Pose n hands.

        Parameters
        ----------
        betas, global_orient, pose, transl
            (n, 10), (n, 3) axis-angle about the wrist, (n, 45) axis-angles, (n, 3) metres.

        Returns
        -------
        vertices, joints
            (n, 778, 3), (n, 16, 3) metres, joints in MANO's order.
        """
        vertices, joints = self.skinned(betas, _rotations(global_orient, pose))
        return vertices + transl[:, None], joints + transl[:, None]

    def bones(self, betas: NDArray, global_orient: NDArray, pose: NDArray, transl: NDArray) -> tuple[NDArray, NDArray]:
        """Joints at rest and transforms of what `pose` poses, see `SkinnedModel.skeleton`."""
        joints, transforms = self.skeleton(betas, _rotations(global_orient, pose))
        transforms[..., :3, 3] += transl[:, None]
        return joints, transforms

    def openpose_keypoints(self, vertices: Array) -> Array:
        """(n, 778, 3) posed vertices -> (n, 21, 3) in OpenPose's order."""
        joints = self.joint_regressor @ vertices
        points = namespace(vertices).concatenate([joints, vertices[:, list(OPENPOSE_TIPS)]], 1)
        return points[:, list(OPENPOSE_ORDER)]

    def mirrored(self) -> Self:
        """The hand of the other side: given mirrored parameters it takes the mirrored pose."""
        mirror = np.array([-1.0, 1, 1])
        entries = np.outer(mirror, mirror).ravel()  # of a rotation matrix between two mirrors
        return replace(
            self,
            template=self.template * mirror,
            shapedirs=self.shapedirs * mirror,
            posedirs=self.posedirs * mirror * np.tile(entries, JOINTS - 1)[:, None, None],
            faces=self.faces[:, [0, 2, 1]],
        )


def _rotations(global_orient: Array, pose: Array) -> Array:
    return namespace(pose).concatenate([global_orient, pose], 1).reshape(len(pose), JOINTS, 3)


def decaf_keypoints(vertices: Array, joints: Array) -> Array:
    """(n, 778, 3) vertices and (n, 16, 3) joints of one pose -> (n, 21, 3) in Decaf's order, fingertips pulled in."""
    last = joints[:, list(DECAF_LAST)]
    tips = last + TIP_REACH * (vertices[:, list(DECAF_TIPS)] - last)
    return namespace(vertices).concatenate([joints, tips], 1)


def mirrored_points(points: Array) -> Array:
    """(..., 3) positions or displacements, left for right."""
    return namespace(points).stack([-points[..., 0], points[..., 1], points[..., 2]], -1)


def mirrored_rotations(vectors: Array) -> Array:
    """(..., 3 k) axis-angle vectors of a hand or a whole pose, left for right."""
    triples = vectors.reshape(*vectors.shape[:-1], -1, 3)
    turned = namespace(vectors).stack([triples[..., 0], -triples[..., 1], -triples[..., 2]], -1)
    return turned.reshape(vectors.shape)
