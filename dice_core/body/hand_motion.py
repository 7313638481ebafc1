# SPDX-License-Identifier: GPL-3.0-or-later
"""How joints and vertices of the open hand move with its parameters: the derivatives that fits follow.

A turn of a bone moves whatever hangs on it by omega x (point - bone), omega being the left Jacobian of the bone's
rotation vector applied to the change of that vector (Sola et al. 2018, "A micro Lie theory", eq. 145).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .openbody import HAND_PARAMETERS, POSE, SHAPES, TIP_REACH, HandModel
from .skinning import forward_kinematics, rotation_matrices, skin


@dataclass(frozen=True)
class Motion:
    """Posed points of n hands and their derivatives.

    Attributes
    ----------
    joints, vertices
        (n, 21, 3) in OpenPose order and (n, K, 3) the chosen vertices, metres.
    joints_by, vertices_by
        (n, 21, 3, HAND_PARAMETERS) and (n, K, 3, HAND_PARAMETERS).
    """

    joints: NDArray
    joints_by: NDArray
    vertices: NDArray
    vertices_by: NDArray


def hand_motion(model: HandModel, parameters: NDArray, chosen: NDArray) -> Motion:
    """Pose n hands and differentiate.

    Parameters
    ----------
    parameters
        (n, HAND_PARAMETERS).
    chosen
        (K,) indices of vertices.
    """
    count = len(parameters)
    betas = parameters[:, 6 : 6 + SHAPES]
    rest = model.joints + np.tensordot(betas, model.joints_shape, 1)
    vectors = np.einsum("njk,jkd->njd", parameters[:, POSE].reshape(count, 15, 3), model.axes)
    local = np.broadcast_to(np.eye(3), (count, len(model.parents), 3, 3)).copy()
    local[:, 0], local[:, model.fingers] = rotation_matrices(parameters[:, :3]), rotation_matrices(vectors)
    rotations, positions = forward_kinematics(local, rest, model.parents)
    positions = positions - rest[:, :1] + parameters[:, None, 3:6]
    # a turn about the axis in `turns` moves what hangs on `pivots`
    parents = model.parents[model.fingers]
    axes = np.einsum("njab,njbc,jkc->njka", rotations[:, parents], left_jacobian(vectors), model.axes)
    turns = np.concatenate([left_jacobian(parameters[:, :3])[:, None].swapaxes(2, 3), axes], axis=1)
    pivots = np.concatenate([positions[:, :1], positions[:, model.fingers]], axis=1)
    # sizes: rotations stay, so everything is linear in them
    sized = [
        forward_kinematics(local, np.broadcast_to(shape, rest.shape), model.parents)[1] - shape[:1]
        for shape in model.joints_shape
    ]
    pose = _Pose(model, rest, rotations, positions, turns, pivots, sized)
    joints, joints_by = _joints(pose, betas)
    vertices, vertices_by = _vertices(pose, betas, np.asarray(chosen, np.int64))
    return Motion(joints, joints_by, vertices, vertices_by)


@dataclass(frozen=True)
class _Pose:
    """`turns` (n, 16, 3, 3), rows are axes; `pivots` (n, 16, 3): the wrist's and the finger joints'."""

    model: HandModel
    rest: NDArray
    rotations: NDArray
    positions: NDArray
    turns: NDArray
    pivots: NDArray
    sized: list[NDArray]


def _joints(pose: _Pose, betas: NDArray) -> tuple[NDArray, NDArray]:
    model, count = pose.model, len(betas)
    last = model.fingers[2::3]
    tips = model.mean[model.tips] + np.tensordot(betas, model.shape[:, model.tips], 1)
    reach = np.einsum("nbij,nbj->nbi", pose.rotations[:, last], TIP_REACH * (tips - pose.rest[:, last]))
    joints = _openpose(pose.positions[:, 0], pose.positions[:, model.fingers], reach)
    hanging = _joint_chains().astype(float)
    weighted = hanging[None, :, :, None] * (joints[:, None] - pose.pivots[:, :, None])
    derivatives = _by_turns(pose, weighted.swapaxes(1, 2))
    for index, (shape, at) in enumerate(zip(model.joints_shape, pose.sized, strict=True)):
        longer = TIP_REACH * (model.shape[index, model.tips] - shape[last])
        moved = np.einsum("nbij,bj->nbi", pose.rotations[:, last], longer)
        derivatives[..., 6 + index] = _openpose(at[:, 0], at[:, model.fingers], moved)
    return joints.reshape(count, 21, 3), derivatives


def _openpose(wrist: NDArray, fingers: NDArray, reach: NDArray) -> NDArray:
    """(n, 3), (n, 15, 3) and what to add to the last joints, (n, 5, 3) -> (n, 21, 3)."""
    count = len(wrist)
    bones = fingers.reshape(count, 5, 3, 3)
    chains = np.concatenate([bones, (bones[:, :, 2] + reach)[:, :, None]], axis=2)
    return np.concatenate([wrist[:, None], chains.reshape(count, 20, 3)], axis=1)


def _vertices(pose: _Pose, betas: NDArray, chosen: NDArray) -> tuple[NDArray, NDArray]:
    model = pose.model
    rest = model.mean[chosen] + np.tensordot(betas, model.shape[:, chosen], 1)
    weights = model.weights[chosen]
    offsets = pose.positions - np.einsum("nbij,nbj->nbi", pose.rotations, pose.rest)
    carried = np.einsum("nbij,nvj->nvbi", pose.rotations, rest) + offsets[:, None]  # by each bone
    carried *= weights[:, :, None]
    below = _descendants(tuple(model.parents.tolist()), tuple(model.fingers.tolist())).astype(float)
    weighted = np.einsum("jb,nvbi->nvji", below, carried, optimize=True)
    weighted -= (weights @ below.T)[..., None] * pose.pivots[:, None]
    derivatives = _by_turns(pose, weighted)
    for index, (shape, at) in enumerate(zip(model.joints_shape, pose.sized, strict=True)):
        bones = np.broadcast_to(shape, pose.rest.shape)
        vertices = np.broadcast_to(model.shape[index, chosen], rest.shape)
        derivatives[..., 6 + index] = skin(vertices, weights, pose.rotations, bones, at)
    return carried.sum(2), derivatives


def _by_turns(pose: _Pose, arms: NDArray) -> NDArray:
    """Derivatives by orientation, translation and finger angles; `arms` (n, P, 16, 3) reach from each pivot."""
    count, points = arms.shape[:2]
    moved = np.cross(pose.turns[:, None], arms[:, :, :, None])  # (n, P, 16, axis, 3)
    derivatives = np.zeros((count, points, 3, HAND_PARAMETERS))
    derivatives[..., :3] = moved[:, :, 0].swapaxes(2, 3)
    derivatives[..., 3:6] = np.eye(3)
    derivatives[..., POSE] = moved[:, :, 1:].reshape(count, points, 45, 3).swapaxes(2, 3)
    return derivatives


def left_jacobian(vectors: NDArray) -> NDArray:
    """(..., 3) rotation vectors -> (..., 3, 3): from a change of the vector to a rotation applied on the left."""
    squared = (vectors**2).sum(-1)[..., None, None]
    angle = np.sqrt(squared)
    small = angle < 1e-4
    safe = np.where(small, 1.0, angle)
    first = np.where(small, 0.5 - squared / 24, (1 - np.cos(safe)) / safe**2)
    second = np.where(small, 1 / 6 - squared / 120, (safe - np.sin(safe)) / safe**3)
    x, y, z = np.moveaxis(vectors, -1, 0)
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*vectors.shape, 3)
    return np.eye(3) + first * cross + second * (cross @ cross)


@lru_cache(maxsize=1)
def _joint_chains() -> NDArray[np.bool_]:
    """(16, 21) whether an OpenPose joint hangs on the wrist or on a finger joint, and is not that joint itself."""
    chains = np.zeros((16, 21), bool)
    chains[0] = True
    for finger in range(5):
        for bone in range(3):
            chains[1 + 3 * finger + bone, 2 + 4 * finger + bone : 5 + 4 * finger] = True
    return chains


@lru_cache(maxsize=2)
def _descendants(parents: tuple[int, ...], fingers: tuple[int, ...]) -> NDArray[np.bool_]:
    """(16, B) whether a bone turns with the wrist or with a finger joint."""
    below = np.eye(len(parents), dtype=bool)
    for bone, parent in enumerate(parents):
        if parent >= 0:
            below[:, bone] |= below[:, parent]
    return below[[0, *fingers]]
