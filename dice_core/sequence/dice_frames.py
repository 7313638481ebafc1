# SPDX-License-Identifier: GPL-3.0-or-later
"""What the result says of each frame of the dice engine, besides the network's parameters."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..body.openbody import head_model
from ..body.topology import pieces, rims
from ..engines.contact import TOUCHES
from ..fit.head import face_width
from ..interaction.distance import Surface
from ..types import Hand, Side
from .dice_build import Moment
from .folder import Arrays


class Depths:
    """Measures how deep hands are in heads.

    Parameters
    ----------
    faces
        (F, 3) of the head. Its largest piece is the skin.
    """

    def __init__(self, faces: NDArray) -> None:
        self.faces = faces

    @cached_property
    def _skin(self) -> tuple[NDArray, list[NDArray]]:
        faces = self.faces.astype(np.int64)
        skin = pieces(faces[(faces != np.roll(faces, 1, axis=1)).all(1)])[0]
        return skin, rims(skin)

    def __call__(self, moment: Moment) -> Arrays:
        """How far the skin moves, and how deep the deepest hand vertex is in it before and after, in mm."""
        head = moment.head
        points = np.vstack([np.zeros((0, 3)), *(hand.vertices for hand in moment.hands)])
        depths = {"deformation": float(np.linalg.norm(head.deformation, axis=1).max())}
        depths["pressed"] = depths["penetration"] = self.deepest(head.vertices, points)
        if depths["deformation"]:
            depths["penetration"] = self.deepest(head.vertices + head.deformation, points)
        return {f"quality_{name}_mm": np.array(1000 * value, np.float32) for name, value in depths.items()}

    def deepest(self, vertices: NDArray, points: NDArray) -> float:
        """Of (N, 3) points in the skin of a head with (V, 3) vertices, metres; 0 when none is inside."""
        inside = points[((points > vertices.min(0)) & (points < vertices.max(0))).all(1)]
        if not len(inside):
            return 0.0
        nearest = Surface(vertices.astype(float), *self._skin).nearest(inside)
        return float(np.maximum(-nearest.distance[~nearest.on_cap], 0).max(initial=0.0))


def frame_arrays(moment: Moment) -> Arrays:
    """One frame as the result has it."""
    head, camera = moment.head, moment.camera
    assert head.skeleton is not None
    found: Arrays = {
        "head_vertices": head.vertices, "head_deformation": head.deformation, "head_contact": head.contact,
        "head_landmarks": head.landmarks, "head_bone_transforms": head.skeleton.transforms,
        "head_seen": np.array(moment.head_seen), "camera_ortho": np.asarray(camera.ortho),
        "camera_matrix": np.asarray(camera.matrix), "contact_state": np.array(_state(moment), "U8"),
        "contact_probability": np.array(max(moment.presence.values(), default=0.0), np.float32),
    }  # fmt: skip
    for hand in moment.hands:
        found |= _hand_arrays(hand, moment.seen[hand.side])
    return found


def _hand_arrays(hand: Hand, seen: bool) -> Arrays:
    assert hand.skeleton is not None
    found = {"vertices": hand.vertices, "contact": hand.contact, "joints": hand.joints,
             "bone_transforms": hand.skeleton.transforms, "seen": np.array(seen)}  # fmt: skip
    return {f"hand_{hand.side}_{name}": values for name, values in found.items()}


def _state(moment: Moment) -> str:
    if not moment.head_seen:
        return "no-head"
    if not any(moment.seen.values()):
        return "no-hand"
    return "touch" if max(moment.presence.values()) > TOUCHES else "no-touch"


def judged(seen: Arrays, frames: Arrays, sides: list[Side]) -> Arrays:
    """How much can be believed of n frames, by what the detector saw; errors are in % of the face's width.

    Parameters
    ----------
    seen
        See `dice_eyes`.
    frames
        `frame_arrays` of them.
    """
    face = seen["face_seen"]
    width = np.full(len(face), np.nan)
    width[face] = [face_width(points.astype(float)) for points in seen["face_points"][face]]
    ortho = frames["camera_ortho"][:, None]
    found = {}
    for part, name in [("head", "face"), *((f"hand_{side}", side) for side in sides)]:
        there = frames[f"{part}_seen"]
        found[f"{part}_confidence"] = np.where(there, seen[f"{name}_score"], 0).astype(np.float32)
        points = frames["head_landmarks" if part == "head" else f"{part}_joints"]
        expected = seen[f"{name}_points"][:, head_model().ibug] if part == "head" else seen[f"{name}_points"]
        off = np.linalg.norm(points[..., :2] * ortho[..., :1] + ortho[..., 1:] - expected, axis=2)
        error = np.where(there & seen[f"{name}_seen"], 100 * np.median(off, axis=1) / width, np.nan)
        found[f"quality_{'face' if part == 'head' else part}_error"] = error.astype(np.float32)
    return found
