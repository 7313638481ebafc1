# SPDX-License-Identifier: GPL-3.0-or-later
"""What the sample's scene is built from: visible skin, and the torso and sleeves of a sweater."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from ..bake_body import ASSETS, Body, compact
from .figure import Figure
from .paint import EYE, EYEBALL

COLLAR, COLLAR_SLOPE = 0.0, 0.75  # metres below the neck's root, and how much lower for each metre to the front
COLLAR_WIDENING = 1.5  # how much higher for each metre beyond the neck's sides
ARM = ("upperarm", "lowerarm", "wrist", "finger", "metacarpal")
POLE = np.array([-0.20, 1.0, -0.85])  # where the elbow points
# Radius by distance from the cuff, metres.
SLEEVE = {0.0: 0.039, 0.02: 0.038, 0.08: 0.039, 0.22: 0.047, 0.30: 0.054, 0.42: 0.056, 0.52: 0.060, 0.60: 0.056}


def below_collar(body: Body, figure: Figure) -> NDArray:
    """(V,) metres that each vertex lies below the neckline."""
    aside, below, behind = (figure.vertices - figure.joints[body.bones(["neck01"])[0]]).T
    return below - COLLAR + COLLAR_SLOPE * behind + COLLAR_WIDENING * np.maximum(np.abs(aside) - 0.055, 0)


def skin(body: Body, figure: Figure) -> dict[str, NDArray]:
    """Head, neck and hand with texture coordinates and material (0 skin, 1 eye) for each triangle.

    `gaze` is each vertex's offset from the line of sight of its eye.
    """
    shown = (below_collar(body, figure)[body.faces] < 0.05).all(1) & ~arms(body)[body.faces].any(1)
    used, faces = compact(body.faces[shown])
    eye = (figure.part[body.faces[shown]] == EYEBALL).all(1)
    rest = figure.rest[used]
    sight = np.stack([np.abs(rest[:, 0]) - EYE[0], rest[:, 1] - EYE[1], np.zeros(len(rest))], 1)
    sight[rest[:, 2] > EYE[2]] += 1  # the back of the eye is white
    with np.load(ASSETS / "hand.npz") as hand:
        hand_faces, hand_uv = hand["faces"].astype(int), hand["uv"][hand["faces_uv"]]
    return {
        "body_vertices": figure.vertices[used], "body_faces": faces, "body_uv": body.uv[body.faces_uv[shown]],
        "body_material": eye.astype(np.int32), "body_gaze": sight,
        "hand_vertices": figure.hand, "hand_faces": hand_faces, "hand_uv": hand_uv,
        "hand_material": np.zeros(len(hand_faces), np.int32), "hand_gaze": np.zeros_like(figure.hand),
    }  # fmt: skip


def arms(body: Body) -> NDArray[np.bool_]:
    """(V,) whether a vertex belongs to an arm."""
    bones = [index for index, name in enumerate(body.model.bone_labels) if name.startswith(ARM)]
    return body.weights[:, bones].sum(1) > 0.5


def sweater(body: Body, figure: Figure) -> dict[str, NDArray]:
    """Torso below the neckline and the middle lines and radii of the sleeves."""
    depth = below_collar(body, figure)[body.faces]
    used, faces = compact(body.faces[(depth > 0).all(1) & (depth < 0.5).all(1) & ~arms(body)[body.faces].any(1)])
    joint = {name: figure.joints[body.bones([name])[0]] for name in
             ("upperarm01.R", "lowerarm01.R", "wrist.R", "upperarm01.L", "neck01")}  # fmt: skip
    shoulder, wrist = joint["upperarm01.R"], figure.hand_joints[0]
    upper = np.linalg.norm(joint["lowerarm01.R"] - shoulder)
    elbow = bent(shoulder, wrist, upper, np.linalg.norm(joint["wrist.R"] - joint["lowerarm01.R"]))
    cuff = wrist + 0.006 * (wrist - elbow) / np.linalg.norm(wrist - elbow)
    neck, left = joint["neck01"], joint["upperarm01.L"]
    inside, inside_left = (0.7 * at + 0.3 * neck + [0, 0.02, 0] for at in (shoulder, left))
    middles = 0.5 * (wrist + elbow), 0.45 * elbow + 0.55 * shoulder
    right, right_radius = along(np.array([cuff, middles[0], elbow, middles[1], shoulder, inside]))
    down = left + [0.055, upper, 0.02]
    left_path, left_radius = along(np.array([down, 0.5 * (down + left), left, inside_left]), 0.25)
    return {
        "torso_vertices": figure.vertices[used], "torso_faces": faces,
        "right_path": right, "right_radius": right_radius, "left_path": left_path, "left_radius": left_radius,
    }  # fmt: skip


def bent(shoulder: NDArray, wrist: NDArray, upper: float, lower: float) -> NDArray:
    """Where the elbow is: both bones keep their length (stretched if they cannot), and it points to the pole."""
    reach = wrist - shoulder
    distance = np.linalg.norm(reach)
    if distance > 0.98 * (upper + lower):
        raise SystemExit("the hand is out of the arm's reach")
    axis = reach / distance
    along_axis = (distance**2 + upper**2 - lower**2) / (2 * distance)
    pole = POLE - axis * (axis @ POLE)
    return shoulder + along_axis * axis + np.sqrt(max(upper**2 - along_axis**2, 0)) * pole / np.linalg.norm(pole)


def along(points: NDArray, start: float = 0.0) -> tuple[NDArray, NDArray]:
    """A smooth path (n, 3) through points and its sleeve radius (n,), read from `start` metres on."""
    length = np.r_[0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))]
    at = np.linspace(0, length[-1], 40)
    radius = PchipInterpolator(list(SLEEVE), list(SLEEVE.values()))(np.minimum(at + start, max(SLEEVE)))
    return PchipInterpolator(length, points)(at), radius
