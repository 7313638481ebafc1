# SPDX-License-Identifier: GPL-3.0-or-later
"""From the camera of a crop to that of the picture: points must be seen where the crop shows them."""

from __future__ import annotations

import numpy as np
import pytest

from dice_core.fit.orthographic import Placement
from dice_core.landmarks.regions import Region
from dice_core.types import Camera

SIZE = 224
GUESS = Camera((1200, 900), matrix=np.float32([[1440, 0, 600], [0, 1440, 450], [0, 0, 1]]))
REGIONS = [
    Region(np.array([500.0, 400.0]), 300),
    Region(np.array([500.5, 401.2]), 412.3, 0.5),
    Region(np.array([20.0, 890.0]), 900.0, -2.5),
]


def points() -> np.ndarray:
    cloud = np.random.default_rng(1).normal(0, 0.08, (50, 3))
    return cloud - cloud.mean(0)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("region", REGIONS, ids=["upright", "turned", "over the edge"])
def test_points_stay_at_their_pixels(region, mirrored):
    """Projected in the crop, taken through its mirror and its matrix by hand, and projected in the picture."""
    scale, shift, cloud = 812.0, np.array([101.0, 117.5]), points()
    to_picture = region.to_picture(SIZE)
    placement = Placement.of_crop(to_picture, SIZE, mirrored, scale, shift)
    camera = placement.cameras(GUESS)
    inside = scale * cloud[:, :2] + shift
    if mirrored:
        inside[:, 0] = SIZE - inside[:, 0]
    expected = inside @ to_picture[:, :2].T + to_picture[:, 2]
    placed = placement.points(cloud, GUESS)
    assert camera.model == "orthographic"
    assert np.abs(camera.project(placed) - expected).max() < 1e-3
    # what is nearer in the crop is nearer in the picture
    assert np.allclose(placed[:, 2] - placed[:, 2].mean(), cloud[:, 2])
    # lengths stay, and with a mirror the handedness changes
    assert np.linalg.det(placement.rotation) == pytest.approx(-1 if mirrored else 1)
    assert np.allclose(np.linalg.norm(placed - placed.mean(0), axis=1), np.linalg.norm(cloud, axis=1))
    assert np.allclose(placement.vectors(cloud), placed - placed.mean(0))


def test_both_cameras_agree_at_the_depth_of_the_head():
    placement = Placement.of_crop(REGIONS[1].to_picture(SIZE), SIZE, False, 700.0, np.array([112.0, 90.0]))
    both = placement.cameras(GUESS)
    flat = placement.points(points() * [1, 1, 0], GUESS)  # all as deep as the head's mean
    perspective = Camera(both.image_size, matrix=both.matrix)
    assert np.abs(perspective.project(flat) - both.project(flat)).max() < 1e-3
    deep = placement.points(points(), GUESS)
    assert np.abs(perspective.project(deep) - both.project(deep)).max() > 1  # elsewhere they need not
    assert flat[0, 2] == pytest.approx(1440 / placement.scale)
