# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of points, and of contact, against the truth. Lengths are metres; papers print millimetres."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree


def point_errors(points: NDArray, truth: NDArray) -> NDArray:
    """(n, P, 3) and (n, P, 3) -> (n,) mean distance: MPJPE of joints or landmarks, PVE of vertices.

    PVE* is the same after both were `centred` on their heads.
    """
    return np.linalg.norm(points - truth, axis=-1).mean(-1)


def centred(points: NDArray, head: NDArray) -> NDArray:
    """(n, P, 3) points minus the mean of (n, V, 3) head vertices."""
    return points - head.mean(1, keepdims=True)


class Similarity(NamedTuple):
    """Turn, stretch and shift: points -> scale (points - from_centre) @ rotation + to_centre."""

    scale: float
    rotation: NDArray
    from_centre: NDArray
    to_centre: NDArray

    def apply(self, points: NDArray) -> NDArray:
        """(P, 3) points, moved."""
        return self.scale * ((points - self.from_centre) @ self.rotation) + self.to_centre

    def turn(self, directions: NDArray) -> NDArray:
        """(P, 3) displacements, turned only: their lengths stay."""
        return directions @ self.rotation


def similarity(points: NDArray, truth: NDArray) -> Similarity:
    """The similarity that brings (P, 3) points nearest to the truth by least squares; never a mirror image."""
    scale, rotation, from_centre, to_centre = _procrustes(points[None], truth[None])
    return Similarity(float(scale[0]), rotation[0], from_centre[0, 0], to_centre[0, 0])


def aligned(points: NDArray, truth: NDArray) -> NDArray:
    """(n, P, 3) points moved, turned and scaled to fit the truth best (Procrustes); a mirror image stays one."""
    scale, rotation, from_centre, to_centre = _procrustes(points, truth)
    return scale[:, None, None] * ((points - from_centre) @ rotation) + to_centre


def _procrustes(points: NDArray, truth: NDArray) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    points, truth = points.astype(np.float64), truth.astype(np.float64)
    from_centre, to_centre = points.mean(1, keepdims=True), truth.mean(1, keepdims=True)
    source, target = points - from_centre, truth - to_centre
    left, singular, right = np.linalg.svd(source.swapaxes(1, 2) @ target)
    proper = np.ones_like(singular)
    proper[:, -1] = np.sign(np.linalg.det(left @ right))
    rotation = (left * proper[:, None]) @ right
    spread = (source**2).sum((1, 2))
    scale = (singular * proper).sum(1) / np.where(spread > 0, spread, 1)
    return scale, rotation, from_centre, to_centre


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


class ContactScore(NamedTuple):
    """How well two sets of vertices agree, each 0..1; precision is None where nothing was said to touch."""

    precision: float | None
    recall: float
    f1: float


def contact_score(said: NDArray, true: NDArray, places: NDArray, radius: float) -> ContactScore | None:
    """Precision, recall and F1 of contact, forgiving errors of place up to a radius; None where nothing truly touches.

    A vertex said to touch is right when one that truly does lies within the radius, and a true one is recalled when
    one that is said to touch lies within it.

    Parameters
    ----------
    said, true
        (V,) bool.
    places
        (V, 3) where the vertices are, metres: one mesh for both, so that only the choice of vertices counts.
    radius
        Metres, straight through space; 0 compares vertex by vertex.
    """
    if not true.any():
        return None
    if not said.any():
        return ContactScore(None, 0.0, 0.0)
    if radius == 0:
        hits = (said & true).sum()
        precision, recall = float(hits / said.sum()), float(hits / true.sum())
    else:
        to_true = cKDTree(places[true]).query(places[said])[0]
        to_said = cKDTree(places[said]).query(places[true])[0]
        precision, recall = float((to_true <= radius).mean()), float((to_said <= radius).mean())
    return ContactScore(precision, recall, harmonic_mean(precision, recall))


def harmonic_mean(first: float, second: float) -> float:
    """As in F-scores; 0 when both are."""
    return 2 * first * second / (first + second) if first + second else 0.0
