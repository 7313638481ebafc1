# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinematics and linear blend skinning, for any number of poses at once.

One implementation for NumPy arrays and torch tensors: what goes in comes out, on the device where it lies. Torch is
never imported here.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np

Array = Any  # numpy.ndarray or torch.Tensor
STEP = 2.0**-16  # of weights in results: exact in float32, moves skin by less than a micrometre, and packs well


def namespace(array: Array) -> Any:
    """The module whose functions take this array: numpy or torch."""
    return np if isinstance(array, np.ndarray) else sys.modules["torch"]


def rotation_matrices(vectors: Array) -> Array:
    """(..., 3) axis-angle vectors in radians -> (..., 3, 3) rotation matrices, by Rodrigues' formula.

    Both of its factors are written with sinc, so that no angle, however small, needs a case of its own.
    """
    xp = namespace(vectors)
    x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    turns = xp.sqrt(x * x + y * y + z * z) / math.pi
    sine = xp.sinc(turns)  # sin a / a
    half = xp.sinc(turns / 2)
    versine = half * half / 2  # (1 - cos a) / a^2
    xx, yy, zz, xy, xz, yz = (versine * value for value in (x * x, y * y, z * z, x * y, x * z, y * z))
    x, y, z = sine * x, sine * y, sine * z
    rows = [1 - yy - zz, xy - z, xz + y, xy + z, 1 - xx - zz, yz - x, xz - y, yz + x, 1 - xx - yy]
    return xp.stack(rows, -1).reshape(*vectors.shape, 3)


def cross_matrices(vectors: np.ndarray) -> np.ndarray:
    """(..., 3) -> (..., 3, 3) matrices M with M @ y = vector x y."""
    x, y, z = np.moveaxis(vectors, -1, 0)
    zero = np.zeros_like(x)
    return np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*vectors.shape, 3)


def left_jacobian(vectors: np.ndarray) -> np.ndarray:
    """(..., 3) rotation vectors -> (..., 3, 3): from a change of the vector to a rotation applied on the left."""
    squared = (vectors**2).sum(-1)[..., None, None]
    angle = np.sqrt(squared)
    small = angle < 1e-4
    safe = np.where(small, 1.0, angle)
    first = np.where(small, 0.5 - squared / 24, (1 - np.cos(safe)) / safe**2)
    second = np.where(small, 1 / 6 - squared / 120, (safe - np.sin(safe)) / safe**3)
    cross = cross_matrices(vectors)
    return np.eye(3) + first * cross + second * (cross @ cross)


def forward_kinematics(rotations: Array, joints: Array, parents: Iterable[int]) -> tuple[Array, Array]:
    """Pose a skeleton.

    Parameters
    ----------
    rotations
        (n, B, 3, 3) rotation of each bone in its parent's frame; the root's is global.
    joints
        (n, B, 3) rest positions.
    parents
        Index of each bone's parent, -1 for the root; parents come before their children.

    Returns
    -------
    rotations, positions
        (n, B, 3, 3) and (n, B, 3), global; the root stays at its rest position.
    """
    xp = namespace(rotations)
    levels, order = _levels(tuple(int(parent) for parent in parents))
    turned, moved = [rotations[:, levels[0][0]]], [joints[:, levels[0][0]]]
    for bones, above, within in levels[1:]:  # all bones that are as far from their root at once
        parent = turned[-1][:, within]
        offsets = joints[:, bones] - joints[:, above]
        turned.append(parent @ rotations[:, bones])
        moved.append(moved[-1][:, within] + (parent @ offsets[..., None])[..., 0])
    return xp.concatenate(turned, 1)[:, order], xp.concatenate(moved, 1)[:, order]


@lru_cache
def _levels(parents: tuple[int, ...]) -> tuple[list[tuple[list[int], list[int], list[int]]], list[int]]:
    """Bones by how far from their root they are: they, their parents, and where those stand in the level before; and
    where each bone stands in all levels."""
    depth: list[int] = []
    for parent in parents:
        depth.append(0 if parent < 0 else depth[parent] + 1)
    levels: list[tuple[list[int], list[int], list[int]]] = []
    for level in range(max(depth) + 1):
        bones = [bone for bone, deep in enumerate(depth) if deep == level]
        above = [parents[bone] for bone in bones]
        levels.append((bones, above, [levels[-1][0].index(parent) for parent in above] if level else []))
    flat = [bone for bones, _, _ in levels for bone in bones]
    return levels, [flat.index(bone) for bone in range(len(parents))]


def skin(vertices: Array, weights: Array, rotations: Array, joints: Array, positions: Array) -> Array:
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
    xp = namespace(vertices)
    offsets = positions - xp.einsum("nbij,nbj->nbi", rotations, joints)
    blended = (weights @ rotations.reshape(*rotations.shape[:2], 9)).reshape(*vertices.shape, 3)
    return xp.einsum("nvij,nvj->nvi", blended, vertices) + weights @ offsets


def bone_transforms(rotations: np.ndarray, joints: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """(n, B, 4, 4) from rest to posed, of what `skin` is given: p -> rotation (p - joint) + position."""
    transforms = np.zeros((*rotations.shape[:2], 4, 4))
    transforms[..., :3, :3] = rotations
    transforms[..., :3, 3] = positions - np.einsum("nbij,nbj->nbi", rotations, joints)
    transforms[..., 3, 3] = 1
    return transforms


def shares(weights: np.ndarray) -> np.ndarray:
    """(V, B) weights -> float32 multiples of STEP, each row of which sums to 1 exactly: the largest takes the rest."""
    weights = weights.astype(np.float64)
    steps = np.round(weights / weights.sum(1, keepdims=True) / STEP)
    steps[np.arange(len(steps)), weights.argmax(1)] += 1 / STEP - steps.sum(1)
    return (steps * STEP).astype(np.float32)
