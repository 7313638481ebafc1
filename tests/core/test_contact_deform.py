# SPDX-License-Identifier: GPL-3.0-or-later
"""Contact and deformation where the answer is known: formulas, and balls pressed into the average head."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import trimesh
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from dice_core.body.openbody import EYEBALL, TONGUE, head_model
from dice_core.interaction.contact import contact_probability, mutual_contact, vertex_contact
from dice_core.interaction.deform import LIMIT, deformation, given_way
from dice_core.interaction.distance import Nearest, Surface
from dice_core.interaction.sheet import Skin, flesh_of

CHEEK, FOREHEAD, CHIN, NOSE, LIP = 50, 151, 152, 1, 14  # of the 478 landmarks; the cheek is the person's right one
MIRROR = np.array([-1.0, 1, 1])
SOLID = head_model().faces[(head_model().part[head_model().faces] != TONGUE).all(1)]


@lru_cache
def normals() -> np.ndarray:
    """Outward, by another library."""
    return np.array(trimesh.Trimesh(head_model().mean, head_model().faces, process=False).vertex_normals)


def ball(landmark: int, depth: float, radius: float = 0.02) -> Surface:
    """A ball pressed `depth` into the skin at a landmark; negative: that far away from it."""
    vertex = head_model().triangles[landmark, 0]
    return ball_at(head_model().mean[vertex] + normals()[vertex] * (radius - depth), radius)


def ball_at(center: np.ndarray, radius: float) -> Surface:
    sphere = trimesh.creation.icosphere(4, radius)
    return Surface(sphere.vertices + center, np.asarray(sphere.faces))


def press(*balls: Surface, vertices: np.ndarray | None = None) -> np.ndarray:
    model = head_model()
    vertices = model.mean if vertices is None else vertices
    return deformation(flesh_of(model), vertices, Surface(vertices, SOLID, model.neck_rim), balls)


def deepest(ball: Surface, moved: np.ndarray | float = 0.0) -> float:
    """Millimetres."""
    surface = Surface(head_model().mean + moved, SOLID, head_model().neck_rim)
    return -1000 * surface.nearest(ball.vertices).distance.min()


def test_the_probability_is_a_logistic_curve():
    """One half at 3 mm, and by the table of the logistic function 1.2, 2.4 and 3.6 mm to either side of it."""
    distance = np.array([0.003, 0.0018, 0.0042, 0.0006, 0.0066])
    assert contact_probability(distance) == pytest.approx([0.5, 0.731059, 0.268941, 0.880797, 0.0474259], abs=1e-5)
    assert contact_probability(np.array([-1.0, 1.0])) == pytest.approx([1, 0], abs=1e-12)
    steps = contact_probability(np.linspace(-0.02, 0.03, 100))
    assert (np.diff(steps) <= 0).all() and steps.dtype == np.float32 and np.isfinite(steps).all()


def test_the_cut_of_neck_and_wrist_touches_nothing():
    nearest = Nearest(np.zeros(2), np.zeros(2, int), np.zeros((2, 3)), np.zeros((2, 3)), np.array([True, False]))
    assert vertex_contact(nearest)[0] == 0 and vertex_contact(nearest)[1] > 0.9


def sphere_and_rim(center: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A ball with one face missing, as a hand that is open at the wrist."""
    sphere = trimesh.creation.icosphere(4, radius)
    vertices, faces = sphere.vertices + center, np.asarray(sphere.faces)
    far = np.argmax(vertices[faces].mean(1)[:, 1])
    return vertices, np.delete(faces, far, 0), faces[far]


def test_two_spheres_touch_where_they_are_near():
    """Every vertex's distance to the other sphere is known, and so is its contact."""
    one, other = np.zeros(3), np.array([0.0, 0, 0.0805])  # radii 50 and 30 mm: half a millimetre apart
    head, hand = sphere_and_rim(one, 0.05), sphere_and_rim(other, 0.03)
    skin = np.ones(len(head[0]), bool)
    on_head, on_hand = mutual_contact(Surface(*head), Surface(*hand), skin)
    expected = contact_probability(np.linalg.norm(head[0] - other, axis=1) - 0.03)
    assert on_head == pytest.approx(expected, abs=0.03)
    expected = contact_probability(np.linalg.norm(hand[0] - one, axis=1) - 0.05)
    assert on_hand == pytest.approx(expected, abs=0.03)
    assert on_head.max() > 0.85 and on_hand.max() > 0.85 and on_head[head[0][:, 2] < 0].max() == 0


def test_what_is_no_skin_is_not_touched():
    head, hand = sphere_and_rim(np.zeros(3), 0.05), sphere_and_rim(np.array([0.0, 0, 0.079]), 0.03)
    left = head[0][:, 0] < 0
    on_head, _ = mutual_contact(Surface(*head), Surface(*hand), left)
    assert on_head[~left].max() == 0 and on_head[left].max() > 0.9


@pytest.mark.parametrize("landmark", [CHEEK, FOREHEAD, NOSE])
@pytest.mark.parametrize("gap", [0.0002, 0.002, 0.1])
def test_nothing_moves_without_penetration(landmark, gap):
    """Not a little: nothing."""
    moved = press(ball(landmark, -gap))
    assert moved.dtype == np.float32 and moved.shape == head_model().mean.shape
    assert not moved.any()


PRESSED = [(CHEEK, 0.003, 0.01), (CHEEK, 0.006, 0.01), (CHEEK, 0.005, 0.02), (CHEEK, 0.01, 0.03),
           (FOREHEAD, 0.003, 0.02), (CHIN, 0.004, 0.02), (NOSE, 0.005, 0.02)]  # fmt: skip


@pytest.mark.parametrize("landmark, depth, radius", PRESSED)
def test_a_ball_pressed_into_the_skin(landmark, depth, radius):
    """The skin gives way inward by the depth of the ball (metres), rests on it, and bulges hardly at all beside it.

    Measured: 0.2 mm of the ball at most stay in the skin; beside it the skin rises by 0.5 mm at most, on average it
    sinks.
    """
    model, points = head_model(), ball(landmark, depth, radius)
    moved = press(points)
    along = (moved * normals()).sum(1)
    vertex = model.triangles[landmark, 0]
    assert deepest(points) > 0.85 * 1000 * depth
    assert deepest(points, moved) < 0.5
    assert -1.35 * depth < along[vertex] < -0.85 * depth
    assert along.max() < 0.0015
    assert along.sum() < 0
    assert np.linalg.norm(moved, axis=1).max() <= LIMIT + 1e-6


def test_what_is_far_or_no_skin_stays():
    model, points = head_model(), ball(CHEEK, 0.006)
    moved = press(points)
    away = np.linalg.norm(model.mean - points.vertices.mean(0), axis=1)
    assert (away > 0.08).sum() > 2000 and not moved[away > 0.08].any()
    assert moved[away < 0.03].any()
    assert not moved[np.isin(model.part, (EYEBALL, TONGUE))].any()
    assert not moved[model.neck_rim].any()


def test_a_ball_on_the_eye_moves_no_eyeball():
    model = head_model()
    eye = model.mean[(model.part == EYEBALL) & (model.mean[:, 0] < 0)]
    front = eye[eye[:, 2].argmin()]
    moved = press(ball_at(front - [0, 0, 0.011], 0.015))
    assert moved.any() and not moved[model.part == EYEBALL].any()


def test_the_left_cheek_gives_way_as_the_right_one():
    """The average head is symmetric to 0.3 mm, so both sides agree to a tenth. Measured 0.17 mm, 3 %."""
    model, points = head_model(), ball(CHEEK, 0.005)
    right, left = press(points), press(Surface(points.vertices * MIRROR, points.faces[:, ::-1]))
    partner = cKDTree(model.mean).query(model.mean * MIRROR)[1]
    difference = right - left[partner] * MIRROR
    assert np.linalg.norm(right) > 0.005
    assert np.linalg.norm(difference) < 0.1 * np.linalg.norm(right)
    assert np.abs(difference).max() < 0.0004


def test_the_head_may_stand_anywhere():
    """Turned and moved, the dent turns with it."""
    model, points = head_model(), ball(CHEEK, 0.005)
    turn, shift = Rotation.from_rotvec([0.4, -1.0, 0.3]), np.array([0.1, -0.2, 0.7])
    turned = Surface(turn.apply(points.vertices) + shift, points.faces)
    there = press(turned, vertices=turn.apply(model.mean) + shift)
    assert there == pytest.approx(turn.apply(press(points)), abs=2e-5)


def test_two_fingers_make_two_dents():
    both = press(ball(CHEEK, 0.003, 0.01), ball(FOREHEAD, 0.003, 0.01))
    alone = press(ball(CHEEK, 0.003, 0.01)) + press(ball(FOREHEAD, 0.003, 0.01))
    assert both == pytest.approx(alone, abs=2e-4)


def test_places_that_are_pressed_at_once_do_not_take_turns():
    """Three fingers side by side slide over the cheek; in each frame the skin leaves all of them. Measured 0.19 mm, and
    0.9 mm while every round only knew what was in the skin at its start."""
    model, normal = head_model(), normals()[head_model().triangles[CHEEK, 0]]
    skin, head = Skin(flesh_of(model), model.mean), Surface(model.mean, SOLID, model.neck_rim)
    start = model.mean[model.triangles[CHEEK, 0]] + 0.003 * normal
    for step in range(12):
        fingers = [ball_at(start + [0, 0.002 * step, 0.004 * finger], 0.008) for finger in range(3)]
        moved, left = given_way(skin.flesh, model.mean, head, fingers, skin)
        deep = max(deepest(finger, moved) for finger in fingers)
        assert deep < (0.3 if step else 1.2)
        assert 1000 * left == pytest.approx(deep, abs=0.05)


def test_a_hand_through_the_head_is_no_dent():
    """Points beyond 3 cm deep are on the far side of something; whatever comes, no vertex moves more than the limit."""
    moved = press(ball(CHEEK, 0.04, 0.03))
    assert np.isfinite(moved).all() and np.linalg.norm(moved, axis=1).max() <= LIMIT + 1e-6
