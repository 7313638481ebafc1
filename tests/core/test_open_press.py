# SPDX-License-Identifier: GPL-3.0-or-later
"""How deep hands press, with balls at the average head; `deepest` is measured on the ball's own radius and centre."""

from __future__ import annotations

from functools import lru_cache

import igl
import numpy as np
import pytest
import trimesh

from dice_core.body.openbody import EYE_CAVITY, EYEBALL, MOUTH, SKIN, TONGUE, head_model
from dice_core.interaction.distance import Surface
from dice_core.interaction.sheet import allowed_press
from dice_core.sequence.open_press import LIFTED, LIGHT, pressed

CHEEK, FOREHEAD, NOSE, TEMPLE = 50, 151, 1, 127  # of the 478 landmarks; a temple looks sideways
RADIUS = 0.009
CAMERA = np.array([0.0, 0, -1])  # the head looks at it


@lru_cache
def head() -> Surface:
    return Surface(head_model().mean, *head_model().outside)


@lru_cache
def allowed() -> np.ndarray:
    return allowed_press(head_model(), head_model().outside[0])


def skin_at(landmark: int) -> tuple[np.ndarray, np.ndarray]:
    """A point of the skin, and its normal, by another library."""
    mesh = trimesh.Trimesh(head_model().mean, head_model().faces, process=False)
    vertex = head_model().triangles[landmark, 0]
    return head_model().mean[vertex], np.array(mesh.vertex_normals[vertex])


def ball(landmark: int, depth: float) -> Surface:
    """Pressed in by metres, along the normal."""
    place, normal = skin_at(landmark)
    sphere = trimesh.creation.icosphere(4, RADIUS)
    return Surface(sphere.vertices + place + (RADIUS - depth) * normal, np.asarray(sphere.faces))


def deepest(hand: Surface) -> float:
    """Metres, by libigl's own signs."""
    vertices, faces = head()._vertices, head()._faces
    return -float(igl.signed_distance(hand.vertices, vertices, faces, igl.SIGNED_DISTANCE_TYPE_PSEUDONORMAL)[0].min())


def test_the_outside_is_closed_and_all_else_is_in_it():
    faces, rims = head_model().outside
    assert sorted(len(rim) for rim in rims) == [38, 42]
    part = head_model().part[faces]
    assert (part == EYEBALL).any(1).sum() == 56 and np.isin(part, (SKIN, EYEBALL)).all()
    closed = trimesh.Trimesh(head()._vertices, head()._faces, process=False)
    assert closed.is_watertight and closed.is_winding_consistent and 0.003 < closed.volume < 0.006
    inner = head_model().mean[np.isin(head_model().part, (MOUTH, EYEBALL, TONGUE, EYE_CAVITY))]
    assert head().nearest(inner).distance.max() < 0.003, "but for the whites of the eyes, before the cone"


@pytest.mark.parametrize("landmark", [CHEEK, FOREHEAD, NOSE, TEMPLE])
@pytest.mark.parametrize("depth", [0.002, 0.012])
def test_what_does_not_touch_is_kept_out(landmark, depth):
    hand = ball(landmark, depth)
    assert deepest(hand) > 0.7 * depth
    moved, offset = pressed(hand, head(), allowed(), 0.0, CAMERA)
    assert deepest(moved) < 3e-4
    assert np.allclose(moved.vertices, hand.vertices + offset)
    assert np.linalg.norm(offset) < 3.2 * depth


@pytest.mark.parametrize("landmark", [CHEEK, FOREHEAD, TEMPLE])
def test_what_touches_presses_as_deep_as_the_skin_gives_way(landmark):
    """A little deeper in a twentieth of its points."""
    hand = ball(landmark, 0.012)
    moved, _ = pressed(hand, head(), allowed(), 1.0, CAMERA)
    nearest = head().nearest(moved.vertices)
    inside = (nearest.distance < 0) & ~nearest.on_cap
    over = -nearest.distance[inside] - allowed()[nearest.face[inside]]
    assert np.quantile(over, 0.95) < 3e-4 or deepest(moved) < LIGHT + 1e-4
    assert deepest(moved) > 0.5 * LIGHT


def test_what_is_just_before_the_skin_is_brought_to_it():
    moved, offset = pressed(ball(CHEEK, -0.004), head(), allowed(), 1.0, CAMERA)
    assert deepest(moved) == pytest.approx(LIGHT, abs=2e-4) and offset @ CAMERA < 0
    hand = ball(CHEEK, -0.004)
    assert not pressed(hand, head(), allowed(), 0.0, CAMERA)[1].any(), "but not what does not touch"
    far, offset = pressed(ball(CHEEK, -0.03), head(), allowed(), 1.0, CAMERA)
    assert deepest(far) < 0 and np.linalg.norm(offset) < 3.2 * LIFTED


def test_it_moves_along_the_line_of_sight_rather_than_across():
    """Where the skin lies aslant, it would be far along the line alone, and would be seen to move straight out."""
    place, normal = skin_at(CHEEK)
    _, offset = pressed(ball(CHEEK, 0.006), head(), allowed(), 0.0, CAMERA)
    across = np.linalg.norm(offset - (offset @ CAMERA) * CAMERA) / np.linalg.norm(offset)
    assert 0 < across < 0.7 * np.linalg.norm(normal - (normal @ CAMERA) * CAMERA)
    _, offset = pressed(ball(TEMPLE, 0.006), head(), allowed(), 0.0, CAMERA)
    assert np.linalg.norm(offset) < 0.018 and offset @ CAMERA > -1e-9, "never away from the camera"
