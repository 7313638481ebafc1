# SPDX-License-Identifier: GPL-3.0-or-later
"""The bones of the dice engine's results, with made-up bodies: they hold up its meshes, whatever was done to those."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="torch is not installed (install_deps.py --engine dice)")

from dice_core.body import flame, mano  # noqa: E402
from dice_core.body.skinned import SkinnedModel  # noqa: E402
from dice_core.body.skinning import rotation_matrices  # noqa: E402
from dice_core.engines import contact  # noqa: E402
from dice_core.engines.dice import FIX, DiceEngine  # noqa: E402
from dice_core.interaction.fix import Claim, Fixed, Motion, SoftHead  # noqa: E402
from dice_core.paths import models_dir  # noqa: E402
from dice_core.types import Capture, Skeleton, silent  # noqa: E402

from .test_dice_engine import CROP, flipped, touching, two_hands  # noqa: E402
from .test_skeleton import posed  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.slow]
UPRIGHT = {"right": np.array([1, -1, -1]), "left": np.array([-1, -1, -1])}  # a left hand's are in a mirror


@pytest.fixture(scope="module")
def engine(runtime, official_models) -> DiceEngine:
    return DiceEngine(models_dir(runtime), official_models)


def rest_of(model: SkinnedModel, betas: NDArray, angles: NDArray) -> NDArray:
    """(V, 3) of a body at rest with its pose correctives: SMPL's formula, term by term."""
    rest = model.template + sum(amount * by for amount, by in zip(betas, model.shapedirs, strict=True))
    turns = rotation_matrices(angles.reshape(-1, 3)) - np.eye(3)
    return rest + sum(amount * by for amount, by in zip(turns[1:].ravel(), model.posedirs, strict=True))


def check(capture: Capture, engine: DiceEngine, head_side: str) -> None:
    said = {name: value.astype(np.float64) for name, value in capture.params.items()}
    still, pose = np.zeros(3), said[f"{head_side}_face_pose"]
    angles = np.concatenate([pose[:3], still, pose[3:], still, still])
    betas = np.concatenate([said[f"{head_side}_face_shape"], said[f"{head_side}_face_exp"]])
    head = rest_of(engine.bodies.flame, betas, angles) * UPRIGHT[head_side]
    assert np.abs(posed(capture.head.skeleton, head) - capture.head.vertices).max() < 1e-5
    for hand in capture.hands:
        angles = np.concatenate([said[f"{hand.side}_rh_rot"], said[f"{hand.side}_rh_pose"]])
        rest = rest_of(engine.bodies.mano, said[f"{hand.side}_rh_betas"], angles) * UPRIGHT[hand.side]
        assert np.abs(posed(hand.skeleton, rest) - hand.vertices).max() < 1e-5
        assert {name[-2:] for name in hand.skeleton.names} == {".R" if hand.side == "right" else ".L"}
    for skeleton in (capture.head.skeleton, *(hand.skeleton for hand in capture.hands)):
        turns = skeleton.transforms[:, :3, :3].astype(np.float64)
        assert np.allclose(turns @ turns.transpose(0, 2, 1), np.eye(3), atol=1e-5)
        assert np.linalg.det(turns).min() > 0, "no bone is mirrored"
        assert (skeleton.weights.sum(1) == 1).all()


def eyes(skeleton: Skeleton) -> tuple[float, float]:
    at = dict(zip(skeleton.names, skeleton.joints, strict=True))
    return at["eye.L"][0], at["eye.R"][0]


def test_one_hand_of_either_side(engine, sample_frame):
    right = engine.capture(sample_frame, "right", silent, CROP)
    width = sample_frame.size[0]
    left = engine.capture(flipped(sample_frame), "left", silent, (width - CROP[0] - CROP[2], *CROP[1:]))
    for capture, side in ((right, "right"), (left, "left")):
        check(capture, engine, side)
        one, other = eyes(capture.head.skeleton)
        assert one > other, "the person's left eye is on the picture's right"
    mirror = np.array([-1.0, 1, 1])
    assert np.allclose(left.hands[0].skeleton.joints * mirror, right.hands[0].skeleton.joints, atol=1e-6)
    assert right.head.skeleton.names[3:] == left.head.skeleton.names[:2:-1], "its eyes change sides"


def test_both_hands_on_one_head(engine, sample_frame, monkeypatch):
    two_hands(engine, sample_frame, monkeypatch)
    touching(engine, monkeypatch, 0.9, 0.8)
    check(engine.capture(sample_frame, "both", silent, CROP), engine, "right")


def test_hands_that_were_moved_to_the_skin(engine, sample_frame, monkeypatch):
    """Whatever motion fixes a contact, the bones take part in it."""
    touching(engine, monkeypatch, 0.9)
    free = engine.capture(sample_frame, "right", silent, CROP)
    turn = rotation_matrices(np.array([0.1, 0.5, -0.2]))
    motion = Motion(free.hands[0].vertices[0], turn, np.array([0.01, 0.02, 0.03]))

    def fixed(head: SoftHead, said: NDArray, claims: list[Claim], search: bool) -> Fixed:
        return Fixed((motion,), np.zeros((flame.VERTICES, 3), np.float32), said, (claims[0].contact,))

    monkeypatch.setattr(contact, "fix", fixed)
    monkeypatch.setattr(engine, "softness", np.full(flame.VERTICES, 0.3))
    monkeypatch.setattr(engine, "stages", (*engine.stages, FIX))
    moved = engine.capture(sample_frame, "right", silent, CROP)
    assert np.abs(moved.hands[0].vertices - motion(free.hands[0].vertices)).max() < 1e-6
    assert np.abs(moved.hands[0].joints - motion(free.hands[0].joints)).max() < 1e-6
    check(moved, engine, "right")


def test_mano_names_follow_its_order():
    """By the order in which OpenPose counts, which the official code gives for MANO's joints."""
    counted = [mano.BONES[joint] for joint in mano.OPENPOSE_ORDER if joint < mano.JOINTS]
    fingers = ("thumb", "f_index", "f_middle", "f_ring", "f_pinky")
    assert counted == ["hand", *(f"{finger}.{bone:02}" for finger in fingers for bone in (1, 2, 3))]


def test_smplx_leaves_the_bones_alone(runtime, official_models, engine, sample_frame):
    pytest.importorskip("smplx", reason="smplx is not installed (install_deps.py --research)")
    other = DiceEngine(models_dir(runtime), official_models, body_layer="smplx")
    check(other.capture(sample_frame, "right", silent, CROP), engine, "right")


def test_the_capture_says_the_same_after_a_move(engine, sample_frame):
    """A hand turned and shifted is held up by its bones, turned and shifted."""
    (hand,) = engine.capture(sample_frame, "right", silent, CROP).hands
    turn = rotation_matrices(np.array([0.3, -0.8, 0.2]))
    moved = hand.moved(turn, np.array([0.1, 0.2, -0.05]))
    rest = np.random.default_rng(0).normal(size=hand.vertices.shape)
    expected = posed(hand.skeleton, rest) @ turn.T + [0.1, 0.2, -0.05]
    assert np.abs(posed(moved.skeleton, rest) - expected).max() < 1e-6
    assert replace(hand, skeleton=None).moved(turn, np.zeros(3)).skeleton is None
