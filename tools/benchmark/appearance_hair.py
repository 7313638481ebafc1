# SPDX-License-Identifier: GPL-3.0-or-later
"""Hair of a made-up person: a shell grown out of the scalp, loose strands on it, and a curtain when it is long.

A head here is known by its posed vertices and by its "own" ones: the same turned back to face the camera, about the
head bone. Hair gives way to the hands.
"""

from __future__ import annotations

from dataclasses import dataclass

import igl
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree

from dice_core.body.openbody import head_model

from ..sample.hair import smoothstep, unit
from ..sample.paint import EYE, hair_amount
from ..sample.raster import interpolate, vertex_normals

STYLES = {"bald": 0.07, "shaved": 0.10, "short": 0.30, "medium": 0.20, "tied": 0.13, "long": 0.20}
STRANDS, STRAND_POINTS = {"short": 9000, "medium": 9000, "tied": 3000, "long": 4000}, 6
COLUMNS, ROWS = 96, 26  # of a curtain


@dataclass(frozen=True)
class Style:
    """How the hair is worn: metres of thickness on top and at the sides, the way it is combed, where it ends.

    `comb` is "back", "side" or "down"; `lift` moves the hairline up; `bottom` is a curtain's end below the head bone.
    """

    name: str
    top: float
    sides: float
    comb: str
    lift: float
    bottom: float
    front: float


def random_style(rng: np.random.Generator) -> Style:
    name = str(rng.choice(list(STYLES), p=list(STYLES.values())))
    top, sides = {"short": ((0.006, 0.022), (0.003, 0.007)), "medium": ((0.012, 0.032), (0.006, 0.016)),
                  "tied": ((0.003, 0.008), (0.003, 0.006)), "long": ((0.008, 0.020), (0.008, 0.014)),
                  }.get(name, ((0, 0), (0, 0)))  # fmt: skip
    comb = "back" if name == "tied" else str(rng.choice(["back", "side", "down"]))
    return Style(name, rng.uniform(*top), rng.uniform(*sides), comb, float(rng.normal(0, 0.004)),
                 float(rng.uniform(0.06, 0.24)), float(rng.uniform(0.95, 1.45)))  # fmt: skip


def waves(points: NDArray, grain: float, rng: np.random.Generator, count: int = 24) -> NDArray:
    """(n,) smooth noise in space, mean 0, deviation about 1; `grain` in metres."""
    directions = unit(rng.normal(size=(count, 3))) * (rng.uniform(0.6, 1.6, (count, 1)) * 2 * np.pi / grain)
    return np.sqrt(2 / count) * np.cos(points @ directions.T + rng.uniform(0, 2 * np.pi, count)).sum(1)


@dataclass(frozen=True)
class Grown:
    """The head to grow on, refined: posed and average vertices (n, 3), faces (m, 3), outward normals (n, 3)."""

    vertices: NDArray
    rest: NDArray
    faces: NDArray
    normals: NDArray


def refined(vertices: NDArray, skin: NDArray, steps: int = 2) -> Grown:
    """The head's skin with each triangle cut in four, `steps` times."""
    both, faces = igl.upsample(np.hstack([vertices, head_model().mean]), skin, steps)
    posed, rest = both[:, :3], both[:, 3:]
    return Grown(posed, rest, faces, vertex_normals(posed, faces))


def across(rest: NDArray, comb: str) -> NDArray:
    """(n, 3) coordinates for streaks: fast across the hair, slow along it."""
    x, y, z = (rest - [0, -0.06, 0.02]).T
    if comb == "back":
        return np.stack([x, 0.06 * z, 0.06 * y], 1)
    if comb == "side":
        return np.stack([z - 0.3 * y, 0.06 * x, 0.06 * y], 1)
    return np.stack([0.09 * np.arctan2(x, -z), 0.06 * y, 0 * x], 1)


def combed(rest: NDArray, comb: str) -> NDArray:
    """(n, 3) the way the hair lies, on the average head."""
    top = smoothstep(EYE[1] - rest[:, 1], 0.04, 0.09)[:, None]
    direction = {"back": [0.0, -0.1, 1.0], "side": [1.0, 0.0, 0.1], "down": [0.0, 0.3, -1.0]}[comb]
    sides = np.stack([0.2 * np.sign(rest[:, 0]), np.ones(len(rest)), np.full(len(rest), 0.5)], 1)
    return unit(top * direction + (1 - top) * sides)


def room(points: NDArray, hands: NDArray) -> NDArray:
    """(n,) metres from the hands' vertices."""
    return np.full(len(points), 1.0) if not len(hands) else cKDTree(hands).query(points)[0]


def shell(grown: Grown, style: Style, hands: NDArray, rng: np.random.Generator) -> dict[str, NDArray]:
    """The cap of hair: its vertices, faces and streak coordinates."""
    uneven = style.lift + 0.003 * waves(grown.rest, 0.013, rng)
    amount = hair_amount(grown.rest + uneven[:, None] * [0, 1, 0], 0.026)
    used = (amount[grown.faces] > 0).any(1)
    top = smoothstep(EYE[1] - grown.rest[:, 1], 0.03, 0.085)
    thick = style.sides + (style.top - style.sides) * top
    streaks = across(grown.rest, style.comb)
    tufts = 0.16 * waves(grown.rest, 0.045, rng) + 0.11 * waves(streaks * [1, 2.0, 2.0], 0.007, rng)
    thick = thick * amount**0.8 * np.clip(1 + tufts, 0.35, 1.7) - 0.0012 * (1 - amount)
    thick = np.minimum(thick, np.maximum(room(grown.vertices, hands) - 0.0035, -0.0005))
    index = np.full(len(amount), -1)
    kept = np.unique(grown.faces[used])
    index[kept] = np.arange(len(kept))
    return {
        "hair_vertices": (grown.vertices + thick[:, None] * grown.normals)[kept],
        "hair_faces": index[grown.faces[used]],
        "hair_flow": streaks[kept],
    }


def strands(grown: Grown, style: Style, turn: NDArray, hands: NDArray, rng: np.random.Generator) -> NDArray:
    """(S, P, 3) loose hairs that leave the shell; none that would cross a hand or hang before the eyes."""
    count = STRANDS[style.name]
    amount = hair_amount(grown.rest + [0, style.lift, 0], 0.014)
    a, b, c = (grown.vertices[grown.faces[:, corner]] for corner in range(3))
    each = amount[grown.faces].mean(1)
    chance = np.linalg.norm(np.cross(b - a, c - a), axis=1) * (each + 2.5 * (each > 0) * (each < 0.9))
    triangle = rng.choice(len(grown.faces), count, p=chance / chance.sum())
    barycentric = rng.dirichlet(np.ones(3), count)
    roots, rest, normals = (interpolate(values, grown.faces, triangle, barycentric)
                            for values in (grown.vertices, grown.rest, grown.normals))  # fmt: skip
    top = smoothstep(EYE[1] - rest[:, 1], 0.03, 0.085)
    length = (0.007 + 1.1 * (style.sides + (style.top - style.sides) * top)) * rng.uniform(0.6, 1.3, count)
    tuft = waves(rest, 0.02, rng), waves(rest, 0.02, rng), waves(rest, 0.02, rng)
    comb = unit(combed(rest, style.comb) + 0.22 * np.stack(tuft, 1) + 0.10 * rng.normal(size=rest.shape)) @ turn.T
    comb = comb - 0.9 * np.minimum((comb * normals).sum(1), 0)[:, None] * normals
    start = 0.72 * (style.sides + (style.top - style.sides) * top) * each[triangle] ** 0.8
    lift = rng.uniform(0.15, 0.55, count)[:, None]
    t = np.linspace(0, 1, STRAND_POINTS)[:, None, None]
    lines = roots + start[:, None] * normals + length[:, None] * (t * comb + lift * (t - t**2) * normals)
    lines = lines.transpose(1, 0, 2)
    free = room(lines.reshape(-1, 3), hands).reshape(count, -1).min(1) > 0.005
    tips = rest + length[:, None] * (comb @ turn)
    brow = (tips[:, 1] > EYE[1] - 0.035) & (tips[:, 2] < -0.06)
    return lines[free & ~brow]


def curtain(own: NDArray, style: Style, hands: NDArray, rng: np.random.Generator) -> tuple[NDArray, NDArray, NDArray]:
    """Long hair as sheets about the head's own upright axis: vertices in the head's own axes, faces, streaks.

    `hands` are their vertices in the head's own axes: where one is, the hair is tucked behind it.
    """
    axis = np.array([0.0, 0.0, 0.015])
    azimuth = np.linspace(-np.pi, np.pi, 144, endpoint=False)  # 0 to the front
    heights = np.linspace(EYE[1] - 0.055, style.bottom, ROWS)
    wide = _width(own - axis, azimuth, heights)
    begin = [_tucked(side, style, hands - axis, heights) for side in (-1, 1)]
    slim, curl, turns = rng.uniform(-0.02, 0.22), rng.uniform(0.0, 0.007), rng.uniform(5, 26)
    parts: list[tuple[NDArray, NDArray, NDArray]] = []
    for layer, more in enumerate((0.003, 0.008, 0.012)):
        u = np.linspace(0, 1, COLUMNS)
        phases = rng.uniform(0, 2 * np.pi, 6)
        wavy = np.cos(9 * u + phases[0]) + np.cos(23 * u + phases[1]) + 0.7 * np.cos(47 * u + phases[2])
        grid_y = heights[:, None] + 0 * u
        down = np.linspace(0, 1, ROWS)[:, None]
        edge = 0.05 * np.cos(9 * down + phases[3]) + 0.03 * np.cos(21 * down + phases[4]) + 0.05 * layer
        low, high = begin[0] + edge, 2 * np.pi - begin[1] - edge[::-1]
        angle = low + (high - low) * u
        at = np.array([np.interp((row + np.pi) % (2 * np.pi) - np.pi, azimuth, wide[k], period=2 * np.pi)
                       for k, row in enumerate(angle)])  # fmt: skip
        ends = np.clip(np.minimum(u, 1 - u) / 0.06, 0, 1) ** 0.5
        radius = at + (more + 0.0018 * wavy * (0.4 + down)) * smoothstep(down, 0, 0.25) * ends - 0.004 * (1 - down)
        radius = radius * (1 - slim * smoothstep(down, 0.25, 1)) + curl * np.sin(turns * down + 2.5 * wavy) * down**0.7
        grid_y = grid_y + down**4 * (0.008 * wavy + 0.004 * rng.normal(size=COLUMNS))
        points = np.stack([-radius * np.sin(angle), grid_y, -radius * np.cos(angle)], -1) + axis
        index = np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS)
        quads = np.stack([index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]], -1).reshape(-1, 4)
        streak = np.stack([0.09 * angle, 0.06 * grid_y, 0 * angle + 0.1 * layer], -1)
        parts.append((points.reshape(-1, 3), quads[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3), streak.reshape(-1, 3)))
    offsets = np.arange(len(parts)) * ROWS * COLUMNS
    faces = np.concatenate([faces + offset for (_, faces, _), offset in zip(parts, offsets, strict=True)])
    return np.concatenate([part[0] for part in parts]), faces, np.concatenate([part[2] for part in parts])


def _width(points: NDArray, azimuth: NDArray, heights: NDArray) -> NDArray:
    """(rows, azimuths) radius that hair hanging from above must keep to stay outside of the head."""
    angle, radius = np.arctan2(-points[:, 0], -points[:, 2]), np.hypot(points[:, 0], points[:, 2])
    column = np.round((angle + np.pi) / (2 * np.pi) * len(azimuth)).astype(int) % len(azimuth)
    wide = np.zeros((len(heights), len(azimuth)))
    for row, height in enumerate(heights):
        near = np.abs(points[:, 1] - height) < 0.012
        np.maximum.at(wide[row], column[near], radius[near])
    spread = np.stack([np.roll(wide, shift, 1) for shift in range(-4, 5)]).max(0)
    hanging = np.maximum.accumulate(spread * np.linspace(1, 0.97, len(heights))[:, None], axis=0)
    hanging = gaussian_filter1d(gaussian_filter1d(hanging, 4, axis=1, mode="wrap"), 1.5, axis=0)
    return np.minimum(hanging, 0.115)


def _tucked(side: int, style: Style, hands: NDArray, heights: NDArray) -> float:
    """Where, from the front, the curtain of a side begins (radians); `side` 1 is the person's left at x > 0."""
    near = (hands[:, 0] * side > 0) & (hands[:, 1] > heights[0] - 0.02) & (hands[:, 1] < heights[-1] + 0.02)
    near &= np.hypot(hands[:, 0], hands[:, 2]) < 0.15
    if not near.any():
        return style.front
    reach = np.abs(np.arctan2(hands[near, 0], -hands[near, 2])).max() + 0.15
    return float(np.clip(max(style.front, reach), 0, 2.6))
