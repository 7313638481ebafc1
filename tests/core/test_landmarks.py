# SPDX-License-Identifier: GPL-3.0-or-later
"""Faces and hands in the sample picture, its mirror image, enlarged canvases, and nothing at all."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from dice_core.body.openbody import ASSETS, head_model
from dice_core.landmarks.litert import FaceLandmarks, HandLandmarks, hand_region
from dice_core.landmarks.regions import Box, Region, anchors, decode_boxes, overlaps


@pytest.fixture(scope="module")
def landmarker(open_engine):
    return open_engine.landmarker


@pytest.fixture(scope="module")
def pixels(sample_frame) -> np.ndarray:
    return sample_frame.pixels


@pytest.fixture(scope="module")
def face(landmarker, pixels) -> FaceLandmarks:
    return landmarker.faces(pixels)[0]


@pytest.fixture(scope="module")
def hand(landmarker, pixels, face) -> HandLandmarks:
    return landmarker.hands(pixels, face.points)[0]


def width(points: np.ndarray) -> float:
    return float(np.ptp(points[:, 0]))


def off(found: np.ndarray, expected: np.ndarray, face: FaceLandmarks) -> float:
    """Median distance in % of the face's width."""
    return 100 * float(np.median(np.linalg.norm(found - expected, axis=1))) / width(face.points)


def test_one_face_and_one_right_hand(landmarker, pixels, face):
    assert len(landmarker.faces(pixels)) == 1
    hands = landmarker.hands(pixels, face.points)
    assert [hand.side for hand in hands] == ["right"]
    assert face.score > 0.9 and hands[0].score > 0.9 and hands[0].side_score > 0.8


def test_the_face_is_the_right_way_round(face):
    """The person's right is on the left of the picture; irises lie between the corners of their eyes."""
    assert face.points.shape == (478, 2)
    x, y = face.points.T
    assert x[33] < x[468] < x[133] < x[1] < x[362] < x[473] < x[263]
    assert y[10] < y[468] < y[1] < y[13] < y[152] and y[10] < y[473]
    rest = head_model().landmarks(head_model().mean)
    for one, other in ((469, 471), (470, 472), (474, 476), (475, 477)):  # the rings run the same way as the model's
        assert (face.points[one] - face.points[other]) @ (rest[one] - rest[other])[:2] > 0
    across = [np.linalg.norm(face.points[a] - face.points[b]) for a, b in ((469, 471), (470, 472))]
    assert np.mean(across) == pytest.approx(0.0117 / 0.145 * width(face.points), rel=0.35)  # faces are 14.5 cm wide


def test_the_hand_is_a_hand_at_the_face(hand, face):
    assert hand.points.shape == (21, 2) and hand.world.shape == (21, 3)
    lengths = np.linalg.norm(np.diff(hand.world[5:9], axis=0), axis=1)
    assert 0.01 < lengths.min() and lengths.max() < 0.06
    assert 0.05 < np.linalg.norm(hand.world[9] - hand.world[0]) < 0.13
    gap = np.linalg.norm(hand.points[:, None] - face.points, axis=2).min()
    assert gap < 0.15 * width(face.points)
    # the picture's axes: what is right and down in metres is right and down in pixels
    for axis in (0, 1):
        assert np.corrcoef(hand.points[:, axis], hand.world[:, axis])[0, 1] > 0.85


def test_a_mirror_makes_a_left_hand(landmarker, pixels, face, hand):
    """Measured on photographs: the face within 1.8 % of its width, the hand within 1.7 %, 3D within 2.4 cm."""
    across = pixels.shape[1]
    mirrored = np.ascontiguousarray(pixels[:, ::-1])
    other = landmarker.faces(mirrored)[0]
    with np.load(ASSETS / "landmarks.npz") as marks:
        partner = marks["mirror"]
    assert off([across, 0] + other.points[partner] * [-1, 1], face.points, face) < 3
    hands = landmarker.hands(mirrored, other.points)
    assert [found.side for found in hands] == ["left"]
    assert off([across, 0] + hands[0].points * [-1, 1], hand.points, face) < 4
    assert np.abs(hands[0].world * [-1, 1, 1] - hand.world).max() < 0.04


@pytest.mark.parametrize("pixels_wide", [60, 80, 120])
def test_small_faces_on_large_pictures_are_found_by_the_tiles(landmarker, pixels, face, pixels_wide):
    """Three to six percent of the picture: on the whole, reduced to 128 pixels, nobody could see it.

    Measured: landmarks within 1.5 % of the face's width.
    """
    canvas, shrink, corner = on_canvas(pixels, pixels_wide / width(face.points), 2000, (1100, 300))
    found = landmarker.faces(canvas)
    assert len(found) >= 1
    small = face.points * shrink + corner
    assert off(found[0].points, small, face) / shrink < 3
    assert [hand.side for hand in landmarker.hands(canvas, found[0].points)] == ["right"]


def on_canvas(pixels: np.ndarray, shrink: float, side: int, corner: tuple[int, int]) -> tuple:
    small = cv2.resize(pixels, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    canvas = np.full((side, side, 3), 128, np.uint8)
    canvas[corner[1] : corner[1] + small.shape[0], corner[0] : corner[0] + small.shape[1]] = small
    return canvas, shrink, np.array(corner)


def test_a_false_alarm_on_the_whole_picture_does_not_hide_a_small_face(landmarker, pixels, face, monkeypatch):
    """Something is taken for a face and turns out to be none: the tiles are still looked at."""
    canvas, *_ = on_canvas(pixels, 80 / width(face.points), 2000, (1100, 300))
    detect = landmarker.detect_faces

    def alarmed(picture, regions):
        nothing = Box(0.6, np.array([100.0, 1900]), np.array([80.0, 80]), np.array([[80.0, 1890], [120, 1890]]))
        return [nothing] if len(regions) == 1 else detect(picture, regions)

    monkeypatch.setattr(landmarker, "detect_faces", alarmed)
    assert landmarker.faces(canvas)


def test_the_larger_of_two_faces_comes_first(landmarker, pixels, face):
    height, across = pixels.shape[:2]
    picture = np.full((height, across + across // 2, 3), 128, np.uint8)
    picture[: height // 2, : across // 2] = cv2.resize(pixels, (across // 2, height // 2), interpolation=cv2.INTER_AREA)
    picture[:, across // 2 :] = pixels[:, : picture.shape[1] - across // 2]
    found = landmarker.faces(picture)
    assert len(found) == 2 and width(found[0].points) > 1.6 * width(found[1].points)
    assert off(found[0].points, face.points + [across // 2, 0], face) < 3


@pytest.mark.parametrize("degrees", [-40, 40])
def test_tilted_heads(landmarker, pixels, face, degrees):
    center = pixels.shape[1] / 2, pixels.shape[0] / 2
    matrix = cv2.getRotationMatrix2D(center, degrees, 1.0)
    turned = cv2.warpAffine(pixels, matrix, pixels.shape[1::-1])
    expected = face.points @ matrix[:, :2].T + matrix[:, 2]
    assert off(landmarker.faces(turned)[0].points, expected, face) < 4


BLANK = {
    "black": np.zeros((300, 400, 3), np.uint8),
    "white": np.full((300, 400, 3), 255, np.uint8),
    "noise": np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8),
    "one pixel": np.zeros((1, 1, 3), np.uint8),
    "a line": np.full((1, 2048, 3), 90, np.uint8),
}


@pytest.mark.parametrize("case", BLANK)
def test_nothing_is_found_in_nothing(landmarker, case):
    assert landmarker.faces(BLANK[case]) == [] and landmarker.hands(BLANK[case]) == []


def test_a_crop_shows_what_its_matrix_says():
    """A picture whose colours are its coordinates: each pixel of a crop must be the colour of where it came from."""
    y, x = np.mgrid[0:200, 0:200]
    picture = np.uint8(np.stack([x, y, 0 * x], -1))
    region = Region(np.array([110.0, 90]), 80.0, 0.6)
    crop = region.crop(picture, 64).astype(float)
    matrix = region.to_picture(64)
    v, u = np.mgrid[4:60:7, 4:60:7].reshape(2, -1)
    expected = np.column_stack([u, v]) @ matrix[:, :2].T + matrix[:, 2]
    assert np.abs(crop[v, u, :2] - expected).max() < 1.5
    assert matrix[:, :2] @ [32, 32] + matrix[:, 2] == pytest.approx([110, 90])  # the centre
    assert np.linalg.norm(matrix[:, 0]) == pytest.approx(80 / 64)
    assert matrix[1, 0] > 0  # clockwise on the screen: what is to the right in the crop lies lower in the picture


def test_a_crop_of_a_large_picture_is_smooth_and_in_place():
    """Reduced by areas first; a checkerboard of pixels must become grey, not stripes."""
    picture = np.zeros((1600, 1600, 3), np.uint8)
    picture[::2, ::2] = picture[1::2, 1::2] = 255
    picture[:, :800] = 0
    crop = Region(np.array([800.0, 800]), 1600.0).crop(picture, 100)
    assert crop[:, :49].max() < 5 and np.abs(crop[:, 51:].astype(int) - 127).max() < 12


def test_anchors_are_those_of_the_models():
    """896 of the face detector, 2016 of the palm detector (MediaPipe's SSD options)."""
    faces, palms = anchors(((16, 2), (8, 6))), anchors(((24, 2), (12, 6)))
    assert faces.shape == (896, 2) and palms.shape == (2016, 2)
    assert faces[0] == pytest.approx([1 / 32, 1 / 32]) and faces[2] == pytest.approx([3 / 32, 1 / 32])
    assert faces[512] == pytest.approx([1 / 16, 1 / 16]) and faces[-1] == pytest.approx([15 / 16, 15 / 16])


def test_boxes_by_hand():
    """Two anchors see one object, a third another, a fourth nothing."""
    centers = np.array([[0.5, 0.5], [0.5, 0.5], [0.1, 0.1], [0.9, 0.9]])
    raw = np.zeros((4, 8))
    raw[:, :4] = [[10, 0, 40, 20], [12, 0, 40, 20], [0, 0, 10, 10], [0, 0, 10, 10]]
    raw[0, 4:] = [-5, -5, 5, 5]
    double = np.array([[2.0, 0, 100], [0, 2, 50]])  # the picture is twice as large, shifted by (100, 50)
    boxes = decode_boxes(raw, np.array([3.0, 2, 1, -3]), centers, 100, double, 0.5)
    assert [round(box.score, 3) for box in boxes] == [0.953, 0.731]
    assert boxes[0].center == pytest.approx([220, 150]) and boxes[0].size == pytest.approx([80, 40])
    assert boxes[0].keypoints == pytest.approx(np.array([[190, 140], [210, 160]]))
    assert boxes[1].center == pytest.approx([120, 70])
    assert not overlaps(*boxes)


def test_the_hand_region_stands_the_hand_upright(hand):
    """In the crop's own axes the fingers point up, and the whole hand is in it."""
    region = hand_region(hand.points)
    inside = (hand.points - region.center) @ region.rotation / region.side
    assert np.abs(inside).max() < 0.5
    knuckles = inside[[5, 9, 13]].mean(0) - inside[0]
    assert knuckles[1] < -0.1 and abs(knuckles[0]) < 0.35 * abs(knuckles[1])
