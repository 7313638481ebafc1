# SPDX-License-Identifier: GPL-3.0-or-later
"""The preview picture against meshes drawn by another rasteriser, and against the photograph."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from PIL import Image

from dice_core.errors import DiceError
from dice_core.result.preview import BACKGROUND, PANEL, render_preview, write_preview
from dice_core.types import Camera, Capture, Frame

TEXT = np.zeros((PANEL, PANEL), bool)  # where titles and colour scales are written
TEXT[:48] = TEXT[-64:, -260:] = True


def square(capture: Capture) -> tuple[np.ndarray, float]:
    """Corner and side, in pixels of the picture, of the square that the panels show: the meshes and 8 % around."""
    meshes = [hand.vertices for hand in capture.hands] + ([capture.head.vertices] if capture.head else [])
    points = capture.camera.project(np.vstack(meshes).astype(float))
    low, high = points.min(0), points.max(0)
    side = 1.16 * (high - low).max()
    return (low + high) / 2 - side / 2, side


def silhouette(capture: Capture, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(PANEL, PANEL) bool: the mesh, triangle by triangle, through the capture's camera."""
    corner, side = square(capture)
    points = (capture.camera.project(vertices.astype(float)) - corner) * (PANEL / side)
    mask = np.zeros((PANEL, PANEL), np.uint8)
    for triangle in np.round(points[faces] * 256).astype(np.int32):
        cv2.fillPoly(mask, [triangle], 255, shift=8)
    return mask > 0


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union, where no text is."""
    return (one & other)[~TEXT].sum() / (one | other)[~TEXT].sum()


def painted(panel: np.ndarray) -> np.ndarray:
    return np.abs(panel - BACKGROUND).max(2) > 12


def panels(frame: Frame, capture: Capture) -> tuple[np.ndarray, ...]:
    preview = render_preview(frame, capture)
    assert preview.shape == (PANEL, 3 * PANEL, 3) and preview.dtype == np.uint8
    return tuple(panel.astype(float) for panel in np.split(preview, 3, axis=1))


@pytest.fixture(scope="module")
def sides(sample_frame, sample_capture) -> tuple[np.ndarray, ...]:
    return panels(sample_frame, sample_capture)


def seen_photograph(frame: Frame, capture: Capture) -> np.ndarray:
    """The square of the photograph, cut out and scaled here."""
    corner, side = square(capture)
    image = Image.fromarray(frame.pixels).transform(
        (PANEL, PANEL), Image.Transform.AFFINE,
        np.r_[side / PANEL, 0, corner[0], 0, side / PANEL, corner[1]] / frame.scale,
        Image.Resampling.BILINEAR, fillcolor=tuple(int(value) for value in BACKGROUND),
    )  # fmt: skip
    return np.asarray(image, float)


def test_the_photograph_is_where_it_was_and_not_mirrored(sides, sample_frame, sample_capture):
    photo, head, hand = seen_photograph(sample_frame, sample_capture), sample_capture.head, sample_capture.hands[0]
    meshes = silhouette(sample_capture, head.vertices + head.deformation, head.faces)
    meshes |= silhouette(sample_capture, hand.vertices, hand.faces)
    free = ~cv2.dilate(meshes.astype(np.uint8), np.ones((7, 7))).astype(bool) & ~TEXT
    assert free.mean() > 0.2
    difference = np.abs(sides[0] - photo).mean(2)
    assert np.median(difference[free]) < 3 and np.quantile(difference[free], 0.95) < 25
    assert np.median(np.abs(sides[0] - photo[:, ::-1]).mean(2)[free]) > 3


def test_a_photograph_above_the_working_size_is_in_place_too(sides, sample_frame, sample_capture):
    """Half the pixels, the same picture."""
    half = cv2.resize(sample_frame.pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    overlay = panels(dataclasses.replace(sample_frame, pixels=half), sample_capture)[0]
    assert np.median(np.abs(overlay - sides[0])) < 3 and np.abs(overlay - sides[0]).mean() < 5


def test_the_painted_head_covers_the_projected_head(sample_frame, sample_capture):
    """Drawn alone, so that nothing else is in the panel. Measured: 0.99."""
    alone = dataclasses.replace(sample_capture, hands=())
    _, contact, deformation = panels(sample_frame, alone)
    mask = silhouette(alone, alone.head.vertices + alone.head.deformation, alone.head.faces)
    for panel in (contact, deformation):
        assert overlap(painted(panel), mask) > 0.975
        assert overlap(painted(panel)[:, ::-1], mask) < 0.95
        assert overlap(painted(panel)[::-1], mask) < 0.95


def test_the_painted_hand_covers_the_projected_hand(sample_frame, sample_capture):
    alone = dataclasses.replace(sample_capture, head=None)
    overlay, *_ = panels(sample_frame, alone)
    changed = np.abs(overlay - seen_photograph(sample_frame, alone)).max(2) > 12
    hand = alone.hands[0]
    mask = silhouette(alone, hand.vertices, hand.faces)
    assert changed[mask & ~TEXT].mean() > 0.75  # orange on a hand is hardly far from skin
    assert changed[~cv2.dilate(mask.astype(np.uint8), np.ones((9, 9))).astype(bool) & ~TEXT].mean() < 0.03


def pixels_of(capture: Capture, vertices: np.ndarray) -> np.ndarray:
    corner, side = square(capture)
    return np.round((capture.camera.project(vertices.astype(float)) - corner) * (PANEL / side)).astype(int)


def colorful(panel: np.ndarray) -> np.ndarray:
    """(PANEL, PANEL) how far from grey."""
    return np.ptp(panel, axis=2)


def test_colour_is_where_contact_and_deformation_are(sample_frame, sample_capture):
    head = sample_capture.head
    alone = dataclasses.replace(sample_capture, hands=())
    _, contact, deformation = panels(sample_frame, alone)
    amount = np.linalg.norm(head.deformation, axis=1)
    for panel, values in ((contact, head.contact), (deformation, amount / amount.max())):
        x, y = pixels_of(alone, (head.vertices + head.deformation)[values > 0.8]).T
        assert colorful(panel)[y, x].mean() > 80
        far = np.ones((PANEL, PANEL), np.uint8)
        for point in pixels_of(alone, head.vertices[values > 0.01]):
            cv2.circle(far, point.tolist(), 14, 0, -1)
        assert np.quantile(colorful(panel)[(far > 0) & ~TEXT], 0.999) < 30


def test_no_touch_is_without_colour(sample_frame, sample_capture):
    head = sample_capture.head
    clean = dataclasses.replace(head, deformation=0 * head.deformation, contact=0 * head.contact)
    capture = dataclasses.replace(sample_capture, head=clean, hands=(), contact_state="no-touch")
    for panel in panels(sample_frame, capture)[1:]:
        assert colorful(panel)[~TEXT].max() < 30


def test_the_nearer_mesh_hides_the_farther(sample_frame, sample_capture):
    """The hand lies in front of the head: where both are, the overlay is as it is without the head."""
    hand, head = sample_capture.hands[0], sample_capture.head
    over, under = (silhouette(sample_capture, mesh.vertices, mesh.faces) for mesh in (hand, head))
    inner = cv2.erode((over & under).astype(np.uint8), np.ones((9, 9))).astype(bool)
    assert inner.sum() > 500
    overlay = panels(sample_frame, sample_capture)[0]
    warm = overlay[:, :, 0] - overlay[:, :, 2]
    assert np.median(warm[inner]) > np.median(warm[under & ~over]) + 40


@pytest.mark.parametrize("missing", ["head", "hand"])
@pytest.mark.parametrize("orthographic", [False, True])
def test_anything_may_be_missing_and_the_camera_be_orthographic(missing, orthographic, sample_frame, sample_capture):
    capture = sample_capture
    if orthographic:
        scale = capture.camera.matrix[0, 0] / capture.head.vertices[:, 2].mean()
        camera = Camera(capture.camera.image_size, ortho=np.float32([scale, *capture.camera.matrix[:2, 2]]))
        capture = dataclasses.replace(capture, camera=camera)
    capture = dataclasses.replace(capture, **({"head": None} if missing == "head" else {"hands": ()}))
    _, contact, deformation = panels(sample_frame, capture)
    if missing == "hand":
        mask = silhouette(capture, capture.head.vertices + capture.head.deformation, capture.head.faces)
        assert overlap(painted(contact), mask) > 0.975
    else:
        assert painted(deformation)[~TEXT].mean() > 0.002  # the outline


@pytest.mark.parametrize("name", ["a.png", "a.JPG", "größer als.png"])
def test_files(name, sample_frame, sample_capture, tmp_path):
    write_preview(tmp_path / name, sample_frame, sample_capture)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    written = np.asarray(Image.open(tmp_path / name).convert("RGB"), float)
    difference = np.abs(written - render_preview(sample_frame, sample_capture))
    assert difference.max() == 0 if name.endswith("png") else difference.mean() < 3


def test_files_that_cannot_be(sample_frame, sample_capture, tmp_path):
    for name in ("a.xyz", "a", "a.npz"):
        with pytest.raises(DiceError, match=".png"):
            write_preview(tmp_path / name, sample_frame, sample_capture)
    (tmp_path / "file").touch()
    with pytest.raises(DiceError, match="Choose a folder"):
        write_preview(tmp_path / "file" / "a.png", sample_frame, sample_capture)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_any_name_can_be_a_title(sample_frame, sample_capture):
    for source in ("", "写真.jpg", "x" * 300):
        render_preview(sample_frame, dataclasses.replace(sample_capture, source=source))
