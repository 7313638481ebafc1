# SPDX-License-Identifier: GPL-3.0-or-later
"""A hand to be fitted, from what the detector and the second look saw of it."""

from __future__ import annotations

import numpy as np

from ..body.openbody import hand_model
from ..landmarks.litert import HandLandmarks
from ..types import Camera
from .glance import Glance
from .hand import DEPTH_NOISE, HandObservation, HandProblem

LEAST_DEPTH_NOISE = 0.05  # of the distance
WORSE = 3.0  # times the reprojection error at which the second look is given up


def detected(seen: HandLandmarks, glance: Glance | None, camera: Camera, eyes: float | None) -> HandProblem:
    """By the detector's landmarks.

    Parameters
    ----------
    eyes
        Metres along the camera's axis to the eyes of the face, if there is one: the hand is near.
    """
    observed = HandObservation(seen.points, seen.world)
    return HandProblem(hand_model(seen.side), observed, camera, _depth(glance, eyes))


def lifted(seen: HandLandmarks, glance: Glance, camera: Camera, eyes: float | None) -> HandProblem:
    """By the second look, with the detector's landmarks beside it."""
    noise = glance.points_sigma, float(glance.joints_sigma.mean())
    observed = HandObservation(glance.points, glance.joints, noise, seen.points)
    return HandProblem(hand_model(seen.side), observed, camera, _depth(glance, eyes))


def _depth(glance: Glance | None, eyes: float | None) -> tuple[float, float] | None:
    if eyes is None or glance is None:
        return None if eyes is None else (eyes, DEPTH_NOISE)
    return eyes * float(np.exp(glance.depth_ratio)), max(glance.depth_sigma, LEAST_DEPTH_NOISE)
