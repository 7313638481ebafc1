# SPDX-License-Identifier: GPL-3.0-or-later
"""From the network's numbers to centred meshes, as the official code goes; meshes with fewer vertices; rims."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial import ConvexHull

from dice_core.body.bodies import Bodies, orthographic
from dice_core.body.flame import rigid
from dice_core.body.mano import DECAF_TIPS, decaf_keypoints
from dice_core.body.topology import closed, pieces, rims, softness_weights
from dice_core.convert import convert
from dice_core.errors import NotInstalled
from dice_core.evaluate.metrics import centred

METRES, PIXELS = 1e-6, 1e-3


def close(found: np.ndarray, expected: np.ndarray, tolerance: float = METRES) -> bool:
    return found.shape == expected.shape and bool(np.abs(found - expected).max() <= tolerance)


def on_screen(points: np.ndarray, camera: np.ndarray) -> np.ndarray:
    scale, shift = orthographic(camera)
    flat = scale[:, None, None] * points[..., :2] + shift[:, None]
    return np.concatenate([flat, points[..., 2:] + 1], 2)


def test_golden_parametric_meshes(golden, golden_bodies):
    recorded = golden("infer_chain")
    posed = golden_bodies.from_parameters(SimpleNamespace(**{k[3:]: v for k, v in recorded.items() if k[:3] == "in_"}))
    assert close(posed.head, recorded["param_head_verts"]) and close(posed.hand, recorded["param_hand_verts"])
    assert close(posed.landmarks, recorded["param_head_lmk68"])
    assert close(posed.decaf_keypoints, recorded["param_hand_joints21_decaf_order"])
    deformed = posed.head + golden_bodies.displacement(recorded["in_deformations"])
    assert close(deformed, recorded["param_head_verts_deformed"])
    for name, points in {
        "head_lmk68": posed.landmarks,
        "hand_joints21_decaf_order": posed.decaf_keypoints,
        "head_verts": posed.head,
        "hand_verts": posed.hand,
    }.items():
        assert close(on_screen(points, recorded["in_camera"]), recorded[f"screen_param_{name}"], PIXELS)


def test_golden_meshes_straight_from_the_network(golden, golden_bodies):
    recorded = golden("infer_chain")
    posed = golden_bodies.from_vertices(recorded["in_head_vs"], recorded["in_hand_vs"])
    assert posed.decaf_keypoints is None
    assert close(posed.head, recorded["mesh_head_verts"]) and close(posed.hand, recorded["mesh_hand_verts"])
    assert close(posed.landmarks, recorded["mesh_head_lmk68"])
    assert close(posed.openpose_keypoints, recorded["mesh_hand_joints21"])
    deformed = posed.head + golden_bodies.displacement(recorded["in_deformations"])
    assert close(deformed, recorded["mesh_head_verts_deformed"])
    assert close(on_screen(posed.landmarks, recorded["in_camera"]), recorded["screen_mesh_head_lmk68"], PIXELS)
    points = on_screen(posed.openpose_keypoints, recorded["in_camera"])
    assert close(points, recorded["screen_mesh_hand_joints21"], PIXELS)


def test_golden_keypoints_of_the_network(golden):
    """They move with the head's mean, as everything does."""
    recorded = golden("infer_chain")
    for part in ("head", "hand"):
        assert close(centred(recorded[f"in_{part}_kps"], recorded["in_head_vs"]), recorded[f"{part}_kps"])


def test_golden_camera_and_post_processing_of_the_network(goldens: Path, golden_bodies: Bodies):
    """The other folder's records of the same steps."""
    network = goldens.parent / "dice-network"
    with np.load(network / "camera.npz") as camera:
        for end in ("", "_b"):
            points = camera[f"points{end}"].astype(np.float64)
            found = on_screen(points, camera[f"cam_param{end}"].astype(np.float64))
            assert close(found, camera[f"screen_224{end}"], PIXELS)
    with np.load(network / "postprocess.npz") as archive:
        recorded = {name: archive[name] for name in archive.files}
    head = rigid(*(recorded[f"in_{name}"] for name in ("flame_verts", "face_rot", "face_transl")))
    assert close(head, recorded["head_transformed"])
    deformable = np.ones((5023, 1))
    deformable[recorded["neck_idx"]] = 0
    displacement = replace(golden_bodies, deformable=deformable).displacement(recorded["in_deform"])
    assert close(-displacement, recorded["deform_zeroed"])
    posed = golden_bodies.from_vertices(head, recorded["in_hand_verts"])
    assert close(posed.head, recorded["head_centred"]) and close(posed.hand, recorded["hand_centred"])
    assert close(posed.head + displacement, recorded["head_deformed"])
    straight = golden_bodies.from_vertices(recorded["in_np_head"], recorded["in_np_hand"])
    assert close(straight.head, recorded["np_head_centred"]) and close(straight.hand, recorded["np_hand_centred"])
    for part in ("head", "hand"):
        joints = centred(recorded[f"in_np_{part}_joints"], recorded["in_np_head"])
        assert close(joints, recorded[f"np_{part}_joints_centred"])
    vertices = np.zeros((2, 778, 3))
    vertices[:, DECAF_TIPS] = recorded["in_hand_joints"][:, 16:]
    joints = decaf_keypoints(vertices, recorded["in_hand_joints"][:, :16])
    assert close(joints, recorded["hand_joints_tip_shortened"])
    assert close(centred(joints, head), recorded["hand_joints_centred"])


def test_golden_templates_and_levels(golden, golden_bodies):
    recorded = golden("keypoints_and_sampling")
    templates = golden_bodies.templates()
    assert close(templates.hand_joints, recorded["hand_ref_joints21"][0])
    assert close(templates.head_joints, recorded["head_ref_lmk68"][0])
    assert close(templates.hand_verts, recorded["hand_ref_down_195"][0])
    assert close(templates.head_verts, recorded["head_ref_down_559"][0])
    assert {array.dtype for array in templates} == {np.dtype(np.float32)}
    head, hand = golden_bodies.head_levels, golden_bodies.hand_levels
    assert close(head.coarser(recorded["head_in"], 1), recorded["head_down_1675"], 1e-12)
    assert close(head.coarser(recorded["head_in"], 2), recorded["head_down_559"], 1e-12)
    assert close(hand.coarser(recorded["hand_in"], 1), recorded["hand_down_195"], 1e-12)
    assert close(head.finer(recorded["head_down_559"], 2), recorded["head_up_5023_from_559"], 1e-12)
    assert close(hand.finer(recorded["hand_down_195"], 1), recorded["hand_up_778_from_195"], 1e-12)


def test_golden_weights_of_deformation(golden, goldens: Path):
    weights = softness_weights(np.load(goldens / "stiffness_final.npy"))
    expected = golden("infer_chain")["deform_weight_mask"][..., 0]
    assert np.abs(weights / expected - 1).max() < 1e-6


def test_golden_rims(golden_bodies):
    assert [len(rim) for rim in rims(golden_bodies.mano.faces)] == [16]
    assert [len(rim) for rim in rims(golden_bodies.flame.faces)] == [60]


def parameters(count: int) -> SimpleNamespace:
    random = np.random.default_rng(count)
    sizes = {"rh_betas": 10, "rh_transl": 3, "rh_rot": 3, "rh_pose": 45}
    sizes |= {"face_shape": 100, "face_exp": 50, "face_pose": 6, "face_rot": 3, "face_transl": 3}
    return SimpleNamespace(**{name: 0.3 * random.normal(size=(count, size)) for name, size in sizes.items()})


@pytest.mark.parametrize("count", [1, 4])
def test_everything_is_centred_on_the_head(bodies: Bodies, count: int):
    p = parameters(count)
    posed = bodies.from_parameters(p)
    assert np.abs(posed.head.mean(1)).max() < 1e-12
    hand, _ = bodies.mano.pose(p.rh_betas, p.rh_rot, p.rh_pose, p.rh_transl)
    shift = posed.hand - hand
    assert np.ptp(shift, axis=1).max() < 1e-12, "the hand is moved, not changed"
    again = bodies.from_vertices(posed.head + [[[1, 2, 3]]], posed.hand + [[[1, 2, 3]]])
    assert close(again.head, posed.head, 1e-12) and close(again.hand, posed.hand, 1e-12)
    assert close(again.landmarks, posed.landmarks, 1e-12)


def test_deformation_is_to_be_added_and_none_at_the_neck(bodies: Bodies):
    deformation = np.random.default_rng(0).normal(size=(2, 5023, 3))
    displacement = bodies.displacement(deformation)
    neck = np.arange(300, 500)
    assert not displacement[:, neck].any()
    rest = np.setdiff1d(np.arange(5023), neck)
    assert np.array_equal(displacement[:, rest], -deformation[:, rest])


def test_the_camera_s_scale_is_never_negative():
    scale, shift = orthographic(np.array([[-2.0, 5, 6], [0.5, 7, 8]]))
    assert scale.tolist() == [20, 5] and shift.tolist() == [[5, 6], [7, 8]]


def test_levels_of_the_made_up_bodies(bodies: Bodies):
    """There a coarse vertex is a fine one, so that going down after going up changes nothing."""
    coarse = np.random.default_rng(0).normal(size=(2, 559, 3))
    fine = bodies.head_levels.finer(coarse, 2)
    assert fine.shape == (2, 5023, 3) and np.array_equal(bodies.head_levels.coarser(fine, 2), coarse)
    assert bodies.head_levels.coarser(fine, 1).shape == (2, 1675, 3)


def test_what_is_missing_is_said(made_up: Path, tmp_path: Path):
    convert([made_up / "generic_model.pkl", made_up / "neck_idx.npy"], tmp_path)
    with pytest.raises(NotInstalled, match="68 landmarks"):
        Bodies.load(tmp_path)


def ball(count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """(V, 3), (F, 3) of a unit ball, wound outward."""
    points = np.random.default_rng(0).normal(size=(count, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    faces = ConvexHull(points).simplices
    a, b, c = points[faces].transpose(1, 0, 2)
    inward = (np.cross(b - a, c - a) * a).sum(1) < 0
    faces[inward] = faces[inward][:, ::-1]
    return points, faces


def volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    a, b, c = vertices[faces].transpose(1, 0, 2)
    return float((np.cross(a, b) * c).sum() / 6)


def test_closing_a_ball_with_holes():
    points, faces = ball()
    assert rims(faces) == []
    centres = points[faces].mean(1)
    holes = [[0.0, 0, 1], [1, 0, 0], [0, -1, 0]]
    opened = faces[~np.any([centres @ hole > 0.9 for hole in holes], axis=0)]
    loops = rims(opened)
    assert len(loops) == 3
    for loop in loops:
        assert len(set(loop)) == len(loop)
        assert max((points[loop] @ hole).min() for hole in np.array(holes)) > 0.7, "it lies about one of the holes"
    whole, triangles = closed(points, opened)
    assert rims(triangles) == [] and len(whole) == len(points) + 3
    assert 0.85 * volume(points, faces) < volume(whole, triangles) < volume(points, faces)
    assert np.array_equal(whole[: len(points)], points) and np.array_equal(triangles[: len(opened)], opened)


def test_pieces_come_largest_first():
    points, faces = ball()
    few = np.array([[0, 1, 2], [2, 1, 3]])
    small, large = few, faces + 4
    found = pieces(np.vstack([small[:1], large, small[1:], [[len(points) + 4, len(points) + 5, len(points) + 6]]]))
    assert [len(piece) for piece in found] == [len(faces), 2, 1]
    assert np.array_equal(found[0], large) and np.array_equal(found[1], small)


def test_golden_heads_are_of_three_pieces(golden_bodies):
    assert len(pieces(golden_bodies.mano.faces)) == 1
    assert len(pieces(golden_bodies.flame.faces)) == 3


def test_two_holes_that_meet_in_a_vertex():
    """Faces 0 1 2 and 0 3 4 share vertex 0 and nothing else: each has a rim of its own."""
    loops = rims(np.array([[0, 1, 2], [0, 3, 4]]))
    assert sorted(sorted(loop.tolist()) for loop in loops) == [[0, 1, 2], [0, 3, 4]]
