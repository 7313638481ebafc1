# SPDX-License-Identifier: GPL-3.0-or-later
"""Is the truth of a case true? Rules that look at the case alone, never at what any engine makes of it."""

from __future__ import annotations

import numpy as np

from .figures import CONTACT, Figure
from .lay import target_vertices

PENETRATION = 0.0005  # metres that may be left
VOLUME = 0.05  # relative change of the pressed tissue's volume
PART, SHARE = 0.012, 0.25  # metres from the part that is meant; how many of the touching vertices are so near
ASTRAY = 0.03  # metres from the region that is meant to be touched to the middle of their contact
MOVED = 0.02  # metres: no skin gives way farther
GAP = 0.001  # metres that a hand before the face may be nearer or farther than intended


def complaint(figure: Figure) -> str:
    """Why a case cannot serve as truth; empty when it can."""
    case, laid = figure.case, figure.laid
    if laid is None:
        return ""
    distance = figure.surface().nearest(laid.vertices).distance
    if not case.touches:
        lowest = distance.min()
        wrong = lowest < CONTACT if case.gap is None else abs(lowest - case.gap) > GAP
        return f"the hand is {1000 * lowest:.1f} mm from the face" if wrong else ""
    pressed = figure.pressed
    left = max(pressed.penetration, -float(distance.min()))
    if not pressed.converged:
        return "the tissue does not give way so far"
    if left > PENETRATION:
        return f"{1000 * left:.2f} mm of penetration are left"
    if abs(pressed.volume_change) > VOLUME:
        return f"the volume changes by {100 * pressed.volume_change:.1f} %"
    if np.linalg.norm(pressed.displacement, axis=1).max() > MOVED:
        return "the skin moves too far"
    return _missed(figure, laid.vertices[distance < CONTACT])


def _missed(figure: Figure, touching: np.ndarray) -> str:
    case, laid = figure.case, figure.laid
    assert laid is not None
    if not len(touching):
        return "nothing touches"
    meant = np.linalg.norm(touching[:, None] - laid.vertices[laid.part], axis=2).min(1) < PART
    if meant.mean() < SHARE:
        return f"another part than the {case.part} touches"
    region = figure.face.vertices[target_vertices(case.face_side, case.region)]
    if np.linalg.norm(region - touching[meant].mean(0), axis=1).min() > ASTRAY:
        return f"it touches elsewhere than the {case.region}"
    return ""
