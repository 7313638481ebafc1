# SPDX-License-Identifier: GPL-3.0-or-later
"""Made-up people for the benchmark: heads and hands that no fit can reach exactly, posed at random.

Identity comes from the baked bodies with all of their components, more than the engine fits, and from smooth bumps
that belong to no component at all. Everything is in camera axes and metres.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from dice_core.body.openbody import ASSETS, POSE, SKIN, HandModel, hand_model, head_model
from dice_core.types import Side

IDENTITY_SIGMA, BUMP_SIGMA = 0.6, 0.0008  # of the components; metres of the bumps
# Hands are 185 mm long, give or take 12 (adults of both sexes: Pheasant and Haslegrave, "Bodyspace", 2006): the first
# component is size, 15 % smaller each, and 0.5 of it makes that length.
HAND_SIZE, HAND_SIZE_SIGMA, HAND_SIGMA = 0.5, 0.44, 0.5
BUMPS, BUMP_REACH = 40, 0.025
FLEXION = {  # radians of the knuckles and of the middle joints, index to little finger
    "open": ([0.08] * 4, [0.12] * 4),
    "relaxed": ([0.25, 0.33, 0.42, 0.5], [0.4] * 4),
    "fist": ([1.3] * 4, [1.55] * 4),
    "pinch": ([0.75, 0.6, 0.45, 0.35], [0.75, 0.6, 0.5, 0.4]),
    "index": ([0.35, 1.2, 1.3, 1.3], [0.25, 1.4, 1.5, 1.5]),
    "middle": ([0.1, 0.7, 0.15, 0.2], [0.15, 0.35, 0.2, 0.25]),
    "ring": ([0.1, 0.15, 0.7, 0.2], [0.2, 0.2, 0.35, 0.2]),
    "little": ([0.05, 0.1, 0.15, 0.65], [0.2, 0.2, 0.2, 0.3]),
    "flat": ([-0.15] * 4, [0.02] * 4),
    "thumb": ([0.9, 1.0, 1.05, 1.1], [1.2, 1.3, 1.35, 1.4]),
}
THUMB = {"fist": (0.25, 0.42), "pinch": (0.18, 0.32), "index": (0.22, 0.38), "thumb": (-0.05, 0.0),
         "flat": (-0.5, -0.1)}  # fmt: skip
THUMB_ELSE = (0.05, 0.13)  # flexion of its first and of its other joints


@dataclass(frozen=True)
class Face:
    """A posed head.

    Attributes
    ----------
    vertices
        (V, 3) without contact.
    rotation
        (3, 3) from the rest head to this one.
    """

    vertices: NDArray
    rotation: NDArray


def neutral(rng: np.random.Generator) -> NDArray:
    """(V, 3) a random person's head without expression, looking at the camera, about the origin."""
    model = head_model()
    with np.load(ASSETS / "head.npz") as data:
        components = data["identity"].astype(float)
    rest = model.mean + np.tensordot(rng.normal(0, IDENTITY_SIGMA, len(components)), components, 1)
    return rest + _bumps(rest, rng)


def face(rng: np.random.Generator, yaw: float) -> Face:
    """A random person's head, turned by `yaw` radians to its right, about the origin."""
    model = head_model()
    rest = neutral(rng)
    rest = rest + np.tensordot(_expression(rng, model.expression_names), model.expression, 1)
    turn = Rotation.from_euler("zxy", [rng.normal(0, 0.13), rng.normal(0, 0.16), yaw])
    return Face(turn.apply(rest), turn.as_matrix())


def _expression(rng: np.random.Generator, names: tuple[str, ...]) -> NDArray:
    strength = np.zeros(len(names))
    usual = [index for index, name in enumerate(names) if name != "tongueOut"]
    for index in rng.choice(usual, rng.integers(0, 6), replace=False):
        strength[index] = rng.uniform(0, 0.6)
    if rng.uniform() < 0.3:
        strength[names.index("jawOpen")] = rng.uniform(0, 0.6)
    if rng.uniform() < 0.3:
        strength[[names.index("mouthSmileLeft"), names.index("mouthSmileRight")]] = rng.uniform(0.2, 0.9)
    return strength


def _bumps(points: NDArray, rng: np.random.Generator, share: float = 1.0) -> NDArray:
    """A smooth random displacement of about `share` BUMP_SIGMA, which no component of the model can express."""
    centres = points[rng.choice(len(points), BUMPS)]
    waves = np.exp(-((points[:, None] - centres) ** 2).sum(2) / (2 * BUMP_REACH**2))
    return waves @ rng.normal(0, share * BUMP_SIGMA, (BUMPS, 3))


def hand_of(rng: np.random.Generator, side: Side) -> HandModel:
    """A random person's hand: the open hand's topology and skeleton with other proportions, its betas used up."""
    model = hand_model(side)
    mirror = np.array([1.0 if side == "right" else -1.0, 1, 1])
    with np.load(ASSETS / "hand.npz") as data:
        shape, joints_shape = data["shape"] * mirror, data["joints_shape"] * mirror
    betas = rng.normal(0, HAND_SIGMA, len(shape))
    betas[0] = rng.normal(HAND_SIZE, HAND_SIZE_SIGMA)
    bumps = _bumps(model.mean, rng, 0.7)
    joints = model.joints + np.tensordot(betas, joints_shape, 1)
    return replace(model, mean=model.mean + np.tensordot(betas, shape, 1) + bumps, joints=joints)


def hand_pose(rng: np.random.Generator, kind: str) -> NDArray:
    """Parameters of a hand at the origin whose fingers are bent in one of the ways of FLEXION, a little differently
    each time."""
    knuckles, middles = (np.array(values) for values in FLEXION[kind])
    slack = rng.uniform(0.8, 1.15) if kind not in ("open", "fist", "flat") else 1.0
    knuckles = np.clip(slack * knuckles + rng.normal(0, 0.07, 4), -0.2, 1.5)
    middles = np.clip(slack * middles + rng.normal(0, 0.07, 4), -0.05, 1.6)
    parameters = np.zeros(POSE.stop)
    angles = parameters[POSE].reshape(5, 3, 3)
    angles[1:, 0, 1], angles[1:, 1, 1] = knuckles, middles
    angles[1:, 2, 1] = np.clip(0.6 * middles + rng.normal(0, 0.05, 4), -0.05, 1.2)
    spread = rng.normal(0.03, 0.06)
    angles[1:, 0, 2] = (spread * np.array([-1.5, -0.5, 0.5, 1.5]) + rng.normal(0, 0.03, 4)) * (knuckles < 0.8)
    base, tip = THUMB.get(kind, THUMB_ELSE)
    angles[0, 0] = [rng.normal(0, 0.1), base + rng.normal(0, 0.12), rng.normal(0, 0.15)]
    angles[0, 1:, 1] = tip + rng.normal(0, 0.1, 2)
    parameters[POSE] = angles.ravel()
    return parameters


def skin_faces() -> NDArray:
    """(F, 3) the head's faces between which and the hand contact counts."""
    model = head_model()
    return model.faces[(model.part[model.faces] == SKIN).all(1)]
