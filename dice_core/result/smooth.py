# SPDX-License-Identifier: GPL-3.0-or-later
"""Smoothing over time with the one-euro filter (Casiez, Roussel, Vogel: 1 Euro Filter, CHI 2012).

The official code starts its filter at zero, so that its first frame comes out shrunk to 86 % towards the head's
centre, and tells it that a frame lasts a second, whatever the video's rate. This one starts at the first frame and
takes times in seconds. From the second frame on both follow the same formula.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


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
    """

    def __init__(self, min_cutoff: float = 1.0, beta: float = 0.0, d_cutoff: float = 1.0) -> None:
        self.min_cutoff, self.beta, self.d_cutoff = min_cutoff, beta, d_cutoff
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
        self._value = self._mixed(self._value, values, self.min_cutoff + self.beta * np.abs(self._speed), step)
        return self._value

    @staticmethod
    def _mixed(before: NDArray | float, now: NDArray, cutoff: NDArray | float, step: float) -> NDArray:
        share = 2 * math.pi * cutoff * step
        share = share / (share + 1)
        return share * now + (1 - share) * before
