# SPDX-License-Identifier: GPL-3.0-or-later
"""Captures made of simple shapes whose every number is known, and photographs to go with them."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
from dice_capture.dice_core.types import Camera, Capture, Hand, Head

LANDSCAPE = Camera((320, 240), matrix=np.float32([[410, 0, 171.5], [0, 410, 101.25], [0, 0, 1]]))
PORTRAIT = Camera((180, 300), matrix=np.float32([[390, 0, 77.0], [0, 390, 166.0], [0, 0, 1]]))
ORTHOGRAPHIC = Camera((260, 200), ortho=np.float32([620, 148.5, 91.0]))
CAMERAS = {"landscape": LANDSCAPE, "portrait": PORTRAIT, "orthographic": ORTHOGRAPHIC}
CENTRE = np.array([0.015, 0.01, 0.62])  # of the head, in camera space


def head(rings: int = 24, segments: int = 32) -> Head:
    """An egg 23 cm tall with a nose towards the camera and a bump on the picture's left: no mirror image passes."""
    theta = np.linspace(0, np.pi, rings + 1)[1:-1, None]
    phi = np.linspace(0, 2 * np.pi, segments, endpoint=False)[None]
    shape = np.stack([np.sin(theta) * np.sin(phi), -np.cos(theta) + 0 * phi, -np.sin(theta) * np.cos(phi)], -1)
    unit = np.concatenate([[[0, -1, 0]], shape.reshape(-1, 3), [[0, 1, 0]]])
    nose = np.exp(-((unit - [0, 0.1, -1]) ** 2).sum(1) / 0.02)
    bump = np.exp(-((unit - [-0.9, -0.4, 0]) ** 2).sum(1) / 0.06)
    vertices = unit * [0.075, 0.115, 0.09] * (1 + 0.3 * nose + 0.5 * bump)[:, None] + CENTRE
    contact = np.clip(1.5 * np.exp(-((unit - [0.8, 0.3, -0.5]) ** 2).sum(1) / 0.1) - 0.1, 0, 1)
    deformation = -0.006 * contact[:, None] * unit
    return Head(
        vertices=vertices.astype(np.float32),
        faces=_sphere_faces(rings, segments),
        deformation=deformation.astype(np.float32),
        contact=contact.astype(np.float32),
        landmarks=np.zeros((68, 3), np.float32),
    )


def _sphere_faces(rings: int, segments: int) -> np.ndarray:
    ring = 1 + np.arange(segments)
    following = np.roll(ring, -1)
    last = 1 + segments * (rings - 1)
    faces = [np.stack([np.zeros_like(ring), ring, following], 1)]
    for row in range(rings - 2):
        upper, lower = row * segments, (row + 1) * segments
        faces.append(np.stack([ring + upper, ring + lower, following + upper], 1))
        faces.append(np.stack([following + upper, ring + lower, following + lower], 1))
    bottom = segments * (rings - 2)
    faces.append(np.stack([ring + bottom, np.full_like(ring, last), following + bottom], 1))
    return np.concatenate(faces).astype(np.int32)


def hand(side: str) -> Hand:
    """A box beside the head."""
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    quads = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
    faces = [face for a, b, c, d in quads for face in ([a, b, c], [a, c, d])]
    place = CENTRE + [0.07 if side == "left" else -0.09, 0.07, -0.06]
    return Hand(
        side=side,
        vertices=(corners * [0.02, 0.04, 0.012] + place).astype(np.float32),
        faces=np.int32(faces),
        contact=np.float32([0, 0, 0, 0, 0, 0, 0.25, 1]),
        joints=np.zeros((21, 3), np.float32),
    )


def capture(camera: Camera = LANDSCAPE, sides: tuple[str, ...] = ("left",), source: str = "portrait.png") -> Capture:
    """The egg and its boxes."""
    return Capture(
        engine="open",
        source=source,
        camera=camera,
        head=head(),
        hands=tuple(hand(side) for side in sides),
        contact_state="touch",
        contact_probability=0.875,
        quality={"face_error": 0.5, "penetration_mm": 0.25},
        timings={"fit": 0.5},
    )


def write_picture(path: Path, pixels: np.ndarray) -> Path:
    """Save (h, w, 3) uint8, first row on top, by means of Blender."""
    height, width = pixels.shape[:2]
    image = bpy.data.images.new(path.name, width, height)
    values = np.ones((height, width, 4), np.float32)
    values[..., :3] = pixels[::-1] / np.float32(255)
    image.pixels.foreach_set(values.ravel())
    image.file_format = "JPEG" if path.suffix == ".jpg" else "PNG"
    image.save(filepath=str(path))
    bpy.data.images.remove(image)
    return path


def gradient(size: tuple[int, int]) -> np.ndarray:
    """(h, w, 3) uint8, different in each corner."""
    width, height = size
    red, green = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return np.uint8(np.stack([red, green, np.full_like(red, 64)], -1))
