# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures of one case: what was seen, what is true, what was found, and how the two differ."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from dice_core.evaluate.comparison import matched_hands
from dice_core.evaluate.figures import THRESHOLD, deformed, to_true_face
from dice_core.result import preview
from dice_core.types import Camera, Capture, Frame, Hand, Head

SIDE = 340  # pixels
FULL_ERROR = 0.02  # metres at the end of the heat map
BOTH, TRUE_ONLY, SAID_ONLY = (0, 158, 115), (0, 114, 178), (213, 94, 0)  # told apart by the colour-blind too
Layer = tuple[NDArray, NDArray, NDArray]  # vertices, faces, colours


def panels(frame: Frame, truth: Capture, prediction: Capture | None) -> dict[str, NDArray[np.uint8]]:
    """(SIDE, SIDE, 3) uint8 RGB by title, all of one square of the picture; without a prediction only two."""
    view = replace(preview._view(truth, preview.painter("own")), size=SIDE * preview.SMOOTH)
    nothing = replace(truth, head=None, hands=())
    pictures = {"picture": _overlay(frame, nothing, view), "truth": _overlay(frame, truth, view)}
    if prediction is None:
        return pictures
    pictures["found"] = _overlay(frame, prediction, replace(view, camera=prediction.camera))
    pictures["error, black 0 to yellow 20 mm"] = _draw(_error_layers(truth, prediction), view)
    if truth.head is not None and prediction.head is not None:
        colors = _agreement(truth.head, prediction.head)
        layer = (deformed(truth.head), truth.head.faces, colors)
        pictures["contact of the face"] = _draw([layer], view, truth.hands)
    for hand, true in matched_hands("the picture", prediction, truth):
        pictures[f"contact of the {true.side} hand, from the face"] = _from_the_face(true, hand, view)
    return pictures


def jpeg(pixels: NDArray[np.uint8], limit: int = 60_000) -> bytes:
    """As good as fits into so many bytes."""
    for quality in range(88, 10, -12):
        data = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        if len(data) <= limit:
            break
    return data


def _overlay(frame: Frame, capture: Capture, view: preview.View) -> NDArray:
    if capture.head is None and not capture.hands:
        matrix = np.c_[np.eye(2) * frame.scale, -view.corner] * (SIDE / view.side)
        return cv2.warpAffine(frame.pixels, matrix, (SIDE, SIDE), flags=cv2.INTER_AREA)
    return preview._overlay(frame, capture, view)


def _draw(layers: list[Layer], view: preview.View, outlined: tuple[Hand, ...] = ()) -> NDArray:
    canvas = preview._empty(view.size)
    if layers:
        preview._paint(canvas, view, layers)
    for hand in outlined:
        preview._outline(canvas, view, hand)
    return preview._reduce(canvas)


def _error_layers(truth: Capture, prediction: Capture) -> list[Layer]:
    """The true meshes, coloured by how far the found ones are, the faces being brought together first."""
    layers: list[Layer] = []
    move = None
    if truth.head is not None and prediction.head is not None:
        move = to_true_face(prediction.head, truth.head)
        true = deformed(truth.head)
        layers.append((true, truth.head.faces, _far(move.apply(deformed(prediction.head)), true)))
    for hand, true_hand in matched_hands("the picture", prediction, truth):
        found = hand.vertices if move is None else move.apply(hand.vertices)
        layers.append((true_hand.vertices, true_hand.faces, _far(found, true_hand.vertices)))
    return layers


def _far(found: NDArray, true: NDArray) -> NDArray:
    amount = np.linalg.norm(found - true, axis=1) / FULL_ERROR
    levels = (255 * np.clip(amount, 0, 1)).astype(np.uint8)
    return np.maximum(cv2.applyColorMap(levels[:, None], cv2.COLORMAP_INFERNO)[:, 0, ::-1].astype(float), 50)


def _agreement(truth: Head | Hand, found: Head | Hand) -> NDArray:
    """(V, 3) colours: touching in both, in truth only, as found only; else grey, also of hands, to stand out from."""
    true, said = truth.contact >= THRESHOLD, found.contact >= THRESHOLD
    colors = np.tile(preview.HEAD_COLOR, (len(true), 1))
    for which, color in ((true & said, BOTH), (true & ~said, TRUE_ONLY), (said & ~true, SAID_ONLY)):
        colors[which] = np.array(color) * 1.2
    return np.minimum(colors, 255)


def _from_the_face(truth: Hand, found: Hand, view: preview.View) -> NDArray:
    """The true hand from behind, through an orthographic camera."""
    turned = truth.vertices * [-1, 1, -1]
    low, high = turned[:, :2].min(0), turned[:, :2].max(0)
    scale = 0.84 * view.size / float((high - low).max())
    offset = view.size / 2 - scale * (low + high) / 2
    camera = Camera((view.size, view.size), ortho=np.array([scale, *offset], np.float32))
    behind = replace(view, camera=camera, corner=np.zeros(2), side=float(view.size))
    return _draw([(turned, truth.faces, _agreement(truth, found))], behind)
