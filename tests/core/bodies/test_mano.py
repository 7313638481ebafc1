# SPDX-License-Identifier: GPL-3.0-or-later
"""The MANO hand: as the official code poses it, its two sets of keypoints, and the left hand in the mirror."""

from __future__ import annotations

import numpy as np
import pytest

from dice_core.body.mano import decaf_keypoints, mirrored_points, mirrored_rotations

METRES = 1e-6
NAMES = ("betas", "rot", "pose", "transl")


def close(found: np.ndarray, expected: np.ndarray, tolerance: float = METRES) -> bool:
    return found.shape == expected.shape and bool(np.abs(found - expected).max() <= tolerance)


def test_golden_pose(golden, golden_bodies):
    recorded = golden("mano_forward")
    vertices, joints = golden_bodies.mano.pose(*(recorded[f"in_{name}"] for name in NAMES))
    assert close(vertices, recorded["verts"]) and close(vertices, recorded["verts_f64"], 1e-8)
    assert close(decaf_keypoints(vertices, joints), recorded["joints21"])
    assert close(decaf_keypoints(vertices, joints), recorded["joints21_f64"], 1e-8)
    assert close(joints, recorded["joints21_full_tips"][:, :16])
    assert close(vertices[:, recorded["tip_ids"]], recorded["joints21_full_tips"][:, 16:])
    assert np.array_equal(golden_bodies.mano.faces, recorded["faces"])
    assert golden_bodies.mano.parents == tuple(recorded["parents"])


def test_golden_openpose_keypoints(golden, golden_bodies):
    recorded = golden("keypoints_and_sampling")
    assert close(golden_bodies.mano.openpose_keypoints(recorded["hand_in"]), recorded["hand_joints21"])
    each = golden_bodies.mano.openpose_keypoints(np.eye(778)[:, :, None].repeat(3, 2))  # a vertex at a time
    assert close(each[:, :, 0].T, recorded["hand_joint_regressor_21x778"])


def test_golden_left_hand(golden, golden_bodies):
    recorded = golden("left_hand")
    betas, *others = (recorded[f"in_{name}"] for name in ("betas", "rot_left", "pose_left", "transl_left"))
    left = golden_bodies.mano.mirrored()
    vertices, joints = left.pose(betas, *others)
    assert close(vertices, recorded["verts_left"]) and close(vertices, recorded["verts_from_mirrored_model"])
    assert close(decaf_keypoints(vertices, joints), recorded["joints21_left"])
    assert np.array_equal(left.faces, recorded["faces_left"])
    rot, pose, transl = others
    right, _ = golden_bodies.mano.pose(
        betas, mirrored_rotations(rot), mirrored_rotations(pose), mirrored_points(transl)
    )
    assert close(mirrored_points(right), recorded["verts_left"])


def parameters(seed: int = 0, count: int = 3) -> tuple[np.ndarray, ...]:
    random = np.random.default_rng(seed)
    return tuple(0.5 * random.normal(size=(count, size)) for size in (10, 3, 45, 3))


def test_at_rest_the_hand_is_its_template(bodies):
    still = [np.zeros((1, size)) for size in (10, 3, 45)]
    vertices, joints = bodies.mano.pose(*still, np.array([[1.0, 2, 3]]))
    assert close(vertices[0], bodies.mano.template + [1, 2, 3], 1e-15)
    assert close(joints[0], bodies.mano.template[20 * np.arange(16)] + [1, 2, 3], 1e-15)


def test_the_hand_turns_about_its_wrist(bodies):
    betas, _, pose, transl = parameters()
    for turn in ([0.0, 0, 0], [0.3, -2, 1]):
        _, joints = bodies.mano.pose(betas, np.array([turn] * 3), pose, transl)
        shaped = bodies.mano.template + np.tensordot(betas, bodies.mano.shapedirs, 1)
        assert close(joints[:, 0], shaped[:, 0] + transl, 1e-12)


def test_the_two_sets_of_keypoints_differ_in_order_and_tips(bodies):
    vertices, joints = bodies.mano.pose(*parameters())
    openpose, decaf = bodies.mano.openpose_keypoints(vertices), decaf_keypoints(vertices, joints)
    assert openpose.shape == decaf.shape == (3, 21, 3)
    assert np.array_equal(openpose[:, 4], vertices[:, 745]) and np.array_equal(openpose[:, 12], vertices[:, 445])
    assert np.array_equal(decaf[:, :16], joints)
    thumb = joints[:, 15] + 0.7 * (vertices[:, 744] - joints[:, 15])
    assert close(decaf[:, 16], thumb, 1e-15)
    regressed = bodies.mano.joint_regressor @ vertices  # OpenPose's joints come from the posed skin
    assert close(openpose[:, [1, 5, 9, 13, 17]], regressed[:, [13, 1, 4, 10, 7]], 1e-15)


def test_keypoints_move_along(bodies):
    vertices, joints = bodies.mano.pose(*parameters())
    shift = np.array([0.1, -0.2, 0.3])
    moved = decaf_keypoints(vertices + shift, joints + shift)
    assert close(moved, decaf_keypoints(vertices, joints) + shift, 1e-12)


def test_the_left_hand_is_the_right_one_in_a_mirror(bodies):
    betas, rot, pose, transl = parameters()
    right = bodies.mano.pose(betas, rot, pose, transl)
    mirrored = mirrored_rotations(rot), mirrored_rotations(pose), mirrored_points(transl)
    for mine, other in zip(bodies.mano.mirrored().pose(betas, *mirrored), right, strict=True):
        assert close(mine, mirrored_points(other), 1e-12)


def test_mirrors_undo_themselves(bodies):
    betas, rot, pose, transl = parameters()
    assert np.array_equal(mirrored_points(mirrored_points(transl)), transl)
    assert np.array_equal(mirrored_rotations(mirrored_rotations(pose)), pose)
    twice = bodies.mano.mirrored().mirrored()
    for mine, again in zip(
        twice.pose(betas, rot, pose, transl), bodies.mano.pose(betas, rot, pose, transl), strict=True
    ):
        assert close(mine, again, 1e-15)
    assert np.array_equal(twice.faces, bodies.mano.faces)


def test_a_mirrored_rotation_is_the_rotation_in_the_mirror():
    from scipy.spatial.transform import Rotation

    vector, point = np.random.default_rng(5).normal(size=(2, 3))
    turned = Rotation.from_rotvec(vector).apply(point)
    in_mirror = Rotation.from_rotvec(mirrored_rotations(vector)).apply(mirrored_points(point))
    assert in_mirror == pytest.approx(mirrored_points(turned))


def test_mirrored_faces_keep_their_outside(bodies):
    """Signed volume: positive where faces are wound outward."""

    def volume(vertices: np.ndarray, faces: np.ndarray) -> float:
        a, b, c = vertices[faces.astype(int)].transpose(1, 0, 2)
        return float((np.cross(a, b) * c).sum() / 6)

    left = bodies.mano.mirrored()
    assert volume(left.template, left.faces) == pytest.approx(volume(bodies.mano.template, bodies.mano.faces))
