# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of movement, of arrays over frames; docs/metrics.md says what each means. None where one is not defined."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .figures import MM, Figures, mean

LATEST = 0.5  # seconds: the longest lag, and how far apart the two ends of a contact may be and still belong together
HALF = 4  # frames that must have moved on both sides for a lag to be told
STIR = 1e-9  # what less than this of a signal's energy is left of is no signal

FINGERS = tuple((base, base + 1) for first in (1, 5, 9, 13, 17) for base in range(first, first + 3))
BONES = (*((0, first) for first in (1, 5, 9, 13, 17)), *FINGERS)  # pairs of the 21 joints


class Jitter:
    """How much vertices shake, frame by frame: add all frames in their order, then read `figures`.

    An acceleration is the second difference of three consecutive frames, millimetres per frame squared. It counts
    where the part was there in all three.
    """

    def __init__(self) -> None:
        self._last: list[tuple[NDArray, NDArray] | None] = []
        self._sums: list[NDArray] = []

    def add(self, found: NDArray | None, true: NDArray | None) -> None:
        """(V, 3) metres of the prediction and of the truth; None where either is not there."""
        there = found is not None and true is not None
        self._last = [*self._last[-2:], (found, true) if there else None]  # type: ignore[list-item]
        if len(self._last) == 3 and all(one is not None for one in self._last):
            (a, p), (b, q), (c, r) = self._last  # type: ignore[misc]
            said, actual = a - 2 * b + c, p - 2 * q + r
            self._sums.append(np.array([_length(said - actual), _length(said), _length(actual)]))

    def figures(self, part: str) -> Figures:
        names = (f"acceleration_error_{part}_mm", f"acceleration_{part}_mm", f"true_acceleration_{part}_mm")
        if not self._sums:
            return dict.fromkeys(names)
        return dict(zip(names, (MM * np.mean(self._sums, 0)).tolist(), strict=True))


def _length(vectors: NDArray) -> float:
    return float(np.linalg.norm(vectors, axis=1).mean())


def lag(found: NDArray, true: NDArray, most: int) -> float | None:
    """Frames by which one signal comes after the other, negative if before, told by where they correlate best.

    Parameters
    ----------
    found, true
        (n, k), NaN where they are not known.
    most
        The longest lag that is looked for, in frames.
    """
    score = np.array([_correlation(found, true, shift) for shift in range(-most, most + 1)])
    if np.isnan(score).all():
        return None
    best = int(np.nanargmax(score))
    around = score[best - 1 : best + 2]
    if len(around) < 3 or np.isnan(around).any():  # it is at the end of what was looked at
        return None
    before, top, after = around
    bend = before - 2 * top + after
    return float(best - most + (0.5 * (before - after) / bend if bend < 0 else 0.0))


def _correlation(found: NDArray, true: NDArray, shift: int) -> float:
    """Of true(t) with found(t + shift), over the frames in which both are known; NaN where there is nothing."""
    length = len(true) - abs(shift)
    if length < HALF:
        return np.nan
    a = found[max(shift, 0) :][:length]
    b = true[max(-shift, 0) :][:length]
    known = ~(np.isnan(a).any(1) | np.isnan(b).any(1))
    a, b = a[known], b[known]
    energy = float((a**2).sum() * (b**2).sum())
    if known.sum() < HALF or energy < STIR**2:
        return np.nan
    return float((a * b).sum() / np.sqrt(energy))


def direction(points: NDArray | None) -> NDArray:
    """(2,) x / z and y / z of the middle of (P, 3) points; NaN where they are not there.

    Where the camera sees them: how far away they are is a guess, and would drown what the time of a movement tells.
    """
    if points is None:
        return np.full(2, np.nan)
    middle = points.mean(0)
    return middle[:2] / middle[2]


def lag_figures(name: str, found: NDArray, true: NDArray, rate: float) -> Figures:
    """Of (n, k) signals, NaN where they are not known, at frames a second."""
    frames = lag(found, true, max(round(LATEST * rate), 1))
    return {f"lag_{name}_ms": None if frames is None else 1000 * frames / rate}


def contact_figures(found: NDArray, true: NDArray, probability: NDArray, rate: float) -> Figures:
    """Whether something touches, over time.

    Parameters
    ----------
    found, true
        (n,) of `touch`, `no-touch` and, of the prediction, `unsure`.
    probability
        (n,) what the prediction gives for it.
    rate
        Frames a second.
    """
    signal = probability.astype(float) - np.mean(probability)
    wanted = (true == "touch").astype(float) - np.mean(true == "touch")
    figures: Figures = {"contact_accuracy": float((found == true).mean())}
    figures |= lag_figures("contact", signal[:, None], wanted[:, None], rate)
    missed = false = 0
    for name, step in (("onset", 1), ("offset", -1)):
        said, actual = (np.flatnonzero(np.diff((one == "touch").astype(int)) == step) + 1 for one in (found, true))
        late, lost, extra = _matched(said, actual, LATEST * rate)
        figures[f"{name}_error_ms"] = mean([1000 * abs(frames) / rate for frames in late])
        figures[f"{name}_late_ms"] = mean([1000 * frames / rate for frames in late])
        missed, false = missed + lost, false + extra
    return figures | {"contact_changes_missed": float(missed), "contact_changes_false": float(false)}


def _matched(said: NDArray, true: NDArray, apart: float) -> tuple[list[float], int, int]:
    """Changes paired, the nearest first: by how many frames each is late, how many are missed, how many too many."""
    all_pairs = ((abs(int(s - t)), i, j) for i, s in enumerate(said) for j, t in enumerate(true))
    pairs = sorted(pair for pair in all_pairs if pair[0] <= apart)
    used_said: set[int] = set()
    used_true: set[int] = set()
    late = []
    for _, i, j in pairs:
        if i not in used_said and j not in used_true:
            used_said.add(i)
            used_true.add(j)
            late.append(float(said[i] - true[j]))
    return late, len(true) - len(late), len(said) - len(late)


def bone_change(joints: NDArray) -> float | None:
    """Millimetres between the shortest and the longest that any bone of a hand is, over frames of (n, 21, 3) joints."""
    if not len(joints):
        return None
    starts, ends = np.array(BONES).T
    lengths = np.linalg.norm(joints[:, ends] - joints[:, starts], axis=2)
    return MM * float(np.ptp(lengths, axis=0).max())


def spread_change(points: NDArray) -> float | None:
    """The same of all distances between (n, P, 3) points that belong to one solid thing."""
    if not len(points) or points.shape[1] < 2:
        return None
    distances = np.linalg.norm(points[:, :, None] - points[:, None], axis=3)
    return MM * float(np.ptp(distances, axis=0).max())
