# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of points, and of contact, against the truth. Lengths are metres; papers print millimetres."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


def point_errors(points: NDArray, truth: NDArray) -> NDArray:
    """(n, P, 3) and (n, P, 3) -> (n,) mean distance: MPJPE of joints or landmarks, PVE of vertices.

    PVE* is the same after both were `centred` on their heads.
    """
    return np.linalg.norm(points - truth, axis=-1).mean(-1)


def centred(points: NDArray, head: NDArray) -> NDArray:
    """(n, P, 3) points minus the mean of (n, V, 3) head vertices."""
    return points - head.mean(1, keepdims=True)


def aligned(points: NDArray, truth: NDArray) -> NDArray:
    """(n, P, 3) points moved, turned and scaled to fit the truth best (Procrustes); a mirror image stays one."""
    points, truth = points.astype(np.float64), truth.astype(np.float64)
    from_centre, to_centre = points.mean(1, keepdims=True), truth.mean(1, keepdims=True)
    source, target = points - from_centre, truth - to_centre
    left, singular, right = np.linalg.svd(source.swapaxes(1, 2) @ target)
    proper = np.ones_like(singular)
    proper[:, -1] = np.sign(np.linalg.det(left @ right))
    rotation = (left * proper[:, None]) @ right
    spread = (source**2).sum((1, 2))
    scale = (singular * proper).sum(1) / np.where(spread > 0, spread, 1)
    return scale[:, None, None] * (source @ rotation) + to_centre


def aligned_errors(points: NDArray, truth: NDArray) -> NDArray:
    """(n,) mean distances after `aligned`: PA-MPJPE, PA-PVE."""
    return point_errors(aligned(points, truth), truth)


class Agreement(NamedTuple):
    """How well predicted and true contact agree, each 0..1."""

    precision: float
    recall: float
    f_score: float
    accuracy: float


def contact_agreement(contact: NDArray, truth: NDArray, threshold: float = 0.5) -> Agreement:
    """Compare probabilities of contact with the truth, over all vertices of all samples.

    The papers do not say which threshold they used.
    """
    said, true = contact >= threshold, truth >= 0.5
    hits = int((said & true).sum())
    precision = hits / max(int(said.sum()), 1)
    recall = hits / max(int(true.sum()), 1)
    accuracy = float((said == true).mean())
    return Agreement(precision, recall, harmonic_mean(precision, recall), accuracy)


def harmonic_mean(first: float, second: float) -> float:
    """As in F-scores; 0 when both are."""
    return 2 * first * second / (first + second) if first + second else 0.0
