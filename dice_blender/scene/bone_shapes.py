# SPDX-License-Identifier: GPL-3.0-or-later
"""Where bones end and how they are rolled: their local X axis is what a joint bends about, and bends it if positive."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .skinning import Bones

UP, LEFT, FRONT = np.array([0.0, 0, 1]), np.array([1.0, 0, 0]), np.array([0.0, -1, 0])  # of a head at rest
EYE_LENGTH, LEAST = 0.03, 0.003  # metres
INWARD = 0.5  # how much a thumb bends with the fingers, to how much across the palm


class BoneShape(NamedTuple):
    """(3,) where a bone begins and ends, metres, and which way its local Z axis points."""

    head: NDArray[np.float64]
    tail: NDArray[np.float64]
    up: NDArray[np.float64]


def shapes_of(bones: Bones) -> list[BoneShape]:
    """Of each bone at rest."""
    joints = dict(zip(bones.names, bones.joints, strict=True))
    end = next((name[-2:] for name in bones.names if name.startswith("hand.")), "")
    shapes = []
    for index, (name, head) in enumerate(joints.items()):
        tail = _tail(bones, index, name.removesuffix(end), joints, end)
        if np.linalg.norm(tail - head) < LEAST:
            tail = head + LEAST * UP
        along = (tail - head) / np.linalg.norm(tail - head)
        # X points to the left in heads; in hands it is along x closing, about which a turn brings the one to the other
        across = np.cross(along, _closing(name, joints, end)) if end else LEFT
        shapes.append(BoneShape(head, tail, np.cross(across, along)))
    return shapes


def _tail(bones: Bones, index: int, name: str, joints: dict[str, NDArray], end: str) -> NDArray[np.float64]:
    """At the child's joint; of a last bone at the farthest vertex that is its own."""
    head = bones.joints[index]
    children = np.flatnonzero(bones.parents == index)
    if name == "hand":
        return (head + joints[f"f_middle.01{end}"]) / 2
    if name == "head":
        return head + UP * (bones.rest[:, 2].max() - head[2])
    if name.startswith("eye."):
        return head + EYE_LENGTH * FRONT
    if len(children):
        return bones.joints[children[0]]
    own = bones.rest[bones.weights[:, index] > 0.5]
    if not len(own):
        return head
    tail = own[np.linalg.norm(own - head, axis=1).argmax()]
    return tail if end else np.array([head[0], *tail[1:]])  # a jaw is symmetric


def _closing(name: str, joints: dict[str, NDArray], end: str) -> NDArray[np.float64]:
    """(3,) where a bone of a hand goes when it bends: to the palm's side, a thumb to the little finger."""
    wrist, index, little = (joints[bone + end] for bone in ("hand", "f_index.01", "f_pinky.01"))
    palmar = np.cross(index - wrist, little - wrist) * (1 if end == ".R" else -1)
    palmar /= np.linalg.norm(palmar)
    if not name.startswith("thumb"):
        return palmar
    across = little - joints[f"thumb.02{end}"]
    return across / np.linalg.norm(across) + INWARD * palmar
