# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated soft tissue of the benchmark against closed forms, and what a press must leave."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import trimesh
from scipy.optimize import brentq
from scipy.sparse.linalg import spsolve

from dice_core.body.openbody import SKIN, head_model
from tools.benchmark.tissue import ALLOWED, Pressed, press
from tools.benchmark.tissue_energy import SHARE, Elastic
from tools.benchmark.tissue_mesh import POISSON, build_tissue, tet_volumes, tissue_maps, wedges_of

YOUNG, CHEEK = 15e3, 205
REACH = 0.04  # metres; less than the benchmark's, for speed
DOWN = np.array([0.0, 0, -1])


def block(size: float, depth: float, cells: int, layers: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A flat block below z = 0: nodes, wedges, tetrahedra."""
    line = np.linspace(-size / 2, size / 2, cells + 1)
    x, y = (axis.ravel() for axis in np.meshgrid(line, line, indexing="ij"))
    level = np.column_stack([x, y, np.zeros_like(x)])
    corner = (np.arange(cells)[:, None] * (cells + 1) + np.arange(cells)).ravel()
    a, b, c, d = corner, corner + cells + 1, corner + cells + 2, corner + 1
    faces = np.vstack([np.column_stack([a, b, c]), np.column_stack([a, c, d])])
    nodes = np.vstack([level + k * depth / layers * DOWN for k in range(layers + 1)])
    return nodes, *wedges_of(faces, len(level), layers)


def at_rest(elastic: Elastic, nodes: np.ndarray) -> np.ndarray:
    for _ in range(30):
        step = -spsolve(elastic.stiffness(nodes), elastic.forces(nodes))
        nodes = nodes.copy()
        nodes.ravel()[elastic.free] += step
        if np.abs(step).max() < 1e-10:
            return nodes
    raise AssertionError("the block found no rest")


def test_a_block_is_cut_into_tetrahedra_without_gap():
    nodes, wedges, tets = block(0.02, 0.01, 4, 3)
    volumes = tet_volumes(nodes, wedges, tets)
    assert (volumes > 0).all() and volumes.sum() == pytest.approx(0.02 * 0.02 * 0.01)


@pytest.mark.parametrize("stretch", [0.7, 0.999, 1.3])
def test_uniaxial_stretch_follows_the_law(stretch):
    """Sides without load: mu (w^2 - 1) + lambda log(s w^2) = 0 gives the width w; the stress follows from it."""
    nodes, wedges, tets = block(0.02, 0.01, 2, 2)
    top, bottom = nodes[:, 2] > -1e-9, nodes[:, 2] < -0.01 + 1e-9
    young = np.full(len(wedges), YOUNG)
    mu, lame = YOUNG / (2 * (1 + POISSON)), YOUNG * POISSON / ((1 + POISSON) * (1 - 2 * POISSON))
    width = brentq(lambda w: mu * (w**2 - 1) + lame * np.log(stretch * w**2), 0.5, 2)
    stress = mu * (stretch - 1 / stretch) + lame * np.log(stretch * width**2) / stretch
    pulled = nodes * [width, width, stretch]
    inner = ~(top | bottom)
    start = pulled + inner[:, None] * np.random.default_rng(0).normal(size=nodes.shape) * 2e-4
    rest = at_rest(Elastic(nodes, wedges, tets, young, top | bottom), start)
    assert rest == pytest.approx(pulled, abs=1e-8)
    loads = Elastic(nodes, wedges, tets, young, np.zeros(len(nodes), bool)).forces(rest).reshape(-1, 3)
    assert loads[top, 2].sum() == pytest.approx(stress * 0.02 * 0.02, rel=1e-6)
    if abs(stretch - 1) < 0.01:
        assert stress == pytest.approx(YOUNG * (stretch - 1), rel=0.01)


def test_forces_and_stiffness_are_derivatives_of_the_energy():
    nodes, wedges, tets = block(0.02, 0.01, 3, 2)
    elastic = Elastic(nodes, wedges, tets, np.linspace(1, 2, len(wedges)) * YOUNG, nodes[:, 2] < -0.0099)
    random = np.random.default_rng(0)
    bent = nodes * 1.01 + random.normal(size=nodes.shape) * 1e-5  # in tension nothing needs raising
    way, small = random.normal(size=len(elastic.free)), 1e-8
    before, after = bent.copy(), bent.copy()
    before.ravel()[elastic.free] -= small * way
    after.ravel()[elastic.free] += small * way
    slope = (elastic.energy(after) - elastic.energy(before)) / (2 * small)
    assert elastic.forces(bent) @ way == pytest.approx(slope, rel=1e-5)
    curve = (elastic.forces(after) - elastic.forces(before)) / (2 * small)
    assert elastic.stiffness(bent) @ way == pytest.approx(curve, rel=1e-3, abs=1e-4 * np.abs(curve).max())
    assert np.linalg.eigvalsh(elastic.stiffness(bent).toarray()).min() > 0


def test_tissue_that_hardly_changes_volume_does_not_lock():
    """A layer glued to the bone, loaded by a weight on a spot: a coarse mesh gives way like a fine one."""
    sinks = []
    for cells in (8, 16):
        nodes, wedges, tets = block(0.04, 0.01, cells, 3 * cells // 8)
        elastic = Elastic(nodes, wedges, tets, np.full(len(wedges), YOUNG), nodes[:, 2] < -0.0099)
        spot = np.exp(-(nodes[:, :2] ** 2).sum(1) / 0.008**2) * (nodes[:, 2] > -1e-9)
        load = np.zeros_like(nodes)
        load[:, 2] = -1e-3 * spot / spot.sum()
        moved = np.zeros(nodes.size)
        moved[elastic.free] = spsolve(elastic.stiffness(nodes), load.ravel()[elastic.free])
        sinks.append((moved * load.ravel()).sum())
    assert SHARE < 0.2 and sinks[0] == pytest.approx(sinks[1], rel=0.25)


def test_the_face_is_thick_and_soft_where_it_should_be():
    thickness, young = tissue_maps()
    model = head_model()
    forehead, zygoma, cheek, lip = (model.triangles[k, 0] for k in (151, 116, 207, 0))
    assert thickness[forehead] < thickness[zygoma] < thickness[lip] < thickness[cheek]
    assert 0.004 < thickness[forehead] < 0.006 and 0.015 < thickness[cheek] < 0.021
    assert young[forehead] > 2 * young[cheek]
    tissue = build_tissue(model.mean, model.part == SKIN)
    assert (tet_volumes(tissue.nodes, tissue.wedges, tissue.tets) > 0).all()


def fingertip(depth: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A ball as wide as a finger at the cheek: vertices, faces, the way it came, the point."""
    model = head_model()
    corners = model.triangles[CHEEK]
    a, b, c = model.mean[corners]
    normal = np.cross(b - a, c - a)
    normal /= np.linalg.norm(normal)
    point = model.landmarks(model.mean)[CHEEK]
    ball = trimesh.creation.icosphere(3, 0.008)
    return ball.vertices + point + (0.008 - depth) * normal, np.asarray(ball.faces), normal, point


@lru_cache(maxsize=1)
def pressed_cheek() -> Pressed:
    ball, faces, normal, _ = fingertip(0.003)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tools.benchmark.tissue.REACH", REACH)
        return press(head_model().mean, ball, faces, normal)


def test_a_press_on_the_cheek_makes_room():
    result = pressed_cheek()
    assert result.converged and result.penetration <= ALLOWED
    assert abs(result.volume_change) < 0.03


def test_the_cheek_goes_in_and_bulges_beside():
    _, _, normal, point = fingertip(0.003)
    result = pressed_cheek()
    along = result.displacement @ normal
    distance = np.linalg.norm(head_model().mean - point, axis=1)
    assert -0.006 < along.min() < -0.0025 and distance[along.argmin()] < 0.008
    assert 3e-5 < along.max() < 1e-3 and 0.008 < distance[along.argmax()] < 0.04


def test_a_press_moves_nothing_far_away():
    _, _, _, point = fingertip(0.003)
    far = np.linalg.norm(head_model().mean - point, axis=1) > REACH + 0.01
    assert far.sum() > 500 and not pressed_cheek().displacement[far & (head_model().part == SKIN)].any()
    assert np.abs(pressed_cheek().displacement[far]).max() < 1e-6


def test_a_hand_that_does_not_touch_does_nothing():
    ball, faces, normal, _ = fingertip(-0.001)
    result = press(head_model().mean, ball, faces, normal)
    assert result.converged and result.penetration == 0 and not result.displacement.any()


def test_bone_is_told(monkeypatch):
    """A ball deeper in the forehead than there is tissue."""
    monkeypatch.setattr("tools.benchmark.tissue.REACH", 0.025)
    model = head_model()
    point = model.landmarks(model.mean)[151]
    ball = trimesh.creation.icosphere(3, 0.008)
    result = press(model.mean, ball.vertices + point + [0, 0, -0.008 + 0.006], np.asarray(ball.faces), DOWN)
    assert not result.converged and result.penetration > ALLOWED
