# SPDX-License-Identifier: GPL-3.0-or-later
"""A second look at a hand: how is it held, with which part would it touch, how deep does it lie, does it touch?

A small network learnt that from drawn people (assets/glance.md: how, and how far it is to be trusted). It reads the
landmarks of hand and face and what the detector's hand model, which learnt from photographs, saw of the hand. It knows
right hands only: left ones are shown to it in a mirror.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ..landmarks.litert import POINT_FEATURES, FaceLandmarks, HandLandmarks
from .camera import DEFAULT_FOCAL
from .perceptron import Perceptron, relu

ASSET = Path(__file__).parent / "assets" / "glance.npz"
PARTS = ("thumb", "index", "middle", "ring", "little", "palm", "heel", "knuckles")
JOINTS = 21
BONES = ((0, 5), (5, 9), (9, 13), (13, 17), (0, 17), (5, 6), (9, 10))  # their mean length is the unit of joints
OVAL = [10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149,
        150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109]  # fmt: skip
LANDMARKS = [10, 152, 234, 454, 33, 133, 362, 263, 1, 4, 168, 61, 291, 13, 50, 280, 172, 397, 67, 297]
MIRRORED = [10, 152, 454, 234, 263, 362, 133, 33, 1, 4, 168, 291, 61, 13, 280, 50, 397, 172, 297, 67]
NUMBERS = 283
# what the network says, in this order
TOUCH, DEPTH, PART, GAP, GAPS = slice(0, 1), slice(1, 3), slice(3, 11), slice(11, 12), slice(12, 33)
JUDGED, JUDGES = 33, 3  # those before, and how many judge
POSE, POSE_SIGMA, POINTS, POINTS_SIGMA = slice(33, 96), slice(96, 117), slice(117, 159), slice(159, 180)
OUTPUTS = 180
GAP_LEAST, GAP_UNIT = 0.005, 0.02  # metres: gaps are learnt as log((gap + GAP_LEAST) / GAP_UNIT),
# and only to learn the rest the better: nobody asks for them


@dataclass(frozen=True)
class Glance:
    """What the picture says of one hand and the face.

    Attributes
    ----------
    touch
        0..1, that it touches.
    depth_ratio, depth_sigma
        Logarithm of the hand's depth (middle of wrist and middle knuckle) over that of the eyes, and its deviation.
    parts
        (8,) 0..1, that each of PARTS touches, should the hand touch at all.
    joints, joints_sigma
        (21, 3) from the wrist, camera axes, in mean lengths of BONES; (21,) deviation of each along an axis.
    points, points_sigma
        (21, 2) pixels, where the joints are in the picture; (21,) deviation of each along an axis.
    """

    touch: float
    depth_ratio: float
    depth_sigma: float
    parts: NDArray
    joints: NDArray
    joints_sigma: NDArray
    points: NDArray
    points_sigma: NDArray


@dataclass(frozen=True)
class View:
    """A hand and a face as the network wants them: the hand is a right one.

    Attributes
    ----------
    size
        Width and height of the picture.
    hand, world, face
        (21, 2) pixels, (21, 3), (478, 2) pixels.
    focal
        In pixels, or None.
    scores
        Of the hand and of its side.
    features
        (FEATURES,), see `HandLandmarks`.
    """

    size: tuple[int, int]
    hand: NDArray
    world: NDArray
    face: NDArray
    focal: float | None
    scores: tuple[float, float]
    features: NDArray
    mirrored: bool

    @property
    def extent(self) -> float:
        """Root mean square of the hand's distances from its middle, pixels."""
        return max(float(np.sqrt(((self.hand - self.hand.mean(0)) ** 2).sum(1).mean())), 1e-6)

    @property
    def angle(self) -> float:
        """Radians by which the hand's way from the wrist to the knuckles is turned from upright, clockwise."""
        along = self.hand[[5, 9, 13]].mean(0) - self.hand[0]
        return float(np.arctan2(along[0], -along[1]))

    def ray(self) -> NDArray:
        """(3, 3) rotation that takes the line of sight through the middle of the hand to the camera's axis."""
        focal = self.focal or DEFAULT_FOCAL * max(self.size)
        middle = (self.hand.min(0) + self.hand.max(0)) / 2 - np.array(self.size) / 2
        sight = np.r_[middle / focal, 1.0]
        return Rotation.align_vectors([[0, 0, 1.0]], (sight / np.linalg.norm(sight))[None])[0].as_matrix()


def view(size: tuple[int, int], hand: HandLandmarks, face: FaceLandmarks, focal: float | None) -> View:
    """The landmarks, in a mirror if the hand is a left one."""
    mirrored = hand.side == "left"
    points, world, marks = hand.points.astype(float), hand.world.astype(float), face.points.astype(float)
    if mirrored:
        points, marks = np.array([size[0], 0]) + points * [-1, 1], np.array([size[0], 0]) + marks * [-1, 1]
        world = world * [-1, 1, 1]
    return View(size, points, world, marks, focal, (hand.score, hand.side_score),
                hand.features[int(mirrored)], mirrored)  # fmt: skip


def unit_joints(joints: NDArray) -> NDArray:
    """(21, 3) from the wrist, in mean lengths of BONES."""
    first, second = np.transpose(BONES)
    length = np.linalg.norm(joints[first] - joints[second], axis=1).mean()
    return (joints - joints[0]) / max(length, 1e-6)


def turn_about_sight(angle: float) -> NDArray:
    """(3, 3) that turns a picture, and what is in it, anticlockwise."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])


def upright_world(seen: View) -> NDArray:
    """(21, 3) the detector's joints in the hand's own upright frame, in units."""
    return unit_joints(seen.world) @ turn_about_sight(seen.angle).T


def numbers(seen: View) -> NDArray[np.float32]:
    """(NUMBERS,) what the landmarks say, independent of the picture's size."""
    turn = turn_about_sight(seen.angle)[:2, :2]
    hand, face, width = seen.hand, seen.face, max(float(np.ptp(seen.face[:, 0])), 1e-6)
    middle, centre = hand.mean(0), (face[OVAL].min(0) + face[OVAL].max(0)) / 2
    extent = seen.extent
    world = upright_world(seen)
    flat = (hand - middle) @ turn.T
    around = world[:, :2] - world[:, :2].mean(0)
    scale = float((around * flat).sum() / max((around**2).sum(), 1e-6))  # pixels a unit
    # the width of the whole face varies with its turn, its height and the eyes less so
    height = float(np.linalg.norm(face[10] - face[152]))
    eyes = float(np.linalg.norm(face[33] - face[263]))
    polygon = face[OVAL].astype(np.float32)
    inside = np.array([cv2.pointPolygonTest(polygon, (float(x), float(y)), True) for x, y in hand]) / width
    gaps = np.linalg.norm(hand[:, None] - face[:468:2], axis=2).min(1) / width
    longer = max(seen.size)
    marks = face[MIRRORED if seen.mirrored else LANDMARKS]
    parts = [
        flat / extent, world, [np.sin(seen.angle), np.cos(seen.angle)], (hand - centre) / width,
        (marks - middle) @ turn.T / extent, gaps, inside,
        np.log(np.maximum([extent / width, extent / height, scale / height, scale / eyes], 1e-3)),
        (marks - centre) / width,
        [0.0 if seen.focal is None else 1.0, 0.0 if seen.focal is None else np.log(seen.focal / longer / DEFAULT_FOCAL),
         width / longer, height / width], (middle - np.array(seen.size) / 2) / longer, seen.scores,
    ]  # fmt: skip
    return np.clip(np.concatenate([np.ravel(part) for part in parts]), -8, 8).astype(np.float32)


def ask(network: Perceptron, seen: View) -> NDArray:
    """(OUTPUTS,) what a network says: some towers judge the touch, and one tells how the hand is held."""
    said = network.standard("numbers", numbers(seen))
    features = network.standard("features", seen.features)
    judged = np.mean([_tower(network, f"judge{number}", said, features) for number in range(JUDGES)], axis=0)
    return np.concatenate([judged, _tower(network, "held", said, features)]).astype(float)


def _tower(network: Perceptron, name: str, said: NDArray, features: NDArray) -> NDArray:
    at_joints = relu(network.linear(f"{name}.point", features[:POINT_FEATURES].reshape(JOINTS, -1))).ravel()
    parts = [network.linear(f"{name}.numbers.2", relu(network.linear(f"{name}.numbers.0", said))),
             network.linear(f"{name}.points", at_joints),
             network.linear(f"{name}.whole", features[POINT_FEATURES:])]  # fmt: skip
    return network.linear(f"{name}.out", relu(network.linear(f"{name}.trunk", relu(np.concatenate(parts)))))


@lru_cache(maxsize=1)
def _network() -> Perceptron:
    return Perceptron(ASSET)


def look(size: tuple[int, int], hand: HandLandmarks, face: FaceLandmarks, focal: float | None = None) -> Glance:
    """Look at a hand and a face.

    Parameters
    ----------
    size
        Width and height of the picture.
    hand, face
        In pixels of it.
    focal
        In pixels of it, or None when it is not known.
    """
    seen = view(size, hand, face, focal)
    network = _network()
    return answer(ask(network, seen), seen, network.data["calibration"])


def answer(out: NDArray, seen: View, calibration: NDArray) -> Glance:
    """The network's numbers (OUTPUTS,) in the picture's own terms.

    `calibration`: scale and shift of touch, scale of parts, factors on the deviations of depth, joints and points.
    """
    touch, depth, part = out[TOUCH][0], out[DEPTH], out[PART]
    turn = turn_about_sight(seen.angle)
    joints = (upright_world(seen) + out[POSE].reshape(JOINTS, 3)) @ turn  # turned back
    joints = joints @ seen.ray()
    points = seen.hand + seen.extent * out[POINTS].reshape(JOINTS, 2) @ turn[:2, :2]
    if seen.mirrored:
        joints, points = joints * [-1, 1, 1], np.array([seen.size[0], 0]) + points * [-1, 1]
    return Glance(
        touch=_sigmoid(calibration[0] * touch + calibration[1]),
        depth_ratio=float(depth[0]),
        depth_sigma=float(calibration[3] * np.exp(np.clip(depth[1], -6, 2))),
        parts=np.array([_sigmoid(calibration[2] * value) for value in part]),
        joints=joints - joints[0],
        joints_sigma=calibration[4] * np.exp(np.clip(out[POSE_SIGMA], -6, 2)),
        points=points,
        points_sigma=calibration[5] * seen.extent * np.exp(np.clip(out[POINTS_SIGMA], -6, 2)),
    )


def _sigmoid(value: float) -> float:
    return float(1 / (1 + np.exp(-np.clip(value, -40, 40))))
