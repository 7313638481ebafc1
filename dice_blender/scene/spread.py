# SPDX-License-Identifier: GPL-3.0-or-later
"""What vertices take over from their neighbours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SOFTENING = 2  # rings of vertices over which a border fades
REACH = 80  # rings of vertices that a colour comes into
PULL = 0.004  # each time, towards the colour far from everything known

Pairs = NDArray[np.int32]  # (2, N): vertices, and one that is beside each


def pairs_of(faces: NDArray) -> Pairs:
    """All vertices beside each other in (F, 3) faces, both ways round."""
    sides = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    return np.unique(np.concatenate([sides, sides[:, ::-1]]), axis=0).T


def softened(values: NDArray, pairs: Pairs) -> NDArray:
    """(V,) values, lowered towards their neighbours': a border fades, and nothing grows."""
    for _ in range(SOFTENING):
        values = np.minimum(values, _mean(values, pairs, values))
    return values


def widened(values: NDArray, pairs: Pairs) -> NDArray:
    """(V,) values, raised to their highest neighbour's."""
    found = values.copy()
    np.maximum.at(found, pairs[0], values[pairs[1]])
    return found


def filled(colors: NDArray, known: NDArray, far: NDArray, pairs: Pairs) -> NDArray:
    """(V, 3) colours that continue the known ones smoothly, and become the (3,) colour `far` in the distance."""
    found = np.where(known[:, None], colors, far)
    for _ in range(REACH):
        mean = np.stack([_mean(channel, pairs, channel) for channel in found.T], 1)
        found = np.where(known[:, None], colors, mean + PULL * (far - mean))
    return found


def _mean(values: NDArray, pairs: Pairs, alone: NDArray) -> NDArray:
    """(V,) mean of each vertex's neighbours, `alone` for those that have none."""
    count = np.bincount(pairs[0], minlength=len(values))
    return np.where(count, np.bincount(pairs[0], values[pairs[1]], len(values)) / np.maximum(count, 1), alone)
