# SPDX-License-Identifier: GPL-3.0-or-later
"""Which part of the hand each of its vertices belongs to, and so which parts touch."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dice_core.body.openbody import hand_model
from dice_core.fit.glance import PARTS

from ..sample.raster import vertex_normals

PALM, HEEL, KNUCKLES = 5, 6, 7
FEWEST = 2  # vertices that touch make the part touch


@lru_cache(maxsize=1)
def vertex_parts() -> NDArray:
    """(1609,) index into PARTS. Both sides have the same topology.

    The outer two bones of a finger are its tip, but for the back of the middle one, which is a knuckle, as are the
    backs of the first bones and of the hand near them.
    """
    model = hand_model("right")
    bone = np.argmax(model.weights, 1)
    normals = vertex_normals(model.mean, model.faces)
    across = np.cross(
        model.joints[model.fingers[3]] - model.joints[0], model.joints[model.fingers[12]] - model.joints[0]
    )
    palmar = across / np.linalg.norm(across)
    along = model.joints[model.fingers[6]] - model.joints[0]
    height = (model.mean - model.joints[0]) @ along / (along @ along)
    part = np.where(normals @ palmar > -0.1, np.where(height > 0.42, PALM, HEEL), KNUCKLES)
    for index, joint in enumerate(model.fingers):
        finger, phalanx = divmod(index, 3)
        own = bone == joint
        back = normals @ model.axes[index, 2] > 0.3  # the third axis points out of the back
        if phalanx == 2 or (finger == 0 and phalanx == 1):
            part[own] = finger
        elif finger:
            part[own] = np.where(back[own], KNUCKLES, finger if phalanx == 1 else PALM)
    return part


def touching_parts(contact: NDArray) -> NDArray:
    """(1609,) bool -> (8,) bool."""
    return np.bincount(vertex_parts()[contact], minlength=len(PARTS)) >= FEWEST
