# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of the hand lie where a hand has them."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from dice_core.body.openbody import HAND_PARAMETERS, POSE, hand_model
from dice_core.interaction.parts import FINGERS, PARTS, patches
from dice_core.types import SIDES


@pytest.mark.parametrize("side", SIDES)
def test_every_part_is_a_patch_and_pads_do_not_overlap(side):
    found = patches(side)
    assert set(found) == set(PARTS)
    assert all(20 <= len(patch) <= 200 and len(np.unique(patch)) == len(patch) for patch in found.values())
    pads = np.concatenate([found[name] for name in FINGERS])
    assert len(np.unique(pads)) == len(pads)


def test_the_left_hand_is_the_mirror_of_the_right():
    assert all(np.array_equal(patches("right")[name], patches("left")[name]) for name in PARTS)


@pytest.mark.parametrize("name", FINGERS)
def test_a_closing_finger_moves_pad_first(name):
    """Bending its joints moves the pad the way that it faces, and the nail backwards."""
    model, finger = hand_model("right"), FINGERS.index(name)
    bent = np.zeros((1, HAND_PARAMETERS))
    bent[0, POSE].reshape(5, 9)[finger, 1::3] = 0.1
    moved = model.pose(bent)[0][0] - model.mean
    facing = trimesh.Trimesh(model.mean, model.faces, process=False).vertex_normals
    along = (moved * facing).sum(1)
    pad = patches("right")[name]
    segment = np.flatnonzero(model.weights[:, model.fingers[3 * finger + 2]] > 0.6)
    assert along[pad].mean() > 0.001 and along[np.setdiff1d(segment, pad)].mean() < 0


def test_knuckles_lie_opposite_to_the_palm():
    model, found = hand_model("right"), patches("right")
    joints = model.keypoints(np.zeros((1, HAND_PARAMETERS)))[0]
    palmar = np.cross(joints[5] - joints[0], joints[17] - joints[0])
    middle = joints[[6, 10, 14, 18]].mean(0)
    height = {name: ((model.mean[patch] - middle) @ palmar).mean() for name, patch in found.items()}
    assert height["knuckles"] < 0 and height["fist"] < height["palm"]
    along = joints[9] - joints[0]
    reach = {name: ((model.mean[patch] - joints[0]) @ along).mean() for name, patch in found.items()}
    assert reach["heel"] < reach["palm"] < reach["fist"] < reach["knuckles"] < reach["middle"]
