# SPDX-License-Identifier: GPL-3.0-or-later
"""The FLAME 2020 head (Li et al. 2017), from the user's own file, as the official DICE code poses it.

Two rotations compose: the first three numbers of `pose` turn the head about FLAME's joint 0, `rigid` then turns it
about the mean of its vertices. Neck and eyes stay at rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from .skinned import SkinnedModel, skinned_parts
from .skinning import Array, namespace, rotation_matrices

VERTICES, JOINTS, SHAPE, EXPRESSION = 5023, 5, 100, 50
LANDMARKS = 68
BONES = ("neck", "head", "jaw", "eye.L", "eye.R")


@dataclass(frozen=True)
class Flame(SkinnedModel):
    """The head; its shape components are SHAPE of identity, then EXPRESSION of expression.

    Attributes
    ----------
    landmark_triangles, landmark_weights
        (68, 3) vertices and (68, 3) barycentric weights of the iBUG landmarks.
    """

    landmark_triangles: NDArray
    landmark_weights: Array

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray], embedding: Mapping[str, NDArray]) -> Self:
        """From the arrays of two converted files: the head and the landmark embedding."""
        return cls(
            **skinned_parts(arrays),
            landmark_triangles=arrays["faces"][embedding["faces"]],
            landmark_weights=embedding["weights"],
        )

    def pose(self, shape: Array, expression: Array, pose: Array) -> Array:
        """Pose n heads, before their rigid motion.

        Parameters
        ----------
        shape, expression, pose
            (n, 100), (n, 50), and (n, 6) axis-angles: global, jaw.

        Returns
        -------
        (n, 5023, 3) metres.
        """
        return self.skinned(namespace(pose).concatenate([shape, expression], 1), _rotations(pose))[0]

    def bones(self, shape: NDArray, expression: NDArray, pose: NDArray) -> tuple[NDArray, NDArray]:
        """Joints at rest and transforms of what `pose` poses, see `SkinnedModel.skeleton`."""
        return self.skeleton(np.concatenate([shape, expression], 1), _rotations(pose))

    def counterparts(self) -> NDArray:
        """(5023,) for each vertex the one nearest to its mirror image, at rest: on the other side of the face."""
        return KDTree(self.template).query(self.template * [-1.0, 1, 1])[1]

    def landmarks(self, vertices: Array) -> Array:
        """(n, 5023, 3) -> (n, 68, 3) iBUG landmarks."""
        corners = vertices[:, self.landmark_triangles]
        return (corners * self.landmark_weights[..., None]).sum(2)


def _rotations(pose: Array) -> Array:
    still = pose[:, :3] * 0
    return namespace(pose).stack([pose[:, :3], still, pose[:, 3:], still, still], 1)


def rigid(vertices: Array, rotation: Array, transl: Array, scale: float = 1.0) -> Array:
    """Turn n heads about the mean of all their vertices, then move them.

    Parameters
    ----------
    vertices, rotation, transl
        (n, 5023, 3) metres, (n, 3) axis-angle, (n, 3) metres.
    """
    centre = vertices.mean(1)[:, None]
    turned = (vertices - centre) @ rotation_matrices(rotation).swapaxes(1, 2)
    return scale * turned + centre + transl[:, None]
