# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors and plausibility, against the official code's records and against what can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from dice_core.evaluate.metrics import aligned, aligned_errors, centred, contact_agreement, point_errors
from dice_core.evaluate.plausibility import judge, plausibility


def test_golden_procrustes(golden):
    recorded = golden("procrustes")
    assert np.abs(aligned(recorded["S1"], recorded["S2"]) - recorded["S1_aligned"]).max() < 1e-6
    errors = aligned_errors(recorded["S1"], recorded["S2"])
    assert errors == pytest.approx(recorded["err_none"], abs=1e-8)
    assert errors.mean() == pytest.approx(float(recorded["err_mean"]), abs=1e-8)
    assert errors.sum() == pytest.approx(float(recorded["err_sum"]), abs=1e-8)
    errors = aligned_errors(recorded["V1"], recorded["V2"])
    assert errors == pytest.approx(recorded["verr_none"], abs=1e-8)
    assert errors.mean() == pytest.approx(float(recorded["verr_mean"]), abs=1e-8)


def test_golden_plausibility(golden):
    recorded = golden("plausibility")
    names = ("gt_head_verts", "gt_hand_verts", "head_verts", "hand_verts", "faces")
    total = plausibility(*(recorded[name] for name in names), "paper")
    counts = [total.clear, total.missed, total.should_touch, total.depth, total.frames]
    assert counts == pytest.approx(recorded["totals"], abs=1e-6), recorded["totals_names"]
    for frame in range(total.frames):
        head, hand, faces = recorded["head_verts"][frame], recorded["hand_verts"][frame], recorded["faces"]
        one = judge(head, faces, hand, "paper")
        assert np.array_equal(one.colliding, recorded["collision_flag"][frame] > 0)
        assert np.array_equal(one.deep, recorded["collision_flag_tolerance"][frame] > 0)
        assert one.depth.sum() == pytest.approx(recorded["collision_dist_sum"][frame], abs=1e-5)
        assert one.depth.mean() == pytest.approx(recorded["collision_dist_avg"][frame], abs=1e-8)
        assert one.touching == (not recorded["non_touching"][frame])
        assert one.colliding.sum() == recorded["n_colliding_vs"][frame]
        pair = plausibility(*(recorded[name][frame : frame + 1] for name in names[:4]), faces, "paper")
        counts = [pair.clear, pair.missed, pair.should_touch, pair.depth, pair.frames]
        assert counts == pytest.approx(recorded["per_pair_totals"][frame], abs=1e-6)


def test_golden_depths_beyond_5_cm_count_when_the_head_is_closed(golden):
    recorded = golden("plausibility")
    deepest = int(np.argmax(recorded["pysdf_values"].max(1)))
    assert recorded["pysdf_values"][deepest].max() > 0.05
    for frame, values in enumerate(recorded["pysdf_values"]):
        one = judge(recorded["head_verts"][frame], recorded["faces"], recorded["hand_verts"][frame], "closed")
        assert one.depth == pytest.approx(np.maximum(values, 0), abs=2e-4), "this head's neck is far from the hand"
    arrays = (recorded[name] for name in ("head_verts", "hand_verts"))
    head, hand = (array[deepest] for array in arrays)
    assert judge(head, recorded["faces"], hand, "closed").depth.sum() > recorded["collision_dist_sum"][deepest] + 1


RADIUS = 0.1


@pytest.fixture(scope="module")
def head() -> tuple[np.ndarray, np.ndarray]:
    """A ball of 10 cm, open below (y is down) as a neck is; a small ball within it, as an eyeball is."""
    ball, eye = trimesh.creation.icosphere(4, RADIUS), trimesh.creation.icosphere(2, 0.012)
    faces = ball.faces[~(ball.vertices[ball.faces][:, :, 1] > 0.085).all(1)]
    return np.vstack([ball.vertices, eye.vertices + [0, 0, -0.085]]), np.vstack([faces, eye.faces + len(ball.vertices)])


def points_at(*depths: float, direction: tuple[float, float, float] = (1, 0, 0)) -> np.ndarray:
    """Points so deep in the ball, along a line from its middle outward."""
    return np.array([(RADIUS - depth) * np.array(direction) for depth in depths])


def test_depth_in_a_ball(head):
    depths = (0.03, 0.004, 0.006, -0.004, -0.02, -0.2)
    for rule in ("paper", "closed"):
        one = judge(*head, points_at(*depths), rule)
        assert one.depth == pytest.approx([0.03, 0.004, 0.006, 0, 0, 0], abs=3e-4)
        assert one.colliding.tolist() == [True, True, True, False, False, False]
        assert one.deep.tolist() == [True, False, True, False, False, False]
        assert one.touching


def test_the_rules_differ_in_great_depth(head):
    """6 cm deep: the paper takes it for a leak and calls it a touch; closed, it is a collision."""
    deep = points_at(0.06)
    paper, whole = judge(*head, deep, "paper"), judge(*head, deep, "closed")
    assert paper.depth.tolist() == [0] and paper.touching and paper.colliding.all() and not paper.deep.any()
    assert whole.depth == pytest.approx([0.06], abs=3e-4) and whole.touching and whole.deep.all()


def test_the_neck_does_not_leak_when_closed(head):
    """Below the opening is outside, above it inside, whichever face is nearest."""
    neck = np.array([[0, 0.12, 0], [0, 0.1, 0], [0, 0.07, 0], [0.01, 0.06, 0.01]])
    assert judge(*head, neck, "closed").colliding.tolist() == [False, False, True, True]


def test_within_an_eyeball_is_within_the_head(head):
    inside_eye = np.array([[0, 0, -0.085]])
    assert judge(*head, inside_eye, "closed").colliding.all()


def test_a_hand_near_and_far(head):
    for rule in ("paper", "closed"):
        assert judge(*head, points_at(-0.004), rule).touching
        assert not judge(*head, points_at(-0.006, -0.1), rule).touching


def test_ratios(head):
    """Four frames: apart, touching, deep, and apart where the truth touches."""
    vertices, faces = head
    hands = np.stack([points_at(depth, depth - 0.001) for depth in (-0.05, -0.002, 0.02, -0.05)])
    truth = np.stack([points_at(depth, depth - 0.001) for depth in (-0.05, -0.002, -0.002, -0.002)])
    heads = np.stack([vertices] * 4)
    total = plausibility(heads, truth, heads, hands, faces, "closed")
    assert (total.frames, total.clear, total.should_touch, total.missed) == (4, 3, 3, 1)
    assert total.collision_distance == pytest.approx((0.02 + 0.019) / 2 / 4, abs=1e-4)
    assert total.non_collision_ratio == 0.75 and total.touchness_ratio == pytest.approx(2 / 3)
    assert total.f_score == pytest.approx(2 * 0.75 * (2 / 3) / (0.75 + 2 / 3))
    none = plausibility(heads[:1], truth[:1], heads[:1], hands[:1], faces, "paper")
    assert none.should_touch == 0 and none.touchness_ratio == 1


def test_alignment_undoes_any_similarity():
    random = np.random.default_rng(0)
    truth = random.normal(size=(20, 7, 3))
    turns = Rotation.random(20, random_state=1).as_matrix()
    points = random.uniform(0.1, 5, (20, 1, 1)) * truth @ turns + random.normal(size=(20, 1, 3))
    assert np.abs(aligned(points, truth) - truth).max() < 1e-12
    assert point_errors(points, truth).min() > 0.1


def test_alignment_is_the_best_there_is():
    """No small turn, stretch or shift of the answer comes nearer in the sense of least squares."""
    random = np.random.default_rng(1)
    points, truth = random.normal(size=(2, 1, 9, 3))
    best = aligned(points, truth)
    least = ((best - truth) ** 2).sum()
    for _ in range(200):
        turn = Rotation.from_rotvec(0.01 * random.normal(size=3)).as_matrix()
        other = (1 + 0.01 * random.normal()) * best @ turn + 0.01 * random.normal(size=3)
        assert ((other - truth) ** 2).sum() > least


def test_a_mirror_image_is_not_turned_into_its_like():
    truth = np.random.default_rng(2).normal(size=(1, 8, 3))
    assert aligned_errors(truth * [-1, 1, 1], truth)[0] > 0.1


def test_points_that_are_all_one_stay_one():
    truth = np.random.default_rng(3).normal(size=(2, 5, 3))
    found = aligned(np.ones((2, 5, 3)), truth)
    assert np.isfinite(found).all() and np.abs(found - truth.mean(1, keepdims=True)).max() < 1e-12


def test_errors_by_hand():
    truth = np.zeros((2, 2, 3))
    points = np.array([[[3.0, 4, 0], [0, 0, 1]], [[0, 0, 0], [0, 2, 0]]])
    assert point_errors(points, truth).tolist() == [3, 1]
    head = np.array([[[1.0, 1, 1], [3, 1, 1]]])
    assert centred(np.array([[[2.0, 1, 5]]]), head).tolist() == [[[0, 0, 4]]]


def test_contact_by_hand():
    contact, truth = np.array([[0.9, 0.6, 0.4, 0.1, 0.8]]), np.array([[1, 0, 1, 0, 1]])
    found = contact_agreement(contact, truth)
    assert found.precision == pytest.approx(2 / 3) and found.recall == pytest.approx(2 / 3)
    assert found.f_score == pytest.approx(2 / 3) and found.accuracy == pytest.approx(3 / 5)
    nothing = contact_agreement(np.zeros((1, 5)), np.zeros((1, 5)))
    assert nothing == (0, 0, 0, 1)
