# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinematics and linear blend skinning, for any number of poses at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation


def rotation_matrices(vectors: NDArray) -> NDArray:
    """(..., 3) axis-angle vectors in radians -> (..., 3, 3) rotation matrices."""
    return Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix().reshape(*vectors.shape, 3)


def forward_kinematics(rotations: NDArray, joints: NDArray, parents: NDArray) -> tuple[NDArray, NDArray]:
    """Pose a skeleton.

    Parameters
    ----------
    rotations
        (n, B, 3, 3) rotation of each bone in its parent's frame; the root's is global.
    joints
        (n, B, 3) rest positions.
    parents
        (B,) index of each bone's parent, -1 for the root; parents come before their children.

    Returns
    -------
    rotations, positions
        (n, B, 3, 3) and (n, B, 3), global; the root stays at its rest position.
    """
    turned, moved = rotations.copy(), joints.copy()
    for bone, parent in enumerate(parents):
        if parent >= 0:
            turned[:, bone] = turned[:, parent] @ rotations[:, bone]
            offset = joints[:, bone] - joints[:, parent]
            moved[:, bone] = moved[:, parent] + np.einsum("nij,nj->ni", turned[:, parent], offset)
    return turned, moved


def skin(vertices: NDArray, weights: NDArray, rotations: NDArray, joints: NDArray, positions: NDArray) -> NDArray:
    """Linear blend skinning.

    Parameters
    ----------
    vertices
        (n, V, 3) rest vertices.
    weights
        (V, B), each row summing to 1.
    rotations, positions
        (n, B, 3, 3) and (n, B, 3) from `forward_kinematics`.
    joints
        (n, B, 3) rest positions.

    Returns
    -------
    (n, V, 3) posed vertices.
    """
    offsets = positions - np.einsum("nbij,nbj->nbi", rotations, joints)
    blended = np.einsum("vb,nbij->nvij", weights, rotations, optimize=True)
    return np.einsum("nvij,nvj->nvi", blended, vertices) + weights @ offsets
