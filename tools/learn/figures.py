# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads with a hand that just touches, or that is held away from where it would: quick, many, and told by geometry.

`benchmark.lay` places a part on a region and refuses what went otherwise; here the hand is brought on from a random
direction and whatever touches first does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from dice_core.body.openbody import POSE, SKIN, HandModel, head_model
from dice_core.interaction.distance import Surface
from dice_core.types import Side

from ..benchmark import lay
from ..benchmark.cases import LIMITS
from ..benchmark.people import FLEXION, hand_of, hand_pose
from ..benchmark.tissue_mesh import averaging
from ..sample.raster import vertex_normals

EVERY = 4  # vertices of the hand are measured
CONTACT = 0.003
NEAREST, FARTHEST = 0.007, 0.22  # metres of a hand that does not touch
REST = np.arange(0, 0.6, 0.06)  # radians
HANDS = 60


@dataclass(frozen=True)
class Posed:
    """A head and a hand in the camera's axes, the hand just touching (or, when it cannot, at its place).

    Attributes
    ----------
    head, turn, surface
        (V, 3), (3, 3) rotation from the rest head, and what can be touched.
    hand, joints
        (1609, 3), (21, 3).
    away
        (3,) unit direction in which the hand leaves the face.
    touches
        Whether it does.
    limit
        Metres that it may be pressed in there.
    person
        Which of the bank's heads it is.
    """

    head: NDArray
    turn: NDArray
    surface: Surface
    model: HandModel
    hand: NDArray
    joints: NDArray
    away: NDArray
    touches: bool
    limit: float
    person: int

    def moved(self, offset: NDArray) -> Posed:
        return replace(self, hand=self.hand + offset, joints=self.joints + offset)

    def gap(self) -> float:
        return float(self.surface.nearest(self.hand[::EVERY]).distance.min())


class People:
    """The bank's heads, skins and rooms, and hands of its own; `half` is "train" or "check"."""

    def __init__(self, folder: Path, half: str) -> None:
        def chosen(count: int) -> list[int]:
            return [index for index in range(count) if (index % 5 == 4) == (half == "check")]

        def load(name: str) -> list[dict[str, NDArray]]:
            files = sorted(folder.glob(f"{name}*.npz"))
            return [dict(np.load(files[index])) for index in chosen(len(files))]

        self.heads, self.skins = load("head"), load("skin")
        rooms = np.load(folder / "rooms.npy")
        self.rooms = rooms[chosen(len(rooms))]
        first = 6_000_000 + (1000 if half == "check" else 0)
        self.hands = {side: [hand_of(np.random.default_rng([first, index]), side) for index in range(HANDS)]
                      for side in ("right", "left")}  # fmt: skip


def random_pose(rng: np.random.Generator) -> NDArray:
    """Parameters of a hand at the origin: one of the benchmark's poses or a mixture of two."""
    kinds = rng.choice(list(FLEXION), 2)
    first = hand_pose(rng, kinds[0])
    if rng.random() < 0.5:
        return first
    share = rng.uniform(0.2, 0.8, 5).repeat(9) if rng.random() < 0.5 else np.full(45, rng.uniform(0.2, 0.8))
    first[POSE] = share * first[POSE] + (1 - share) * hand_pose(rng, kinds[1])[POSE]
    return first


def posed_head(rng: np.random.Generator, rest: NDArray) -> tuple[NDArray, NDArray, Surface]:
    model = head_model()
    yaw = np.radians(rng.uniform(-52, 52) if rng.random() < 0.7 else rng.normal(0, 20))
    turn = Rotation.from_euler("zxy", [rng.normal(0, 0.17), rng.normal(0, 0.19), yaw])
    vertices = turn.apply(rest)
    return vertices, turn.as_matrix(), Surface(vertices, model.solid, model.neck_rim)


def skin_faces() -> NDArray:
    model = head_model()
    return model.faces[(model.part[model.faces] == SKIN).all(1)]


def figure(rng: np.random.Generator, people: People) -> Posed | None:
    """A random head and hand; None when the arm could not hold it so."""
    person = int(rng.integers(len(people.heads)))
    head, turn, surface = posed_head(rng, people.heads[person]["vertices"])
    side: Side = "right" if rng.random() < 0.5 else "left"
    model = people.hands[side][rng.integers(HANDS)]
    laid = rng.random() < 0.6
    part = str(rng.choice(lay.PARTS))
    parameters = hand_pose(rng, lay.kind_of(part)) if laid and rng.random() < 0.8 else random_pose(rng)
    for _ in range(12):
        start = _aimed(rng, model, parameters, part, head, side) if laid else _free(rng, model, parameters, head, side)
        if start is not None:
            break
    else:
        return None
    parameters, away, target, limit = start
    vertices, joints = (values[0] for values in model.pose(parameters[None]))
    made = Posed(head, turn, surface, model, vertices, joints, away, False, limit, person)
    slid = _slid(made)
    if slid is None:
        return None if laid else replace(made, away=np.array([0, 0, -1.0]))
    if laid and part in ("tips", "palm", "heel") or rng.random() < 0.3:
        slid = _rested(slid, parameters + np.r_[0, 0, 0, slid.joints[0] - joints[0], np.zeros(len(parameters) - 6)])
    return replace(slid, touches=True)


Start = tuple[NDArray, NDArray, NDArray, float]


def _aimed(
    rng: np.random.Generator, model: HandModel, parameters: NDArray, part: str, head: NDArray, side: Side
) -> Start | None:
    """A part of the hand before a region of the face, turned towards it."""
    region = str(rng.choice(list(lay.REGIONS)))
    face_side: Side = side if rng.random() < 0.75 else ("left" if side == "right" else "right")
    vertices, joints = (values[0] for values in model.pose(parameters[None]))
    chosen, facing = lay.part_of(model, vertices, joints, part)
    vertex = rng.choice(_targets(face_side, region))
    target = head[vertex]
    normal = _head_normals(head)[np.linalg.norm(head - target, axis=1) < 0.012].mean(0)
    normal /= np.linalg.norm(normal)
    inward = 1.0 if side == "right" else -1.0
    pointing = np.array([inward * rng.uniform(-0.3, 1.3), -rng.uniform(-0.3, 1.3), rng.normal(0, 0.4)])
    turn = frame(-normal, pointing) @ frame(facing, joints[9] - joints[0]).T
    turn = Rotation.from_rotvec(rng.normal(0, 0.3, 3)).as_matrix() @ turn
    if normal[2] > 0.35 or not _arm_fits(turn @ (joints[0] - joints[9]), inward):
        return None
    centre = vertices[chosen].mean(0)
    return _turned(parameters, turn, centre, target), normal, target, LIMITS[region]


def frame(first: NDArray, second: NDArray) -> NDArray:
    """(3, 3) right-handed columns: `first`, the part of `second` across it, and their cross product."""
    x = first / np.linalg.norm(first)
    y = second - x * (x @ second)
    y /= np.linalg.norm(y)
    return np.stack([x, y, np.cross(x, y)], axis=1)


def _free(rng: np.random.Generator, model: HandModel, parameters: NDArray, head: NDArray, side: Side) -> Start | None:
    """A hand turned anyhow somewhere about the face; it is brought on along the camera's axis."""
    turn = Rotation.random(random_state=int(rng.integers(1 << 31))).as_matrix()
    vertices, joints = (values[0] for values in model.pose(parameters[None]))
    inward = 1.0 if side == "right" else -1.0
    if not _arm_fits(turn @ (joints[0] - joints[9]), inward):
        return None
    front = np.flatnonzero((_head_normals(head)[:, 2] < -0.1) & (head_model().part == SKIN) & (head[:, 1] < 0.1))
    target = head[rng.choice(front)] + np.r_[rng.normal(0, 0.03, 2), 0]
    if rng.random() < 0.25:  # beside the head
        target = target + [-inward * rng.uniform(0, 0.12), rng.uniform(-0.05, 0.05), rng.uniform(-0.05, 0.1)]
    return _turned(parameters, turn, joints[[0, 9, 12]].mean(0), target), np.array([0, 0, -1.0]), target, 0.005


def _arm_fits(forearm: NDArray, inward: float) -> bool:
    forearm = forearm / np.linalg.norm(forearm)
    return bool(forearm[0] * inward < lay.OWN_SIDE and forearm[1] > -lay.UPWARD and forearm[2] < 0.75)


def _turned(parameters: NDArray, turn: NDArray, centre: NDArray, target: NDArray) -> NDArray:
    """The parameters of the hand turned about a point, which goes to `target`."""
    placed = parameters.copy()
    placed[:3] = (Rotation.from_matrix(turn) * Rotation.from_rotvec(parameters[:3])).as_rotvec()
    placed[3:6] = turn @ (parameters[3:6] - centre) + target
    return placed


@lru_cache(maxsize=64)
def _targets(side: Side, region: str) -> NDArray:
    return lay.target_vertices(side, region)


_normals: list[tuple[int, NDArray]] = []


def _head_normals(head: NDArray) -> NDArray:
    """Vertex normals, those of the head asked for last remembered."""
    if not _normals or _normals[0][0] != id(head):
        _normals[:] = [(id(head), vertex_normals(head, skin_faces()))]
    return _normals[0][1]


def _slid(made: Posed) -> Posed | None:
    """Against `away` to where the hand first touches; None if it starts inside or passes by."""
    offset, points = lay.FAR + 0.04, made.hand[::EVERY]
    first = True
    while offset > -0.1:
        distance = made.surface.nearest(points + offset * made.away).distance.min()
        if first and distance < 0:
            return None
        if distance < 0.0004:
            return made.moved(offset * made.away)
        offset -= max(distance, 0.0003)
        first = False
    return None


def _rested(made: Posed, parameters: NDArray) -> Posed:
    """The four fingers bent at their knuckles until they touch too."""
    model = made.model
    chosen = np.arange(0, len(made.hand), EVERY)
    knuckles = [POSE.start + 9 * finger + 1 for finger in range(1, 5)]
    bends = np.repeat(parameters[None], len(REST), axis=0)
    bends[:, knuckles] += REST[:, None]
    vertices, _ = model.pose(bends, chosen)
    distance = made.surface.nearest(vertices.reshape(-1, 3)).distance.reshape(len(REST), -1)
    for finger, knuckle in enumerate(knuckles, 1):
        own = model.weights[chosen][:, model.fingers[3 * finger : 3 * finger + 3]].sum(1) > 0.5
        free = distance[:, own].min(1) > 0
        last = int(np.argmin(free)) - 1 if not free.all() else -1
        parameters[knuckle] += REST[max(last, 0)]
    vertices, joints = (values[0] for values in model.pose(parameters[None]))
    return replace(made, hand=vertices, joints=joints)


def pressed(made: Posed, depth: float) -> tuple[Posed, NDArray]:
    """The hand `depth` metres further on, and the head (V, 3) with a smooth dent."""
    pushed = made.moved(-depth * made.away)
    if depth < 0.0005:
        return pushed, made.head
    near = np.flatnonzero(cKDTree(pushed.hand).query(made.head)[0] < 0.02)
    inside = Surface(pushed.hand, made.model.faces, made.model.wrist_rim).nearest(made.head[near]).distance < 0.0005
    deep = near[inside & (head_model().part[near] == SKIN)]
    if not len(deep):
        return pushed, made.head
    amount = np.zeros(len(made.head))
    amount[deep] = depth
    average, fixed = _average(), amount.copy()
    for _ in range(14):
        amount = np.maximum(average @ amount, fixed)
    amount[head_model().part != SKIN] = 0
    return pushed, made.head - (average @ amount)[:, None] * made.away


@lru_cache(maxsize=1)
def _average() -> sparse.csr_matrix:
    model = head_model()
    return averaging(model.faces, len(model.mean))


def held_away(made: Posed, gap: float, direction: NDArray) -> Posed | None:
    """The hand moved along a direction until `gap` is between it and the face; None if it gets stuck."""
    for _ in range(25):
        short = gap - made.gap()
        if abs(short) < 0.02 * gap:
            return made
        made = made.moved(0.9 * short * direction)
    return made if made.gap() > NEAREST * 0.9 else None
