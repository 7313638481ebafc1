# SPDX-License-Identifier: GPL-3.0-or-later
"""Contact that is said brought about: balls that float before a ball or are inside it, where the answer is known."""

from __future__ import annotations

from functools import lru_cache

import igl
import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from dice_core.body.openbody import TONGUE, head_model
from dice_core.interaction.distance import Surface
from dice_core.interaction.fix import LEFT, PRESS, Claim, Fixed, Motion, SoftHead, fix

RADIUS, SMALL = 0.1, 0.02
MIDDLE = np.array([0, 0, 0.6])
FRONT, SIDE, SLANT = np.array([0, 0, -1.0]), np.array([1.0, 0, 0]), np.array([0.6, 0, -0.8])
NEAR = 0.006


@lru_cache
def sphere(level: int, radius: float) -> trimesh.Trimesh:
    return trimesh.creation.icosphere(level, radius)


def head_of(*eyes: tuple[np.ndarray, float], still: float = -1.0) -> SoftHead:
    """A ball, open at the bottom as at a neck, `still` the height below which it never moves; with hard balls in it."""
    ball = sphere(5, RADIUS)
    faces = ball.faces[(ball.vertices[ball.faces][..., 1] < 0.95 * RADIUS).all(1)]
    vertices, triangles = [ball.vertices + MIDDLE], [faces]
    for index, (middle, radius) in enumerate(eyes):
        eye = sphere(3, radius)
        triangles.append(eye.faces + len(ball.vertices) + index * len(eye.vertices))
        vertices.append(eye.vertices + middle)
    points = np.vstack(vertices)
    return SoftHead(points, np.vstack(triangles), points[:, 1] > -still, np.full(len(points), 0.3))


def hand_at(direction: np.ndarray, gap: float, shift: np.ndarray | float = 0.0) -> Claim:
    """A ball in that direction of the head, said to touch where it is nearest; `shift` moves it and what is said."""
    ball, nearest = sphere(3, SMALL), MIDDLE + direction * (RADIUS + gap)
    vertices = ball.vertices + nearest + direction * SMALL
    said = np.where(np.linalg.norm(vertices - nearest, axis=1) < NEAR, 0.9, 0.1)
    return Claim(vertices + shift, ball.faces, said)


def said_of(head: SoftHead, direction: np.ndarray) -> np.ndarray:
    return np.where(np.linalg.norm(head.vertices - MIDDLE - RADIUS * direction, axis=1) < NEAR, 0.9, 0.1)


def fixed(direction: np.ndarray, gap: float, head: SoftHead | None = None) -> tuple[Fixed, np.ndarray, np.ndarray]:
    """The result, and the ball before and after."""
    head, hand = head or head_of(), hand_at(direction, gap)
    result = fix(head, said_of(head, direction), [hand])
    return result, hand.vertices, result.motions[0](hand.vertices)


def height(ball: np.ndarray) -> float:
    """Millimetres between a ball and the head's ball, negative inside, by their middles."""
    return 1000 * (np.linalg.norm(ball.mean(0) - MIDDLE) - RADIUS - SMALL)


def left(head: SoftHead, result: Fixed, ball: np.ndarray) -> float:
    """Millimetres by which the deepest vertex is inside the skin as it has become, by another library."""
    inside = igl.SIGNED_DISTANCE_TYPE_FAST_WINDING_NUMBER
    found = igl.signed_distance(ball, head.vertices + result.deformation, head.faces, sign_type=inside)
    return -1000 * min(0.0, float(found[0].min()))


@pytest.mark.parametrize("direction", [FRONT, SLANT, SIDE], ids=["front", "slant", "side"])
@pytest.mark.parametrize("gap", [0.01, 0.025, 0.0, -0.01], ids=["10mm", "25mm", "touching", "inside"])
def test_it_touches_afterwards(direction, gap):
    head = head_of()
    result, before, after = fixed(direction, gap, head)
    assert -1000 * PRESS < height(after) < (1 if direction is FRONT else 6 if gap == 0.025 else 3)
    assert left(head, result, after) <= 1000 * LEFT
    moved = (after - before).mean(0)
    if direction is FRONT:
        assert np.abs(moved[:2]).max() < 0.0003 and moved[2] == pytest.approx(gap, abs=0.001), "along the line of sight"
    if direction is SLANT:
        assert np.abs(moved[:2]).max() < 0.6 * abs(moved[2]) + 0.001, "pixels change little"
    nearest = np.linalg.norm(head.vertices - MIDDLE - RADIUS * direction, axis=1).argmin()
    if direction is not SIDE:
        assert result.head_contact[nearest] > 0.5 and result.hand_contacts[0].max() > 0.5
    assert result.head_contact[(head.vertices - MIDDLE) @ direction < 0].max() == 0
    assert np.allclose(np.linalg.norm(after - after.mean(0), axis=1), SMALL, atol=1e-6), "it stays a ball"


def test_pressed_in_skin_gives_way():
    """Only where it is pressed, never the neck."""
    head = head_of(still=-0.09)
    result, _, after = fixed(FRONT, -0.003, head)
    length = np.linalg.norm(result.deformation, axis=1)
    assert result.deformation.dtype == np.float32 and not result.deformation[head.vertices[:, 1] > 0.09].any()
    assert length.max() == pytest.approx(max(0, -height(after)) / 1000, abs=0.0005)
    assert not length[np.linalg.norm(head.vertices - MIDDLE - RADIUS * FRONT, axis=1) > 0.07].any()


def test_what_does_not_give_way_is_left():
    """All of the skin is still, or an eye lies there: the ball backs off along the line of sight."""
    for head in (head_of(still=1.0), head_of((MIDDLE + 0.089 * FRONT, 0.015))):
        hand = hand_at(FRONT, -0.01)
        wrong = Claim(hand.vertices, hand.faces, np.roll(hand.contact, 200))  # said of another side of it
        result = fix(head, np.zeros(len(head.vertices)), [wrong])
        after = result.motions[0](hand.vertices)
        assert left(head, result, after) <= 1000 * LEFT
        assert not result.deformation[~head.flesh.movable].any()


def test_a_ball_deep_inside_comes_out_towards_the_camera():
    head = head_of()
    hand = hand_at(FRONT, -0.05)
    result = fix(head, np.zeros(len(head.vertices)), [hand])
    after = result.motions[0](hand.vertices)
    assert left(head, result, after) <= 1000 * LEFT and -1000 * PRESS < height(after) < 1
    assert after.mean(0)[2] < hand.vertices.mean(0)[2] - 0.045


@pytest.mark.slow
@pytest.mark.parametrize("away", [-0.03, -0.01, 0.01, 0.02, 0.04])
def test_a_hand_comes_back_to_a_face(away, sample_capture):
    """What the open engine found in the sample, moved along the line of sight; its contact is what is said."""
    model, head, hand = head_model(), sample_capture.head, sample_capture.hands[0]
    soft = SoftHead(head.vertices, model.faces[(model.part[model.faces] != TONGUE).all(1)],
                    np.isin(np.arange(len(model.mean)), model.neck_rim), model.softness)  # fmt: skip
    moved = hand.vertices + [0, 0, away]
    result = fix(soft, head.contact, [Claim(moved, hand.faces, hand.contact)])
    after = result.motions[0](moved)
    assert len(soft.surfaces) == 3, "skin and eyeballs"
    assert np.linalg.norm(after - hand.vertices, axis=1).mean() < 0.002
    assert np.linalg.norm(after - moved, axis=1)[hand.contact < 0.5].mean() == pytest.approx(abs(away), abs=0.002)
    assert left(soft, result, after) <= 1000 * LEFT
    assert (result.hand_contacts[0] > 0.5)[hand.contact > 0.5].mean() > 0.75


def test_two_hands_go_each_to_its_own_place():
    head = head_of()
    one, other = SLANT, SLANT * [-1, 1, 1]
    hands = [hand_at(one, 0.012), hand_at(other, -0.008)]
    result = fix(head, np.maximum(said_of(head, one), said_of(head, other)), hands)
    for direction, hand, motion, contact in zip((one, other), hands, result.motions, result.hand_contacts, strict=True):
        after = motion(hand.vertices)
        away = np.linalg.norm(after.mean(0) - MIDDLE - (RADIUS + SMALL) * direction)
        assert away < 0.009, "12 mm off, along the line of sight, it meets the head 7.2 mm beside that"
        assert left(head, result, after) <= 1000 * LEFT and contact.max() > 0.5
        assert result.head_contact[np.linalg.norm(head.vertices - MIDDLE - RADIUS * direction, axis=1).argmin()] > 0.5


def test_what_is_said_of_the_head_draws_too():
    """A ball too far to one side comes some of the way back, for it costs something in the picture."""
    head, hand = head_of(), hand_at(FRONT, 0.01, np.array([0.015, 0, 0]))
    drawn, free = (fix(head, said, [hand]).motions[0](hand.vertices).mean(0)[0] for said in
                   (said_of(head, FRONT), np.zeros(len(head.vertices))))  # fmt: skip
    assert 0 < drawn < free - 0.001


def test_only_what_is_likely_to_touch_is_said_to():
    hand = hand_at(FRONT, 0.01)
    assert hand.touches and not Claim(hand.vertices, hand.faces, 0.5 * hand.contact).touches


def test_a_motion_undone():
    random = np.random.default_rng(2)
    points = random.normal(size=(9, 3))
    motion = Motion(random.normal(size=3), Rotation.from_rotvec([0.3, -0.2, 0.9]).as_matrix(), random.normal(size=3))
    assert np.allclose(motion.undone(motion(points)), points) and np.allclose(motion(motion.undone(points)), points)
    assert np.allclose(motion(motion.pivot[None]), motion.pivot + motion.shift)


def test_every_hole_is_closed():
    """A ball with two holes has the ball's inside."""
    ball = sphere(4, RADIUS)
    faces = ball.faces[(np.abs(ball.vertices[ball.faces][..., 1]) < 0.95 * RADIUS).all(1)]
    head = SoftHead(ball.vertices, faces, np.zeros(len(ball.vertices), bool), np.zeros(len(ball.vertices)))
    assert isinstance(head.surfaces[0], Surface) and len(head.surfaces) == 1
    points = np.random.default_rng(0).uniform(-0.12, 0.12, (500, 3))
    length = np.linalg.norm(points, axis=1)
    sure = (np.abs(length - RADIUS) > 0.001) & (np.abs(points[:, 1]) < 0.9 * RADIUS)
    nearest = head.nearest(points)
    assert (np.sign(nearest.distance) == np.sign(length - RADIUS))[sure].all()
    assert nearest.on_cap[np.abs(points[:, 1]) > 0.9 * RADIUS].any() and not nearest.on_cap[(length < 0.11) & (
        length > 0.09) & (np.abs(points[:, 1]) < 0.05)].any()  # fmt: skip
