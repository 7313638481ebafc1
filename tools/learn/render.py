# SPDX-License-Identifier: GPL-3.0-or-later
"""A quick ray caster (Embree): soft shadows, light from all around with what stands in its way, one bounce of colour.

Each pixel casts a few rays only, in patterns of four by four pixels; what they found is averaged over neighbours
of the same thing.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import igl
import numpy as np
from embreex import rtcore_scene
from embreex.mesh_construction import TriangleMesh
from numpy.typing import NDArray

STRATA, AROUND, REACH = 4, 2, 0.5  # strata a side; rays to the surroundings of each pixel, and metres they go
SKIN, EYE, CLOTH, HAIR = range(4)
LINEAR = ((np.arange(256) / 255.0) ** 2.2).astype(np.float32)
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Thing:
    """A mesh: vertices, faces, what it is of, which of the things that shadows are not smeared across, and either
    texture coordinates (F, 3, 2) with an sRGB texture (times `gain`) or a colour, streaked along `flow` (V, 3)."""

    vertices: NDArray
    faces: NDArray
    kind: int
    group: int
    uv: NDArray | None = None
    texture: NDArray[np.uint8] | None = None
    gain: NDArray | float = 1.0
    flow: NDArray | None = None
    colour: NDArray | None = None
    eye: NDArray | None = None


@dataclass(frozen=True)
class Light:
    """Lamps: (n, 3) places, (n,) strengths (irradiance at the middle), (n,) sizes, (n, 3) colours; the world's (3,)
    radiance."""

    places: NDArray
    strengths: NDArray
    sizes: NDArray
    colours: NDArray
    world: NDArray
    target: NDArray


@dataclass(frozen=True)
class Drawn:
    """(h, w, 3) linear, (h, w) group or -1, (h, w) metres along the axis, (h, w) the kind."""

    linear: Floats
    group: NDArray
    depth: Floats
    kind: NDArray


Window = tuple[int, int, int, int]


def render(things: list[Thing], light: Light, size: tuple[int, int], focal: float, rng: np.random.Generator,
           noise: Floats, window: Window | None = None) -> Drawn:  # fmt: skip
    """Draw things seen from the origin along z, the principal point in the middle of the size; with a window (left,
    top, right, bottom) only what is to be seen there."""
    left, top, right, bottom = window or (0, 0, *size)
    width, height = right - left, bottom - top
    starts = np.cumsum([0, *(len(thing.vertices) for thing in things)])
    vertices = np.concatenate([thing.vertices for thing in things]).astype(np.float32)
    faces = np.concatenate([thing.faces + start for thing, start in zip(things, starts, strict=False)]).astype(np.int32)
    owner = np.repeat(np.arange(len(things)), [len(thing.faces) for thing in things])
    first = np.cumsum([0, *(len(thing.faces) for thing in things)])
    normals = igl.per_vertex_normals(vertices.astype(np.float64), faces.astype(np.int64)).astype(np.float32)
    normals = np.nan_to_num(normals)
    scene = rtcore_scene.EmbreeScene()
    TriangleMesh(scene, vertices, faces)
    jitter = rng.uniform(0, 1, (2, height, width)).astype(np.float32)
    x = (np.arange(left, right, dtype=np.float32) + jitter[0] - size[0] / 2) / np.float32(focal)
    y = (np.arange(top, bottom, dtype=np.float32)[:, None] + jitter[1] - size[1] / 2) / np.float32(focal)
    sight = np.stack([x, y, np.ones_like(x)], -1).reshape(-1, 3).astype(np.float32)
    found = scene.run(np.zeros_like(sight), sight, output=True)
    hit = np.flatnonzero(found["primID"] >= 0)
    triangle, u, v = found["primID"][hit], found["u"][hit][:, None], found["v"][hit][:, None]
    corner = faces[triangle]
    sight = sight[hit]
    place = sight * found["tfar"][hit][:, None]
    normal = normals[corner[:, 0]] * (1 - u - v) + normals[corner[:, 1]] * u + normals[corner[:, 2]] * v
    flat = np.cross(vertices[corner[:, 1]] - vertices[corner[:, 0]], vertices[corner[:, 2]] - vertices[corner[:, 0]])
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
    away = (flat * sight).sum(1, keepdims=True) > 0  # seen from the back
    flat, normal = np.where(away, -flat, flat), np.where(away, -normal, normal)
    normal = _unit(normal)
    thing = owner[triangle]
    colour, mean = _colours(things, first, triangle, thing, u, v, place, noise)
    kind = np.array([one.kind for one in things])[thing]
    group = np.full(width * height, -1, np.int8)
    group[hit] = np.array([one.group for one in things])[thing]
    bump = noise[tuple((place * 900).astype(np.int32).T & 63)] - 0.5
    normal = _unit(normal + 0.05 * bump[:, None] * normal[:, [1, 2, 0]])
    origin = place + 3e-4 * flat
    stratum = (hit % width) % STRATA, (hit // width) % STRATA
    shadows, directions = _lamps(scene, light, origin, stratum, rng)
    around = _surroundings(scene, light, origin, normal, stratum, mean, rng)
    smooth = _smoothed(np.concatenate([shadows, around], 1), hit, group, (height, width))
    shaded = _shaded(light, colour, kind, normal, _unit(sight), smooth, directions)
    linear = np.zeros((width * height, 3), np.float32)
    linear[hit] = shaded
    depth = np.full(width * height, np.inf, np.float32)
    depth[hit] = place[:, 2]
    kinds = np.full(width * height, -1, np.int8)
    kinds[hit] = kind
    return Drawn(
        linear.reshape(height, width, 3),
        group.reshape(height, width),
        depth.reshape(height, width),
        kinds.reshape(height, width),
    )


def _unit(vectors: NDArray) -> NDArray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def _colours(things: list[Thing], first: NDArray, triangle: NDArray, owner: NDArray, u: NDArray, v: NDArray,
             place: NDArray, noise: Floats) -> tuple[Floats, Floats]:  # fmt: skip
    """(n, 3) the colour of each hit, and (F, 3) of each triangle for light that bounces off it."""
    colour = np.zeros((len(triangle), 3), np.float32)
    mean = np.zeros((first[-1], 3), np.float32)
    for index, thing in enumerate(things):
        own = np.flatnonzero(owner == index)
        local = triangle[own] - first[index]
        if thing.texture is not None and thing.uv is not None:
            size = len(thing.texture)
            corner = thing.uv[local]
            at = corner[:, 0] * (1 - u[own] - v[own]) + corner[:, 1] * u[own] + corner[:, 2] * v[own]
            texel = np.clip((at * [size, -size] + [0, size]), 0, size - 1).astype(np.int32)
            colour[own] = LINEAR[thing.texture[texel[:, 1], texel[:, 0]]] * thing.gain
            centre = np.clip(thing.uv.mean(1) * [size, -size] + [0, size], 0, size - 1).astype(np.int32)
            mean[first[index] : first[index + 1]] = LINEAR[thing.texture[centre[:, 1], centre[:, 0]]] * thing.gain
        else:
            assert thing.colour is not None
            colour[own] = thing.colour
            mean[first[index] : first[index + 1]] = thing.colour
        if thing.flow is not None:
            corner = thing.flow[thing.faces[local]]
            at = corner[:, 0] * (1 - u[own] - v[own]) + corner[:, 1] * u[own] + corner[:, 2] * v[own]
            streak = noise[tuple((at * 900).astype(np.int32).T & 63)]
            colour[own] *= 0.35 + streak[:, None]
        if thing.eye is not None:
            _paint_eyes(thing, own, local, u, v, colour)
    return colour, mean


def _paint_eyes(thing: Thing, own: NDArray, local: NDArray, u: NDArray, v: NDArray, colour: Floats) -> None:
    """Pupil, iris and white by the distance from the line of sight; `eye`: (V, 4) offset and whether it is one."""
    assert thing.eye is not None and thing.colour is not None
    corner = thing.eye[thing.faces[local]]
    ball = corner[:, :, 3].min(1) > 0
    at = (corner[:, 0] * (1 - u[own] - v[own]) + corner[:, 1] * u[own] + corner[:, 2] * v[own])[ball, :3]
    radius = np.linalg.norm(at, axis=1)[:, None]
    iris = thing.colour
    painted = np.where(radius < 0.0021, 0.004, np.where(radius < 0.0056, iris, np.where(
        radius < 0.0063, 0.3 * iris + 0.1, [0.60, 0.56, 0.53])))  # fmt: skip
    colour[own[ball]] = painted


def _lamps(scene: rtcore_scene.EmbreeScene, light: Light, origin: NDArray, stratum: tuple[NDArray, NDArray],
           rng: np.random.Generator) -> tuple[NDArray, NDArray]:  # fmt: skip
    """(n, L) 1 where a lamp's point is seen, and (L, n, 3) the way to its middle."""
    seen, ways = [], []
    for place, size in zip(light.places, light.sizes, strict=True):
        facing = _unit(light.target - place)
        side = _unit(np.cross(facing, [0.1, 1.0, 0.3]))
        up = np.cross(facing, side)
        a, b = ((s + rng.random(len(origin))) / STRATA - 0.5 for s in stratum)
        point = place + size * (a[:, None] * side + b[:, None] * up)
        way = (point - origin).astype(np.float32)
        distance = np.linalg.norm(way, axis=1)
        blocked = scene.run(
            origin.astype(np.float32), way / distance[:, None], dists=distance * 0.999, query="OCCLUDED"
        )
        seen.append(blocked < 0)
        ways.append(_unit(place - origin))
    return np.stack(seen, 1).astype(np.float32), np.stack(ways)


def _surroundings(scene: rtcore_scene.EmbreeScene, light: Light, origin: NDArray, normal: NDArray,
                  stratum: tuple[NDArray, NDArray], mean: NDArray, rng: np.random.Generator) -> NDArray:  # fmt: skip
    """(n, 3) mean radiance that comes from all around: the world's, or of the thing that is in the way."""
    total = np.zeros((len(origin), 3), np.float32)
    side = _unit(np.cross(normal, np.where(np.abs(normal[:, :1]) > 0.7, [[0, 1.0, 0]], [[1.0, 0, 0]])))
    up = np.cross(normal, side)
    general = (light.strengths[:, None] * light.colours).sum(0) * 0.3 / np.pi + 0.6 * light.world
    for turn in range(AROUND):
        a = (stratum[0] + rng.random(len(origin))) / STRATA
        b = ((stratum[1] + 2 * turn) % STRATA + rng.random(len(origin))) / STRATA
        radius, angle = np.sqrt(a), 2 * np.pi * (b + 0.5 * turn / STRATA)
        way = (radius * np.cos(angle))[:, None] * side + (radius * np.sin(angle))[:, None] * up
        way = (way + np.sqrt(np.maximum(1 - a, 0))[:, None] * normal).astype(np.float32)
        found = scene.run(origin.astype(np.float32), way, dists=np.full(len(way), REACH, np.float32), query="INTERSECT")
        sky = light.world * (1 - 0.35 * way[:, 1:2])
        total += np.where((found >= 0)[:, None], mean[found] * general, sky)
    return total / AROUND


def _smoothed(values: NDArray, hit: NDArray, group: NDArray, shape: tuple[int, int]) -> NDArray:
    """Averages over STRATA x STRATA pixels of the same group."""
    result = np.zeros_like(values)
    count = values.shape[1]
    plane = np.zeros((shape[0] * shape[1], count + 1), np.float32)
    for number in np.unique(group[hit]):
        own = group[hit] == number
        plane[:] = 0
        plane[hit[own], :count] = values[own]
        plane[hit[own], count] = 1
        layers = [np.ascontiguousarray(plane[:, k].reshape(shape)) for k in range(count + 1)]
        blurred = np.stack([cv2.blur(layer, (STRATA, STRATA)).ravel()[hit[own]] for layer in layers], 1)
        result[own] = blurred[:, :count] / np.maximum(blurred[:, count:], 1e-6)
    return result


def _shaded(light: Light, colour: NDArray, kind: NDArray, normal: NDArray, sight: NDArray, smooth: NDArray,
            directions: NDArray) -> NDArray:  # fmt: skip
    lamps = len(light.places)
    skin = (kind == SKIN)[:, None]
    total = colour * smooth[:, lamps:]
    gloss = np.array([0.035, 0.05, 0.008, 0.03], np.float32)[kind][:, None]
    sharp = np.array([14.0, 90.0, 6.0, 18.0], np.float32)[kind][:, None]
    for index in range(lamps):
        cosine = (normal * directions[index]).sum(1, keepdims=True)
        wrap = np.where(skin, np.array([0.16, 0.07, 0.04]), 0.0)  # light spreads within skin, red farthest
        diffuse = np.maximum((cosine + wrap) / (1 + wrap), 0)
        half = _unit(directions[index] - sight)
        lobe = np.maximum((normal * half).sum(1, keepdims=True), 0) ** sharp * (sharp + 8) / 8
        glow = light.strengths[index] * light.colours[index] * smooth[:, index : index + 1]
        total = total + glow * (colour * diffuse / np.pi + gloss * lobe * np.maximum(cosine, 0) / np.pi)
    return total.astype(np.float32)
