# SPDX-License-Identifier: GPL-3.0-or-later
"""Smoothing over time with the one-euro filter (Casiez, Roussel, Vogel: 1 Euro Filter, CHI 2012): as pictures come,
and, without any lag, when all are there.

The official code starts its filter at zero, so that its first frame comes out shrunk to 86 % towards the head's
centre, and tells it that a frame lasts a second, whatever the video's rate. This one starts at the first frame and
takes times in seconds. From the second frame on both follow the same formula.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

PADDING = 1.0  # seconds by which a movement is continued at its ends, so that the filter has settled there
APART = 0.25  # seconds: what is lost for longer, and for more than a frame, begins anew


class OneEuro:
    """A low-pass filter that follows fast motion closely and holds still what hardly moves.

    Parameters
    ----------
    min_cutoff
        Hz, of what stands still: less is smoother.
    beta
        How much the cutoff rises with speed, in Hz per unit per second: more lags less.
    d_cutoff
        Hz, for the speed.
    together
        Whether all values are one thing, whose speed is the length of theirs; otherwise each has its own.
    """

    def __init__(
        self, min_cutoff: float = 1.0, beta: float = 0.0, d_cutoff: float = 1.0, together: bool = False
    ) -> None:
        self.min_cutoff, self.beta, self.d_cutoff, self.together = min_cutoff, beta, d_cutoff, together
        self._time = 0.0
        self._value: NDArray | None = None
        self._speed: NDArray | float = 0.0

    def __call__(self, time: float, values: NDArray) -> NDArray:
        """Values of any shape at a time in seconds -> smoothed ones. A time that is no later starts anew."""
        step = time - self._time
        self._time = time
        if self._value is None or not step > 0 or self._value.shape != values.shape:
            self._value, self._speed = values, np.zeros_like(values)
            return values
        self._speed = self._mixed(self._speed, (values - self._value) / step, self.d_cutoff, step)
        speed = float(np.linalg.norm(self._speed)) if self.together else np.abs(self._speed)
        self._value = self._mixed(self._value, values, self.min_cutoff + self.beta * speed, step)
        return self._value

    @staticmethod
    def _mixed(before: NDArray | float, now: NDArray, cutoff: NDArray | float, step: float) -> NDArray:
        share = 2 * math.pi * cutoff * step
        share = share / (share + 1)
        return share * now + (1 - share) * before


def zero_lag(times: NDArray, values: NDArray, min_cutoff: float, beta: float, together: bool = True) -> NDArray:
    """A whole movement, filtered forwards and then backwards, so that neither direction lags.

    Parameters
    ----------
    times
        (N,) seconds, rising.
    values
        (N, D).
    min_cutoff, beta, together
        See `OneEuro`.
    """
    count = min(int(np.searchsorted(times - times[0], PADDING)), len(times) - 1)
    before, after = slice(count, 0, -1), slice(-2, -count - 2, -1)
    times = np.r_[2 * times[0] - times[before], times, 2 * times[-1] - times[after]]
    values = np.concatenate([2 * values[0] - values[before], values, 2 * values[-1] - values[after]])
    for clock in (times, -times):  # the second time backwards
        filtered = OneEuro(min_cutoff, beta, together=together)
        order = np.argsort(clock)
        values[order] = [filtered(time, value) for time, value in zip(clock[order], values[order], strict=True)]
    return values[count : len(values) - count]


def smooth(
    times: NDArray, values: NDArray, seen: NDArray, min_cutoff: float, beta: float, together: bool = True
) -> NDArray:
    """(N, D) values where they are `seen`, each run by itself, and the last ones held where they are not; before the
    first, the first. A `min_cutoff` of infinity leaves them as they are."""
    smoothed = values.astype(float)
    there = np.flatnonzero(seen)
    if not len(there):
        return smoothed
    apart = max(APART, 1.5 * float(np.diff(times).min(initial=np.inf))) if len(times) > 1 else APART
    for run in np.split(there, np.flatnonzero(np.diff(times[there]) > apart) + 1):
        if len(run) > 1 and np.isfinite(min_cutoff):
            smoothed[run] = zero_lag(times[run], smoothed[run], min_cutoff, beta, together)
    return smoothed[held(seen)]


def held(seen: NDArray) -> NDArray:
    """(N,) for each frame the last one in which something is seen; before the first, the first."""
    latest = np.maximum.accumulate(np.where(seen, np.arange(len(seen)), -1))
    return np.where(latest < 0, max(int(np.argmax(seen)), 0), latest)


def smooth_rotations(times: NDArray, vectors: NDArray, seen: NDArray, min_cutoff: float, beta: float) -> NDArray:
    """The same for (N, 3) rotation vectors, as quaternions; `beta` in Hz per radian per second."""
    there = np.flatnonzero(seen)
    quaternions = np.zeros((len(vectors), 4))
    quaternions[:, 3] = 1
    quaternions[there] = continuous(Rotation.from_rotvec(vectors[there]).as_quat())
    smoothed = smooth(times, quaternions, seen, min_cutoff, 2 * beta)  # a quaternion turns half as fast
    return Rotation.from_quat(smoothed).as_rotvec()


def continuous(quaternions: NDArray) -> NDArray:
    """(N, 4) the same rotations, each of the two quaternions that is nearer to the one before."""
    turned = np.einsum("nd,nd->n", quaternions[1:], quaternions[:-1]) < 0
    signs = np.r_[1.0, np.where(np.cumsum(turned) % 2, -1.0, 1.0)] if len(quaternions) else np.zeros(0)
    return quaternions * signs[:, None]
