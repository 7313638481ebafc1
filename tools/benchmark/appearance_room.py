# SPDX-License-Identifier: GPL-3.0-or-later
"""The room of a made-up person: cloth, what is behind, lamps, and how bright the face is to come out."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from dice_core.body.openbody import head_model

WARMTH = {2700: (1.0, 0.66, 0.36), 4000: (1.0, 0.83, 0.66), 5500: (1.0, 0.96, 0.91), 8000: (0.82, 0.90, 1.0)}
LOOKS = ["Standard", "AgX", "AgX - Medium High Contrast", "AgX - Punchy", "Filmic"]
SURROUNDINGS = 320  # pixels of a painted background's longer side


def cloth(rng: np.random.Generator) -> dict[str, NDArray]:
    """Two colours, the stripes' width (0 for none) and direction, roughness, and the weave's size in metres."""
    base = _colour(rng)
    striped = rng.random() < 0.3
    return {
        "cloth_colours": np.stack([base, _colour(rng) if striped else base * rng.uniform(0.85, 1.0)]),
        "cloth_stripes": np.array([rng.uniform(0.012, 0.05) if striped else 0, rng.integers(2)]),
        "cloth_roughness": np.array(rng.uniform(0.5, 0.95)),
        "cloth_weave": np.array([rng.uniform(0.0006, 0.003), rng.uniform(0.0001, 0.0008)]),
    }


def _colour(rng: np.random.Generator) -> NDArray:
    """A linear colour of cloth or paint: mostly muted, from black to white."""
    hsv = np.array([[[rng.uniform(0, 360), rng.beta(1.2, 2.5), rng.uniform(0.06, 0.95)]]], np.float32)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0].astype(float) ** 2.2


def _warmth(rng: np.random.Generator) -> NDArray:
    kelvin = rng.uniform(2900, 8000)
    return np.array([np.interp(kelvin, list(WARMTH), channel) for channel in zip(*WARMTH.values(), strict=True)])


def room(head: NDArray, turn: NDArray, skin: NDArray, rng: np.random.Generator) -> dict[str, NDArray]:
    """Lamps, world, background, and the metering.

    `lamp_*` have a row for each lamp. `wall` is (distance, r, g, b), its distance 0 when `surroundings`, an sRGB
    picture, is there instead. `meter` are points whose median luminance is to become `brightness` (linear).
    """
    middle = head.mean(0)
    marks = head_model().landmarks(head)
    figure = lamps(middle, 0.6 * (turn @ [0, 0, -1.0]) + [0, 0, -0.4], rng)
    figure["world"] = np.r_[0.5 * _warmth(rng) + 0.5, rng.uniform(0.08, 0.5)]
    figure["meter"] = marks[[1, 4, 6, 8, 9, 10, 50, 101, 117, 118, 123, 151, 168, 187, 195, 199, 205, 280, 330, 346,
                             347, 352, 411, 425]]  # fmt: skip
    luminance = float(skin @ [0.2126, 0.7152, 0.0722])
    figure["brightness"] = np.array(0.30 * (luminance / 0.4) ** 0.55 * 2 ** rng.uniform(-0.5, 0.45))
    figure["look"] = np.array(rng.choice(LOOKS))
    if str(figure["look"]).startswith("AgX"):  # which renders the same light darker
        figure["brightness"] *= 1.35
    if rng.random() < 0.4:
        figure["wall"] = np.r_[middle[2] + rng.uniform(0.35, 1.8), _colour(rng) * 0.8 + 0.05]
    else:
        figure["wall"] = np.zeros(4)
        figure["surroundings"] = surroundings(rng)
    return figure


def lamps(middle: NDArray, front: NDArray, rng: np.random.Generator) -> dict[str, NDArray]:
    """One to three area lamps: a key in front, then a fill or a rim."""
    count = int(rng.integers(1, 4))
    places, strength, sizes, tints = [], [], [], []
    for index in range(count):
        around = rng.uniform(-1.15, 1.15) if index == 0 else rng.uniform(-2.6, 2.6)
        height = rng.uniform(-0.15, 0.95)
        distance = rng.uniform(0.7, 2.0)
        side = np.array([np.cos(around) * front[0] - np.sin(around) * front[2], 0,
                         np.sin(around) * front[0] + np.cos(around) * front[2]])  # fmt: skip
        side /= np.linalg.norm(side)
        places.append(middle + distance * (np.cos(height) * side - np.sin(height) * np.array([0, 1.0, 0])))
        strength.append((1.0 if index == 0 else rng.uniform(0.1, 0.7)) * 14 * distance**2)
        sizes.append(np.exp(rng.uniform(np.log(0.2), np.log(1.5))))
        tints.append(_warmth(rng))
    return {"lamp_places": np.array(places), "lamp_watts": np.array(strength), "lamp_sizes": np.array(sizes),
            "lamp_colours": np.array(tints), "lamp_target": middle}  # fmt: skip


def surroundings(rng: np.random.Generator) -> NDArray[np.uint8]:
    """(n, n, 3) sRGB: a gradient, with blurred boxes or discs of light on some."""
    size = SURROUNDINGS
    ends = np.sqrt(np.stack([_colour(rng) * 0.8 + 0.03 for _ in range(2)]))
    direction = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[0:size, 0:size] / size - 0.5
    share = np.clip(0.5 + 0.7 * (np.cos(direction) * x + np.sin(direction) * y), 0, 1)[..., None]
    picture = (ends[0] + share * (ends[1] - ends[0])).astype(np.float32)
    kind = rng.choice(["gradient", "boxes", "lights"], p=[0.25, 0.5, 0.25])
    if kind == "boxes":
        for _ in range(int(rng.integers(6, 26))):
            low = rng.uniform(-0.1, 1, 2) * size
            far = low + rng.uniform(0.05, 0.5, 2) * size
            paint = np.sqrt(_colour(rng)).tolist()
            cv2.rectangle(picture, low.astype(int).tolist(), far.astype(int).tolist(), paint, -1)
        picture = cv2.GaussianBlur(picture, None, float(rng.uniform(2, 16)))
    if kind == "lights":
        glow = np.zeros_like(picture)
        for _ in range(int(rng.integers(8, 40))):
            disc = np.zeros_like(picture)
            tint = _warmth(rng) * rng.uniform(0.15, 0.6)
            at, radius = rng.integers(0, size, 2).tolist(), int(rng.integers(4, 24))
            cv2.circle(disc, at, radius, tint.tolist(), -1, cv2.LINE_AA)
            glow += disc
        picture = 0.6 * picture + cv2.GaussianBlur(glow, None, 1.5)
    return (255 * np.clip(picture, 0, 1) + 0.5).astype(np.uint8)
