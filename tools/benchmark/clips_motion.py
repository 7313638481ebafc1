# SPDX-License-Identifier: GPL-3.0-or-later
"""How the people of clips move: tracks of keys, and what nobody keeps still."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from dice_core.types import Side

Track = Sequence[tuple[float, float]]  # seconds, value
Places = Sequence[tuple[float, tuple[float, float, float]]]  # seconds, metres
STILL: Track = ((0.0, 0.0),)
HERE: Places = ((0.0, (0.0, 0.0, 0.0)),)
LAP = (-0.10, 0.36, -0.04)  # where a right hand rests, from its place on the face, in the head's axes
SIDE = (-0.55, 0.10, -0.02)  # beside the picture
SWAY_TURN, SWAY_SHIFT = np.radians([2.5, 5.0, 2.5]), np.array([0.010, 0.005, 0.008])
SWAY = 0.9  # seconds: the deviation of the Gaussian that makes noise smooth
BLINK, BLINKS = 0.07, 3.0  # seconds: half of a blink, and about how often
BROWS = ("browInnerUp", "browOuterUpLeft", "browOuterUpRight")
MOUTHS = {"jawOpen": 0.30, "mouthFunnel": 0.35, "mouthStretchLeft": 0.25, "mouthStretchRight": 0.25,
          "mouthLowerDownLeft": 0.3, "mouthLowerDownRight": 0.3, "mouthPucker": 0.35}  # fmt: skip


@dataclass(frozen=True)
class HandPlan:
    """What a hand does.

    Attributes
    ----------
    side, part, region, face_side
        Which hand, with what it touches where; as of the benchmark's pictures.
    stroke, length
        Direction on the face, and metres, of its way along the skin.
    along
        -1..1, where on that way.
    offset
        From there, in the head's axes; of a right hand, mirrored for a left one.
    lift, press
        Metres off the skin, and into it.
    """

    side: Side
    part: str
    region: str
    face_side: Side
    offset: Places
    lift: Track
    press: Track = STILL
    along: Track = STILL
    stroke: tuple[float, float, float] = (0.0, 1.0, 0.0)
    length: float = 0.02


@dataclass(frozen=True)
class Clip:
    """One clip.

    Attributes
    ----------
    name, seed
        Its file's name; what everything random follows from.
    rate, seconds, size
        Frames a second; how long; width and height.
    hands
        What they do.
    yaw
        Degrees that the head is turned to its right.
    place
        Metres that the person is beside the middle of the picture.
    talk
        0..1, how much the mouth moves.
    """

    name: str
    seed: int
    rate: int
    seconds: float
    hands: tuple[HandPlan, ...]
    size: tuple[int, int] = (1280, 720)
    yaw: Track = STILL
    place: Places = HERE
    talk: Track = STILL
    times: NDArray = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "times", np.arange(round(self.rate * self.seconds)) / self.rate)


def minimum_jerk(share: NDArray) -> NDArray:
    """0..1 -> 0..1 as hands move from rest to rest (Flash and Hogan 1985)."""
    share = np.clip(share, 0, 1)
    return share**3 * (10 - 15 * share + 6 * share**2)


def followed(track: Track | Places, times: NDArray) -> NDArray:
    """(n,) or (n, 3) at each time: at rest in each key, and before the first and after the last."""
    at, values = np.array([key[0] for key in track]), np.array([key[1] for key in track], float)
    if len(at) == 1:
        return np.repeat(values, len(times), 0)
    left = np.clip(np.searchsorted(at, times) - 1, 0, len(at) - 2)
    share = minimum_jerk((times - at[left]) / (at[left + 1] - at[left]))
    share = share.reshape(-1, *[1] * (values.ndim - 1))
    return values[left] + share * (values[left + 1] - values[left])


def noise(rng: np.random.Generator, times: NDArray, deviation: NDArray, seconds: float) -> NDArray:
    """(n, k) smooth noise of a deviation (k,), the same at any rate."""
    step = 0.05
    count = int(np.ceil(times[-1] / step)) + 2
    margin = int(4 * seconds / step)
    raw = rng.normal(size=(count + 2 * margin, len(deviation)))
    smooth = gaussian_filter1d(raw, seconds / step, axis=0)[margin : margin + count]
    smooth *= np.sqrt(2 * np.sqrt(np.pi) * seconds / step)  # what the filter takes from white noise
    fine = gaussian_filter1d(_finer(smooth, step, times), 0.06 / max(times[1] - times[0], 1e-6), axis=0, mode="nearest")
    return fine * deviation


def _finer(values: NDArray, step: float, times: NDArray) -> NDArray:
    at = np.arange(len(values)) * step
    return np.stack([np.interp(times, at, column) for column in values.T], 1)


def expressions(rng: np.random.Generator, clip: Clip, names: tuple[str, ...]) -> NDArray:
    """(n, E) strengths of facial actions: blinking, a mood that changes slowly, talking."""
    times = clip.times
    result = np.zeros((len(times), len(names)))

    def column(name: str) -> NDArray:
        return result[:, names.index(name)]

    moment = rng.uniform(0.3, BLINKS)
    while moment < times[-1]:
        closed = np.exp(-(((times - moment) / BLINK) ** 2))
        for side in ("Left", "Right"):
            np.maximum(column(f"eyeBlink{side}"), closed, out=column(f"eyeBlink{side}"))
        moment += rng.uniform(0.5, 1.5) * BLINKS
    mood = 0.25 * np.abs(noise(rng, times, np.ones(2), 1.5))
    for index, faces in enumerate((("mouthSmileLeft", "mouthSmileRight"), BROWS)):
        for name in faces:
            column(name)[:] = np.minimum(mood[:, index], 0.5)
    voice = followed(clip.talk, times)
    moves = np.abs(noise(rng, times, np.ones(len(MOUTHS)), 0.12))
    for index, (name, most) in enumerate(MOUTHS.items()):
        column(name)[:] += voice * np.minimum(0.7 * most * moves[:, index], most)
    return result
