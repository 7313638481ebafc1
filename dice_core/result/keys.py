# SPDX-License-Identifier: GPL-3.0-or-later
"""Curves with few keys instead of a value in every frame, as near to the values as they are asked to be.

Between two keys a curve is the cubic with the slopes that fit the values there best. Where it misses one by more than
the tolerance, a frame near the one that it misses most gets a key too, and so on: the way of Ramer, Douglas and
Peucker, with cubics for their lines.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST = 1e-7  # of a tolerance: what single precision keeps of numbers about one
STIFF = 1e-9  # towards straight lines, where values do not tell


@dataclass(frozen=True)
class Keys:
    """A curve of D numbers.

    Attributes
    ----------
    positions
        (K,) the frames that have keys, ascending.
    values
        (K, D) there.
    before, after
        (K, D) slopes on either side, a frame.
    """

    positions: NDArray[np.int64]
    values: NDArray[np.float64]
    before: NDArray[np.float64]
    after: NDArray[np.float64]


def reduced(values: NDArray, tolerance: float) -> list[Keys]:
    """Keys from which the curves never differ by more than the tolerance, in any number of any frame.

    Parameters
    ----------
    values
        (N, G, D): of N frames, the D numbers of each of G curves; a curve's numbers share their keys.
    tolerance
        In the numbers' own unit. Of 0, no more is left out than single precision does.

    Returns
    -------
    list of Keys
        Of each curve; one key where nothing changes.
    """
    curves = np.ascontiguousarray(values.swapaxes(0, 1), np.float64)
    fit = _Fit(curves, max(tolerance, LEAST))
    while fit.improve():
        pass
    return [fit.keys(index) for index in range(len(curves))]


class _Fit:
    """Cubics through some of the values. All segments of all curves that are not good enough are looked at together."""

    def __init__(self, curves: NDArray, tolerance: float) -> None:
        self.curves, self.tolerance = curves, tolerance
        self.kept = np.zeros(curves.shape[:2], bool)
        self.kept[:, [0, -1]] = True
        self.open = ~self.kept  # values in segments that may not be good enough
        self.slopes = np.zeros((2, *curves.shape))  # beyond the chord's, a segment, of the one that begins there

    def improve(self) -> bool:
        """Fit the open segments, close the good ones and divide the others; False when none is left."""
        curve, frame = np.nonzero(self.open)
        if not len(frame):
            return False
        frames = np.arange(len(self.curves[0]))
        left = np.maximum.accumulate(np.where(self.kept, frames, 0), 1)[curve, frame]
        right = np.minimum.accumulate(np.where(self.kept, frames, frames[-1])[:, ::-1], 1)[:, ::-1][curve, frame]
        starts = np.flatnonzero(np.diff(left, prepend=-1) | np.diff(curve, prepend=-1))
        sizes = np.diff(starts, append=len(frame))
        u = ((frame - left) / (right - left))[:, None]
        line = (1 - u) * self.curves[curve, left] + u * self.curves[curve, right]
        slopes, missed = _cubics(u, self.curves[curve, frame] - line, starts, sizes)
        worst = np.maximum.reduceat(missed, starts)
        bad = worst > self.tolerance
        self.slopes[:, curve[starts], left[starts]] = slopes
        low, high = left[starts][bad], right[starts][bad]
        where = np.minimum.reduceat(np.where(missed == np.repeat(worst, sizes), frame, len(frames)), starts)
        third = (high - low + 2) // 3
        splits = np.clip(where[bad], low + third, high - third)  # or it would take many more
        self.kept[curve[starts][bad], splits] = True
        self.open[curve, frame] = np.repeat(bad, sizes)
        self.open[curve[starts][bad], splits] = False
        return bool(bad.any())

    def keys(self, index: int) -> Keys:
        """Of one curve."""
        curve = self.curves[index]
        if np.ptp(curve, axis=0).max(initial=0) <= self.tolerance:
            flat = np.zeros((1, curve.shape[1]))
            return Keys(np.zeros(1, np.int64), curve[:1], flat, flat)
        positions = np.flatnonzero(self.kept[index])
        values, slopes = curve[positions], self.slopes[:, index, positions[:-1]]
        lengths = np.diff(positions)[:, None]
        leaving, arriving = (slopes + np.diff(values, axis=0)) / lengths
        return Keys(
            positions, values, np.concatenate([leaving[:1], arriving]), np.concatenate([leaving, arriving[-1:]])
        )


def _cubics(u: NDArray, off: NDArray, starts: NDArray, sizes: NDArray) -> tuple[NDArray, NDArray]:
    """Least squares of segments whose values lie `off` (M, D) their chords at `u` (M, 1), from 0 to 1.

    Gives (2, S, D) slopes beyond the chord's at both ends, and (M,) by how much the cubics miss the values.
    """
    first, last = u * (1 - u) ** 2, -(u**2) * (1 - u)

    def summed(numbers: NDArray) -> NDArray:
        return np.add.reduceat(numbers, starts, 0)

    aa, bb, ab = summed(first * first) + STIFF, summed(last * last) + STIFF, summed(first * last)
    ar, br = summed(first * off), summed(last * off)
    slopes = np.stack([bb * ar - ab * br, aa * br - ab * ar]) / (aa * bb - ab * ab)
    a, b = np.repeat(slopes, sizes, 1)
    return slopes, np.abs(off - first * a - last * b).max(1)
