# SPDX-License-Identifier: GPL-3.0-or-later
"""The preview picture: the meshes over the photograph, the contact, the deformation, side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import DiceError, NotInstalled
from ..files import atomic
from ..paths import install_command
from ..types import Camera, Capture, Frame, Hand

FORMATS = (".png", ".jpg", ".jpeg")
PANEL = 720  # pixels
SMOOTH = 2  # supersampling
HEAD_COLOR, HAND_COLOR = np.array([214, 205, 198.0]), np.array([236, 150, 96.0])
BACKGROUND = np.array([38, 40, 44.0])
OVERLAY = 0.72
LEAST_FULL = 2  # millimetres at the end of the colour scale, at least
LIGHT = np.array([-0.4, -0.55, -0.73])
FONT = cv2.FONT_HERSHEY_SIMPLEX


# Draws a mesh: (h, w, 3) canvas, (V, 3) pixels and depth, (F, 3) faces, (V, 3) RGB 0..255, lit already.
Painter = Callable[[NDArray, NDArray, NDArray, NDArray], None]


@dataclass(frozen=True)
class View:
    """A camera that shows a square of the full picture, `side` pixels wide from `corner`, on `size` pixels."""

    camera: Camera
    corner: NDArray
    side: float
    size: int
    painter: Painter

    def project(self, vertices: NDArray) -> NDArray:
        return (self.camera.project(vertices) - self.corner) * (self.size / self.side)


def write_preview(path: Path, frame: Frame, capture: Capture, renderer: str = "own") -> None:
    """Write the preview as PNG or JPEG; it appears whole or not at all.

    Parameters
    ----------
    renderer
        Who draws the meshes: `own` or `pytorch3d`.

    Raises
    ------
    DiceError
        For another ending; when the renderer is not installed.
    """
    extension = Path(path).suffix.lower()
    if extension not in FORMATS:
        raise DiceError(f"Cannot write a preview as {Path(path).name}.", f"Use one of: {', '.join(FORMATS)}.")
    with atomic(Path(path)) as temporary:
        _, data = cv2.imencode(extension, render_preview(frame, capture, renderer)[:, :, ::-1])
        temporary.write_bytes(data.tobytes())


def render_preview(frame: Frame, capture: Capture, renderer: str = "own") -> NDArray[np.uint8]:
    """(PANEL, 3 PANEL, 3) uint8 RGB: photograph with overlay, contact, deformation."""
    view = _view(capture, painter(renderer))
    panels = [_overlay(frame, capture, view), _contact(capture, view), _deformation(capture, view)]
    titles = [f"{frame.source}", f"contact: {capture.contact_state}", "deformation"]
    for panel, title in zip(panels, titles, strict=True):
        _write(panel, title, (18, 36))
    _scale_bar(panels[1], "0", "1", "probability")
    _scale_bar(panels[2], "0", f"{_full_deformation(capture)}", "mm")
    return np.hstack(panels)


def painter(renderer: str) -> Painter:
    """Who draws: `own` or `pytorch3d`. Raises `NotInstalled`."""
    if renderer == "own":
        return _fill
    try:
        from ..network.extras import pytorch3d_painter
    except ModuleNotFoundError as error:
        raise NotInstalled(f"{renderer} needs {error.name}.", f"Run {install_command('--engine dice')}.") from error
    return pytorch3d_painter()


def _view(capture: Capture, painter: Painter) -> View:
    meshes = [hand.vertices for hand in capture.hands]
    if capture.head is not None:
        meshes.append(capture.head.vertices)
    points = capture.camera.project(np.vstack(meshes))
    low, high = points.min(0), points.max(0)
    side = 1.16 * float((high - low).max())
    return View(capture.camera, (low + high) / 2 - side / 2, side, PANEL * SMOOTH, painter)


def _overlay(frame: Frame, capture: Capture, view: View) -> NDArray:
    factor = view.size / view.side
    matrix = np.c_[np.eye(2) * factor * frame.scale, -view.corner * factor]
    photo = cv2.warpAffine(
        frame.pixels, matrix, (view.size, view.size), flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT, borderValue=BACKGROUND.tolist(),
    )  # fmt: skip
    canvas = photo.copy()
    layers = [(hand.vertices, hand.faces, HAND_COLOR) for hand in capture.hands]
    if capture.head is not None:
        layers.append((capture.head.vertices + capture.head.deformation, capture.head.faces, HEAD_COLOR))
    _paint(canvas, view, layers)
    return _reduce(cv2.addWeighted(canvas, OVERLAY, photo, 1 - OVERLAY, 0))


def _contact(capture: Capture, view: View) -> NDArray:
    canvas = _empty(view.size)
    if capture.head is not None:
        vertices = capture.head.vertices + capture.head.deformation
        _paint(canvas, view, [(vertices, capture.head.faces, _heat(capture.head.contact, HEAD_COLOR))])
    for hand in capture.hands:
        _outline(canvas, view, hand)
    panel = _reduce(canvas)
    for index, hand in enumerate(capture.hands):
        inset = _touching_side(hand, PANEL // 3, view.painter)
        left = index * inset.shape[1]
        place = panel[-inset.shape[0] :, left : left + inset.shape[1]]
        _write(panel, f"the {hand.side} hand from the face", (left + 10, PANEL - inset.shape[0] - 6), 0.45)
        np.copyto(place, inset, where=(inset != BACKGROUND.astype(np.uint8)).any(2, keepdims=True))
    return panel


def _deformation(capture: Capture, view: View) -> NDArray:
    canvas = _empty(view.size)
    if capture.head is not None:
        amount = 1000 * np.linalg.norm(capture.head.deformation, axis=1) / _full_deformation(capture)
        vertices = capture.head.vertices + capture.head.deformation
        _paint(canvas, view, [(vertices, capture.head.faces, _heat(amount, HEAD_COLOR))])
    for hand in capture.hands:
        _outline(canvas, view, hand)
    return _reduce(canvas)


def _full_deformation(capture: Capture) -> int:
    """Whole millimetres at the end of the colour scale."""
    if capture.head is None:
        return LEAST_FULL
    return max(LEAST_FULL, int(np.ceil(1000 * np.linalg.norm(capture.head.deformation, axis=1).max())))


def _touching_side(hand: Hand, size: int, painter: Painter) -> NDArray:
    """The hand seen from the face: from behind, through an orthographic camera."""
    turned = hand.vertices * [-1, 1, -1]
    low, high = turned.min(0), turned.max(0)
    scale = 0.84 * size * SMOOTH / float((high - low)[:2].max())
    offset = size * SMOOTH / 2 - scale * (low + high)[:2] / 2
    camera = Camera((size * SMOOTH, size * SMOOTH), ortho=np.array([scale, *offset], np.float32))
    canvas = _empty(size * SMOOTH)
    view = View(camera, np.zeros(2), size * SMOOTH, size * SMOOTH, painter)
    _paint(canvas, view, [(turned, hand.faces, _heat(hand.contact, HAND_COLOR))])
    return _reduce(canvas)


def _paint(canvas: NDArray, view: View, layers: list[tuple[NDArray, NDArray, NDArray]]) -> None:
    """Draw meshes; colours are one RGB or (V, 3), lit by a lamp behind the camera's shoulder."""
    points, triangles, colors = [], [], []
    count = 0
    for vertices, faces, color in layers:
        light = 0.38 + 0.62 * np.clip(_normals(vertices, faces) @ (LIGHT / np.linalg.norm(LIGHT)), 0, 1)
        points.append(np.c_[view.project(vertices), vertices[:, 2]])
        triangles.append(faces + count)
        colors.append(np.broadcast_to(color, vertices.shape) * light[:, None])
        count += len(vertices)
    view.painter(canvas, np.concatenate(points), np.concatenate(triangles), np.concatenate(colors))


def _fill(canvas: NDArray, points: NDArray, faces: NDArray, colors: NDArray) -> None:
    """A `Painter`: far triangles first, those that face away not at all."""
    corners = points[faces]
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    front = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0] < 0  # normals that point to the camera
    corners, shades = _quartered(corners[front]), _quartered(colors[faces[front]]).mean(1)
    fixed = np.round(np.clip(corners[:, :, :2], -1e5, 1e5) * 16).astype(np.int32)
    for index in np.argsort(-corners[:, :, 2].mean(1)):
        cv2.fillConvexPoly(canvas, fixed[index], shades[index].tolist(), cv2.LINE_AA, shift=4)


def _normals(vertices: NDArray, faces: NDArray) -> NDArray:
    """(V, 3) unit vertex normals, weighted by area."""
    corners = vertices[faces].astype(np.float64)
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros((len(vertices), 3))
    for corner in range(3):
        np.add.at(normals, faces[:, corner], across)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def _quartered(values: NDArray) -> NDArray:
    """(F, 3, D) values at corners -> (4 F, 3, D) of the four triangles within each: finer shading."""
    middle = (values + np.roll(values, -1, axis=1)) / 2
    outer = [np.stack([values[:, at], middle[:, at], middle[:, at - 1]], axis=1) for at in range(3)]
    return np.concatenate([*outer, middle])


def _outline(canvas: NDArray, view: View, hand: Hand) -> None:
    mask = np.zeros(canvas.shape[:2], np.uint8)
    points = np.round(view.project(hand.vertices)[hand.faces]).astype(np.int32)
    for triangle in points:
        cv2.fillConvexPoly(mask, triangle, 255)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(canvas, contours, -1, HAND_COLOR.tolist(), SMOOTH, cv2.LINE_AA)


def _heat(amount: NDArray, base: NDArray) -> NDArray:
    """(V,) 0..1 -> (V, 3) RGB, from the base colour into the heat map."""
    levels = (255 * np.clip(amount, 0, 1)).astype(np.uint8)
    colors = cv2.applyColorMap(levels[:, None], cv2.COLORMAP_INFERNO)[:, 0, ::-1].astype(np.float64)
    blend = np.clip(amount / 0.15, 0, 1)[:, None]
    return base * (1 - blend) + np.maximum(colors, 40) * blend


def _empty(size: int) -> NDArray:
    return np.full((size, size, 3), BACKGROUND.astype(np.uint8))


def _reduce(canvas: NDArray) -> NDArray:
    size = canvas.shape[0] // SMOOTH
    return cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)


def _write(panel: NDArray, text: str, corner: tuple[int, int], size: float = 0.7) -> None:
    plain = text.encode("ascii", "replace").decode()  # the font knows no other letters
    left, base = corner
    for x, y in ((left - 1, base), (left + 1, base), (left, base - 1), (left, base + 1)):  # a bolder font is also wider
        cv2.putText(panel, plain, (x, y), FONT, size, (20, 20, 20), 1, cv2.LINE_AA)
    cv2.putText(panel, plain, corner, FONT, size, (240, 240, 240), 1, cv2.LINE_AA)


def _scale_bar(panel: NDArray, low: str, high: str, unit: str) -> None:
    ramp = _heat(np.linspace(0, 1, 180), HEAD_COLOR)
    top, left = PANEL - 34, PANEL - 240
    panel[top : top + 12, left : left + 180] = ramp
    _write(panel, low, (left, top - 8), 0.5)
    _write(panel, high, (left + 172, top - 8), 0.5)
    _write(panel, unit, (left + 60, top - 8), 0.5)
