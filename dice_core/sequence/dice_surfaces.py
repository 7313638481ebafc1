# SPDX-License-Identifier: GPL-3.0-or-later
"""What the network says of the vertices, smoothed over time: contact, and how skin gives way.

That is too much to have of a whole clip at once. A chunk's is a mean of the frames around each of its own, under
weights that fall off to both sides as those of a filter do that runs forwards and then backwards.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ..engines.contact import TOUCHES
from ..types import Side
from .dice_answers import SHAPES, SURFACES
from .folder import CHUNK, Arrays, Folder

REACH = 5.0  # time constants of the filter beyond which frames weigh nothing
FASTEST = 1e9  # a second, of a filter that leaves all as it is


def smooth_surfaces(folder: Folder, start: int, side: Side, times: NDArray, motion: Arrays, cutoff: float) -> Arrays:
    """Of the n frames of a chunk.

    Parameters
    ----------
    start
        Position of the first one.
    times, motion
        Of the whole clip, see `dice_motion.moved`.
    cutoff
        Hz.

    Returns
    -------
    `head_contact` (n, V, 1) and `hand_contact` (n, H, 1), 0 where the hand is not seen; `deform` (n, V, 3), in the
    head's own axes and with the network's sign, 0 where it does not touch.
    """
    rate = min(2 * math.pi * cutoff, FASTEST)
    now = slice(start, start + CHUNK)
    hand, touch = motion[f"{side}_hand"], motion[f"{side}_touch"]
    sums = {name: _Mean(len(times[now]), SHAPES[name]) for name in SURFACES}
    for other in folder.starts(len(times)):
        part = slice(other, other + CHUNK)
        apart = np.abs(times[now][:, None] - times[part])
        if rate * apart.min() > REACH:
            continue
        said = folder.load("seen", other, [f"{side}_{name}" for name in ("answered", "presence", *SURFACES)])
        answered = said[f"{side}_answered"]
        weights = np.where(rate * apart > REACH, 0, np.exp(-rate * apart))[:, answered]
        near = weights * hand[part][answered]
        for name in ("head_contact", "hand_contact"):
            sums[name].add(near, said[f"{side}_{name}"])
        same = (touch[now][:, None] == touch[part][answered]) & (touch[now][:, None] >= 0)
        sums["deform"].add(near * same * (said[f"{side}_presence"][:, 0] > TOUCHES), _own(folder, other, side, said))
    found = {name: mean.value(hand[now]) for name, mean in sums.items()}
    found["deform"] *= motion[f"{side}_rise"][now, None, None]
    return found


def no_surfaces(count: int) -> Arrays:
    """The same of a hand that does not count."""
    return {name: np.zeros((count, *SHAPES[name])) for name in SURFACES}


class _Mean:
    """A weighted mean for each of n frames, of frames that come one chunk after another."""

    def __init__(self, count: int, shape: tuple[int, ...]) -> None:
        self.sum, self.weight = np.zeros((count, *shape)), np.zeros(count)

    def add(self, weights: NDArray, values: NDArray) -> None:
        """(n, m) weights of (m, ...) values."""
        self.sum += (weights @ values.reshape(len(values), -1)).reshape(self.sum.shape)
        self.weight += weights.sum(1)

    def value(self, wanted: NDArray) -> NDArray:
        """0 for frames that are not wanted, or have no neighbours that count."""
        there = wanted & (self.weight > 0)
        return np.where(there, 1 / np.where(there, self.weight, 1), 0)[:, None, None] * self.sum


def _own(folder: Folder, start: int, side: Side, said: Arrays) -> NDArray:
    """(m, V, 3) deformation in the axes of the head that it is of."""
    turns = folder.load("fitted", start, [f"{side}_crop_turn"])[f"{side}_crop_turn"][said[f"{side}_answered"]]
    if not len(turns):
        return said[f"{side}_deform"]
    return said[f"{side}_deform"] @ Rotation.from_rotvec(turns).as_matrix()
