# SPDX-License-Identifier: GPL-3.0-or-later
"""Hair as strands: short textured hair, brows and lashes grown out of the posed head."""

from __future__ import annotations

from dataclasses import dataclass

import igl
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from .paint import EYE, brow_amount, hair_amount
from .raster import interpolate, vertex_normals

POINTS = 9  # of a strand
HAIRS, TUFTS, BROW_HAIRS = 80000, 1500, 800
# Landmarks along the rims of the right and the left eye's upper and lower lids, from the outer corner.
UPPER_LIDS = ([33, 246, 161, 160, 159, 158, 157, 173], [263, 466, 388, 387, 386, 385, 384, 398])
LOWER_LIDS = ([33, 7, 163, 144, 145, 153, 154, 155], [263, 249, 390, 373, 374, 380, 381, 382])


@dataclass(frozen=True)
class Scalp:
    """The posed head that hair grows on: `rest` (V, 3) are its vertices on the average head, `turn` its rotation."""

    vertices: NDArray
    faces: NDArray
    rest: NDArray
    turn: NDArray

    def roots(self, amount: NDArray, count: int, rng: np.random.Generator) -> tuple[NDArray, NDArray, NDArray]:
        """Random places where `amount` (V,) of hair is: posed (n, 3), on the average head (n, 3), outward (n, 3)."""
        a, b, c = (self.vertices[self.faces[:, corner]] for corner in range(3))
        area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
        chance = area * amount[self.faces].mean(1)
        triangle = rng.choice(len(self.faces), count, p=chance / chance.sum())
        barycentric = rng.dirichlet(np.ones(3), count)
        normals = interpolate(vertex_normals(self.vertices, self.faces), self.faces, triangle, barycentric)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        places, rest = (interpolate(values, self.faces, triangle, barycentric) for values in (self.vertices, self.rest))
        return places, rest, normals


def unit(vectors: NDArray) -> NDArray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def smoothstep(values: NDArray, low: float, high: float) -> NDArray:
    t = np.clip((values - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def grow(
    scalp: Scalp, roots: NDArray, normals: NDArray, comb: NDArray, length: NDArray, lift: NDArray, droop: NDArray
) -> NDArray:
    """Strands (n, POINTS, 3) that leave the skin by `lift` (n,) 0..1 and bend into the direction `comb` (n, 3).

    They never come nearer to the skin than a fraction of a millimetre.
    """
    strands = [roots - 0.001 * normals]
    step = length[:, None] / (POINTS - 1)
    for index in range(1, POINTS):
        progress = index / (POINTS - 1)
        upright = lift[:, None] * (1 - progress) ** 0.7
        direction = unit(upright * normals + (1 - upright) * comb + droop[:, None] * progress * [0, 1, 0])
        points = strands[-1] + step * direction
        distance, _, nearest, _ = igl.signed_distance(points, scalp.vertices, scalp.faces)
        outward = unit(np.where(distance[:, None] < 0, nearest - points, points - nearest) + 1e-9)
        least = 0.0006 + 0.002 * progress
        strands.append(points + np.maximum(least - distance, 0)[:, None] * outward)
    return np.stack(strands, axis=1)


def hair(scalp: Scalp, rng: np.random.Generator) -> NDArray:
    """Short hair: longer and swept to the person's left on top, cropped at the sides and the neck."""
    roots, rest, normals = scalp.roots(hair_amount(scalp.rest + [0, -0.006, 0], 0.012), HAIRS, rng)
    keep = rng.uniform(size=len(roots)) < hair_amount(rest + rng.normal(0, 0.002, rest.shape) + [0, -0.004, 0], 0.012)
    roots, rest, normals = roots[keep], rest[keep], normals[keep]
    tuft = cKDTree(rest[rng.choice(len(rest), TUFTS, replace=False)]).query(rest + rng.normal(0, 0.002, rest.shape))[1]
    tuft_noise = rng.normal(size=(TUFTS, 5))[tuft]
    top = smoothstep(EYE[1] - rest[:, 1], 0.045, 0.085)
    front = smoothstep(-rest[:, 2], -0.03, 0.06)
    sweep = unit(np.stack([0.8 + 0.1 * front, -0.1 + 0.05 * front, 0.55 - 0.85 * front], 1))
    sides = unit(np.stack([0.15 * np.sign(rest[:, 0]), np.ones(len(rest)), 0.55 * np.ones(len(rest))], 1))
    comb = (top[:, None] * sweep + (1 - top[:, None]) * sides) @ scalp.turn.T
    comb = unit(comb + 0.32 * tuft_noise[:, :3] + 0.10 * rng.normal(size=comb.shape))
    length = (0.008 + 0.036 * top) * (1 + 0.18 * tuft_noise[:, 3]) * rng.uniform(0.75, 1.1, len(rest))
    lift = np.clip(0.16 + 0.45 * top + 0.10 * tuft_noise[:, 4] + 0.05 * rng.normal(size=len(rest)), 0.05, 0.95)
    return grow(scalp, roots, normals, comb, np.maximum(length, 0.004), lift, (0.25 + 0.45 * front) * top)


def brows(scalp: Scalp, rng: np.random.Generator) -> NDArray:
    """Brow hairs: upright at the nose, lying outward further on."""
    roots, rest, normals = scalp.roots(brow_amount(scalp.rest) + 1e-9, BROW_HAIRS * 6, rng)
    keep = np.flatnonzero(brow_amount(rest) > rng.uniform(0.05, 0.9, len(rest)))[:BROW_HAIRS]
    roots, rest, normals = roots[keep], rest[keep], normals[keep]
    outward = smoothstep(np.abs(rest[:, 0]), 0.010, 0.030)
    down = smoothstep(np.abs(rest[:, 0]), 0.030, 0.055)
    comb = np.stack([np.sign(rest[:, 0]) * (0.25 + outward), -1 + 0.9 * outward + 0.5 * down, 0.3 * down], 1)
    comb = unit(comb @ scalp.turn.T + 0.18 * rng.normal(size=comb.shape))
    count = len(roots)
    return grow(scalp, roots, normals, comb, rng.uniform(0.005, 0.0085, count), np.full(count, 0.22), np.zeros(count))


def lashes(marks: NDArray, turn: NDArray, rng: np.random.Generator) -> NDArray:
    """Lashes along both eyes' lids; `marks` (478, 3) are the face's landmarks."""
    strands = []
    for lids, count, length, rise in (UPPER_LIDS, 130, 0.0075, -0.8), (LOWER_LIDS, 60, 0.0042, 0.7):
        for line in lids:
            at = np.sort(rng.uniform(0.3, len(line) - 1.3, count))
            low = at.astype(int)
            rim = marks[line]
            roots = rim[low] + (at - low)[:, None] * (rim[low + 1] - rim[low])
            side = np.sign(rim[0] - rim[-1])[0]
            fan = side * (0.75 - 0.9 * at / len(line)) + 0.10 * rng.normal(size=count)
            size = (length * rng.uniform(0.75, 1.05, count) * (1 - 0.35 * at / len(line)))[:, None]
            s = np.linspace(0, 1, POINTS)[:, None, None]
            outward = np.stack([fan, np.full(count, 0.12 * rise), -np.ones(count)], 1)
            bend = np.stack([0.3 * fan, np.full(count, rise), np.full(count, 0.15)], 1)
            curve = (s * outward + s**2 * bend) * 0.75 * size
            strands.append((roots + curve @ turn.T).transpose(1, 0, 2))
    return np.concatenate(strands)
