# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of one picture, by name; docs/metrics.md says what each means. None where a figure is not defined."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ..body.openbody import SKIN, head_model
from ..types import Capture, Hand, Head
from .metrics import Similarity, aligned_errors, contact_score, point_errors, similarity

Figures = dict[str, float | None]
MM = 1000.0  # millimetres a metre
THRESHOLD = 0.5  # of a contact probability
RADII = {"exact": 0.0, "5mm": 0.005, "12mm": 0.012}  # metres
PRESSED = 0.0005  # metres; what is truly displaced farther is the dent
AROUND = 0.05  # metres; how far around the dent skin should lie still
INTERACTION = ("placement", "contact", "deformation")  # stages of the open engine


@lru_cache(maxsize=2)
def face_part(vertices: int) -> NDArray[np.bool_]:
    """(V,) which head vertices are the face: the frontal skin of the open head, all of any other head."""
    head = head_model()
    if vertices != len(head.mean):
        return np.ones(vertices, bool)
    return (head.part == SKIN) & (head.mean[:, 2] < -0.03) & (head.mean[:, 1] < 0.06)


def solid_faces(head: Head) -> NDArray:
    """(F, 3) the faces to tell depth by: without the open head's tongue, as its engine does."""
    model = head_model()
    if len(head.vertices) != len(model.mean):
        return head.faces
    return model.solid


def deformed(head: Head) -> NDArray:
    """(V, 3) float64 metres, with the contact deformation."""
    return head.vertices.astype(np.float64) + head.deformation


def to_true_face(head: Head, truth: Head) -> Similarity:
    """From the predicted face to the true one, both without deformation."""
    face = face_part(len(truth.vertices))
    return similarity(head.vertices[face], truth.vertices[face])


def head_figures(head: Head, truth: Head) -> Figures:
    """Errors of the head's shape and place."""
    found, true, face = deformed(head), deformed(truth), face_part(len(truth.vertices))
    return {
        "pve_head_mm": _distance(found, true),
        "pve_star_head_mm": _distance(found - found.mean(0), true - true.mean(0)),
        "mpjpe_head_mm": _distance(head.landmarks, truth.landmarks),
        "pa_mpvpe_head_mm": MM * float(aligned_errors(found[None, face], true[None, face])[0]),
    }


def hand_figures(hand: Hand, truth: Hand) -> Figures:
    """Errors of a hand's shape and place."""
    return {
        "pve_hand_mm": _distance(hand.vertices, truth.vertices),
        "mpjpe_hand_mm": _distance(hand.joints, truth.joints),
        "pa_mpvpe_hand_mm": MM * float(aligned_errors(hand.vertices[None], truth.vertices[None])[0]),
    }


def hand_at_head_figures(head: Head, true_head: Head, hand: Hand, true_hand: Hand, touches: bool) -> Figures:
    """Errors of a hand's place, the heads being brought together first; `touches`, whether it truly does."""
    centre, true_centre = deformed(head).mean(0), deformed(true_head).mean(0)
    moved = to_true_face(head, true_head).apply(hand.vertices)
    return {
        "pve_star_hand_mm": _distance(hand.vertices - centre, true_hand.vertices - true_centre),
        "hand_rel_head_mm" if touches else "hand_rel_head_apart_mm": _distance(moved, true_hand.vertices),
    }


def contact_figures(mesh: Head | Hand, truth: Head | Hand, name: str) -> Figures:
    """Precision, recall and F1 of the contact of the `head` or of a `hand`, at each of RADII."""
    figures: Figures = {}
    for label, radius in RADII.items():
        score = contact_score(mesh.contact >= THRESHOLD, truth.contact >= THRESHOLD, truth.vertices, radius)
        for key in ("precision", "recall", "f1"):
            figures[f"contact_{key}_{label}_{name}"] = None if score is None else getattr(score, key)
    return figures


def deformation_figures(head: Head, truth: Head) -> Figures:
    """Errors of the displacement in and around the true dent, in the true head's directions."""
    pressed = np.linalg.norm(truth.deformation, axis=1) > PRESSED
    if not pressed.any():
        return {}
    error = np.linalg.norm(to_true_face(head, truth).turn(head.deformation) - truth.deformation, axis=1)
    near = cKDTree(truth.vertices[pressed]).query(truth.vertices)[0] <= AROUND
    outside = error[near & ~pressed]
    return {
        "deformation_error_mm": MM * float(error[pressed].mean()),
        "zero_baseline_mm": MM * float(np.linalg.norm(truth.deformation[pressed], axis=1).mean()),
        "deformation_outside_mm": MM * float(outside.mean()) if outside.size else None,
        "deformation_outside_max_mm": MM * float(outside.max()) if outside.size else None,
    }


def untouched_figures(prediction: Capture) -> Figures:
    """Of a picture in which nothing touches: the largest displacement and the largest probability of contact."""
    meshes = [mesh for mesh in (prediction.head, *prediction.hands) if mesh is not None]
    lengths = [] if prediction.head is None else np.linalg.norm(prediction.head.deformation, axis=1)
    return {
        "no_touch_deformation_max_mm": MM * float(np.max(lengths, initial=0)),
        "no_touch_contact_max": max((float(mesh.contact.max(initial=0)) for mesh in meshes), default=0.0),
    }


def timing_figures(prediction: Capture) -> Figures:
    """How long the hand and the head took to be brought together."""
    if any(stage not in prediction.timings for stage in INTERACTION):
        return {}
    return {"interaction_ms": 1000 * sum(prediction.timings[stage] for stage in INTERACTION)}


def mean_of(all_figures: list[Figures]) -> Figures:
    """The means by name, of those that are defined."""
    names = {name: None for figures in all_figures for name in figures}
    return {name: mean([figures.get(name) for figures in all_figures]) for name in names}


def mean(values: list[float | None]) -> float | None:
    """Of those that are not None; None when all are."""
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there else None


def _distance(points: NDArray, truth: NDArray) -> float:
    """Mean distance of (P, 3) metres, in millimetres."""
    return MM * float(point_errors(points.astype(np.float64), truth.astype(np.float64)))
