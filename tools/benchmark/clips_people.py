# SPDX-License-Identifier: GPL-3.0-or-later
"""A clip becomes a person with hands, frame by frame, in camera space; contact comes later (`clips_truth`)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from dice_core.body.openbody import POSE, HandModel, head_model
from dice_core.interaction.distance import Surface

from .clips_motion import SWAY, SWAY_SHIFT, SWAY_TURN, Clip, HandPlan, expressions, followed, minimum_jerk, noise
from .clips_touch import Way, brought_on, way
from .people import hand_of, hand_pose, neutral

FOCALS = (0.95, 1.5)  # of the longer side
FACE_SHARE = (0.26, 0.36)  # of the height that the face is wide
FACE_WIDTH, WRIST = 0.15, 0.05  # metres
LOOSE, WORLD = 0.12, 0.30  # metres from the face where a hand is relaxed, and no longer follows the head
NEAR = 0.01  # metres from it where the face's expression matters
STEADY = 0.08  # seconds over which that is smoothed


@dataclass(frozen=True)
class Person:
    """Who is in a clip.

    Attributes
    ----------
    rest
        (V, 3) the head without expression, looking at the camera, about its origin.
    ways
        Of each hand.
    focal, middle
        Pixels; (3,) where the head's origin is in the middle of its moves.
    """

    rest: NDArray
    ways: tuple[Way, ...]
    focal: float
    middle: NDArray


@dataclass(frozen=True)
class Held:
    """A hand over n frames: (n, HAND_PARAMETERS), (n, H, 3), (n, 21, 3) in camera space, and (n, H, 3) in the axes and
    place of the resting head; (n,) metres from the place where it touches."""

    model: HandModel
    parameters: NDArray
    vertices: NDArray
    joints: NDArray
    own: NDArray
    off: NDArray


@dataclass(frozen=True)
class Motion:
    """A person over n frames.

    Attributes
    ----------
    expression, shape
        (n, E); (n, V, 3) the head with its expression, in its own axes.
    turn, origin
        (n, 3, 3), (n, 3): camera space is turn @ shape + origin.
    hands
        In the order of the clip's plans.
    """

    person: Person
    expression: NDArray
    shape: NDArray
    turn: NDArray
    origin: NDArray
    hands: tuple[Held, ...]

    def head(self, frame: int) -> NDArray:
        """(V, 3) in camera space."""
        return self.shape[frame] @ self.turn[frame].T + self.origin[frame]


def person_of(clip: Clip, trial: int) -> Person | None:
    """The trial-th random person of a clip; None when they cannot hold their hands so."""
    rng = np.random.default_rng([clip.seed, trial, 0])
    rest = neutral(rng)
    ways = []
    for plan in clip.hands:
        model = hand_of(rng, plan.side)
        one = way(rng, model, rest, plan.part, plan.region, plan.face_side, np.array(plan.stroke), plan.length)
        if one is None:
            return None
        ways.append(one)
    width, height = clip.size
    focal = max(width, height) * rng.uniform(*FOCALS)
    distance = focal * FACE_WIDTH / (min(width, height) * rng.uniform(*FACE_SHARE))
    middle = np.r_[rng.normal(0, 0.02), rng.uniform(-0.03, 0.01), distance]
    return Person(rest, tuple(ways), focal, middle)


def moved(clip: Clip, person: Person, trial: int) -> Motion:
    """What the person does."""
    rng = np.random.default_rng([clip.seed, trial, 1])
    model, times = head_model(), clip.times
    expression = expressions(rng, clip, model.expression_names)
    used = np.flatnonzero(expression.any(0))
    shape = person.rest + np.einsum("ne,evd->nvd", expression[:, used], model.expression[used])
    turn = noise(rng, times, SWAY_TURN, SWAY)
    turn[:, 1] += np.radians(followed(clip.yaw, times))
    origin = person.middle + noise(rng, times, SWAY_SHIFT, SWAY)
    rotations = Rotation.from_rotvec(turn)
    place = followed(clip.place, times)
    hands = tuple(
        _held(rng, clip, plan, one, shape, turn, origin, person.middle, place)
        for plan, one in zip(clip.hands, person.ways, strict=True)
    )
    return Motion(person, expression, shape, rotations.as_matrix(), origin + place, hands)


def _held(rng: np.random.Generator, clip: Clip, plan: HandPlan, one: Way, shape: NDArray, turn: NDArray,
          origin: NDArray, middle: NDArray, place: NDArray) -> Held:  # fmt: skip
    times, count = clip.times, len(clip.times)
    mirror = np.array([1.0 if plan.side == "right" else -1.0, 1, 1])
    offset = followed(plan.offset, times) * mirror
    lift = followed(plan.lift, times)
    along, press = followed(plan.along, times), followed(plan.press, times)
    off = np.linalg.norm(offset, axis=1) + lift
    loose = minimum_jerk(off / LOOSE)[:, None]
    relaxed = hand_pose(rng, "relaxed")[POSE]
    tilt = rng.normal(0, 0.35, 3) + np.array([0.4, 0, 0])
    parameters = np.repeat(one.parameters[None], count, 0)
    parameters[:, POSE] += loose * (relaxed - parameters[:, POSE])
    places = [one.at(value) for value in along]
    spin = Rotation.concatenate([rotation for rotation, _, _ in places])
    centres, aways = (np.array([values[k] for values in places]) for k in (1, 2))
    spin = Rotation.from_rotvec(minimum_jerk(off / WORLD)[:, None] * tilt) * spin
    own = _turned(parameters, spin, one.centre, centres + offset + lift[:, None] * aways)
    near = np.flatnonzero(off < NEAR)
    flat, _ = one.model.pose(_turned(parameters[near], spin[near], one.centre, centres[near]))
    own[:, 3:6] += (_corrections(shape, flat, aways, near, clip.rate) - press)[:, None] * aways
    follows = 1 - minimum_jerk(off / WORLD)[:, None]
    here = Rotation.from_rotvec(follows * turn)
    shift = middle + follows * (origin - middle) + place
    camera = _turned(own, here, np.zeros(3), shift)
    vertices, joints = one.model.pose(camera)
    back = Rotation.from_rotvec(turn).inv()
    settled = np.stack([back[k].apply(vertices[k] - origin[k] - place[k]) for k in range(count)])
    return Held(one.model, camera, vertices, joints, settled, off)


def _turned(parameters: NDArray, turn: Rotation, centre: NDArray, target: NDArray) -> NDArray:
    """(n, HAND_PARAMETERS) of hands turned about a point, which goes to (n, 3) targets."""
    result = parameters.copy()
    result[:, :3] = (turn * Rotation.from_rotvec(parameters[:, :3])).as_rotvec()
    result[:, 3:6] = turn.apply(parameters[:, 3:6] - centre) + target
    return result


def _corrections(shape: NDArray, hands: NDArray, aways: NDArray, frames: NDArray, rate: int) -> NDArray:
    """(n,) how much farther out a hand must be to just touch a face that has an expression, smooth in time: told by
    hands (k, H, 3) at some of the frames, (k,), which just touch a face without."""
    result, model = np.zeros(len(shape)), head_model()
    known: list[tuple[int, float]] = []
    for frame, vertices in zip(frames, hands, strict=True):
        surface = Surface(shape[frame], model.solid, model.neck_rim)
        gap = brought_on(surface, vertices, aways[frame])
        if gap is not None:
            known.append((frame, gap))
    if known:
        at, gaps = (np.array(values) for values in zip(*known, strict=True))
        result = np.interp(np.arange(len(shape)), at, gaps)
    return gaussian_filter1d(result, STEADY * rate, mode="nearest")
