# SPDX-License-Identifier: GPL-3.0-or-later
"""The sample's person: Anny's body with a tilted head, and the open right hand laid against the cheek, pressing a dent.

Everything is in the camera's axes and metres; the camera stands at the origin.
"""

from __future__ import annotations

from dataclasses import dataclass

import igl
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from dice_core.body.openbody import POSE, HandModel, hand_model
from dice_core.body.skinning import forward_kinematics, skin

from ..bake_body import ASSETS, Body, camera_axes, head_cut
from .paint import MOUTH, SKIN, TONGUE
from .raster import interpolate, vertex_normals

PHENOTYPE = {"gender": 0.2, "age": 0.6, "weight": 0.45, "muscle": 0.5, "proportions": 0.9,
             "african": 0.0, "asian": 0.1, "caucasian": 0.9}  # fmt: skip
ACTIONS = {"mouthSmileLeft": 0.42, "mouthSmileRight": 0.36, "eyeBlinkLeft": 0.1, "eyeBlinkRight": 0.1}
TURNS = {"root": (0, 10, 0), "neck01": (1, -4, -3), "neck02": (1, -4, -3), "head": (1, -5, -4)}  # degrees about x, y, z
HEAD_AT = np.array([0.012, -0.050, 0.64])  # of the head bone, before the camera
# The hand: relaxed flexion in degrees of each finger's three joints (thumb first), and spread of the knuckles.
FLEXION = [[8, 12, 12], [13, 16, 10], [13, 17, 10], [14, 18, 10], [17, 20, 11]]
SPREAD = [0, -20, -4, 5, 15]
CHEEK = [187, 123]  # landmarks in whose middle the tip of the middle finger lies
BACK = np.array([-0.50, 0.05, -0.86])  # where the back of the hand faces, in the head's axes
POINTING = np.array([0.12, -0.97, 0.15])  # of the fingers: up the cheek, a little to the nose
PRESS = 0.0035  # metres that the pads sink in
FINGER_WIDTH = 0.019  # metres between the middle lines of neighbouring fingers


@dataclass(frozen=True)
class Figure:
    """The posed person.

    Attributes
    ----------
    vertices
        (13718, 3) of the whole body, with the dent; `rest` the same vertices on the average head, for painting.
    head
        Indices of the open head's vertices in it, in its order.
    dent
        (4570, 3) what the hand moved, already part of `vertices`.
    part
        (13718,) uint8, what the head's part labels say; 0 elsewhere.
    hand, hand_joints
        (1609, 3), (21, 3).
    joints
        (104, 3) posed bone heads of the body.
    """

    vertices: NDArray
    rest: NDArray
    head: NDArray
    part: NDArray
    dent: NDArray
    hand: NDArray
    hand_joints: NDArray
    joints: NDArray


def person(body: Body) -> tuple[NDArray, NDArray]:
    """Vertices and bone heads of the chosen person, smiling a little, relative to the head bone."""
    phenotype = {name: value.clone() for name, value in body.base.items()}
    for name, value in PHENOTYPE.items():
        phenotype[name][:] = value
    vertices, joints = body.rest(phenotype, None, {name: torch.tensor([value]) for name, value in ACTIONS.items()})
    origin = joints[0][body.bones(["head"])]
    return camera_axes(vertices[0] - origin).astype(float), camera_axes(joints[0] - origin).astype(float)


def pose(body: Body, vertices: NDArray, joints: NDArray) -> tuple[NDArray, NDArray]:
    """Tilt the head, turn the eyes to the camera, and put the person before it."""
    local = np.tile(np.eye(3), (1, len(joints), 1, 1))
    for name, degrees in TURNS.items():
        local[0, body.bones([name])[0]] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    parents = np.array(body.model.bone_parents)
    head = body.bones(["head"])[0]
    rotations, positions = forward_kinematics(local, joints[None], parents)
    shift = HEAD_AT - positions[0, head]
    for eye in body.bones(["eye.L", "eye.R"]):
        gaze = rotations[0, head].T @ -(positions[0, eye] + shift)
        local[0, eye] = between(np.array([0, 0, -1.0]), gaze)
    rotations, positions = forward_kinematics(local, joints[None], parents)
    posed = skin(vertices[None], body.weights.astype(float), rotations, joints[None], positions)
    return posed[0] + shift, positions[0] + shift


def between(start: NDArray, end: NDArray) -> NDArray:
    """(3, 3) the smallest rotation that turns one direction into the other."""
    return Rotation.align_vectors((end / np.linalg.norm(end))[None], start[None])[0].as_matrix()


def frame(first: NDArray, second: NDArray) -> NDArray:
    """(3, 3) right-handed columns: `first`, the part of `second` across it, and their cross product."""
    x = first / np.linalg.norm(first)
    y = second - x * (x @ second)
    y /= np.linalg.norm(y)
    return np.stack([x, y, np.cross(x, y)], axis=1)


def relaxed() -> NDArray:
    """Parameters of a relaxed hand at the origin."""
    parameters = np.zeros(POSE.stop)
    angles = parameters[POSE].reshape(5, 3, 3)
    angles[:, :, 1] = np.radians(FLEXION)
    angles[:, 0, 2] = np.radians(SPREAD)
    angles[0, 0] = np.radians([0, -18, -8])
    parameters[POSE] = angles.ravel()
    return parameters


def finger_pads(model: HandModel, vertices: NDArray, palm: NDArray) -> list[NDArray]:
    """Vertices on the palm's side of the last segment of each of the four fingers."""
    facing = vertex_normals(vertices, model.faces) @ palm > 0.6 * np.linalg.norm(palm)
    return [np.flatnonzero((model.weights[:, bone] > 0.6) & facing) for bone in model.fingers[5::3]]


def lay_hand(
    model: HandModel, head: NDArray, faces: NDArray, touch: NDArray, back: NDArray, pointing: NDArray
) -> NDArray:
    """Parameters of the hand whose finger pads press into the skin, the middle finger's at `touch`, nothing else does.

    Position, orientation and the fingers' flexion and spread are free; they start from, and are held to, the relaxed
    hand with its palm against the skin and its fingers along `pointing`. Neighbouring fingers keep together.
    """
    start = relaxed()
    vertices, joints = (values[0] for values in model.pose(start[None]))
    palm = np.cross(joints[5] - joints[0], joints[17] - joints[0])  # out of the palm of a right hand
    pads = finger_pads(model, vertices, palm)
    padless = np.setdiff1d(np.arange(len(vertices)), np.concatenate(pads))
    turn = frame(-back, pointing) @ frame(palm, joints[9] - joints[0]).T
    start[:3] = Rotation.from_matrix(turn).as_rotvec()
    start[3:6] = touch + 0.004 * back - turn @ vertices[pads[1]].mean(0)
    flexion = [POSE.start + 3 * joint + 1 for joint in range(3, 15)]
    spread = [POSE.start + 3 * joint + 2 for joint in (3, 6, 9, 12)]
    free = np.r_[0:6, flexion, spread]
    held = np.r_[np.full(3, 0.25), np.full(3, 0.02), np.full(12, 0.25), np.full(4, 0.15)]

    def residuals(values: NDArray) -> NDArray:
        parameters = start.copy()
        parameters[free] = values
        posed, joints = (values[0] for values in model.pose(parameters[None]))
        distance = igl.signed_distance(posed, head, faces)[0]
        pressed = [(np.sort(distance[pad])[: len(pad) // 3].mean() + PRESS) / 0.001 for pad in pads]
        place = (posed[pads[1]].mean(0) - touch) / 0.004
        inside = np.minimum(distance[padless] + 0.001, 0) / 0.002
        apart = np.linalg.norm(joints[[7, 8, 11, 12, 15, 16]] - joints[[11, 12, 15, 16, 19, 20]], axis=1)
        gaps = np.maximum(apart - FINGER_WIDTH, 0) / 0.003
        return np.r_[pressed, place, gaps, np.sort(inside)[:60], (values - start[free]) / held]

    solved = least_squares(residuals, start[free], diff_step=1e-4, max_nfev=40)
    start[free] = solved.x
    return start


def press(head: NDArray, faces: NDArray, soft: NDArray[np.bool_], hand: NDArray) -> NDArray:
    """(V, 3) smooth displacement of the head that frees it from the hand: a sum of Gaussian bumps, found in rounds."""
    moved = np.zeros_like(head)
    for _ in range(25):
        surface = head + moved
        distance, triangle, nearest, _ = igl.signed_distance(hand, surface, faces)
        deep = np.flatnonzero((distance < -0.0002) & (distance > -0.02))
        if not len(deep):
            break
        for vertex in deep[np.argsort(distance[deep])][:40]:
            step = hand[vertex] - nearest[vertex]
            reach = np.exp(-((surface - nearest[vertex]) ** 2).sum(1) / (2 * 0.009**2))
            moved += 0.12 * reach[:, None] * step * soft[:, None]
    return moved


def make_figure(body: Body) -> Figure:
    """The whole person, dent included."""
    vertices, joints = pose(body, *person(body))
    _, kept, part = head_cut(body)
    faces, mean = baked_head()
    head = vertices[kept]
    outer = faces[(part[faces] == SKIN).all(1)]
    hand, turn = hand_model("right"), turn_of(head)
    parameters = lay_hand(hand, head, outer, landmarks(head)[CHEEK].mean(0), turn @ BACK, turn @ POINTING)
    laid, hand_joints = (values[0] for values in hand.pose(parameters[None]))
    dent = press(head, outer, np.isin(part, (SKIN, MOUTH, TONGUE)), laid)
    vertices[kept] += dent
    rest = camera_axes(body.vertices - body.joints[body.bones(["head"])]).astype(float)
    rest[kept] = mean
    parts = np.zeros(len(vertices), np.uint8)
    parts[kept] = part
    return Figure(vertices, rest, kept, parts, dent, laid, hand_joints, joints)


def baked_head() -> tuple[NDArray, NDArray]:
    """Faces and average vertices of the open head."""
    with np.load(ASSETS / "head.npz") as data:
        return data["faces"].astype(np.int64), data["mean"].astype(float)


def landmarks(head: NDArray) -> NDArray:
    """(478, 3) landmarks of the open head's vertices, or the same mixture of other values there."""
    with np.load(ASSETS / "landmarks.npz") as marks:
        return interpolate(head, baked_head()[0], marks["triangle"].astype(int), marks["barycentric"].astype(float))


def turn_of(head: NDArray) -> NDArray:
    """(3, 3) rotation from the average head to a posed one."""
    mean = baked_head()[1]
    return Rotation.align_vectors(head - head.mean(0), mean - mean.mean(0))[0].as_matrix()
