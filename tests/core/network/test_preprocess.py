# SPDX-License-Identifier: GPL-3.0-or-later
"""What the network is shown: the official code's crops to the grey level; squares that hold head and hand, upright."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from dice_core.landmarks.regions import Region
from dice_core.media.decode import read_picture
from dice_core.network.preprocess import LEVEL, SIZE, centre_crop, choose_crop, crop_pixels, normalise

SIZES = ["301x517", "517x301", "97x150", "224x224"]


@pytest.fixture(scope="module")
def recorded(goldens) -> dict[str, np.ndarray]:
    with np.load(goldens / "preprocess.npz") as archive:
        return {name: archive[name] for name in archive.files}


@pytest.mark.parametrize("size", SIZES)
def test_the_official_crop(size, recorded):
    pixels = recorded[f"synth_src_rgb_{size}"]
    square = crop_pixels(pixels, centre_crop(*pixels.shape[1::-1]))
    expected = recorded[f"synth_u8_bgr_{size}"]
    assert np.abs(square[..., ::-1].astype(int) - expected).max() <= 1
    assert np.abs(normalise([square])[0] - recorded[f"synth_tensor_{size}"]).max() <= 1.01 / 255 / 0.224
    exact = np.ascontiguousarray(expected[..., ::-1])
    assert np.abs(normalise([exact])[0] - recorded[f"synth_tensor_{size}"]).max() < 1e-6


def test_grey_pictures_and_transparency(recorded, tmp_path):
    """Grey is as recorded. Where the official code shows what is hidden under transparent pixels, we show white."""
    for name, mode in (("gray", "L"), ("rgba", "RGBA")):
        data = io.BytesIO()
        Image.fromarray(recorded[f"{name}_src"], mode).save(data, "PNG")
        (tmp_path / f"{name}.png").write_bytes(data.getvalue())
        pixels = read_picture(tmp_path / f"{name}.png").pixels
        square = crop_pixels(pixels, centre_crop(*pixels.shape[1::-1]))[..., ::-1].astype(int)
        differs = np.abs(square - recorded[f"{name}_u8_bgr"]).max() > 1
        assert differs == (name == "rgba")


def person(tilt: float = 0.0, middle=(400.0, 300.0), size: float = 100.0, hand=(-120.0, 40.0)):
    """Landmarks of a face `size` high, turned by radians clockwise, and of a hand beside it, with the turn's matrix."""
    turn = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    face = np.tile([0.0, 0.0], (478, 1))
    face[[10, 152, 33, 263]] = np.array([[0, -0.5], [0, 0.5], [-0.3, -0.1], [0.3, -0.1]]) * size
    points = np.array(hand) + np.random.default_rng(0).uniform(-20, 20, (21, 2))
    return face @ turn.T + middle, points @ turn.T + middle, turn


def holds(region: Region, points: np.ndarray) -> bool:
    inside = (points - region.center) @ region.rotation
    return bool((np.abs(inside) <= region.side / 2).all())


@pytest.mark.parametrize("tilt", [0.0, 0.03, 0.4, -1.2, 3.0])
def test_head_and_hand_are_inside_and_upright(tilt):
    face, hand, turn = person(tilt)
    region, share = choose_crop(face, [hand], 1000, 900)
    crown = np.array([0, -75.0]) @ turn.T + (400, 300)
    assert holds(region, np.vstack([face, hand, [crown]]))
    assert region.angle == (pytest.approx(tilt) if abs(tilt) > LEVEL else 0)
    assert share == pytest.approx(145 / region.side, rel=0.01) and 0.3 < share <= 0.46
    eyes = (face[[33, 263]] - region.center) @ region.rotation
    assert abs(eyes[1, 1] - eyes[0, 1]) < 0.04 * 60 and eyes[1, 0] > eyes[0, 0]


def test_a_far_hand_makes_the_crop_larger_and_no_hand_leaves_it():
    face, _, _ = person()
    alone, share = choose_crop(face, [], 1000, 900)
    assert share == pytest.approx(0.45, abs=0.01)
    far = np.full((21, 2), 20.0)
    region, smaller = choose_crop(face, [far], 1000, 900)
    assert holds(region, far) and smaller < share and region.side > alone.side


@pytest.mark.parametrize("middle", [(90, 100), (910, 100), (910, 800), (500, 450)])
def test_the_crop_stays_in_the_picture_where_it_can(middle):
    face, _, _ = person(middle=middle)
    region, _ = choose_crop(face, [], 1000, 900)
    low, high = region.center - region.side / 2, region.center + region.side / 2
    assert (low >= 0).all() and (high <= [1000, 900]).all()
    assert (low == np.round(low)).all() and isinstance(region.side, int), "whole pixels: nothing is resampled twice"


@pytest.mark.parametrize("middle", [(150, 180), (850, 180), (850, 720), (500, 450)])
@pytest.mark.parametrize("tilt", [0.1, 0.4, -0.8])
def test_a_turned_crop_stays_in_the_picture_where_it_can(middle, tilt):
    face, hand, _ = person(tilt, middle=middle)
    region, _ = choose_crop(face, [], 1000, 900)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * region.side / 2 @ region.rotation.T + region.center
    assert holds(region, face)
    freely = (choose_crop(face + 5000, [], 11000, 10900)[0].center - 5000 - region.center) @ region.rotation
    out = np.maximum(-corners, corners - [1000, 900]).max()
    slack = (region.side - 1.1 * 145) / 2
    moved = np.abs(freely).max()
    assert out < 1 or moved == pytest.approx(slack, rel=0.05), "moved as far as what must be inside lets it"


def test_a_portrait_that_fills_the_picture():
    """No larger than the picture, unless head and hand need it."""
    face, hand, _ = person(middle=(150, 150), size=180, hand=(-60, 90))
    region, share = choose_crop(face, [hand], 300, 300)
    assert holds(region, np.vstack([face, hand])) and share > 0.6
    tight, _ = choose_crop(face * 0.5, [], 150, 150)
    assert tight.side <= 150


def test_turned_crops_show_what_lies_there():
    """A picture of coloured spots: each is found in the crop where the inverse of `to_picture` says."""
    pixels = np.zeros((400, 500, 3), np.uint8)
    spots = np.array([[200.0, 150.0], [320.0, 260.0], [260.0, 120.0]])
    for channel, (x, y) in enumerate(spots):
        cv2.circle(pixels, (int(x * 16 - 8), int(y * 16 - 8)), 6 * 16, [255 * (channel == i) for i in range(3)], -1,
                   cv2.LINE_AA, 4)  # fmt: skip
    regions = [(260, 200, 260, 0), (255.5, 197.3, 251.7, 0.6), (50, 40, 700, -2), (260, 190, 180.5, 0.2)]
    for x, y, side, angle in regions:
        region = Region(np.array([x, y], float), side, float(angle))
        square = crop_pixels(pixels, region).astype(float)
        matrix = region.to_picture(SIZE)
        for channel, spot in enumerate(spots):
            expected = np.linalg.solve(matrix[:, :2], spot - matrix[:, 2])
            rows, columns = np.indices((SIZE, SIZE)) + 0.5
            weights = square[..., channel]
            found = np.array([(columns * weights).sum(), (rows * weights).sum()]) / weights.sum()
            assert np.abs(found - expected).max() < 0.1, region
    assert (crop_pixels(np.full((10, 10, 3), 255, np.uint8), Region(np.array([0.0, 0.0]), 20))[:100, :100] == 0).all()


@pytest.mark.parametrize("left, side", [(60, 40), (60.5, 40), (60.25, 40), (61.5, 39), (60.5, 39.5)])
def test_crops_between_pixels_lie_where_they_say(left, side):
    """On a ramp, brightness is place: what a pixel of the crop shows is where its middle lies."""
    ramp = np.clip(4 * (np.arange(200) - 50), 0, 255).astype(np.uint8)
    crop = crop_pixels(np.tile(ramp[None, :, None], (200, 1, 3)), Region(np.array([left + side / 2, 100.0]), side))
    seen = crop[100, :, 0] / 4 + 50
    expected = left + (np.arange(SIZE) + 0.5) * side / SIZE - 0.5
    inner = slice(8, -8)  # at the edge the last pixel has no neighbour to be mixed with
    assert abs((seen[inner] - expected[inner]).mean()) < 0.05
