# SPDX-License-Identifier: GPL-3.0-or-later
"""The hand's derivatives against differences, and its points against `HandModel.pose`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dice_core.body.hand_motion import hand_motion
from dice_core.body.openbody import ASSETS, HAND_PARAMETERS, POSE, hand_model
from dice_core.body.skinning import left_jacobian, rotation_matrices

CHOSEN = np.arange(0, 1609, 40)
STEP = 1e-6


def offset(side: str) -> np.ndarray:
    """(21, 3) from the joints at rest to what the detector sees there."""
    with np.load(ASSETS / "hand_landmarks.npz") as data:
        return data["offset"].astype(float) * [1 if side == "right" else -1, 1, 1]


def hands(count: int = 3) -> np.ndarray:
    random = np.random.default_rng(1)
    parameters = random.normal(0, 0.6, (count, HAND_PARAMETERS))
    parameters[:, :3] *= 3
    parameters[:, 5] += 0.5
    parameters[0, POSE] = 0  # straight fingers: rotation vectors of length zero
    return parameters


@pytest.mark.parametrize("side", ["right", "left"])
def test_points_are_those_of_the_model(side):
    model, parameters = hand_model(side), hands()
    motion = hand_motion(model, parameters, CHOSEN)
    vertices, joints = model.pose(parameters)
    assert np.abs(motion.vertices - vertices[:, CHOSEN]).max() < 1e-12
    assert np.abs(motion.joints - joints).max() < 1e-12
    plain = replace(model, landmarks=model.landmarks - offset(side))
    assert np.abs(hand_motion(plain, parameters, CHOSEN).landmarks - joints).max() < 1e-12
    away = np.linalg.norm(motion.landmarks - joints, axis=2)
    assert away == pytest.approx(np.linalg.norm(offset(side), axis=1)[None].repeat(len(parameters), 0))


@pytest.mark.parametrize("side", ["right", "left"])
def test_derivatives_are_limits_of_differences(side):
    model, parameters = hand_model(side), hands()
    motion = hand_motion(model, parameters, CHOSEN)
    for index in range(HAND_PARAMETERS):
        step = STEP * np.eye(HAND_PARAMETERS)[index]
        more, less = (hand_motion(model, parameters + sign * step, CHOSEN) for sign in (1, -1))
        assert np.abs((more.vertices - less.vertices) / (2 * STEP) - motion.vertices_by[..., index]).max() < 1e-8
        assert np.abs((more.landmarks - less.landmarks) / (2 * STEP) - motion.landmarks_by[..., index]).max() < 1e-8


@pytest.mark.parametrize("length", [0.0, 1e-6, 1e-3, 1.0, 3.1])
def test_the_left_jacobian(length):
    """exp(v + d) = exp(J d) exp(v) to first order."""
    vector, change = length * np.array([0.48, -0.6, 0.64]), 1e-7 * np.array([0.3, 0.5, -0.8])
    turned = rotation_matrices(left_jacobian(vector) @ change) @ rotation_matrices(vector)
    assert np.abs(turned - rotation_matrices(vector + change)).max() < 1e-13
