# SPDX-License-Identifier: GPL-3.0-or-later
"""The bones of the open head and hand, by the names that artists know, and where a fit puts them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..types import Skeleton
from .openbody import ASSETS, IDENTITIES, SHAPES, HandModel
from .skinning import bone_transforms, rotation_matrices, shares

# In the order of hand.npz; `.R` or `.L` follows.
HAND_BONES = ("hand", *(f"palm.{number:02}" for number in range(1, 5)),
              *(f"{finger}.{bone:02}" for finger in ("thumb", "f_index", "f_middle", "f_ring", "f_pinky")
                for bone in range(1, 4)))  # fmt: skip


def hand_skeleton(model: HandModel, parameters: NDArray) -> Skeleton:
    """Of a hand with a parameter vector (see `HandModel`): at rest the wrist is the origin."""
    betas = parameters[None, 6 : 6 + SHAPES]
    rotations, rest, positions = model.skeleton(parameters[None], betas)
    end = ".R" if model.side == "right" else ".L"
    return Skeleton(
        names=tuple(name + end for name in HAND_BONES),
        parents=model.parents.astype(np.int32),
        joints=rest[0].astype(np.float32),
        transforms=bone_transforms(rotations, rest, positions)[0].astype(np.float32),
        weights=shares(model.weights),
    )


@dataclass(frozen=True)
class HeadBones:
    """What head_rig.npz holds: (B,) names and parents, (V, B) weights, and the joints at rest: (B, 3) of the mean head,
    and (IDENTITIES, B, 3) by identity."""

    names: tuple[str, ...]
    parents: NDArray[np.int32]
    weights: NDArray[np.float32]
    joints: NDArray
    joints_identity: NDArray


@lru_cache(maxsize=1)
def head_bones() -> HeadBones:
    """The bones of the open head, loaded once."""
    with np.load(ASSETS / "head_rig.npz") as rig:
        return HeadBones(
            names=tuple(str(name) for name in rig["names"]),
            parents=rig["parents"].astype(np.int32),
            weights=shares(rig["weights"]),
            joints=rig["joints"].astype(np.float64),
            joints_identity=rig["joints_identity"][:IDENTITIES].astype(np.float64),
        )


def head_skeleton(identity: NDArray, global_orient: NDArray, transl: NDArray) -> Skeleton:
    """Of a fitted head (see `HeadFit`): it moves as a whole, so all bones do the same. At rest the origin is `head`."""
    bones = head_bones()
    transform = np.eye(4)
    transform[:3, :3], transform[:3, 3] = rotation_matrices(global_orient), transl
    return Skeleton(
        names=bones.names,
        parents=bones.parents,
        joints=(bones.joints + np.tensordot(identity, bones.joints_identity, 1)).astype(np.float32),
        transforms=np.tile(transform, (len(bones.names), 1, 1)).astype(np.float32),
        weights=bones.weights,
    )
