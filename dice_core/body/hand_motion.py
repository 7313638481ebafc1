# SPDX-License-Identifier: GPL-3.0-or-later
"""How landmarks and vertices of the open hand move with its parameters: the derivatives that fits follow.

A turn of a bone moves whatever hangs on it by omega x (point - bone), omega being the left Jacobian of the bone's
rotation vector applied to the change of that vector (Sola et al. 2018, "A micro Lie theory", eq. 145).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .openbody import HAND_PARAMETERS, POSE, SHAPES, HandModel
from .skinning import cross_matrices, forward_kinematics, left_jacobian, rotation_matrices, skin


@dataclass(frozen=True)
class Motion:
    """Posed points of n hands and their derivatives.

    Attributes
    ----------
    landmarks, joints, vertices
        (n, 21, 3) what the detector sees at the joints, and they themselves, in OpenPose order; (n, K, 3) the chosen
        vertices; metres.
    landmarks_by, joints_by, vertices_by
        The same, with one more axis of HAND_PARAMETERS.
    """

    landmarks: NDArray
    landmarks_by: NDArray
    joints: NDArray
    joints_by: NDArray
    vertices: NDArray
    vertices_by: NDArray


def hand_motion(model: HandModel, parameters: NDArray, chosen: NDArray, shaped: bool = True) -> Motion:
    """Pose n hands and differentiate.

    Parameters
    ----------
    parameters
        (n, HAND_PARAMETERS).
    chosen
        (K,) indices of vertices.
    shaped
        Whether the derivatives by betas are needed; otherwise they are zero.
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
    shapes = len(model.joints_shape) if shaped else 0
    grown = np.repeat(model.joints_shape[:shapes], count, axis=0)
    sized = np.zeros((0, count, *rest.shape[1:]))
    if shaped:
        sized = forward_kinematics(np.tile(local, (shapes, 1, 1, 1)), grown, model.parents)[1] - grown[:, :1]
        sized = sized.reshape(shapes, count, -1, 3)
    pose = _Pose(model, rest, rotations, positions, turns, pivots, sized)
    chosen = np.asarray(chosen, np.int64)
    bones = np.tile(np.eye(len(model.parents))[model.keypoints_bones], (2, 1))
    carried = _Carried(
        np.concatenate([model.landmarks, model.keypoints_rest, model.mean[chosen]]),
        np.concatenate([model.keypoints_shape, model.keypoints_shape, model.shape[:, chosen]], axis=1),
        np.concatenate([bones, model.weights[chosen]]),
    )
    points, by = _points(pose, betas, carried)
    return Motion(points[:, :21], by[:, :21], points[:, 21:42], by[:, 21:42], points[:, 42:], by[:, 42:])


@dataclass(frozen=True)
class _Carried:
    """Points that hang on bones: (P, 3) at rest, (SHAPES, P, 3) by size, (P, B) weights."""

    mean: NDArray
    shape: NDArray
    weights: NDArray


@dataclass(frozen=True)
class _Pose:
    """A posed skeleton.

    Attributes
    ----------
    turns, pivots
        (n, 16, 3, 3), rows are axes, and (n, 16, 3): of the wrist and of the finger joints.
    sized
        (SHAPES, n, B, 3) how bones move with size.
    """

    model: HandModel
    rest: NDArray
    rotations: NDArray
    positions: NDArray
    turns: NDArray
    pivots: NDArray
    sized: NDArray


def _points(pose: _Pose, betas: NDArray, points: _Carried) -> tuple[NDArray, NDArray]:
    model = pose.model
    rest = points.mean + np.tensordot(betas, points.shape, 1)
    offsets = pose.positions - np.einsum("nbij,nbj->nbi", pose.rotations, pose.rest)
    carried = np.einsum("nbij,nvj->nvbi", pose.rotations, rest) + offsets[:, None]  # by each bone
    carried *= points.weights[:, :, None]
    below = _descendants(tuple(model.parents.tolist()), tuple(model.fingers.tolist())).astype(float)
    weighted = np.einsum("jb,nvbi->nvji", below, carried, optimize=True)
    weighted -= (points.weights @ below.T)[..., None] * pose.pivots[:, None]
    derivatives = _by_turns(pose, weighted)
    for index, (shape, at) in enumerate(zip(model.joints_shape, pose.sized, strict=False)):  # none, if not shaped
        bones = np.broadcast_to(shape, pose.rest.shape)
        grown = np.broadcast_to(points.shape[index], rest.shape)
        derivatives[..., 6 + index] = skin(grown, points.weights, pose.rotations, bones, at)
    return carried.sum(2), derivatives


def _by_turns(pose: _Pose, arms: NDArray) -> NDArray:
    """Derivatives by orientation, translation and finger angles; `arms` (n, P, 16, 3) reach from each pivot."""
    count, points = arms.shape[:2]
    crossed = cross_matrices(pose.turns).transpose(0, 1, 4, 3, 2).reshape(count, -1, 3, 9)  # (n, 16, 3, 3 x axis)
    moved = (arms.swapaxes(1, 2) @ crossed).reshape(count, -1, points, 3, 3).transpose(0, 2, 3, 1, 4)
    derivatives = np.zeros((count, points, 3, HAND_PARAMETERS))
    derivatives[..., :3] = moved[:, :, :, 0]
    derivatives[..., 3:6] = np.eye(3)
    derivatives[..., POSE] = moved[:, :, :, 1:].reshape(count, points, 3, 45)
    return derivatives


@lru_cache(maxsize=2)
def _descendants(parents: tuple[int, ...], fingers: tuple[int, ...]) -> NDArray[np.bool_]:
    """(16, B) whether a bone turns with the wrist or with a finger joint."""
    below = np.eye(len(parents), dtype=bool)
    for bone, parent in enumerate(parents):
        if parent >= 0:
            below[:, bone] |= below[:, parent]
    return below[[0, *fingers]]
