# SPDX-License-Identifier: GPL-3.0-or-later
"""The colours of a made-up person, and the textures of the head and the hands painted with them.

Everything is drawn by place on the average head and hand (camera axes, metres), in linear RGB.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from dice_core.body.openbody import ASSETS, EYE_CAVITY, FINGERS, MOUTH, TONGUE, hand_model, head_model

from ..sample.paint import EYE, brow_amount, hair_amount, lash_amount
from ..sample.raster import interpolate, rasterise, vertex_normals

HEAD_SIZE, HAND_SIZE = 2048, 1024  # texels
TONES = [(246, 217, 198), (236, 195, 167), (214, 164, 129), (176, 122, 87), (128, 82, 56), (80, 52, 39)]  # sRGB, I..VI
HAIR = {"black": (0.009, 0.007, 0.006), "dark": (0.026, 0.015, 0.009), "brown": (0.07, 0.036, 0.019),
        "light": (0.17, 0.10, 0.05), "blonde": (0.40, 0.27, 0.13), "red": (0.23, 0.065, 0.02),
        "grey": (0.27, 0.26, 0.25), "white": (0.60, 0.58, 0.55)}  # fmt: skip
IRISES = [(0.035, 0.016, 0.007), (0.085, 0.042, 0.016), (0.13, 0.10, 0.035), (0.09, 0.16, 0.24), (0.16, 0.19, 0.20)]
OUTER_LIPS = [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185]
Colour = NDArray[np.float64]


@dataclass(frozen=True)
class Colours:
    """Linear RGB colours (3,) of a person, and how strong what is laid over them is (0..1).

    `tone` runs from 0 (Fitzpatrick I) to 5 (VI).
    """

    tone: float
    skin: Colour
    palm: Colour
    lips: Colour
    nails: Colour
    hair: Colour
    brows: Colour
    iris: Colour
    blush: float
    freckles: float
    blotch: float
    beard: float


def linear(srgb: NDArray) -> NDArray:
    """sRGB 0..1 -> linear."""
    return np.where(srgb < 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def encoded(colour: NDArray) -> NDArray[np.uint8]:
    """Linear -> sRGB bytes."""
    colour = np.clip(colour, 0, 1)
    srgb = np.where(colour < 0.0031308, 12.92 * colour, 1.055 * colour ** (1 / 2.4) - 0.055)
    return (255 * srgb + 0.5).astype(np.uint8)


def tone_colour(tone: float) -> Colour:
    """The skin colour of a tone between those of the table."""
    table = linear(np.array(TONES) / 255)
    return np.array([np.interp(tone, range(len(TONES)), channel) for channel in table.T])


def random_colours(rng: np.random.Generator) -> Colours:
    """A person's colours."""
    tone = float(rng.uniform(0, 5))
    undertone = np.exp(rng.normal(0, [0.06, 0.03, 0.09]))
    skin = tone_colour(tone) * undertone
    fair = tone < 2.6
    chances = [0.16, 0.22, 0.22, 0.12, 0.09, 0.05, 0.09, 0.05] if fair else [0.58, 0.26, 0.03, 0, 0.02, 0, 0.08, 0.03]
    hair = np.array(HAIR[rng.choice(list(HAIR), p=chances)]) * np.exp(0.2 * rng.normal(size=3) * [1, 0.3, 0.3])
    lips = skin * [0.80, 0.50, 0.53] * rng.uniform(0.75, 1.1) + [0.03, 0.0, 0.005]
    nails = 0.8 * tone_colour(max(tone - 1.2, 0)) + [0.05, 0.01, 0.02]
    if rng.random() < 0.25:  # make-up
        lips = lips * 0.4 + 0.6 * np.array([rng.uniform(0.2, 0.5), 0.03, rng.uniform(0.03, 0.12)])
        nails = nails if rng.random() < 0.5 else rng.uniform(0.02, 0.5, 3)
    return Colours(
        tone, skin, 0.55 * skin + 0.45 * tone_colour(max(tone - 2.0, 0)) * [1.02, 0.88, 0.86], lips, nails, hair,
        brows=0.7 * hair + 0.3 * np.array(HAIR["dark"]),
        iris=np.array(IRISES[rng.integers(len(IRISES)) if fair else rng.integers(2)]) * rng.uniform(0.7, 1.3),
        blush=float(rng.uniform(0.2, 1.0)) * (1 if fair else 0.5),
        freckles=float(rng.uniform(0.3, 1.0)) if fair and rng.random() < 0.25 else 0.0,
        blotch=float(rng.uniform(0.02, 0.06)),
        beard=float(rng.uniform(0.2, 0.9)) if rng.random() < 0.22 else 0.0,
    )  # fmt: skip


@dataclass(frozen=True)
class Texels:
    """The n texels that a mesh fills: where they are, and on what of the average mesh they lie.

    Attributes
    ----------
    filled, triangle, barycentric
        (size, size) bool, (n,), (n, 3).
    rest, normal
        (n, 3), (n, 3).
    """

    filled: NDArray[np.bool_]
    triangle: NDArray
    barycentric: NDArray
    rest: NDArray
    normal: NDArray


def corners(name: str) -> NDArray:
    """(F, 3, 2) texture coordinates of "head" or the right "hand"; the hand's are spread over the picture."""
    with np.load(ASSETS / f"{name}.npz") as data:
        uv, faces = data["uv"].astype(float), data["faces_uv"].astype(int)
    if name == "hand":
        uv = 0.01 + 0.98 * (uv - uv.min(0)) / np.ptp(uv, axis=0)
    return uv[faces]


def _texels(name: str, vertices: NDArray, faces: NDArray, size: int) -> Texels:
    at = corners(name).reshape(-1, 2) * [size, -size] + [0, size]
    flat = np.arange(len(at)).reshape(-1, 3)
    triangle, barycentric = rasterise(at, np.zeros(len(at)), flat, (size, size))
    filled = triangle >= 0
    where = triangle[filled], barycentric[filled]
    normals = vertex_normals(vertices, faces)
    return Texels(filled, *where, interpolate(vertices, faces, *where), interpolate(normals, faces, *where))


@lru_cache(maxsize=1)
def head_texels() -> tuple[Texels, dict[str, NDArray]]:
    """The head's texels, and on each the part and how much of lips, brows, lashes and beard is there."""
    model = head_model()
    texels = _texels("head", model.mean, model.faces, HEAD_SIZE)
    rest = texels.rest
    amounts = {
        "part": model.part[model.faces[texels.triangle]].max(1),
        "lips": lips_amount(rest),
        "brows": brow_amount(rest),
        "lashes": lash_amount(rest),
        "beard": beard_amount(rest),
    }
    return texels, amounts


def lips_amount(rest: NDArray) -> NDArray:
    """(n,) 0..1: lips, inside the landmarks' outline as seen from the front."""
    model = head_model()
    outline = model.landmarks(model.mean)[OUTER_LIPS]
    low, scale, size = outline[:, :2].min(0) - 0.01, 1e-4, (np.ptp(outline[:, :2], axis=0) + 0.02) / 1e-4
    picture = np.zeros((int(size[1]), int(size[0])), np.float32)
    cv2.fillPoly(picture, [((outline[:, :2] - low) / scale).round().astype(np.int32)], 1.0)
    picture = cv2.GaussianBlur(picture, None, 7)
    x, y = ((rest[:, :2] - low) / scale).round().astype(int).T
    inside = (x >= 0) & (y >= 0) & (x < picture.shape[1]) & (y < picture.shape[0])
    inside &= rest[:, 2] < outline[:, 2].max() + 0.012
    amount = np.zeros(len(rest))
    amount[inside] = picture[y[inside], x[inside]]
    return amount


def beard_amount(rest: NDArray) -> NDArray:
    """(n,) 0..1: jaw, chin and moustache, seen from the front as one band about the mouth."""
    side, below, back = np.abs(rest[:, 0]), rest[:, 1] - EYE[1], rest[:, 2] + 0.12
    line = 0.075 - 0.55 * np.clip(side - 0.028, 0, 0.05) + 0.25 * np.clip(0.02 - back, 0, 0.05)
    jaw = np.clip((below - line) / 0.008, 0, 1)
    lip = np.clip((below - 0.052) / 0.003, 0, 1) * np.clip((0.030 - side) / 0.006, 0, 1)
    neck = np.clip((0.125 - below - 0.15 * np.clip(back, 0, 0.1)) / 0.012, 0, 1)
    return np.maximum(jaw, lip) * neck * np.clip((0.105 - back) / 0.015, 0, 1) * (1 - lips_amount(rest))


def _mix(base: NDArray, amount: NDArray, colour: NDArray) -> NDArray:
    return base + amount[:, None] * (colour - base)


def field(rng: np.random.Generator, size: int, grain: float) -> NDArray:
    """(size, size) smooth noise of mean 0 and deviation 1 with this grain in texels."""
    small = max(int(size / grain), 2)
    noise = cv2.resize(rng.normal(size=(small, small)).astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
    return noise / noise.std()


def blotches(texels: Texels, colours: Colours, rng: np.random.Generator) -> NDArray:
    """(n, 3) factors on the skin's colour: large red patches, finer lighter and darker ones."""
    size = len(texels.filled)
    red, fine = (field(rng, size, size / part)[texels.filled] for part in (45, 260))
    return np.exp(colours.blotch * (np.outer(red, [0.2, -0.7, -0.6]) + 0.45 * fine[:, None]))


def paint_head(colours: Colours, scalp: float, lift: NDArray, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The head's texture; `scalp` 0..1 is how densely its hair is painted, raised by `lift` (3,) metres."""
    texels, amount = head_texels()
    rest, size = texels.rest, len(texels.filled)
    side, below, front = np.abs(rest[:, 0]), rest[:, 1] - EYE[1], rest[:, 2] < -0.05
    colour = colours.skin * blotches(texels, colours, rng)
    cheek = np.exp(-(((side - 0.038) / 0.02) ** 2 + ((below - 0.036) / 0.016) ** 2)) * front
    nose = np.exp(-((side / 0.014) ** 2 + ((below - 0.040) / 0.018) ** 2)) * front
    colour *= 1 + colours.blush * (cheek + 0.6 * nose)[:, None] * np.array([0.08, -0.12, -0.10])
    hollow = np.exp(-(((side - EYE[0]) / 0.019) ** 2 + ((below - 0.004) / 0.012) ** 2)) * front
    colour *= 1 - rng.uniform(0, 0.16) * hollow[:, None] * np.array([0.8, 1.0, 0.9])
    if colours.freckles:
        spots = np.clip(field(rng, size, 5)[texels.filled] - 1.1, 0, 1) * np.clip(cheek + nose + 0.1, 0, 1)
        colour *= 1 - colours.freckles * 0.6 * spots[:, None] * np.array([0.5, 0.8, 0.95])
    fuzz = np.clip(0.75 + 0.3 * field(rng, size, 3)[texels.filled], 0, 1)
    colour = _mix(colour, colours.beard * amount["beard"] * fuzz * 0.85, 0.35 * colours.skin * 0.2 + 0.8 * colours.hair)
    lips = colours.lips * np.exp(0.05 * field(rng, size, 4)[texels.filled])[:, None]
    colour = colour + 0.9 * amount["lips"][:, None] * (lips - colour)
    colour *= 1 - 0.6 * amount["lashes"][:, None]
    colour = _mix(colour, 0.55 * amount["brows"] * fuzz, colours.brows)
    colour = _mix(
        colour, scalp * fuzz * hair_amount(rest + lift - [0, 0.004, 0], 0.010), 0.9 * colours.hair + 0.04 * colours.skin
    )
    part = amount["part"]
    colour[part == MOUTH] = (0.28, 0.08, 0.08)
    colour[part == TONGUE] = (0.48, 0.19, 0.19)
    colour[part == EYE_CAVITY] = 0.7 * colours.skin * [1.0, 0.7, 0.7]
    return _picture(texels, colour, colours.skin)


def _picture(texels: Texels, colour: NDArray, around: NDArray) -> NDArray[np.uint8]:
    picture = np.tile(encoded(around), (*texels.filled.shape, 1))
    picture[texels.filled] = encoded(colour)
    return picture


@lru_cache(maxsize=1)
def hand_texels() -> tuple[Texels, dict[str, NDArray]]:
    """The hand's texels, and on each how much of palm, nail, knuckle and crease is there (0..1)."""
    model = hand_model("right")
    texels = _texels("hand", model.mean, model.faces, HAND_SIZE)
    bone = np.argmax(model.weights, 1)
    nail, crease, knuckle = (np.zeros(len(texels.rest)) for _ in range(3))
    palmar = np.zeros((len(model.parents), 3))
    across = model.joints[model.fingers[3]] - model.joints[model.fingers[12]]
    palmar[:] = -_unit(np.cross(across, model.joints[model.fingers[6]] - model.joints[0]))
    palmar *= np.sign(palmar[0] @ -model.axes[3, 2])  # the third axis points out of the back
    palmar[model.fingers] = -model.axes[:, 2]
    facing = np.einsum("nd,nd->n", texels.normal, palmar[bone[model.faces[texels.triangle, 0]]])
    for index in range(len(FINGERS)):
        end = model.tips[index // 3] if index % 3 == 2 else None
        tip = model.mean[end] if end is not None else model.joints[model.fingers[index + 1]]
        at = (texels.rest - model.joints[model.fingers[index]]) @ model.axes[index].T
        reach = (tip - model.joints[model.fingers[index]]) @ model.axes[index, 0]
        near = np.linalg.norm(at[:, 1:], axis=1) < 0.014
        fold = np.exp(-((at[:, 0] / 0.0011) ** 2)) * near
        crease = np.maximum(crease, fold * (facing > 0.2))
        knuckle = np.maximum(knuckle, np.exp(-((at[:, 0] / 0.006) ** 2)) * near * (facing < 0))
        if end is not None:
            width = 0.0062 if index < 3 else 0.0050
            shape = ((at[:, 0] - reach + 0.0075) / 0.0065) ** 2 * 1.0 + (at[:, 1] / width) ** 4
            nail = np.maximum(nail, np.clip((1 - shape) / 0.25, 0, 1) * (facing < -0.25) * near)
    rim = model.mean[model.wrist_rim].mean(0)
    beyond = np.clip(np.linalg.norm(texels.rest - rim, axis=1) / 0.045 - 0.5, 0, 1)  # it ends before the wrist
    palm = np.clip((facing + 0.15) / 0.5, 0, 1) * beyond
    return texels, {"palm": palm, "nail": nail, "crease": crease, "knuckle": knuckle}


def _unit(vectors: NDArray) -> NDArray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def paint_hand(colours: Colours, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The texture of both hands."""
    texels, amount = hand_texels()
    colour = _mix(np.tile(colours.skin, (len(texels.rest), 1)), amount["palm"], colours.palm)
    colour *= blotches(texels, colours, rng)
    colour *= 1 - rng.uniform(0.3, 0.9) * amount["knuckle"][:, None] * np.array([0.10, 0.22, 0.20])
    colour *= 1 - 0.30 * amount["crease"][:, None] * np.array([0.7, 1.0, 1.0])
    colour = _mix(colour, 0.85 * amount["nail"], colours.nails)
    return _picture(texels, colour, colours.skin)
