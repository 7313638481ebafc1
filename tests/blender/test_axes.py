# SPDX-License-Identifier: GPL-3.0-or-later
"""Camera space and Blender's world."""

from __future__ import annotations

import numpy as np
import pytest
from dice_capture.dice_blender.scene import axes
from synthetic import capture


@pytest.mark.parametrize(
    ("camera", "world"),
    [((1, 0, 0), (1, 0, 0)), ((0, 1, 0), (0, 0, -1)), ((0, 0, 1), (0, 1, 0))],
    ids=["right stays right", "down is -Z", "forward is +Y"],
)
def test_known_directions(camera: tuple[float, ...], world: tuple[float, ...]) -> None:
    np.testing.assert_allclose(axes.to_world(np.array(camera), np.zeros(3)), world)


def test_the_origin_and_distances_stay() -> None:
    rng = np.random.default_rng(1)
    points, origin = rng.normal(size=(50, 3)), rng.normal(size=3)
    np.testing.assert_allclose(axes.to_world(origin, origin), np.zeros(3), atol=1e-12)
    lengths = np.linalg.norm(points - origin, axis=1)
    np.testing.assert_allclose(np.linalg.norm(axes.to_world(points, origin), axis=1), lengths, atol=1e-12)


def test_nothing_is_mirrored() -> None:
    assert np.linalg.det(axes.TO_WORLD) == pytest.approx(1)


def test_the_head_stands_on_the_origin() -> None:
    made = capture()
    points = axes.to_world(made.head.vertices, axes.ground(made))
    low, high = points.min(0), points.max(0)
    np.testing.assert_allclose((low + high)[:2], 0, atol=1e-6)
    assert low[2] == pytest.approx(0, abs=1e-6)
    assert high[2] == pytest.approx(0.23, abs=0.02)
