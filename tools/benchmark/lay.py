# SPDX-License-Identifier: GPL-3.0-or-later
"""Lay a part of a hand on a region of a face, from outside, as an arm could hold it there.

Tried with random turns until the part meets the skin first, the forearm comes from below or from its own side and
passes the head, and the picture would show the hand.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from dice_core.body.openbody import POSE, SKIN, HandModel, head_model
from dice_core.interaction.distance import Surface
from dice_core.types import Side

from ..sample.raster import vertex_normals
from .people import Face

# MediaPipe landmarks in the middle of each region, of the person's right side; `_left` ones are found by mirroring.
REGIONS = {
    "forehead": (151, 108, 337, 9, 67, 297), "temple": (127, 139, 21, 71), "eye": (159, 145, 130, 23),
    "nose": (1, 4, 195, 5), "cheek": (50, 205, 187, 117, 207, 123), "lips": (0, 17, 61, 291, 13, 14),
    "chin": (152, 199, 175, 200), "jaw": (172, 136, 215, 138), "ear": (),
}  # fmt: skip
PADS = {"thumb": (0,), "index": (1,), "middle": (2,), "ring": (3,), "little": (4,), "pinch": (0, 1),
        "tips": (1, 2, 3)}  # fmt: skip
PARTS = (*PADS, "palm", "heel", "knuckles", "fist")
KINDS = {"tips": "open", "palm": "flat", "heel": "flat", "knuckles": "fist", "fist": "fist"}
TRIES = 80
FAR, PASSED, TOUCH = 0.16, 0.03, 0.0002  # metres
FOREARM = np.linspace(0.06, 0.2, 6)  # metres behind the wrist
BENDS = np.arange(0, 0.75, 0.03)  # radians
CLEAR = 0.03  # metres between the forearm's middle line and the head
OWN_SIDE, UPWARD, SEEN = 0.35, 0.35, 0.7  # limits of the forearm's direction; the share of joints to be seen


@dataclass(frozen=True)
class Laid:
    """A hand that just touches.

    Attributes
    ----------
    parameters
        (HAND_PARAMETERS,) in the camera's axes.
    vertices, joints
        (H, 3), (21, 3).
    away
        (3,) unit direction in which the hand leaves the face.
    part
        Indices of the hand's vertices that are meant to touch.
    target
        (3,) the place on the skin that they were meant for.
    """

    parameters: NDArray
    vertices: NDArray
    joints: NDArray
    away: NDArray
    part: NDArray
    target: NDArray

    def moved(self, offset: NDArray) -> Laid:
        parameters = self.parameters.copy()
        parameters[3:6] += offset
        return replace(self, parameters=parameters, vertices=self.vertices + offset, joints=self.joints + offset)


def kind_of(part: str) -> str:
    """The pose of `people.FLEXION` in which a part touches."""
    return KINDS.get(part, part)


def part_of(model: HandModel, vertices: NDArray, joints: NDArray, part: str) -> tuple[NDArray, NDArray]:
    """Vertices of a part of the posed hand, and the unit direction (3,) in which it touches."""
    normals = vertex_normals(vertices, model.faces)
    palmar = np.cross(joints[5] - joints[0], joints[17] - joints[0]) * (1 if model.side == "right" else -1)
    palmar /= np.linalg.norm(palmar)
    if part in PADS:
        found = [_pad(model, vertices, normals, finger) for finger in PADS[part]]
        chosen = np.concatenate([indices for indices, _ in found])
        direction = np.mean([facing for _, facing in found], axis=0)
        if part == "pinch":  # thumb and finger face each other: they touch with what lies between their tips
            direction = joints[[4, 8]].mean(0) - joints[[3, 7]].mean(0)
    else:
        along = (joints[9] - joints[0]) / np.linalg.norm(joints[9] - joints[0])
        chosen, direction = _body_of_hand(model, vertices, normals, joints, part, palmar, along)
    return chosen, direction / np.linalg.norm(direction)


def _pad(model: HandModel, vertices: NDArray, normals: NDArray, finger: int) -> tuple[NDArray, NDArray]:
    """The pad of a fingertip, and where it faces: halfway between palmar and the tip."""
    last = model.fingers[3 * finger + 2]
    own = np.flatnonzero(model.weights[:, last] > 0.6)
    bone = vertices[model.tips[finger]] - vertices[own].mean(0)
    bone /= np.linalg.norm(bone)
    middle = np.flatnonzero(model.weights[:, model.fingers[3 * finger + 1]] > 0.6)
    whole = np.r_[own, middle]
    rest_normals = vertex_normals(model.mean, model.faces)
    flexion = model.axes[3 * finger + 2, 1]
    twist = model.axes[3 * finger + 2, 0]
    palmar_rest = np.cross(twist, flexion)
    palmar_rest = palmar_rest / np.linalg.norm(palmar_rest)
    if _closing(model, finger) @ palmar_rest < 0:
        palmar_rest = -palmar_rest
    turn = Rotation.align_vectors(normals[whole], rest_normals[whole])[0]
    facing = turn.apply(palmar_rest) + 0.5 * bone
    facing /= np.linalg.norm(facing)
    return own[normals[own] @ facing > 0.45], facing


def _closing(model: HandModel, finger: int) -> NDArray:
    """Direction in which a fingertip moves when its last joint bends, on the rest hand."""
    parameters = np.zeros((2, POSE.stop))
    parameters[1, POSE.start + 3 * (3 * finger + 2) + 1] = 0.2
    straight, bent = model.keypoints(parameters)[:, 4 + 4 * finger]
    return bent - straight


def _body_of_hand(model: HandModel, vertices: NDArray, normals: NDArray, joints: NDArray, part: str, palmar: NDArray,
                  along: NDArray) -> tuple[NDArray, NDArray]:
    """Palm, heel of the palm, the fist's front (first bones) or its knuckles (where the fingers begin)."""
    first = model.weights[:, model.fingers[3::3]].sum(1) > 0.5
    ball = model.fingers[0]  # the thumb's first bone carries the ball of the thumb
    bones = [index for index in range(len(model.parents)) if index == ball or index not in model.fingers]
    hand = model.weights[:, bones].sum(1) > 0.6
    if part in ("palm", "heel"):
        height = (vertices - joints[0]) @ along / np.linalg.norm(joints[9] - joints[0])
        where = (height > 0.45) if part == "palm" else (height > 0.02) & (height < 0.4)
        lean = palmar if part == "palm" else palmar - 0.3 * along
        return np.flatnonzero(hand & where & (normals @ palmar > 0.5)), lean
    if part == "fist":
        facing = normals[first].mean(0)
        return np.flatnonzero(first & (normals @ facing > 0.4 * np.linalg.norm(facing))), facing
    tops = np.linalg.norm(vertices[:, None] - joints[[5, 9, 13]], axis=2).min(1) < 0.014
    facing = normals[tops & (normals @ palmar < 0.3)].mean(0)
    return np.flatnonzero(tops & (normals @ facing > 0.4 * np.linalg.norm(facing))), facing


def target_vertices(side: Side, region: str) -> NDArray:
    """Skin vertices of the head in a region, on the person's right or left."""
    model = head_model()
    mean, mirror = model.mean, np.array([1.0 if side == "right" else -1.0, 1, 1])
    if region == "ear":
        at = mean * mirror
        ear = (at[:, 0] < -0.072) & (np.abs(at[:, 1] + 0.02) < 0.032) & (np.abs(at[:, 2] - 0.005) < 0.03)
        return np.flatnonzero(ear & (model.part == SKIN))
    centres = model.landmarks(mean)[list(REGIONS[region])] * mirror
    gap = np.linalg.norm(mean[:, None] - centres, axis=2).min(1)
    return np.flatnonzero((gap < 0.009) & (model.part == SKIN))


def lay(rng: np.random.Generator, model: HandModel, parameters: NDArray, part: str, face: Face, skin: NDArray,
        region: NDArray) -> Laid | None:
    """The hand that just touches, or None when no try succeeded.

    Parameters
    ----------
    parameters
        (HAND_PARAMETERS,) of the hand at the origin.
    skin
        (F, 3) faces of the head's skin.
    region
        Vertices of the head where it may touch.
    """
    vertices, joints = (posed[0] for posed in model.pose(parameters[None]))
    chosen, facing = part_of(model, vertices, joints, part)
    along = (joints[9] - joints[0]) / np.linalg.norm(joints[9] - joints[0])
    head = head_model()
    surface = Surface(face.vertices, head.solid, head.neck_rim)
    normals = vertex_normals(face.vertices, skin)
    inward = 1.0 if model.side == "right" else -1.0  # the way from this hand's own side to the other in the picture
    for _ in range(TRIES):
        vertex = rng.choice(region)
        target, normal = face.vertices[vertex], normals[np.linalg.norm(face.vertices - face.vertices[vertex], axis=1)
                                                        < 0.012].mean(0)
        normal /= np.linalg.norm(normal)
        if normal[2] > 0.35:
            continue
        pointing = np.array([inward * rng.uniform(-0.2, 1.2), -rng.uniform(-0.1, 1.2), rng.normal(0, 0.3)])
        turn = _frame(-normal, pointing) @ _frame(facing, along).T
        turn = Rotation.from_rotvec(rng.normal(0, 0.2, 3)).as_matrix() @ turn
        centre = vertices[chosen].mean(0)
        placed = parameters.copy()
        placed[:3] = (Rotation.from_matrix(turn) * Rotation.from_rotvec(parameters[:3])).as_rotvec()
        placed[3:6] = turn @ (parameters[3:6] - centre) + target
        moved = [(points - centre) @ turn.T + target for points in (vertices, joints)]
        laid = Laid(placed, *moved, normal, chosen, target)
        if not _arm_fits(laid, inward):
            continue
        touching = _slide(laid, surface)
        if touching is not None and _as_intended(touching, surface):
            return _rest_fingers(model, touching, surface, part)
    return None


def _rest_fingers(model: HandModel, laid: Laid, surface: Surface, part: str) -> Laid:
    """The fingers that belong to the part, and all of a flat hand's, bent at their knuckles until they touch too."""
    fingers = [finger for finger in PADS.get(part, ()) if finger] if part in PADS else [1, 2, 3, 4]
    if part not in ("tips", "palm", "heel"):
        return laid
    parameters = laid.parameters.copy()
    knuckles = [POSE.start + 9 * finger + 1 for finger in fingers]
    bends = np.repeat(parameters[None], len(BENDS), axis=0)
    bends[:, knuckles] += BENDS[:, None]
    vertices, _ = model.pose(bends)
    distance = surface.nearest(vertices.reshape(-1, 3)).distance.reshape(len(BENDS), -1)
    for finger, knuckle in zip(fingers, knuckles, strict=True):
        own = model.weights[:, model.fingers[3 * finger : 3 * finger + 3]].sum(1) > 0.5
        free = distance[:, own].min(1) > 0
        last = int(np.argmin(free)) - 1 if not free.all() else -1  # a finger that finds nothing to rest on stays
        parameters[knuckle] += BENDS[max(last, 0)]
    vertices, joints = (posed[0] for posed in model.pose(parameters[None]))
    return replace(laid, parameters=parameters, vertices=vertices, joints=joints)


def _frame(first: NDArray, second: NDArray) -> NDArray:
    x = first / np.linalg.norm(first)
    y = second - x * (x @ second)
    y /= np.linalg.norm(y)
    return np.stack([x, y, np.cross(x, y)], axis=1)


def _arm_fits(laid: Laid, inward: float) -> bool:
    """Whether a forearm of that direction comes from below or the hand's own side."""
    forearm = laid.joints[0] - laid.joints[9]
    forearm /= np.linalg.norm(forearm)
    return bool(forearm[0] * inward < OWN_SIDE and forearm[1] > -UPWARD and forearm[2] < 0.75)


def _slide(laid: Laid, surface: Surface) -> Laid | None:
    """From outside against `away` to where the hand just touches; None if it starts inside or never does.

    No point can be inside before it has gone as far as the nearest one is away (conservative advancement).
    """
    offset = FAR
    while offset > -PASSED:
        distance = surface.nearest(laid.vertices + offset * laid.away).distance.min()
        if offset == FAR and distance < 0:
            return None
        if distance < TOUCH:
            return laid.moved(offset * laid.away)
        offset -= distance
    return None


def _as_intended(laid: Laid, surface: Surface) -> bool:
    """The part touches first, near its target, no other part is nearly as near, and the forearm passes the head."""
    distance = surface.nearest(laid.vertices).distance
    first = laid.vertices[np.argmin(distance)]
    near = np.linalg.norm(laid.vertices[laid.part] - first, axis=1).min() < 0.008
    forearm = laid.joints[0] - laid.joints[9]
    forearm = forearm / np.linalg.norm(forearm) + [0, 0.35, 0]
    line = laid.joints[0] + FOREARM[:, None] * forearm / np.linalg.norm(forearm)
    return bool(
        near
        and np.linalg.norm(first - laid.target) < 0.02
        and surface.nearest(line).distance.min() > CLEAR
    )
