# SPDX-License-Identifier: GPL-3.0-or-later
"""What a made-up person has besides head and hands: neck and shoulders, forearms, cloth over them, and glasses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from ..sample.hair import smoothstep, unit
from .appearance_hair import waves

# Half width and half depth of the bust by metres below the neck's rim.
DEPTHS = [0.0, 0.03, 0.05, 0.07, 0.095, 0.13, 0.19, 0.30, 0.50]
WIDTH = [0.054, 0.055, 0.061, 0.088, 0.142, 0.188, 0.200, 0.190, 0.178]
THICKNESS = [0.054, 0.057, 0.062, 0.070, 0.082, 0.096, 0.108, 0.115, 0.112]
SHOULDER = np.array([0.152, 0.150, 0.010])  # of the joint, from the neck's rim
FOREARM, SIDES = 0.25, 32
STEPS = np.r_[0, 0.006, np.linspace(0.014, FOREARM, 16)]
BEND = np.radians(40)


def ring_faces(rings: int, count: int, closed: bool = True) -> NDArray:
    """(n, 3) triangles between consecutive rings of `count` vertices."""
    a = np.arange(count if closed else count - 1)
    b = (a + 1) % count
    strip = np.concatenate([np.stack([a, b, b + count], 1), np.stack([a, b + count, a + count], 1)])
    return np.concatenate([strip + ring * count for ring in range(rings - 1)])


@dataclass(frozen=True)
class Bust:
    """Neck and shoulders that hang from the head's open rim.

    Attributes
    ----------
    rim
        (n, 3) the rim's vertices in order, camera space.
    neck
        (3,) the way the head's neck points down.
    body
        (3, 3) from the upright body's axes to the camera's.
    build
        Factors on width and thickness.
    """

    rim: NDArray
    neck: NDArray
    body: NDArray
    build: tuple[float, float]

    @property
    def middle(self) -> NDArray:
        return self.rim.mean(0)

    @property
    def azimuth(self) -> NDArray:
        """(n,) of the rim's vertices about the body's upright axis, 0 to the front."""
        offset = (self.rim - self.middle) @ self.body
        return np.arctan2(offset[:, 0], -offset[:, 2])

    def at(self, depth: NDArray, more: NDArray | float = 0.0) -> NDArray:
        """(k, n, 3) the surface at depths (k, n) below the rim, `more` metres farther out."""
        angle = self.azimuth
        broad = np.interp(self.build[0], [0.5, 1.5], [0.5, 1.5])
        width = PchipInterpolator(DEPTHS, WIDTH)(depth) * (1 + (broad - 1) * smoothstep(depth, 0.03, 0.1)) + more
        thick = PchipInterpolator(DEPTHS, THICKNESS)(depth) * self.build[1] + more
        # the shoulders slope down sideways, and the trunk lies a little behind the neck's front
        down = depth + 0.012 * np.abs(np.sin(angle)) * smoothstep(depth, 0.05, 0.1)
        back = 0.012 * smoothstep(depth, 0.0, 0.1)
        trunk = np.stack([width * np.sin(angle), down, -thick * np.cos(angle) + back], -1) @ self.body.T + self.middle
        outward = unit(self.rim - self.middle)
        neck = self.rim + depth[..., None] * self.neck + np.asarray(more)[..., None] * outward
        blend = smoothstep(depth, 0.0, 0.075)[..., None]
        return neck + blend * (trunk - neck)


def bust(rim: NDArray, turn: NDArray, rng: np.random.Generator) -> Bust:
    """The bust of a head turned by `turn`: the body follows about half of its turn to the side."""
    nose = turn @ [0, 0, -1.0]
    yaw = np.clip(rng.uniform(0.2, 0.7) * np.arctan2(-nose[0], -nose[2]) + rng.normal(0, 0.12), -0.9, 0.9)
    body = Rotation.from_euler("yz", [yaw, rng.normal(0, 0.03)]).as_matrix()
    build = float(rng.uniform(0.85, 1.12)), float(rng.uniform(0.92, 1.12))
    return Bust(rim, unit(turn @ [0, 1.0, 0.25] + [0, 0.4, 0]), body, build)


def grown_neck(made: Bust, first: NDArray, offset: int, collar: NDArray) -> tuple[NDArray, NDArray]:
    """Skin below the rim, down to beneath the collar: new vertices and faces (the first ring is the rim's own vertices
    `first`, the others start at `offset`)."""
    share = np.linspace(0, 1, 14)[1:, None]
    rings = made.at(share * (collar + 0.03))
    index = np.r_[first, offset + np.arange(rings.size // 3)]
    return rings.reshape(-1, 3), index[ring_faces(len(rings) + 1, len(first))[:, ::-1]]


def collar_depths(made: Bust, rng: np.random.Generator) -> NDArray:
    """(n,) how far below the rim the cloth begins: crew neck, wide, V or high."""
    front = smoothstep(np.cos(made.azimuth), 0.0, 1.0)
    point = np.clip(1 - np.abs(np.angle(np.exp(1j * made.azimuth))) / 0.9, 0, 1)
    kind = rng.choice(["crew", "wide", "v", "high"], p=[0.45, 0.2, 0.2, 0.15])
    return {
        "crew": 0.048 + 0.022 * front,
        "wide": 0.062 + 0.045 * front,
        "v": 0.050 + 0.110 * point**1.3,
        "high": 0.020 + 0.008 * front,
    }[str(kind)]


def garment(made: Bust, collar: NDArray, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """The cloth over the bust, with a rolled edge at the collar and folds."""
    down = np.linspace(0, 1, 24)[:, None] ** 1.5
    depth = collar + down * (DEPTHS[-1] - collar)
    thick = np.full(depth.shape, 0.0055)
    edge = made.at(np.stack([collar + 0.010, collar + 0.001, collar]), np.array([[0.0], [0.001], [0.0042]]))
    rings = np.concatenate([edge, made.at(depth + 0.001, thick)])
    points = rings.reshape(-1, 3)
    outward = unit(points - made.middle - (points - made.middle) @ made.body[:, 1:2] * made.body[:, 1])
    folds = 0.004 * waves(points * [1.0, 0.5, 1.0], 0.09, rng) * smoothstep(np.repeat(
        np.r_[np.zeros(3), down[:, 0]], len(collar)), 0.02, 0.25)  # fmt: skip
    return points + folds[:, None] * outward, ring_faces(len(rings), len(collar))


@dataclass(frozen=True)
class Arm:
    """A forearm that goes on from a wrist's rim.

    Attributes
    ----------
    rim
        (n, 3) the rim's vertices in order.
    path, turns
        (k, 3) its middle line from the rim to the elbow, (k, 3, 3) rotation of the rim at each.
    """

    rim: NDArray
    path: NDArray
    turns: NDArray

    def rings(self, steps: NDArray, more: NDArray | float, size: float) -> NDArray:
        """(k, n, 3) at metres from the wrist (within STEPS), `more` metres outside of the skin."""
        offset = self.rim - self.rim.mean(0)
        axis = self.turns[0] @ np.array([0, 0, 1.0]) if len(self.turns) else np.zeros(3)
        flat = offset - (offset @ axis)[:, None] * axis
        wide = np.linalg.norm(flat, axis=1).mean()
        t = steps[:, None, None]
        full = np.interp(steps, [0, 0.04, 0.13, FOREARM], [wide, wide * 1.02, 0.040 * size, 0.043 * size])
        shape = offset + smoothstep(t, 0.0, 0.09) * (unit(flat) * wide - offset)
        shape = shape * full[:, None, None] / wide + np.asarray(more).reshape(-1, 1, 1) * unit(flat)
        at = np.stack([np.interp(steps, STEPS, axis_values) for axis_values in self.path.T], 1)
        nearest = np.abs(STEPS[None] - steps[:, None]).argmin(1)
        turn = self.turns[nearest] @ self.turns[0].T
        return at[:, None] + np.einsum("kij,knj->kni", turn, shape)


def arm(rim: NDArray, joints: NDArray, head: NDArray, shoulder: NDArray) -> Arm:
    """The forearm of a hand: away from its knuckles, bending to where an elbow can be, never through the head."""
    start, middle = rim.mean(0), head.mean(0)
    away = unit(joints[0] - joints[9])
    elbow = shoulder + [np.sign(shoulder[0] - middle[0]) * 0.10, 0.24, -0.16]
    aim = unit(elbow - start)
    angle = np.arccos(np.clip(away @ aim, -1, 1))
    axis = np.cross(away, aim)
    axis = unit(axis) if np.linalg.norm(axis) > 1e-6 else np.zeros(3)
    bend = smoothstep(STEPS, -0.01, 0.09) * min(angle, BEND)
    headings = Rotation.from_rotvec(bend[:, None] * axis).apply(away)
    path = start + np.r_[np.zeros((1, 3)), np.cumsum(0.5 * (headings[1:] + headings[:-1])
                                                     * np.diff(STEPS)[:, None], axis=0)]  # fmt: skip
    nearest, _ = cKDTree(head).query(path)
    clear = np.maximum(0.05 * smoothstep(STEPS, 0.03, 0.1) - nearest, 0)[:, None]
    path = path + clear * unit(path - middle)
    across = unit(np.cross(away, [0.3, 0.2, 1.0]))
    first = np.stack([across, np.cross(away, across), away], 1)
    return Arm(rim, path, (Rotation.from_rotvec(bend[:, None] * axis) * Rotation.from_matrix(first)).as_matrix())


def grown_arm(made: Arm, first: NDArray, offset: int, size: float, mirrored: bool) -> tuple[NDArray, NDArray]:
    """Bare skin beyond the wrist, as `grown_neck`; `mirrored` for a left hand."""
    rings = made.rings(STEPS[1:], 0.0, size)
    index = np.r_[first, offset + np.arange(rings.size // 3)]
    faces = ring_faces(len(rings) + 1, len(first))
    return rings.reshape(-1, 3), index[faces if mirrored else faces[:, ::-1]]


def sleeve(made: Arm, shoulder: NDArray, cuff: float, size: float, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """Cloth from the cuff, so many metres beyond the wrist, over the elbow to the shoulder."""
    steps = np.linspace(cuff, FOREARM, 14)
    edge = made.rings(np.array([cuff + 0.012, cuff + 0.001, cuff]), np.array([0.0, 0.0012, 0.0048]), size)
    lower = made.rings(steps, np.linspace(0.006, 0.011, len(steps)), size)
    elbow, heading = made.path[-1], unit(made.path[-1] - made.path[-2])
    offset = lower[-1] - lower[-1].mean(0)
    round_end = [elbow + 0.045 * np.sin(angle) * heading + np.cos(angle) * offset for angle in (0.4, 0.8, 1.2, 1.55)]
    rings = np.concatenate([edge, lower, np.stack(round_end)])
    outward = unit(rings - rings.mean(1, keepdims=True))
    points = rings.reshape(-1, 3)
    fade = np.repeat(np.clip((np.arange(len(rings)) - 3) / 3, 0, 1), len(made.rim))
    folds = 0.0022 * fade * waves(points, 0.05, rng)
    own = points + folds[:, None] * outward.reshape(-1, 3)
    upper, faces = capsule(elbow, shoulder, 0.047, 0.054)
    return np.concatenate([own, upper]), np.concatenate([ring_faces(len(rings), len(made.rim)), faces + len(own)])


def capsule(start: NDArray, end: NDArray, first: float, last: float) -> tuple[NDArray, NDArray]:
    """A limb between two joints with these radii, round at its ends."""
    axis, length = unit(end - start), float(np.linalg.norm(end - start))
    across = unit(np.cross(axis, [0.3, 0.2, 1.0]))
    bow = np.linspace(-np.pi / 2 + 0.01, 0, 6)
    along = np.r_[first * np.sin(bow), np.linspace(0, length, 8)[1:-1], length - last * np.sin(bow[::-1])]
    radius = np.r_[first * np.cos(bow), np.linspace(first, last, 8)[1:-1], last * np.cos(bow[::-1])]
    angle = np.linspace(0, 2 * np.pi, SIDES, endpoint=False)[:, None]
    ring = np.cos(angle) * across + np.sin(angle) * np.cross(axis, across)
    rings = start + along[:, None, None] * axis + radius[:, None, None] * ring
    return rings.reshape(-1, 3), ring_faces(len(rings), SIDES)


def hanging(made: Bust, side: int) -> tuple[NDArray, NDArray]:
    """The sleeve of an upper arm that hangs down; `side` 1 lies at the body's +x."""
    start = shoulder(made, side)
    return capsule(start, start + made.body @ np.array([0.035 * side, 0.30, 0.0]), 0.054, 0.048)


def shoulder(made: Bust, side: int) -> NDArray:
    """(3,) the shoulder joint at the body's +x (1) or -x (-1)."""
    return made.middle + made.body @ (SHOULDER * [side * made.build[0], 1, 1])


def glasses(marks: NDArray, turn: NDArray, rng: np.random.Generator) -> list[NDArray]:
    """Middle lines of a frame before the eyes of landmarks `marks` (478, 3): two rims, a bridge, two temples."""
    centres = [(marks[a] + marks[b]) / 2 for a, b in ((33, 133), (362, 263))]
    span = np.linalg.norm(centres[0] - centres[1])
    width, height = span * rng.uniform(0.36, 0.42), span * rng.uniform(0.26, 0.38)
    power = rng.uniform(1.0, 2.0)  # round to square
    angle = np.linspace(0, 2 * np.pi, 49)
    cos, sin = np.cos(angle), np.sin(angle)
    shape = np.stack([np.sign(cos) * np.abs(cos) ** (1 / power) * width,
                      np.sign(sin) * np.abs(sin) ** (1 / power) * height, 0 * cos], 1)  # fmt: skip
    rims = []
    for centre in centres:
        rims.append(centre + (shape + [0, 0.003, -0.019]) @ turn.T)
    right = turn.T @ (centres[1] - centres[0])
    inner = [centres[0] + turn @ [width, -0.002, -0.019], centres[1] + turn @ [-width, -0.002, -0.019]]
    t = np.linspace(0, 1, 9)[:, None]
    bridge = inner[0] + t * (inner[1] - inner[0]) - (t * (1 - t)) * turn[:, 1] * 0.012
    lines = [*rims, bridge]
    for centre, side in zip(centres, (-np.sign(right[0]), np.sign(right[0])), strict=True):
        hinge = centre + turn @ [side * width, -0.006, -0.019]
        ear = centre + turn @ [side * (0.076 - span / 2 + 0.004), -0.004, 0.095]
        lines.append(hinge + t * (ear - hinge))
    return lines
