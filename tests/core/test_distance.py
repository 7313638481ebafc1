# SPDX-License-Identifier: GPL-3.0-or-later
"""Signed distance against spheres and boxes, whose distance is a formula."""

from __future__ import annotations

import igl
import numpy as np
import pytest
import trimesh

from dice_core.body.openbody import SKIN, TONGUE, head_model
from dice_core.interaction.distance import Surface, barycentric_coordinates

RADIUS = 0.1


def opened_sphere(keep: float = 0.9) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A sphere cut open at the top (-y), as the head is at the neck: vertices, faces, rim."""
    sphere = trimesh.creation.icosphere(4, RADIUS)
    faces = sphere.faces[(sphere.vertices[sphere.faces][:, :, 1] > -keep * RADIUS).all(1)]
    used, faces = np.unique(faces, return_inverse=True)
    vertices, faces = sphere.vertices[used], faces.reshape(-1, 3)
    return vertices, faces, rim_of(faces)


def rim_of(faces: np.ndarray) -> np.ndarray:
    """The loop of edges that only one face has."""
    edges = {(a, b) for face in faces for a, b in zip(face, np.roll(face, -1), strict=True)}
    after = {a: b for a, b in edges if (b, a) not in edges}
    loop = [next(iter(after))]
    while after[loop[-1]] != loop[0]:
        loop.append(after[loop[-1]])
    assert len(loop) == len(after), "one hole"
    return np.array(loop)


@pytest.fixture(scope="module")
def cup() -> Surface:
    return Surface(*opened_sphere())


def points_about(count: int = 2000) -> np.ndarray:
    random = np.random.default_rng(0)
    directions = random.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    directions[:, 1] = np.abs(directions[:, 1])  # the closed half
    return directions * random.uniform(0.02, 0.2, (count, 1))


def test_the_distance_to_a_sphere(cup):
    """Up to the facets, which lie at most 0.16 mm within the sphere."""
    points = points_about()
    nearest = cup.nearest(points)
    length = np.linalg.norm(points, axis=1)
    near = length > 0.06  # further in, the cap of the hole may be nearer
    assert np.abs(nearest.distance - (length - RADIUS))[near].max() < 2e-4
    assert (np.sign(nearest.distance) == np.sign(length - RADIUS))[np.abs(length - RADIUS) > 2e-4].all()
    outward = points / length[:, None]
    assert np.abs(nearest.point - RADIUS * outward)[near].max() < 0.002
    assert ((nearest.normal * outward).sum(1)[near] > 0.99).all()
    assert not nearest.on_cap[near].any()
    assert np.linalg.norm(nearest.normal, axis=1) == pytest.approx(np.ones(len(points)))


def test_the_point_lies_on_its_face_at_the_distance_told(cup):
    vertices, faces, _ = opened_sphere()
    points = points_about(500)
    nearest = cup.nearest(points)
    assert np.linalg.norm(points - nearest.point, axis=1) == pytest.approx(np.abs(nearest.distance), abs=1e-9)
    skin = ~nearest.on_cap
    weights = cup.barycentric(nearest)
    assert weights.sum(1) == pytest.approx(np.ones(len(points))) and weights.min() > -1e-6
    rebuilt = np.einsum("nk,nkd->nd", weights[skin], vertices[faces[nearest.face[skin]]])
    assert np.abs(rebuilt - nearest.point[skin]).max() < 1e-9


def test_the_hole_is_closed_and_known(cup):
    """Just inside the hole is inside, just outside is outside, and both know that it is no skin."""
    vertices, _, rim = opened_sphere()
    height = vertices[rim, 1].mean()
    inside, outside = cup.nearest(np.array([[0, height + 0.01, 0], [0, height - 0.01, 0]])).distance
    assert inside == pytest.approx(-0.01, abs=0.002) and outside == pytest.approx(0.01, abs=0.002)
    assert cup.nearest(np.array([[0, height + 0.01, 0], [0, height - 0.01, 0.001]])).on_cap.all()
    assert not cup.nearest(np.array([[0, RADIUS, 0]])).on_cap.any()


def test_the_rim_may_run_either_way_and_start_anywhere(cup):
    vertices, faces, rim = opened_sphere()
    points = points_about(300)
    for other in (rim[::-1], np.roll(rim, 7), np.roll(rim[::-1], 3)):
        assert np.array_equal(Surface(vertices, faces, other).nearest(points).distance, cup.nearest(points).distance)


def test_an_inside_out_mesh_is_inside_out():
    """The winding decides what inside is: a mirrored head needs its faces turned."""
    vertices, faces, rim = opened_sphere()
    turned = Surface(vertices, faces[:, ::-1], rim).nearest(np.array([[0, 0.09, 0], [0, 0.11, 0]]))
    assert turned.distance[0] > 0 > turned.distance[1]


def test_sharp_edges_and_corners():
    """Beside an edge the nearest face alone would get the sign wrong."""
    box = trimesh.creation.box((0.2, 0.2, 0.2)).subdivide()
    faces = np.asarray(box.faces)
    top = (box.vertices[faces][:, :, 1] < -0.099).all(1)
    surface = Surface(box.vertices, faces[~top], rim_of(faces[~top]))
    points = np.random.default_rng(1).uniform([-0.18, -0.02, -0.18], [0.18, 0.18, 0.18], (3000, 3))
    beyond = np.abs(points) - 0.1
    outside = np.linalg.norm(np.maximum(beyond, 0), axis=1)
    expected = outside + np.minimum(beyond.max(1), 0)
    assert np.abs(surface.nearest(points).distance - expected).max() < 1e-9


def test_distances_on_the_head_agree_with_ray_casting():
    """Containment by another method, on the real, non-convex mesh; eyeballs overlap their sockets and do not count."""

    model = head_model()
    faces = model.faces[(model.part[model.faces] != TONGUE).all(1)]
    surface = Surface(model.mean, faces, model.neck_rim)
    random = np.random.default_rng(2)
    points = random.uniform(model.mean.min(0), model.mean.max(0), (400, 3))
    nearest = surface.nearest(points)
    clear = (np.abs(nearest.distance) > 0.004) & ~nearest.on_cap & (points[:, 1] < 0)
    clear &= np.append((model.part[faces] == SKIN).all(1), np.zeros(len(model.neck_rim), bool))[nearest.face]
    closed = trimesh.Trimesh(surface._vertices, surface._faces, process=False)
    votes = [crossings(closed, points[clear], direction) % 2 for direction in ([0.1, -1, 0.07], [0.9, -0.3, 0.2])]
    agreed = votes[0] == votes[1]
    assert agreed.mean() > 0.95
    assert ((nearest.distance[clear] < 0) == (votes[0] == 1))[agreed].mean() > 0.99


def crossings(mesh: trimesh.Trimesh, points: np.ndarray, direction: list[float]) -> np.ndarray:
    """How often the ray from each point crosses the mesh (Moeller and Trumbore's test, all pairs)."""
    corners = np.asarray(mesh.triangles)
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    ray = np.array(direction) / np.linalg.norm(direction)
    normal = np.cross(ray, second)
    determinant = (normal * first).sum(1)
    counts = []
    for point in points:
        to_point = point - corners[:, 0]
        u = (to_point * normal).sum(1) / determinant
        across = np.cross(to_point, first)
        v, t = (across @ ray) / determinant, (across * second).sum(1) / determinant
        counts.append(((u > 0) & (v > 0) & (u + v < 1) & (t > 0)).sum())
    return np.array(counts)


def test_barycentric_coordinates_by_hand():
    corner = np.array([[[0.0, 0, 0], [2, 0, 0], [0, 4, 0]]])
    for point, weights in (([0, 0, 0], [1, 0, 0]), ([1, 0, 0], [0.5, 0.5, 0]), ([0.5, 1, 0], [0.5, 0.25, 0.25])):
        assert barycentric_coordinates(np.array([point]), corner)[0] == pytest.approx(weights)
    degenerate = barycentric_coordinates(np.zeros((1, 3)), np.zeros((1, 3, 3)))
    assert np.isfinite(degenerate).all()


def test_it_agrees_with_libigl_on_the_head():
    """Inside, outside, on the skin, and right over vertices and edges, where the nearest triangle is not unique."""
    model, random = head_model(), np.random.default_rng(3)
    surface = Surface(model.mean, model.faces, model.neck_rim)
    corners = model.mean[model.faces[random.choice(len(model.faces), 400)]]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    points = np.vstack(
        [random.uniform(-0.12, 0.12, (3000, 3))]
        + [places + offset * normals for offset in (-0.002, 0.0005, 0.01)
           for places in (corners[:, 0], corners[:, :2].mean(1), corners.mean(1))]
    )  # fmt: skip
    expected, _, point, _ = igl.signed_distance(
        points, surface._vertices, surface._faces, sign_type=igl.SIGNED_DISTANCE_TYPE_PSEUDONORMAL
    )
    nearest = surface.nearest(points)
    assert np.abs(np.abs(nearest.distance) - np.abs(expected)).max() < 1e-12
    assert np.abs(nearest.point - point).max(1) == pytest.approx(np.zeros(len(points)), abs=1e-9)
    assert ((nearest.distance > 0) == (expected > 0)).all()


def test_a_corner_without_an_angle_has_no_direction():
    """Two corners at one place, as in a mesh that fell in."""
    vertices = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0]])
    nearest = Surface(vertices, np.array([[0, 1, 2], [0, 3, 1]])).nearest(np.array([[0.0, 0, 1], [-1.0, -1, 0]]))
    assert np.isfinite(nearest.normal).all()
    assert np.abs(nearest.distance) == pytest.approx([1, 2**0.5])


def test_near_is_measured_once_and_as_all_is():
    """Of a ball beside a cup those vertices that are in the cup's box and 17 mm about it."""
    vertices, faces, rim = opened_sphere()
    cup, ball = Surface(vertices, faces, rim), Surface(vertices + [0.15, 0, 0], faces, rim)
    near = cup.near(ball)
    low, high = vertices.min(0) - 0.017, vertices.max(0) + 0.017
    expected = [index for index, point in enumerate(ball.vertices) if (point > low).all() and (point < high).all()]
    assert near.chosen.tolist() == expected and 0 < len(expected) < len(vertices)
    assert np.array_equal(near.nearest.distance, cup.nearest(ball.vertices)[near.chosen].distance)
    assert cup.near(ball) is near and cup.near(Surface(ball.vertices, faces, rim)) is not near
    assert not len(cup.near(Surface(vertices + 1, faces, rim)).chosen)
