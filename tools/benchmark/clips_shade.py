# SPDX-License-Identifier: GPL-3.0-or-later
"""A frame of a clip: lamps with soft shadows, light from all around, skin, eyes, cloth and hair; then the camera."""

from __future__ import annotations

from functools import lru_cache

import cv2
import igl
import numpy as np
from numpy.typing import NDArray

from .clips_look import EYE, HAIR, HAND, HEAD, SKIN, Light, Look, Meshes
from .clips_raster import Floats, Seen, lamp_map, seen

POINTS = 2  # of a lamp
REACH = 0.34  # metres about the head where shadows fall
STRATA = 4  # pixels a side over which shadows are smoothed
GRAIN = 512  # pixels by which the noise of one frame lies elsewhere than that of another
GLOSS = np.array([0.035, 0.05, 0.008, 0.03], np.float32)
SHARP = np.array([14.0, 90.0, 6.0, 18.0], np.float32)
WRAP = np.array([0.16, 0.07, 0.04], np.float32)  # light spreads within skin, red farthest


def frame(made: Look, shown: Meshes, size: tuple[int, int], focal: float, number: int) -> NDArray[np.uint8]:
    """(h, w, 3) RGB as a camera takes it; `number` of the frame decides about its noise."""
    pixels, linear = drawn(made, shown, size, focal)
    picture = made.room.copy()
    curve = np.clip(1.25 * linear * (1 + linear / 9) / (1 + 0.8 * linear), 0, 1) ** np.float32(1 / 2.2)
    picture.reshape(-1, 3)[pixels.pixel] = curve
    return taken(picture, made.seed, number)


def taken(picture: Floats, seed: int, number: int) -> NDArray[np.uint8]:
    """Lens and sensor: a slight blur, and noise that differs from frame to frame."""
    rng = np.random.default_rng([seed, 3])
    sigma, strength = rng.uniform(0.5, 0.9), rng.uniform(0.004, 0.014)
    height, width = picture.shape[:2]
    down, right = np.random.default_rng([seed, 4, number]).integers(0, GRAIN, 2)
    grain = _grain(height + GRAIN, width + GRAIN)[down : down + height, right : right + width]
    noisy = cv2.scaleAdd(grain, 255 * strength, cv2.GaussianBlur(255 * picture, None, sigma))
    return np.clip(noisy + 0.5, 0, 255, out=noisy).astype(np.uint8)


@lru_cache(maxsize=1)
def _grain(height: int, width: int) -> Floats:
    rng = np.random.default_rng(0)
    grain = rng.standard_normal((height, width, 3), np.float32)
    return grain + np.float32(0.6) * rng.standard_normal((height, width, 1), np.float32)


def luminance(made: Look, shown: Meshes, size: tuple[int, int], focal: float) -> float:
    """The median of the face's skin, linear."""
    pixels, linear = drawn(made, shown, size, focal)
    face = (shown.texture[pixels.triangle] == HEAD) & (shown.kind[pixels.triangle] == SKIN)
    return float(np.median(linear[face] @ np.array([0.2126, 0.7152, 0.0722], np.float32)))


def drawn(made: Look, shown: Meshes, size: tuple[int, int], focal: float) -> tuple[Seen, Floats]:
    """The pixels that show the person, and their (n, 3) linear colours."""
    pixels = seen(shown.vertices, shown.faces, size, focal)
    place = pixels.at(shown.vertices, shown.faces)
    sight = _unit(place)
    normals = igl.per_vertex_normals(shown.vertices.astype(np.float64), shown.faces.astype(np.int64))
    normal = _unit(pixels.at(np.nan_to_num(normals).astype(np.float32), shown.faces))
    normal = np.where(_dot(normal, sight) > 0.2, -normal, normal)  # cloth seen from the back
    colour = _colours(made, shown, pixels)
    kind = shown.kind[pixels.triangle]
    open_ = pixels.at(shown.open[:, None], shown.faces)
    lit = _lamps(made.light, shown, pixels, place, size)
    return pixels, _shaded(made.light, colour, kind, normal, sight, place, lit, open_)


def _unit(vectors: NDArray) -> NDArray:
    return vectors / np.sqrt(np.einsum("...d,...d->...", vectors, vectors) + 1e-18)[..., None]


def _dot(first: Floats, second: Floats) -> Floats:
    """(n, 1)."""
    return np.einsum("nd,nd->n", first, second)[:, None]


def _colours(made: Look, shown: Meshes, pixels: Seen) -> Floats:
    """(n, 3) linear."""
    colour = np.tile(shown.colour.astype(np.float32), (len(pixels.pixel), 1))
    owner, kind = shown.texture[pixels.triangle], shown.kind[pixels.triangle]
    for number, texture in ((HEAD, made.head_texture), (HAND, made.hand_texture)):
        own = np.flatnonzero(owner == number)
        at = np.einsum("nk,nkd->nd", pixels.weights[own], shown.uv[pixels.triangle[own]])
        colour[own] = _texels(texture, at)
    hair = np.flatnonzero(kind == HAIR)
    flow = pixels.at(shown.flow, shown.faces)[hair]
    colour[hair] = made.hair_colour * (0.35 + _streaks()[tuple((flow * 900).astype(np.int32).T & 63)][:, None])
    eye = np.flatnonzero(kind == EYE)
    radius = np.linalg.norm(pixels.at(shown.gaze, shown.faces)[eye], axis=1)[:, None]
    colour[eye] = np.where(radius < 0.0021, 0.004, np.where(radius < 0.0056, made.iris, np.where(
        radius < 0.0063, 0.3 * made.iris + 0.1, [0.60, 0.56, 0.53])))  # fmt: skip
    return colour


def _texels(texture: Floats, at: Floats) -> Floats:
    """(n, 3) between the texels at (n, 2) texture coordinates."""
    size = len(texture)
    x, y = np.clip(at * [size, -size] + [-0.5, size - 0.5], 0, size - 1.001).astype(np.float32).T
    column, row = x.astype(np.int32), y.astype(np.int32)
    right, down = (x - column)[:, None], (y - row)[:, None]
    above = texture[row, column] * (1 - right) + texture[row, column + 1] * right
    below = texture[row + 1, column] * (1 - right) + texture[row + 1, column + 1] * right
    return above + down * (below - above)


@lru_cache(maxsize=1)
def _streaks() -> Floats:
    """(64, 64, 64) about 0..1."""
    values = np.random.default_rng(0).random((64, 64, 64)).astype(np.float32)
    return (values + np.roll(values, 1, 0) + np.roll(values, 1, 1)) / 3 * 1.4 - 0.2


def _lamps(light: Light, shown: Meshes, pixels: Seen, place: Floats, size: tuple[int, int]) -> Floats:
    """(n, L) how much of each lamp a pixel sees."""
    row, column = pixels.pixel // size[0], pixels.pixel % size[0]
    pattern = ((row % STRATA) * STRATA + column % STRATA) * 7 % STRATA**2
    shift = np.stack([pattern % STRATA, pattern // STRATA], 1).astype(np.float32) - (STRATA - 1) / 2
    result = np.zeros((len(place), len(light.places)), np.float32)
    for index, (middle, width) in enumerate(zip(light.places, light.sizes, strict=True)):
        facing = _unit(light.target - middle)
        side = _unit(np.cross(facing, [0.1, 1.0, 0.3]))
        for turn in 2 * np.pi * np.arange(POINTS) / POINTS:
            point = middle + 0.3 * width * (np.cos(turn) * side + np.sin(turn) * np.cross(facing, side))
            seen_from = lamp_map(shown.vertices, shown.faces, point, light.target, REACH)
            result[:, index] += seen_from.lights(place, shift) * np.float32(1 / POINTS)
    return _smoothed(result, pixels, shown.group[pixels.triangle], size)


def _smoothed(values: Floats, pixels: Seen, group: NDArray, size: tuple[int, int]) -> Floats:
    """Averages over neighbouring pixels of the same group."""
    result = np.zeros_like(values)
    for number in np.unique(group):
        own = group == number
        plane = np.zeros((size[0] * size[1], values.shape[1] + 1), np.float32)
        plane[pixels.pixel[own]] = np.c_[values[own], np.ones(own.sum(), np.float32)]
        blurred = cv2.blur(plane.reshape(size[1], size[0], -1), (STRATA + 1,) * 2).reshape(len(plane), -1)
        found = blurred[pixels.pixel[own]]
        result[own] = found[:, :-1] / np.maximum(found[:, -1:], 1e-6)
    return result


def _shaded(light: Light, colour: Floats, kind: NDArray, normal: Floats, sight: Floats, place: Floats, lit: Floats,
            open_: Floats) -> Floats:  # fmt: skip
    sky = light.world.astype(np.float32) * (1 - 0.35 * normal[:, 1:2])
    total = colour * sky * open_ ** np.float32(1.2)
    gloss, sharp = GLOSS[kind][:, None], SHARP[kind][:, None]
    wrap = WRAP * (kind == SKIN)[:, None]
    for index, middle in enumerate(light.places.astype(np.float32)):
        way = _unit(middle - place)
        cosine = _dot(normal, way)
        diffuse = np.maximum((cosine + wrap) / (1 + wrap), 0)
        half = np.maximum(_dot(normal, _unit(way - sight)), 0)
        lobe = half**sharp * (sharp + 8) / 8
        glow = (light.strengths[index] * light.colours[index]).astype(np.float32) * lit[:, index : index + 1]
        total += glow * (colour * diffuse + gloss * lobe * np.maximum(cosine, 0)) / np.float32(np.pi)
    return total.astype(np.float32)
