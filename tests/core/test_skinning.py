# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinematics and skinning against closed forms and scipy's rotations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dice_core.body.skinning import forward_kinematics, rotation_matrices, skin

QUARTER = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])  # a quarter turn about z: x becomes y


def test_rotation_matrices_by_hand():
    assert rotation_matrices(np.array([0, 0, np.pi / 2])) == pytest.approx(QUARTER)
    assert np.array_equal(rotation_matrices(np.zeros((2, 3))), np.stack([np.eye(3)] * 2))
    assert rotation_matrices(np.zeros((4, 5, 3))).shape == (4, 5, 3, 3)


def test_rotation_matrices_by_rodrigues():
    vectors = np.random.default_rng(0).normal(0, 2, (50, 3))
    angle = np.linalg.norm(vectors, axis=1)[:, None, None]
    x, y, z = (vectors / angle[:, 0]).T
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).reshape(-1, 3, 3)
    expected = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    assert np.abs(rotation_matrices(vectors) - expected).max() < 1e-12


def test_an_arm_bent_at_the_elbow():
    """Shoulder at the origin, elbow at (1, 0, 0), wrist at (2, 0, 0); the elbow turns by 90 degrees."""
    joints = np.array([[[0.0, 0, 0], [1, 0, 0], [2, 0, 0]]])
    rotations = np.stack([np.eye(3), QUARTER, np.eye(3)])[None]
    turned, positions = forward_kinematics(rotations, joints, np.array([-1, 0, 1]))
    assert positions[0] == pytest.approx(np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0]]))
    assert turned[0, 2] == pytest.approx(QUARTER)

    vertices = np.array([[[0.5, 0, 0], [1.5, 0, 0], [1.5, 0.2, 0], [1, 0, 0]]])
    weights = np.array([[1.0, 0, 0], [0, 1, 0], [0, 1, 0], [0.5, 0.5, 0]])
    posed = skin(vertices, weights, turned, joints, positions)[0]
    assert posed == pytest.approx(np.array([[0.5, 0, 0], [1, 0.5, 0], [0.8, 0.5, 0], [1, 0, 0]]))


def test_a_vertex_of_two_bones_goes_half_way():
    joints = np.array([[[0.0, 0, 0], [1, 0, 0]]])
    turned, positions = forward_kinematics(np.stack([np.eye(3), QUARTER])[None], joints, np.array([-1, 0]))
    posed = skin(np.array([[[2.0, 0, 0]]]), np.array([[0.25, 0.75]]), turned, joints, positions)
    assert posed[0, 0] == pytest.approx(0.25 * np.array([2, 0, 0]) + 0.75 * np.array([1, 1, 0]))


def random_tree(count: int, random: np.random.Generator) -> np.ndarray:
    return np.array([-1, *(random.integers(0, bone) for bone in range(1, count))])


def test_random_trees_against_a_chain_of_transforms():
    """Each bone as a 4 x 4 matrix, multiplied up to the root: the textbook's way."""
    random = np.random.default_rng(3)
    parents = random_tree(9, random)
    joints = random.normal(size=(4, 9, 3))
    local = Rotation.from_rotvec(random.normal(size=(36, 3))).as_matrix().reshape(4, 9, 3, 3)
    weights = random.dirichlet(np.ones(9), 20)
    vertices = random.normal(size=(4, 20, 3))
    turned, positions = forward_kinematics(local, joints, parents)
    posed = skin(vertices, weights, turned, joints, positions)
    for pose in range(4):
        world = np.zeros((9, 4, 4))
        for bone, parent in enumerate(parents):
            matrix = np.eye(4)
            matrix[:3, :3] = local[pose, bone]
            matrix[:3, 3] = joints[pose, bone] - (joints[pose, parent] if parent >= 0 else 0)
            world[bone] = matrix if parent < 0 else world[parent] @ matrix
        assert turned[pose] == pytest.approx(world[:, :3, :3])
        assert positions[pose] == pytest.approx(world[:, :3, 3])
        for vertex in range(20):
            expected = np.zeros(3)
            for bone in range(9):
                offset = np.append(vertices[pose, vertex] - joints[pose, bone], 1)
                expected += weights[vertex, bone] * (world[bone] @ offset)[:3]
            assert posed[pose, vertex] == pytest.approx(expected)


def test_the_rest_pose_stays_at_rest():
    random = np.random.default_rng(4)
    joints, vertices = random.normal(size=(1, 6, 3)), random.normal(size=(1, 30, 3))
    rest = np.broadcast_to(np.eye(3), (1, 6, 3, 3))
    turned, positions = forward_kinematics(rest, joints, random_tree(6, random))
    posed = skin(vertices, random.dirichlet(np.ones(6), 30), turned, joints, positions)
    assert posed == pytest.approx(vertices) and positions == pytest.approx(joints)
