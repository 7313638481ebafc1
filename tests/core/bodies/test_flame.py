# SPDX-License-Identifier: GPL-3.0-or-later
"""The FLAME head: as the official code poses it, its landmarks, and the two rotations that compose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dice_core.body.flame import rigid

METRES = 1e-6


def close(found: np.ndarray, expected: np.ndarray, tolerance: float = METRES) -> bool:
    return found.shape == expected.shape and bool(np.abs(found - expected).max() <= tolerance)


def test_golden_pose(golden, golden_bodies):
    recorded = golden("flame_forward")
    flame = golden_bodies.flame
    vertices = flame.pose(recorded["in_shape"], recorded["in_exp"], recorded["in_pose"])
    assert close(vertices, recorded["verts_before_rigid"])
    assert close(flame.landmarks(vertices), recorded["lmk68_before_rigid"])
    moved = rigid(vertices, recorded["in_rot"], recorded["in_transl"])
    assert close(moved, recorded["verts"]) and close(moved, recorded["verts_f64"], 1e-8)
    assert close(flame.landmarks(moved), recorded["lmk68"])
    assert close(flame.landmarks(moved), recorded["lmk68_f64"], 1e-8)
    larger = rigid(vertices, recorded["in_rot"], recorded["in_transl"], 1.25)
    assert close(larger, recorded["verts_scale1p25"]) and close(flame.landmarks(larger), recorded["lmk68_scale1p25"])
    assert np.array_equal(flame.faces, recorded["faces"]) and flame.parents == tuple(recorded["parents"])


def test_golden_landmarks(golden, golden_bodies):
    recorded = golden("keypoints_and_sampling")
    assert close(golden_bodies.flame.landmarks(recorded["head_in"]), recorded["head_lmk68"])


def still(count: int = 1) -> list[np.ndarray]:
    return [np.zeros((count, size)) for size in (100, 50, 6)]


def test_at_rest_the_head_is_its_template(bodies):
    assert close(bodies.flame.pose(*still())[0], bodies.flame.template, 1e-15)


def test_expressions_are_those_behind_the_300_identities(bodies, flame_data):
    shape, expression, pose = still(2)
    shape[0, 7], expression[1, 3] = 1, 1
    vertices = bodies.flame.pose(shape, expression, pose) - bodies.flame.template
    assert close(vertices[0], flame_data["shapedirs"][:, :, 7], 1e-14)
    assert close(vertices[1], flame_data["shapedirs"][:, :, 303], 1e-14)


def test_the_jaw_moves_and_the_neck_does_not(bodies):
    """A vertex that is the jaw's alone turns about the jaw's joint; one that is the neck's alone stays."""
    weights = np.zeros((5023, 5))
    weights[:, 1] = 1
    weights[:100] = [0, 0, 1, 0, 0]
    flame = replace(bodies.flame, weights=weights, posedirs=0 * bodies.flame.posedirs)
    shape, expression, pose = still()
    pose[0, 3:] = [0.4, 0.1, -0.2]
    vertices = flame.pose(shape, expression, pose)[0]
    joint = flame.joint_regressor[2] @ flame.template
    turned = Rotation.from_rotvec(pose[0, 3:]).apply(flame.template[:100] - joint) + joint
    assert close(vertices[:100], turned, 1e-14) and close(vertices[100:], flame.template[100:], 1e-15)


def test_the_first_rotation_is_about_joint_0_the_second_about_the_mean():
    random = np.random.default_rng(0)
    vertices, rotation, transl = (
        random.normal(size=(2, 5023, 3)),
        random.normal(size=(2, 3)),
        random.normal(size=(2, 3)),
    )
    moved = rigid(vertices, rotation, transl)
    assert close(moved.mean(1), vertices.mean(1) + transl, 1e-12), "the mean moves, but does not turn"
    for one in range(2):
        matrix = Rotation.from_rotvec(rotation[one]).as_matrix()
        expected = (vertices[one] - vertices[one].mean(0)) @ matrix.T + vertices[one].mean(0) + transl[one]
        assert close(moved[one], expected, 1e-12)


def test_global_rotation_keeps_joint_0(bodies):
    shape, expression, pose = still()
    pose[0, :3] = [0.3, -1, 2]
    weights = np.zeros((5023, 5))
    weights[:, 0] = 1
    joint = bodies.flame.joint_regressor[0] @ bodies.flame.template
    stiff = replace(bodies.flame, weights=weights, posedirs=0 * bodies.flame.posedirs)
    vertices = stiff.pose(shape, expression, pose)[0]
    turned = Rotation.from_rotvec(pose[0, :3]).apply(bodies.flame.template - joint) + joint
    assert close(vertices, turned, 1e-14)


def test_landmarks_lie_on_their_triangles(bodies):
    vertices = np.random.default_rng(1).normal(size=(2, 5023, 3))
    points = bodies.flame.landmarks(vertices)
    for number in (0, 30, 67):
        corners = vertices[:, bodies.flame.landmark_triangles[number]]
        expected = np.einsum("k,nkd->nd", bodies.flame.landmark_weights[number], corners)
        assert points[:, number] == pytest.approx(expected)
