# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a hand that touch faces, as patches of vertices of the open hand."""

from __future__ import annotations

from functools import lru_cache

import igl
import numpy as np
from numpy.typing import NDArray

from ..body.openbody import POSE, HandModel, hand_model
from ..types import Side

FINGERS = ("thumb", "index", "middle", "ring", "little")
PARTS = (*FINGERS, "palm", "heel", "knuckles", "fist", "side")
PAD, PALMAR, DORSAL = 0.35, 0.5, 0.4  # least cosine between a patch's normals and the direction it faces
HEEL, PALM = (0.0, 0.42), (0.45, 1.1)  # of the way from the wrist to the middle knuckle


@lru_cache(maxsize=2)
def patches(side: Side) -> dict[str, NDArray[np.int64]]:
    """Vertices of each of PARTS: finger pads with the tips, palm and its heel, the knuckles' tops, the fist's front
    (backs of the first bones), and the side of the index finger."""
    model = hand_model(side)
    normals = igl.per_vertex_normals(model.mean, model.faces)
    joints = model.keypoints(np.zeros((1, POSE.stop)))[0]
    palmar = np.cross(joints[5] - joints[0], joints[17] - joints[0]) * (1 if side == "right" else -1)
    palmar /= np.linalg.norm(palmar)
    found = {name: _pad(model, normals, finger) for finger, name in enumerate(FINGERS)}
    ball = model.fingers[0]  # the thumb's first bone carries the ball of the thumb
    bones = [bone for bone in range(len(model.parents)) if bone == ball or bone not in model.fingers]
    back = model.weights[:, bones].sum(1) > 0.6
    along = joints[9] - joints[0]
    height = (model.mean - joints[0]) @ along / (along @ along)
    for name, (low, high) in (("heel", HEEL), ("palm", PALM)):
        found[name] = np.flatnonzero(back & (height > low) & (height < high) & (normals @ palmar > PALMAR))
    first = model.weights[:, model.fingers[3::3]].sum(1) > 0.5
    found["fist"] = np.flatnonzero(first & (normals @ palmar < -DORSAL))
    tops = np.linalg.norm(model.mean[:, None] - joints[[6, 10, 14, 18]], axis=2).min(1) < 0.013
    found["knuckles"] = np.flatnonzero(tops & (normals @ palmar < -0.1))
    across = joints[5] - joints[17]
    index = model.weights[:, model.fingers[3:6]].sum(1) > 0.6
    found["side"] = np.flatnonzero(index & (normals @ across > PAD * np.linalg.norm(across)))
    return found


def _pad(model: HandModel, normals: NDArray, finger: int) -> NDArray[np.int64]:
    """The last segment's vertices that face the palm's side or the tip's."""
    last = model.fingers[3 * finger + 2]
    own = np.flatnonzero(model.weights[:, last] > 0.6)
    twist, flexion, _ = model.axes[3 * finger + 2]
    facing = np.cross(twist, flexion)
    facing = facing * np.sign(_closes(model, finger) @ facing)
    facing = facing + 0.6 * twist
    return own[normals[own] @ facing > PAD * np.linalg.norm(facing)]


def _closes(model: HandModel, finger: int) -> NDArray:
    """Where a fingertip goes when its last joint bends."""
    parameters = np.zeros((2, POSE.stop))
    parameters[1, POSE.start + 3 * (3 * finger + 2) + 1] = 0.2
    straight, bent = model.keypoints(parameters)[:, 4 + 4 * finger]
    return bent - straight
