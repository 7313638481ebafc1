# SPDX-License-Identifier: GPL-3.0-or-later
"""Who somebody is: which frames tell it, and that one bad frame does not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dice_core.body.openbody import IDENTITIES, head_model
from dice_core.fit.hand import SHAPE_MEAN
from dice_core.sequence.open_build import _contact_state
from dice_core.sequence.open_eyes import blank
from dice_core.sequence.open_motion import _corrected
from dice_core.sequence.person import acquainted, portraits
from dice_core.types import Camera

CAMERA = Camera((1000, 1000), matrix=np.float32([[1200, 0, 500], [0, 1200, 500], [0, 0, 1]]))


def nothing_seen(count: int) -> dict[str, np.ndarray]:
    seen = {f"{name}_{key}": np.zeros(count, kind) for name in ("face", "right", "left")
            for key, kind in (("seen", bool), ("score", float), ("glance_touch", float))}  # fmt: skip
    return seen | {"face_covered": np.zeros((count, 478), bool)}


def test_the_best_frames_of_each_part_of_the_clip():
    seen = nothing_seen(140)
    seen["face_seen"][:] = True
    seen["face_score"][:] = 0.5
    seen["face_score"][10::20] = 0.9  # one in each seventh
    seen["face_covered"][10] = True  # but there a hand is before it
    assert portraits(seen) == [0, *range(30, 140, 20)]
    seen["right_seen"][100:110] = True
    seen["right_score"][100:110] = np.linspace(0.5, 0.9, 10)
    assert {101, 103, 105, 106, 107, 108, 109} <= set(portraits(seen)), "a hand that is seldom there counts, too"
    seen["left_glance_touch"][77] = 0.8
    assert 77 in portraits(seen) and 77 not in portraits(seen | {"left_glance_touch": np.full(140, 0.4)})


def face_row(identity: np.ndarray, yaw: float, noise: float, seed: int) -> dict[str, np.ndarray]:
    model = head_model()
    rest = model.mean + np.tensordot(identity, model.identity, 1)
    vertices = Rotation.from_euler("y", yaw, degrees=True).apply(rest) + [0, 0, 0.6]
    points = CAMERA.project(model.landmarks(vertices)) + np.random.default_rng(seed).normal(0, noise, (478, 2))
    return blank() | {"face_seen": np.array(True), "face_points": points.astype(np.float32)}


def test_one_bad_frame_changes_nobody():
    """The middle of what the frames say, not the mean."""
    identity = np.zeros(IDENTITIES)
    identity[1:4] = 1.0
    good = [face_row(identity, yaw, 0.5, seed) for seed, yaw in enumerate((-10, -5, 0, 5, 10))]
    bad = face_row(-4 * identity, 0, 20.0, 9)
    alone, beside, other = (acquainted(rows, CAMERA)["head_identity"] for rows in (good, [*good, bad], [bad]))
    assert np.abs(other - alone).max() > 1.5
    assert np.abs(beside - alone).max() < 0.2
    assert alone[1:4].mean() > 0.3
    found = acquainted(good, CAMERA)
    assert np.array_equal(found["hand_right_betas"], found["hand_left_betas"])
    assert np.array_equal(found["hand_left_betas"], SHAPE_MEAN), "no hand was seen"


def test_a_hand_that_lets_go_does_not_jump():
    """By itself it would be twice as far away as where it touches."""
    times, free = np.arange(10) / 24, np.zeros((10, 55))
    free[:, 3:6] = [0.1, 0.0, 1.0]
    placed = np.full((10, 55), np.nan)
    placed[3:6] = free[3:6] * 0.5
    corrected = _corrected(times, free, placed)
    assert np.allclose(corrected[:, 3:6], [0.05, 0, 0.5])
    assert np.allclose(_corrected(times, free, np.full((10, 55), np.nan)), free), "one that never does stays"


@pytest.mark.parametrize(("right", "left", "state"), [
    ((0.9, 0.8), (0.1, 0.9), "touch"), ((0.0, 0.4), (0.0, 0.1), "unsure"), ((0.0, 0.1), (0.0, 0.2), "no-touch"),
    (None, (0.0, 0.2), "no-touch"), (None, None, "no-hand"),
])  # fmt: skip
def test_the_state_is_that_of_the_hand_that_touches_most(right, left, state):
    row = {"head_seen": np.array(True)}
    for side, hand in (("right", right), ("left", left)):
        weight, probability = hand or (0.0, 0.0)
        row |= {f"{side}_seen": np.array(hand is not None), f"{side}_weight": np.array(weight),
                f"{side}_probability": np.array(probability)}  # fmt: skip
    assert _contact_state(row, ["right", "left"], True)["contact_state"] == state
    assert _contact_state(row, ["right", "left"], False)["contact_state"] == "no-head"
