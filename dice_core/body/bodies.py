# SPDX-License-Identifier: GPL-3.0-or-later
"""The official head and hand together, as what the network says is turned into meshes: converted files in, posed and
centred meshes out.

Everything is in the network's own space, metres, x right, y down, z forward, its origin the mean of the head's
vertices. Deformation is a displacement to add; the network's is one to subtract.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from . import flame
from .flame import Flame
from .mano import Mano, decaf_keypoints
from .official import load
from .skinning import Array, rotation_matrices
from .topology import Levels


class Parameters(Protocol):
    """What the network says of n pictures: MANO's and FLAME's parameters, each (n, ...)."""

    @property
    def rh_betas(self) -> Array: ...
    @property
    def rh_transl(self) -> Array: ...
    @property
    def rh_rot(self) -> Array: ...
    @property
    def rh_pose(self) -> Array: ...
    @property
    def face_shape(self) -> Array: ...
    @property
    def face_exp(self) -> Array: ...
    @property
    def face_pose(self) -> Array: ...
    @property
    def face_rot(self) -> Array: ...
    @property
    def face_transl(self) -> Array: ...


class Posed(NamedTuple):
    """Head and hand of n pictures, the mean of each head's vertices at the origin.

    Attributes
    ----------
    head, hand
        (n, 5023, 3), (n, 778, 3).
    landmarks
        (n, 68, 3) iBUG.
    openpose_keypoints, decaf_keypoints
        (n, 21, 3) of the hand in two orders, see `mano`; Decaf's need a pose and are None without.
    """

    head: Array
    hand: Array
    landmarks: Array
    openpose_keypoints: Array
    decaf_keypoints: Array | None


class Bones(NamedTuple):
    """The bones of n pictures' heads and hands: (n, B, 3) joints in a model's own frame at rest, and (n, B, 4, 4)
    transforms from there to where `Posed` has the meshes."""

    head_joints: NDArray
    head_transforms: NDArray
    hand_joints: NDArray
    hand_transforms: NDArray


class Templates(NamedTuple):
    """What the network is told about the bodies: float32 hand joints, head landmarks, and the coarsest meshes."""

    hand_joints: NDArray
    head_joints: NDArray
    hand_verts: NDArray
    head_verts: NDArray


@dataclass(frozen=True)
class Bodies:
    """Everything that the converted files hold.

    Attributes
    ----------
    deformable
        (5023, 1), 0 where the neck's vertices never deform, else 1.
    head_reference, hand_reference
        (5023, 3), (778, 3) float32.
    """

    flame: Flame
    mano: Mano
    deformable: Array
    head_levels: Levels
    hand_levels: Levels
    head_reference: NDArray
    hand_reference: NDArray

    @classmethod
    def load(cls, folder: Path) -> Self:
        """From a models folder that `dice_core.convert` wrote. Raises `NotInstalled` for what is missing."""
        deformable = np.ones((flame.VERTICES, 1))
        deformable[load(folder, "neck_idx")["vertices"]] = 0
        return cls(
            flame=Flame.from_arrays(load(folder, "flame"), load(folder, "landmark_embedding")),
            mano=Mano.from_arrays(load(folder, "mano_right")),
            deformable=deformable,
            head_levels=Levels.from_arrays(load(folder, "head_mesh_transforms")),
            hand_levels=Levels.from_arrays(load(folder, "hand_mesh_transforms")),
            head_reference=load(folder, "head_ref_vs")["vertices"].astype(np.float32),
            hand_reference=load(folder, "rh_ref_vs")["vertices"].astype(np.float32),
        )

    def mapped(self, convert: Callable[[NDArray], Array]) -> Self:
        """The same bodies for arrays of another kind, see `SkinnedModel.mapped`; levels and references stay."""
        flame, mano = self.flame.mapped(convert), self.mano.mapped(convert)
        return replace(self, flame=flame, mano=mano, deformable=convert(self.deformable))

    def templates(self) -> Templates:
        """The network's input besides the picture."""
        head, hand = self.head_reference[None], self.hand_reference[None]
        parts = (
            self.mano.openpose_keypoints(hand),
            self.flame.landmarks(head),
            self.hand_levels.coarser(hand, 1),
            self.head_levels.coarser(head, 2),
        )
        return Templates(*(part[0].astype(np.float32) for part in parts))

    def from_parameters(self, parameters: Parameters) -> Posed:
        """The parametric meshes."""
        p = parameters
        head = flame.rigid(self.flame.pose(p.face_shape, p.face_exp, p.face_pose), p.face_rot, p.face_transl)
        hand, joints = self.mano.pose(p.rh_betas, p.rh_rot, p.rh_pose, p.rh_transl)
        return self._posed(head, hand, joints)

    def bones(self, parameters: Parameters) -> Bones:
        """Of the parametric meshes, for NumPy arrays."""
        p = parameters
        centre = self.flame.pose(p.face_shape, p.face_exp, p.face_pose).mean(1)  # which `rigid` turns heads about
        head_joints, head = self.flame.bones(p.face_shape, p.face_exp, p.face_pose)
        head[..., :3, 3] -= centre[:, None]
        head[..., :3, :] = rotation_matrices(p.face_rot)[:, None] @ head[..., :3, :]
        hand_joints, hand = self.mano.bones(p.rh_betas, p.rh_rot, p.rh_pose, p.rh_transl)
        hand[..., :3, 3] -= (centre + p.face_transl)[:, None]
        return Bones(head_joints, head, hand_joints, hand)

    def from_vertices(self, head: Array, hand: Array) -> Posed:
        """The meshes that the network gives straight away, (n, 5023, 3) and (n, 778, 3)."""
        return self._posed(head, hand, None)

    def displacement(self, deformation: Array) -> Array:
        """(n, 5023, 3) deformation as the network gives it -> displacement to add, none at the neck."""
        return -deformation * self.deformable

    def _posed(self, head: Array, hand: Array, joints: Array | None) -> Posed:
        centre = head.mean(1)[:, None]
        head, hand = head - centre, hand - centre
        decaf = None if joints is None else decaf_keypoints(hand, joints - centre)
        return Posed(head, hand, self.flame.landmarks(head), self.mano.openpose_keypoints(hand), decaf)


def orthographic(cam_param: Array) -> tuple[Array, Array]:
    """(n, 3) camera numbers of the network -> (n,) scale and (n, 2) shift in pixels of the crop, for centred points.

    A point lies at scale * (x, y) + shift, from the top-left corner; its depth is z + 1.
    """
    return 10 * abs(cam_param[:, 0]), cam_param[:, 1:]
