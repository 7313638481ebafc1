# SPDX-License-Identifier: GPL-3.0-or-later
"""How deep a hand presses: no deeper than the skin gives way, and no less than to touch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..interaction.distance import Surface

LIGHT = 0.001  # metres that are pressed at least
LIFTED = 0.01  # metres that a hand is brought back at most
SPARED = 0.05  # of a hand's points in the skin that may be deeper than it gives way
CLOSE = 0.015  # metres from the deepest point, within which more may come to be as deep
ALIKE = 0.001  # metres from the deepest point, whose normals count together
FARTHER = 3.0  # how much less certain a hand's distance is than its place in the picture
FACING = 0.2  # length of the mean of unit normals, from which they face somewhere
TINY = 3e-5  # metres that are no reason to move
ROUNDS = 6


def pressed(
    hand: Surface, head: Surface, allowed: NDArray, share: float, to_camera: NDArray
) -> tuple[Surface, NDArray]:
    """Move a hand until it presses as deep as it may.

    Parameters
    ----------
    allowed
        (F,) metres that each of the head's faces may be pressed in.
    share
        0..1, how much of that. With none the hand is kept out; otherwise it is brought to the skin, too, when it is
        just before it.
    to_camera
        (3,) unit vector from the hand: along it the hand moves rather than across the picture.

    Returns
    -------
    The hand, and the (3,) metres by which it was moved.
    """
    offset, nearer = np.zeros(3), LIFTED * share
    near = head.near(hand)
    chosen, nearest = near.chosen, near.nearest
    for _ in range(ROUNDS if len(chosen) else 0):
        depth = np.where(nearest.on_cap, 0.0, -nearest.distance)
        over = depth - share * np.append(allowed, np.zeros(nearest.face.max() + 1))[nearest.face]
        back = _back(depth, over, share)
        if back == 0:
            brought = float(np.clip(share * LIGHT - depth.max(), 0, nearer))
            nearer -= brought
            back = -brought
        if abs(back) <= TINY:
            break
        offset = offset + back * _way(hand.vertex_normals[chosen[over > over.max() - ALIKE]], to_camera)
        chosen = chosen[depth > depth.max() - CLOSE]
        nearest = head.nearest(hand.vertices[chosen] + offset)
    return (hand.shifted(offset) if offset.any() else hand), offset


def _back(depth: NDArray, over: NDArray, share: float) -> float:
    """Metres that are too much."""
    inside = depth > 0
    if not inside.any():
        return 0.0
    return float(max(min(np.quantile(over[inside], 1 - SPARED * share), depth.max() - share * LIGHT), 0.0))


def _way(normals: NDArray, to_camera: NDArray) -> NDArray:
    """(3,) the shift that takes what presses a metre back from where it faces and, measured by what is certain, is
    least; never away from the camera."""
    back = -normals.mean(0)
    along = float(back @ to_camera)
    back += (max(along, 0.0) - along) * to_camera
    size = float(np.linalg.norm(back))
    back = back / size if size > FACING else to_camera
    eased = back + (FARTHER**2 - 1) * (back @ to_camera) * to_camera
    return eased / max(float(back @ eased), 1e-9)
