# SPDX-License-Identifier: GPL-3.0-or-later
"""The open head and hand as they pose: sides, axes, units, order of the landmarks."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from dice_core.body.openbody import (
    EYEBALL,
    HAND_PARAMETERS,
    IDENTITIES,
    POSE,
    SHAPES,
    SKIN,
    hand_model,
    head_model,
)

MIRROR = np.array([-1.0, 1, 1])
FINGERTIPS = [4, 8, 12, 16, 20]


def random_hands(count: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    parameters = random.normal(0, 0.3, (count, HAND_PARAMETERS))
    parameters[:, :3] = random.normal(0, 1.5, (count, 3))
    parameters[:, 3:6] = random.normal(0, 0.1, (count, 3)) + [0, 0, 0.5]
    parameters[:, 6 : 6 + SHAPES] = random.normal(0, 1, (count, SHAPES))
    return parameters


def mirrored(parameters: np.ndarray) -> np.ndarray:
    """The same pose of the other hand: a mirror at x = 0 turns rotations about y and z round.

    A finger's flexion keeps its sign, its twist and abduction, which are about mirrored axes, do not.
    """
    result = parameters.copy()
    result[:, 1:3] *= -1
    result[:, 3] *= -1
    angles = result[:, POSE].reshape(len(result), 15, 3)
    angles[:, :, [0, 2]] *= -1
    return result


def test_a_left_hand_is_a_right_hand_in_a_mirror():
    right, left = hand_model("right"), hand_model("left")
    parameters = random_hands(5)
    vertices, joints = right.pose(parameters)
    other_vertices, other_joints = left.pose(mirrored(parameters))
    assert np.abs(vertices * MIRROR - other_vertices).max() < 1e-12
    assert np.abs(joints * MIRROR - other_joints).max() < 1e-12


@pytest.mark.parametrize("side", ["right", "left"])
def test_keypoints_are_the_joints_of_the_pose(side):
    model, parameters = hand_model(side), random_hands(7, 1)
    vertices, joints = model.pose(parameters)
    assert np.array_equal(model.keypoints(parameters), joints)
    chosen = np.array([3, 700, 1600])
    some, same = model.pose(parameters, chosen)
    assert some == pytest.approx(vertices[:, chosen]) and np.array_equal(same, joints)


@pytest.mark.parametrize("side", ["right", "left"])
def test_turning_and_moving_a_hand_is_rigid(side):
    model = hand_model(side)
    parameters = random_hands(1, 2)
    still = parameters.copy()
    still[:, :6] = 0
    (moved,), (joints,) = model.pose(parameters)
    (rest,), (rest_joints,) = model.pose(still)
    rotation = Rotation.from_rotvec(parameters[0, :3])
    assert moved == pytest.approx(rotation.apply(rest) + parameters[0, 3:6])
    assert joints == pytest.approx(rotation.apply(rest_joints) + parameters[0, 3:6])
    assert joints[0] == pytest.approx(parameters[0, 3:6])  # the wrist is the origin


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("finger", range(5))
def test_one_joint_turned_by_hand(side, finger):
    """Bending a middle joint turns what lies beyond about that joint, and nothing else."""
    model = hand_model(side)
    parameters = np.zeros((2, HAND_PARAMETERS))
    angle, bone = 0.7, 3 * finger + 1
    parameters[1, POSE].reshape(15, 3)[bone, 1] = angle
    rest, bent = model.keypoints(parameters)
    pivot = rest[2 + 4 * finger]  # wrist, then four points a finger: the second is the middle joint
    turn = Rotation.from_rotvec(angle * model.axes[bone, 1])
    beyond = [3 + 4 * finger, 4 + 4 * finger]
    assert bent[beyond] == pytest.approx(turn.apply(rest[beyond] - pivot) + pivot)
    others = np.setdiff1d(np.arange(21), beyond)
    assert np.array_equal(bent[others], rest[others])


def bends(joints: np.ndarray) -> np.ndarray:
    """(4, 3) angles of the fingers (thumb left out) between their bones and to the palm, in radians."""
    angles = []
    for finger in range(1, 5):
        bones = np.diff(joints[[0, *range(1 + 4 * finger, 5 + 4 * finger)]], axis=0)
        bones /= np.linalg.norm(bones, axis=1, keepdims=True)
        angles.append(np.arccos((bones[1:] * bones[:-1]).sum(1)))
    return np.array(angles)


@pytest.mark.parametrize("side", ["right", "left"])
def test_positive_flexion_closes_the_fist(side):
    """Fingers rest slightly bent towards the palm. Bending further makes the angles grow, by what they are bent."""
    model = hand_model(side)
    parameters = np.zeros((2, HAND_PARAMETERS))
    parameters[1, POSE].reshape(15, 3)[3:, 1] = 1.2
    open_hand, fist = model.keypoints(parameters)
    assert bends(fist) - bends(open_hand) == pytest.approx(np.full((4, 3), 1.2), abs=0.2)
    palm = open_hand[[0, 5, 9, 13, 17]].mean(0)
    before, after = (np.linalg.norm(hand[FINGERTIPS[1:]] - palm, axis=1) for hand in (open_hand, fist))
    assert (after < 0.6 * before).all()


@pytest.mark.parametrize("side", ["right", "left"])
def test_the_thumb_lies_on_the_right_side(side):
    """Whoever shows the camera the right palm, fingers up (-y), has the thumb to the camera's right (+x)."""
    model = hand_model(side)
    joints = model.keypoints(np.zeros((1, HAND_PARAMETERS)))[0]
    parameters = np.zeros((1, HAND_PARAMETERS))
    parameters[0, POSE].reshape(15, 3)[3:, 1] = 0.5
    curled = model.keypoints(parameters)[0]
    palmar = (curled - joints)[FINGERTIPS[1:]].mean(0)  # where the fingers go when they bend
    upward, thumbward = joints[9] - joints[0], joints[4] - joints[12]
    shown = np.linalg.det([[0, -1, 0], [0, 0, -1], [1, 0, 0]])  # up, to the camera, right: a right hand
    assert np.sign(np.linalg.det([upward, palmar, thumbward])) == (shown if side == "right" else -shown)


@pytest.mark.parametrize("side", ["right", "left"])
def test_hands_are_of_human_size_and_closed_but_for_the_wrist(side):
    model = hand_model(side)
    joints = model.keypoints(np.zeros((1, HAND_PARAMETERS)))[0]
    assert 0.15 < np.linalg.norm(joints[12] - joints[0]) < 0.21
    lengths = np.linalg.norm(np.diff(joints.reshape(21, 3)[1:].reshape(5, 4, 3), axis=1), axis=2)
    assert 0.01 < lengths.min() and lengths.max() < 0.07
    mesh = trimesh.Trimesh(model.mean, model.faces, process=False)
    fan = np.column_stack([np.roll(model.wrist_rim, -1), model.wrist_rim, np.full(20, len(model.mean))])
    for rim in (fan, fan[:, ::-1]):
        closed = trimesh.Trimesh(np.vstack([mesh.vertices, mesh.vertices[model.wrist_rim].mean(0)]),
                                 np.vstack([mesh.faces, rim]), process=False)  # fmt: skip
        if closed.is_winding_consistent:
            break
    assert closed.is_watertight and closed.is_winding_consistent
    assert 2e-4 < closed.volume < 6e-4  # cubic metres, and positive: normals point outward


def test_fingertip_landmarks_are_near_the_skin_of_their_finger():
    model = hand_model("right")
    vertices, joints = model.pose(random_hands(3, 5))
    for hand, points in zip(vertices, joints, strict=True):
        assert cKDTree(hand).query(points[FINGERTIPS])[0].max() < 0.012


def test_weights_are_shares():
    weights = hand_model("left").weights
    assert weights.min() >= 0 and weights.sum(1) == pytest.approx(np.ones(len(weights)))


@pytest.fixture(scope="module")
def marks() -> np.ndarray:
    return head_model().landmarks(head_model().mean)


def test_the_head_looks_at_the_camera(marks):
    """x right, y down, z forward, metres: the nose towards -z, the chin below, the person's right eye at -x."""
    model = head_model()
    nose, chin, brow, right_eye, left_eye = marks[[1, 152, 10, 33, 263]]
    assert nose[2] < marks[[33, 263, 152, 10]][:, 2].min()
    assert nose[2] == pytest.approx(model.mean[:, 2].min(), abs=0.004)
    assert brow[1] < right_eye[1] < nose[1] < chin[1]
    assert right_eye[0] < -0.03 < 0.03 < left_eye[0]
    height = np.ptp(model.mean[:, 1])
    assert 0.20 < height < 0.32 and 0.07 < np.linalg.norm(right_eye - left_eye) < 0.11
    eyeballs = model.mean[model.part == EYEBALL]
    assert abs(eyeballs[eyeballs[:, 0] > 0].mean(0)[0] - 0.031) < 0.004  # pupils 62 mm apart


def test_irises_are_in_the_eyes_and_as_wide_as_irises(marks):
    right, left = marks[468], marks[473]
    assert marks[33][0] < right[0] < marks[133][0] < marks[362][0] < left[0] < marks[263][0]
    for ring in (marks[469:473], marks[474:478]):
        across = np.linalg.norm(ring[0] - ring[2]), np.linalg.norm(ring[1] - ring[3])
        assert np.mean(across) == pytest.approx(0.0117, abs=0.0012)


def test_ibug_order(marks):
    """Jaw from the person's right ear, brows, nose, eyes, mouth: the order that 68-point tools expect."""
    points = marks[head_model().ibug]
    assert points.shape == (68, 3)
    assert (np.diff(points[:17, 0]) > -0.001).all() and points[:17, 1].argmax() in (7, 8, 9)
    assert (np.diff(points[17:27, 0]) > 0).all() and points[17:27, 1].max() < points[36:48, 1].min()
    assert (np.diff(points[27:31, 1]) > 0).all() and points[30, 2] == points[:, 2].min()
    assert points[36, 0] == points[36:48, 0].min() and points[45, 0] == points[36:48, 0].max()
    assert points[48, 0] == points[48:, 0].min() and points[54, 0] == points[48:, 0].max()
    assert points[51, 1] < points[62, 1] <= points[66, 1] < points[57, 1]


def test_the_mean_head_is_symmetric(marks):
    model = head_model()
    distance, _ = cKDTree(model.mean).query(model.mean * MIRROR)
    assert np.quantile(distance, 0.99) < 0.001
    assert np.abs(marks[[33, 263]].mean(0)[0]) < 0.001


def test_expressions_do_what_their_names_say(marks):
    model = head_model()
    change = dict(zip(model.expression_names, model.landmarks(model.expression), strict=True))
    assert len(change) == 52
    opened = (marks + change["jawOpen"])[[13, 14], 1] - marks[[13, 14], 1]
    assert opened[1] - opened[0] > 0.01  # the lower lip sinks
    assert change["eyeBlinkRight"][159, 1] > 0.003 > abs(change["eyeBlinkRight"][386, 1])
    assert change["eyeBlinkLeft"][386, 1] > 0.003 > abs(change["eyeBlinkLeft"][159, 1])
    assert change["mouthSmileLeft"][291, 0] > 0.003 and change["mouthSmileLeft"][291, 1] < -0.003
    assert change["mouthSmileRight"][61, 0] < -0.003 and change["mouthSmileRight"][61, 1] < -0.003


def test_identities_are_standard_deviations_of_people():
    """A step along the first, largest one moves the skin by millimetres, the last kept by less; all keep the middle."""
    model = head_model()
    skin = model.part == SKIN
    size = np.sqrt((model.identity[:, skin] ** 2).sum(2).mean(1))
    assert model.identity.shape[0] == IDENTITIES
    assert (np.diff(size) < 1e-4).all() and 0.002 < size[0] < 0.02 and size[-1] < size[0] / 5
    person = model.vertices(np.eye(IDENTITIES)[0] * 2, np.eye(52)[3] * 0.5)
    assert person == pytest.approx(model.mean + 2 * model.identity[0] + 0.5 * model.expression[3])


def test_landmarks_of_displacements_add_up(marks):
    model = head_model()
    moved = model.landmarks(model.mean + model.expression[:2])
    assert moved == pytest.approx(marks + model.landmarks(model.expression[:2]))
    assert model.barycentric.min() >= -1e-6 and model.barycentric.sum(1) == pytest.approx(np.ones(478), abs=1e-5)
