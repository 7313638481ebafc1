# SPDX-License-Identifier: GPL-3.0-or-later
"""The bones of results: what they hold up is the mesh, they lie where joints are, and turn what they are named for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from dice_core.body.openbody import EYEBALL, HAND_PARAMETERS, IDENTITIES, POSE, SHAPES, SKIN, hand_model, head_model
from dice_core.body.openbones import hand_skeleton, head_skeleton
from dice_core.body.skinning import shares
from dice_core.types import Capture, Frame, Hand, Skeleton, silent

FINGERS = ("thumb", "f_index", "f_middle", "f_ring", "f_pinky")
MICROMETRE = 1e-6


def posed(skeleton: Skeleton, rest: NDArray) -> NDArray:
    """(V, 3) as the documentation says it."""
    at = np.c_[rest, np.ones(len(rest))]
    return np.einsum("vb,bij,vj->vi", *map(np.float64, (skeleton.weights, skeleton.transforms)), at)[:, :3]


def turned(skeleton: Skeleton, bone: str, angle: float, axis: NDArray) -> Skeleton:
    """At rest, but for one bone and what hangs on it."""
    index, transforms = skeleton.names.index(bone), np.tile(np.eye(4), (len(skeleton.names), 1, 1))
    below = {index}
    for child, parent in enumerate(skeleton.parents):
        below |= {child} if parent in below else set()
    turn, pivot = Rotation.from_rotvec(angle * np.asarray(axis)).as_matrix(), skeleton.joints[index]
    transforms[list(below), :3, :3], transforms[list(below), :3, 3] = turn, pivot - turn @ pivot
    return replace(skeleton, transforms=np.float32(transforms))


def open_rest(hand: Hand, capture: Capture) -> NDArray:
    model = hand_model(hand.side)
    return model.mean + np.tensordot(capture.params[f"hand_{hand.side}_betas"], model.shape, 1)


@pytest.fixture(scope="module", params=["right", "left"])
def capture(request, open_engine, sample_frame: Frame) -> Capture:
    """The sample, and the sample in a mirror."""
    pixels = sample_frame.pixels[:, :: 1 if request.param == "right" else -1]
    frame = replace(sample_frame, pixels=np.ascontiguousarray(pixels))
    found = open_engine.capture(frame, request.param, silent)
    assert [hand.side for hand in found.hands] == [request.param]
    return found


def test_bones_hold_up_the_open_meshes(capture):
    head, (hand,) = capture.head, capture.hands
    person = head_model().vertices(capture.params["head_identity"], capture.params["head_expression"])
    assert np.abs(posed(head.skeleton, person) - head.vertices).max() < MICROMETRE
    assert np.abs(posed(hand.skeleton, open_rest(hand, capture)) - hand.vertices).max() < MICROMETRE
    assert np.ptp(hand.skeleton.transforms[:, :3, :3], axis=0).max() > 0.1, "the fingers are bent"


def test_bones_of_the_open_hand_are_its_joints(capture):
    (hand,) = capture.hands
    end = {"right": ".R", "left": ".L"}[hand.side]
    at = dict(zip(hand.skeleton.names, posed_joints(hand.skeleton), strict=True))
    assert len(at) == 20 and all(name.endswith(end) for name in at)
    assert np.allclose(at[f"hand{end}"], hand.joints[0], atol=MICROMETRE)
    for finger, name in enumerate(FINGERS):
        for bone in range(3):
            joint = hand.joints[1 + 4 * finger + bone]
            assert np.allclose(at[f"{name}.{bone + 1:02}{end}"], joint, atol=MICROMETRE)
    assert np.abs(hand.skeleton.joints[0]).max() == 0, "at rest the wrist is the origin"


def posed_joints(skeleton: Skeleton) -> NDArray:
    return np.einsum("bij,bj->bi", skeleton.transforms, np.c_[skeleton.joints, np.ones(len(skeleton.joints))])[:, :3]


def test_bones_hang_together(capture):
    """A child's joint is carried by its parent to where the child has it; palms lie on the way to their fingers."""
    for skeleton in (capture.head.skeleton, capture.hands[0].skeleton):
        by_parent = skeleton.transforms[skeleton.parents]
        carried = np.einsum("bij,bj->bi", by_parent, np.c_[skeleton.joints, np.ones(len(skeleton.joints))])[:, :3]
        assert np.allclose(carried[1:], posed_joints(skeleton)[1:], atol=MICROMETRE)
        turns = skeleton.transforms[:, :3, :3]
        assert np.allclose(turns @ turns.transpose(0, 2, 1), np.eye(3), atol=1e-5) and np.linalg.det(turns).min() > 0
    names, parents = capture.hands[0].skeleton.names, capture.hands[0].skeleton.parents
    up = {name[:-2]: names[parent][:-2] for name, parent in zip(names[1:], parents[1:], strict=True)}
    for number, finger in enumerate(FINGERS[1:], 1):
        assert up[f"{finger}.03"] == f"{finger}.02" and up[f"{finger}.02"] == f"{finger}.01"
        assert up[f"{finger}.01"] == f"palm.{number:02}" and up[f"palm.{number:02}"] == "hand"
    assert up["thumb.01"] == "hand"


@pytest.mark.parametrize("side", ["right", "left"])
def test_any_pose_of_the_open_hand(side):
    random, model = np.random.default_rng(3), hand_model(side)
    parameters = random.normal(0, 0.4, (4, HAND_PARAMETERS))
    for one in parameters:
        rest = model.mean + np.tensordot(one[6 : 6 + SHAPES], model.shape, 1)
        assert np.abs(posed(hand_skeleton(model, one), rest) - model.pose(one[None])[0][0]).max() < MICROMETRE
    assert np.abs(parameters[:, POSE]).max() > 1


def person(seed: int) -> tuple[NDArray, NDArray, Skeleton]:
    """Identity, rest vertices without expression, bones."""
    identity = np.random.default_rng(seed).normal(size=IDENTITIES)
    rest = head_model().vertices(identity, np.zeros(52))
    return identity, rest, head_skeleton(identity, np.zeros(3), np.zeros(3))


@pytest.mark.parametrize("seed", range(3))
def test_eyes_turn_about_their_own_middle(seed):
    """A sphere fitted to each eyeball of a random person has its middle at the bone; the ball turns as a whole."""
    model, (_, rest, skeleton) = head_model(), person(seed)
    for name, side in (("eye.L", 1), ("eye.R", -1)):
        ball = np.flatnonzero((model.part == EYEBALL) & (side * model.mean[:, 0] > 0))
        joint = skeleton.joints[skeleton.names.index(name)]
        fit = least_squares(lambda x, ball=ball: np.linalg.norm(rest[ball] - x[:3], axis=1) - x[3], [*joint, 0.012])
        assert np.linalg.norm(fit.x[:3] - joint) < 5e-4 and 0.01 < fit.x[3] < 0.02
        moved = np.linalg.norm(posed(turned(skeleton, name, 0.4, [0, 1, 0]), rest) - rest, axis=1)
        assert np.abs(np.linalg.norm(posed(turned(skeleton, name, 0.4, [0, 1, 0]), rest)[ball] - joint, axis=1)
                      - np.linalg.norm(rest[ball] - joint, axis=1)).max() < MICROMETRE  # fmt: skip
        assert moved[model.part != EYEBALL].max() < 1e-3 and moved[ball].max() > 5e-3


@pytest.mark.parametrize("seed", range(3))
def test_the_jaw_opens_like_a_jaw(seed):
    """Twenty degrees do what the action jawOpen does, which somebody else modelled, and leave the face above alone."""
    model, (_, rest, skeleton) = head_model(), person(seed)
    moved = posed(turned(skeleton, "jaw", np.radians(20), [1, 0, 0]), rest) - rest
    opened = model.expression[model.expression_names.index("jawOpen")]
    skin = model.part == SKIN
    chin = skin & (np.linalg.norm(opened, axis=1) > 0.8 * np.linalg.norm(opened[skin], axis=1).max())
    assert np.linalg.norm((moved - opened)[chin], axis=1).mean() < 0.35 * np.linalg.norm(opened[chin], axis=1).mean()
    lips = rest[model.triangles[[13, 14], 0]], (rest + moved)[model.triangles[[13, 14], 0]]
    assert (lips[1] - lips[0])[1, 1] - (lips[1] - lips[0])[0, 1] > 0.015, "the lower lip sinks, the upper one stays"
    above = rest[:, 1] < skeleton.joints[skeleton.names.index("eye.L"), 1] + 0.015
    assert above.sum() > 1000 and np.linalg.norm(moved[above], axis=1).max() < 1e-3


@pytest.mark.parametrize("seed", range(3))
def test_head_joints_lie_in_this_persons_head(seed):
    _, rest, skeleton = person(seed)
    at, low, high = dict(zip(skeleton.names, skeleton.joints, strict=True)), rest.min(0), rest.max(0)
    assert all((low < joint).all() and (joint < high).all() for joint in at.values())
    assert at["neck"][1] > 0.05 > at["jaw"][1] > at["eye.L"][1] and np.abs(at["head"]).max() == 0
    assert at["eye.L"][0] > 0.02 > -0.02 > at["eye.R"][0] and at["eye.L"][2] < at["jaw"][2] < 0


def test_shares_are_exact():
    weights = np.random.default_rng(0).dirichlet(np.full(16, 0.3), 1000)
    rounded = shares(weights)
    assert (rounded.astype(np.float64).sum(1) == 1).all() and rounded.min() >= 0
    assert np.abs(rounded - weights).max() < 1e-4 and np.array_equal(shares(rounded), rounded)
