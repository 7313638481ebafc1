# SPDX-License-Identifier: GPL-3.0-or-later
"""A posed figure becomes a picture: dressed, lit, drawn, laid over a background, and taken by a camera."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from dice_core.body.openbody import head_model

from ..benchmark import appearance, appearance_clothes, appearance_room, appearance_skin
from .figures import People, Posed
from .render import CLOTH, EYE, HAIR, SKIN, Drawn, Light, Thing, Window, render

CLEAR = 0.0035  # metres between hair and hand
appearance_skin.corners = lru_cache(appearance_skin.corners)  # it reads a file for every figure


@lru_cache(maxsize=1)
def noise() -> NDArray[np.float32]:
    """(64, 64, 64) 0..1 for streaks and pores."""
    values = np.random.default_rng(0).random((64, 64, 64)).astype(np.float32)
    return (values + np.roll(values, 1, 0) + np.roll(values, 1, 1)) / 3 * 1.4 - 0.2


def dressed(rng: np.random.Generator, posed: Posed, head: NDArray, people: People) -> tuple[list[Thing], NDArray]:
    """Everything there is to see, and the skin's mean colour. `head`: its vertices with the dent."""
    look = people.skins[rng.integers(len(people.skins))]
    hands = [(posed.model.side, posed.hand, posed.joints)]
    made = appearance_clothes.bust(head[head_model().neck_rim], posed.turn, rng)
    body = appearance._body(head, hands, made, rng)
    gain = np.exp(rng.normal(0, 0.05, 3) + rng.normal(0, 0.15))
    own = gain * np.exp(rng.normal(0, 0.03, 3) + rng.normal(0, 0.08))
    eye = np.c_[body["head_gaze"], np.zeros(len(body["head_vertices"]))]
    eye[np.unique(body["head_faces"][body["head_eye"]]), 3] = 1
    things = [
        Thing(body["head_vertices"], body["head_faces"], SKIN, 0, body["head_uv"], look["head"], gain,
              colour=look["iris"], eye=eye),
        Thing(body["hand0_vertices"], body["hand0_faces"], SKIN, 1, body["hand0_uv"], look["hand"], own),
        Thing(body["cloth_vertices"], body["cloth_faces"], CLOTH, 2, colour=body["cloth_colours"][0],
              flow=body["cloth_vertices"] * rng.choice([0.3, 1.0, 3.0]) if rng.random() < 0.5 else None),
    ]  # fmt: skip
    hair = _hair(rng, posed, people, look["hair"] * np.exp(rng.normal(0, 0.3)))
    things += hair
    if rng.random() < 0.08:
        things += _glasses(rng, head, posed)
    return things, look["skin"] * gain


def _hair(rng: np.random.Generator, posed: Posed, people: People, colour: NDArray) -> list[Thing]:
    """The bank's hair of this head, pressed flat where the hand is."""
    known = people.heads[posed.person]
    if "hair_base" not in known:
        return []
    base, out = known["hair_base"] @ posed.turn.T, known["hair_out"] @ posed.turn.T
    shift = posed.head.mean(0) - (known["vertices"] @ posed.turn.T).mean(0)
    base, out = base + shift, out + shift
    room = cKDTree(posed.hand).query(out, distance_upper_bound=0.05)[0]
    thick = np.linalg.norm(out - base, axis=1)
    short = np.clip(
        (np.minimum(cKDTree(posed.hand).query(base, distance_upper_bound=0.05)[0], 0.05) - CLEAR)
        / np.maximum(thick, 1e-5),
        0,
        1,
    )
    points = base + short[:, None] * (out - base)
    faces = known["hair_faces"]
    if str(known["style"]) == "long":  # sheets hang free: they are cut where the hand is
        sheet = thick < 1e-9
        blocked = sheet & (room < 0.008)
        faces = faces[~blocked[faces].any(1)]
    return [Thing(points, faces, HAIR, 3, flow=known["hair_flow"] * rng.uniform(0.6, 1.4), colour=colour)]


def _glasses(rng: np.random.Generator, head: NDArray, posed: Posed) -> list[Thing]:
    """A frame of thin ribbons before the eyes."""
    marks = head_model().landmarks(head)
    radius, colour = rng.uniform(0.001, 0.0024), np.full(3, rng.choice([0.01, 0.02, 0.1, 0.3]))
    lines = appearance_clothes.glasses(marks, posed.turn, rng)
    if cKDTree(posed.hand).query(np.concatenate(lines))[0].min() < 0.008:
        return []
    return [Thing(*_ribbon(line, radius), EYE, 4, colour=colour) for line in lines]


def _ribbon(line: NDArray, radius: float) -> tuple[NDArray, NDArray]:
    ring = np.array([[1, 0, 0], [0, 1, 0], [-0.7, -0.7, 0], [0, 0, 1], [0, 0, -1]]) * radius
    points = (line[:, None] + ring).reshape(-1, 3)
    step, count = len(ring), len(line)
    start = np.arange(count - 1)[:, None] * step
    quads = np.concatenate([np.stack([start + a, start + b, start + step + b, start + step + a], -1)[:, 0]
                            for a in range(step) for b in range(a)])  # fmt: skip
    return points, quads[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)


def lit(rng: np.random.Generator, head: NDArray, turn: NDArray) -> Light:
    """The benchmark's lamps, or a flash at the lens, or hardly any but a bright sky."""
    middle = head.mean(0)
    made = appearance_room.lamps(middle, 0.6 * (turn @ [0, 0, -1.0]) + [0, 0, -0.4], rng)
    places, colours, sizes = made["lamp_places"][:2], made["lamp_colours"][:2], made["lamp_sizes"][:2]
    strengths = made["lamp_watts"][:2] / np.linalg.norm(places - middle, axis=1) ** 2 / np.pi
    warmth = appearance_room._warmth(rng)
    world = (0.5 * warmth + 0.5) * rng.uniform(0.08, 0.5)
    kind = rng.random()
    if kind < 0.1:  # flash
        places = np.array([[rng.normal(0, 0.05), rng.uniform(-0.15, 0.02), 0.0]])
        colours, sizes, strengths = np.ones((1, 3)), np.array([0.03]), strengths[:1]
    elif kind < 0.3:  # overcast
        world *= rng.uniform(2, 8)
    elif kind < 0.4:  # harsh
        sizes = sizes * 0.1
    return Light(places, strengths, sizes, colours, world, middle)


def picture(rng: np.random.Generator, posed: Posed, head: NDArray, people: People, size: tuple[int, int],
            focal: float, window: Window | None = None) -> NDArray[np.uint8]:  # fmt: skip
    """(h, w, 3) RGB of a figure in camera space, or of a window of it; it may be smaller than asked for."""
    things, skin = dressed(rng, posed, head, people)
    drawn = render(things, lit(rng, head, posed.turn), size, focal, rng, noise(), window)
    face = (drawn.group == 0) & (drawn.kind == SKIN)
    luminance = drawn.linear @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    found = float(np.median(luminance[face])) if face.any() else 0.1
    wanted = 0.30 * (float(skin @ [0.2126, 0.7152, 0.0722]) / 0.4) ** 0.55 * 2 ** rng.uniform(-1.0, 0.6)
    exposed = drawn.linear * (wanted / max(found, 1e-5))
    return _over(rng, _toned(rng, exposed), drawn, people)


def _toned(rng: np.random.Generator, linear: NDArray) -> NDArray:
    """sRGB 0..1 by one of several curves."""
    kind = rng.random()
    if kind < 0.4:
        curve = np.clip(linear, 0, 1) ** (1 / 2.2)
    elif kind < 0.8:  # with a shoulder
        white = rng.uniform(1.5, 6)
        curve = np.clip(1.25 * linear * (1 + linear / white**2) / (1 + 0.8 * linear), 0, 1) ** (1 / 2.2)
    else:
        curve = np.clip(linear, 0, 1.2) ** (1 / rng.uniform(1.8, 2.6)) / 1.2 ** (1 / 2.2)
    grey = curve.mean(2, keepdims=True)
    return np.clip(grey + (curve - grey) * rng.uniform(0.55, 1.1), 0, 1).astype(np.float32)


def _over(rng: np.random.Generator, pixels: NDArray, drawn: Drawn, people: People) -> NDArray[np.uint8]:
    """Laid over a background; then lens, sensor and JPEG."""
    height, width = pixels.shape[:2]
    room = people.rooms[rng.integers(len(people.rooms))][:, :: rng.choice([-1, 1])]
    room = cv2.resize(room, (max(width, height),) * 2)[:height, :width].astype(np.float32) / 255
    if rng.random() < 0.3:  # something with edges
        tiles = rng.normal(0, rng.uniform(0.02, 0.12), (*rng.integers(3, 40, 2), 3)).astype(np.float32)
        room = np.clip(room + cv2.resize(tiles, (width, height), interpolation=cv2.INTER_NEAREST), 0, 1)
    alpha = (drawn.group >= 0)[..., None].astype(np.float32)
    mixed = alpha * pixels + (1 - alpha) * room
    scale = rng.uniform(0.68, 1.0)
    if scale < 0.97:
        mixed = cv2.resize(mixed, (round(scale * width), round(scale * height)), interpolation=cv2.INTER_AREA)
    else:
        mixed = cv2.GaussianBlur(mixed, None, 0.5)
    kind = rng.random()
    if kind < 0.3:
        mixed = cv2.GaussianBlur(mixed, None, float(rng.uniform(0.3, 1.2)))
    elif kind < 0.4:  # moved
        length, angle = int(rng.integers(2, 5)), rng.uniform(0, np.pi)
        kernel = np.zeros((9, 9), np.float32)
        way = (length * np.array([np.cos(angle), np.sin(angle)])).round().astype(int)
        cv2.line(kernel, (4 - way[0] // 2, 4 - way[1] // 2), (4 + (way[0] + 1) // 2, 4 + (way[1] + 1) // 2), 1.0)
        mixed = cv2.filter2D(mixed, -1, kernel / kernel.sum())
    elif kind < 0.5:
        mixed = mixed + rng.uniform(0.3, 1.0) * (mixed - cv2.GaussianBlur(mixed, None, 1.0))
    grain = rng.uniform(0.002, 0.02)
    mixed = mixed * (1 + 0.03 * rng.normal(size=3)) + rng.uniform(-0.02, 0.03)
    mixed = mixed + grain * rng.normal(size=mixed.shape) + 0.6 * grain * rng.normal(size=(*mixed.shape[:2], 1))
    rgb = (255 * np.clip(mixed, 0, 1) + 0.5).astype(np.uint8)
    coded = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(55, 97))])[1]
    return np.ascontiguousarray(cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1])
