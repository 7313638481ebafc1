# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person of a clip looks like, the same in every frame: skin, hair, clothes, room and light; and the meshes of
a frame."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import igl
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from dice_core.body.openbody import SKIN as SKIN_PART
from dice_core.body.openbody import head_model

from . import appearance, appearance_clothes, appearance_hair, appearance_room, appearance_skin
from .clips_raster import Floats, lamp_map

SKIN, EYE, CLOTH, HAIR = range(4)
HEAD, HAND, COVER = range(3)  # whose texture
CLEAR = 0.0035  # metres between hair and hand
SIDES, AWAY = 60, 3.0  # from which one looks at a body to tell how open its vertices lie, and from how many metres
appearance_skin.corners = lru_cache(appearance_skin.corners)  # it reads a file for every frame


@dataclass(frozen=True)
class Light:
    """Lamps: (n, 3) places, (n,) irradiances at the middle, (n,) sizes in metres, (n, 3) colours; (3,) the world's
    radiance; (3,) the middle."""

    places: NDArray
    strengths: NDArray
    sizes: NDArray
    colours: NDArray
    world: NDArray
    target: NDArray


@dataclass(frozen=True)
class Look:
    """Of one person in one room.

    Attributes
    ----------
    seed
        What clothes and limbs follow from.
    head_texture, hand_texture
        (n, n, 3) linear.
    hair_base, hair_out, hair_faces, hair_flow
        Places on the scalp of the rest head, where the hair ends over them, and streaks.
    hair_colour, iris
        (3,) linear.
    open_head, open_hand
        (V,) 0..1, how much of its surroundings each vertex of the head and of a hand sees, if nothing else is there.
    light, room
        And (h, w, 3) sRGB 0..1 of what is behind.
    brightness
        Linear luminance that the face gets.
    """

    seed: int
    head_texture: Floats
    hand_texture: Floats
    hair_base: NDArray
    hair_out: NDArray
    hair_faces: NDArray
    hair_flow: NDArray
    hair_colour: NDArray
    iris: NDArray
    open_head: Floats
    open_hand: Floats
    light: Light
    room: Floats
    brightness: float


def look(seed: int, rest: NDArray, hand: NDArray, hand_faces: NDArray, middle: NDArray, size: tuple[int, int]) -> Look:
    """A random look for a head at rest (V, 3) and a hand (H, 3), before a camera that the head is at `middle` of."""
    rng = np.random.default_rng([seed, 1])
    colours = appearance_skin.random_colours(rng)
    style = appearance_hair.random_style(rng)
    while style.name == "long":  # its sheets would have to swing
        style = appearance_hair.random_style(rng)
    painted = {"bald": 0.15, "shaved": 0.65}.get(style.name, 0.9)
    head_texture = appearance_skin.paint_head(colours, painted, np.array([0, style.lift, 0]), rng)
    hand_texture = appearance_skin.paint_hand(colours, rng)
    model = head_model()
    hair = _hair(rest, style, rng)
    luminance = float(colours.skin @ [0.2126, 0.7152, 0.0722])
    return Look(
        seed, _linear(head_texture), _linear(hand_texture), *hair, colours.hair, colours.iris,
        _openness(rest, model.faces), _openness(hand, hand_faces), _light(middle, rng), _room(size, rng),
        0.30 * (luminance / 0.4) ** 0.55 * 2 ** rng.uniform(-0.4, 0.4),
    )  # fmt: skip


def _linear(texture: NDArray[np.uint8]) -> Floats:
    smaller = cv2.resize(texture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return ((smaller.astype(np.float32) / 255) ** 2.2).astype(np.float32)


def _openness(vertices: NDArray, faces: NDArray) -> Floats:
    """(V,) the share of what is in front of each vertex from where it is seen."""
    normals = np.nan_to_num(igl.per_vertex_normals(vertices.astype(float), faces)).astype(np.float32)
    points, middle = vertices.astype(np.float32), vertices.mean(0)
    reach = float(np.linalg.norm(vertices - middle, axis=1).max())
    height = 1 - 2 * (np.arange(SIDES) + 0.5) / SIDES
    angle = np.arange(SIDES) * np.pi * (3 - 5**0.5)  # a spiral from pole to pole spreads any number evenly
    ways = np.stack([np.sqrt(1 - height**2) * np.cos(angle), np.sqrt(1 - height**2) * np.sin(angle), height], 1)
    seen, whole = np.zeros(len(points), np.float32), np.full(len(points), 1e-6, np.float32)
    for way in ways:
        facing = np.maximum(normals @ way.astype(np.float32), 0)
        lamp = lamp_map(points, faces, middle + AWAY * way, middle, reach)
        seen += facing * lamp.lights(points, np.zeros((len(points), 2), np.float32))
        whole += facing
    return seen / whole


def _hair(rest: NDArray, style: appearance_hair.Style, rng: np.random.Generator) -> tuple[NDArray, ...]:
    """Base, out, faces and flow of a shell; empty without hair."""
    if style.name not in appearance_hair.STRANDS:
        return np.zeros((0, 3)), np.zeros((0, 3)), np.zeros((0, 3), np.int64), np.zeros((0, 3))
    model = head_model()
    grown = appearance_hair.refined(rest, model.faces[(model.part[model.faces] == SKIN_PART).all(1)], 1)
    seed = int(rng.integers(1 << 30))
    full = appearance_hair.shell(grown, style, np.zeros((0, 3)), np.random.default_rng(seed))
    none = appearance_hair.shell(grown, style, grown.vertices, np.random.default_rng(seed))  # hands everywhere
    return none["hair_vertices"], full["hair_vertices"], full["hair_faces"], full["hair_flow"]


def _light(middle: NDArray, rng: np.random.Generator) -> Light:
    made = appearance_room.lamps(middle, np.array([0, 0, -1.0]), rng)
    places = made["lamp_places"][:2]
    strengths = made["lamp_watts"][:2] / np.linalg.norm(places - middle, axis=1) ** 2 / np.pi
    world = (0.5 * appearance_room._warmth(rng) + 0.5) * rng.uniform(0.3, 1.2)
    return Light(places, strengths, made["lamp_sizes"][:2], made["lamp_colours"][:2], world, middle)


def _room(size: tuple[int, int], rng: np.random.Generator) -> Floats:
    picture = appearance_room.surroundings(rng).astype(np.float32) / 255
    longer = max(size)
    return cv2.resize(picture, (longer, longer), interpolation=cv2.INTER_CUBIC)[: size[1], : size[0]]


@dataclass(frozen=True)
class Meshes:
    """All that a frame shows.

    Attributes
    ----------
    vertices, faces
        (V, 3), (F, 3).
    kind, group, texture
        (F,) SKIN, EYE, CLOTH or HAIR; what shadows are not smeared across; HEAD, HAND or COVER.
    uv
        (F, 3, 2), of skin.
    open
        (V,) see `Look`.
    flow
        (V, 3) streaks of hair.
    gaze
        (V, 3) see `appearance.gaze`.
    colour
        (3,) of the cloth.
    """

    vertices: Floats
    faces: NDArray
    kind: NDArray
    group: NDArray
    texture: NDArray
    uv: Floats
    open: Floats
    flow: Floats
    gaze: Floats
    colour: NDArray


Hands = appearance.Hands


def meshes(made: Look, head: NDArray, turn: NDArray, hands: Hands, origin: NDArray) -> Meshes:
    """Of a posed head (V, 3) with its dents, turned by (3, 3) from rest about `origin`, and hands."""
    rng = np.random.default_rng([made.seed, 2])
    bust = appearance_clothes.bust(head[head_model().neck_rim], turn, rng)
    body = appearance._body(head, hands, bust, rng)
    near = _hand_openness(head, hands)
    parts = [_part(body, "head", SKIN, HEAD, 0, np.minimum(made.open_head, near[0]))]
    parts[0]["kind"][body["head_eye"]] = EYE
    parts[0]["gaze"] = body["head_gaze"]
    for index, shade in enumerate(near[1:]):
        parts.append(_part(body, f"hand{index}", SKIN, HAND, index + 1, made.open_hand * shade))
    parts.append(_part(body, "cloth", CLOTH, COVER, 3, np.ones(0)))
    if len(made.hair_base):
        parts.append(_hair_part(made, turn, origin, hands))
    starts = np.cumsum([0, *(len(part["vertices"]) for part in parts)])
    joined = {key: np.concatenate([part[key] for part in parts]) for key in parts[0] if key != "faces"}
    faces = np.concatenate([part["faces"] + start for part, start in zip(parts, starts, strict=False)])
    return Meshes(faces=faces, colour=body["cloth_colours"][0], **joined)


def _part(body: dict[str, NDArray], name: str, kind: int, texture: int, group: int, shade: NDArray) -> dict:
    vertices, faces = body[f"{name}_vertices"].astype(np.float32), body[f"{name}_faces"]
    count = len(faces)
    uv = body.get(f"{name}_uv", np.zeros((count, 3, 2)))
    more = np.full(len(vertices) - len(shade), 0.85)
    return {"vertices": vertices, "faces": faces, "kind": np.full(count, kind), "group": np.full(count, group),
            "texture": np.full(count, texture), "uv": uv.astype(np.float32),
            "open": np.r_[shade, more].astype(np.float32), "flow": np.zeros((len(vertices), 3), np.float32),
            "gaze": np.ones((len(vertices), 3), np.float32)}  # fmt: skip


def _hair_part(made: Look, turn: NDArray, origin: NDArray, hands: Hands) -> dict:
    """Hair, pressed flat where a hand is."""
    base, out = (points @ turn.T + origin for points in (made.hair_base, made.hair_out))
    if hands:
        near = cKDTree(np.concatenate([vertices for _, vertices, _ in hands]))
        room = near.query(base, distance_upper_bound=0.05)[0]
        thick = np.maximum(np.linalg.norm(out - base, axis=1), 1e-5)
        out = base + np.clip((np.minimum(room, 0.05) - CLEAR) / thick, 0, 1)[:, None] * (out - base)
    part = _part({"hair_vertices": out, "hair_faces": made.hair_faces}, "hair", HAIR, COVER, 4, np.ones(0))
    return part | {"flow": made.hair_flow.astype(np.float32)}


def _hand_openness(head: NDArray, hands: Hands) -> list[NDArray]:
    """(V,) of the head and (H,) of each hand: what the other ones leave free, by discs in place of their vertices."""
    model = head_model()
    everything = [(head, model.faces), *((vertices, appearance.hand_model(side).faces) for side, vertices, _ in hands)]
    shades = []
    for index, (points, faces) in enumerate(everything):
        normals = np.nan_to_num(igl.per_vertex_normals(points.astype(float), faces))
        left = np.ones(len(points))
        for other, (blockers, _) in enumerate(everything):
            if other != index:
                left *= _left_by(points, normals, blockers[:: 4 if other else 8], 1.2e-4 if other else 2.4e-4)
        shades.append(left)
    return shades


def _left_by(points: NDArray, normals: NDArray, blockers: NDArray, area: float) -> NDArray:
    """How much of each point's surroundings discs of an area at the blockers leave free."""
    result = np.ones(len(points))
    close = np.flatnonzero(cKDTree(blockers).query(points, distance_upper_bound=0.09)[0] < 0.09)
    if not len(close):
        return result
    way = (blockers[None] - points[close, None]).astype(np.float32)
    squared = (way**2).sum(2)
    cosine = np.maximum(np.einsum("nbd,nd->nb", way, normals[close].astype(np.float32)), 0) / np.sqrt(squared + 1e-9)
    covered = (area * cosine / (np.pi * squared + area)).sum(1)
    result[close] = np.exp(-covered)
    return result


def lit_for(made: Look, measured: float) -> Look:
    """The look with so much light that a face of measured luminance comes out as bright as it should."""
    share = made.brightness / max(measured, 1e-5)
    light = replace(made.light, strengths=made.light.strengths * share, world=made.light.world * share)
    return replace(made, light=light)
