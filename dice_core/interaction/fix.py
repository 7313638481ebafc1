# SPDX-License-Identifier: GPL-3.0-or-later
"""Hands that are said to touch a head, brought to its skin: where a network's hand floats before it, or is inside.

A hand moves rigidly, by least squares: what is said to touch comes to the skin, on either side, nothing is pressed in
deeper than soft tissue allows, and the hand stays where it is in the picture as far as it can; along the line of sight
it moves for next to nothing. Then the skin gives way as under the open engine's hands, and where that does not suffice
the hand backs off towards the camera.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ..body.topology import pieces, rims
from ..evaluate.plausibility import judge
from .contact import mutual_contact
from .deform import deformation
from .distance import Nearest, Surface
from .sheet import Flesh

REACH = 0.05  # metres from a hand within which what is said of the head concerns it
SAID = 0.5  # probability from which a vertex is said to touch
PRESS = 0.004  # metres that soft tissue may be pressed in
LEFT = 0.002  # metres of penetration that may remain in the end
MARGIN = 0.0001  # metres: results are rounded to float32
TOUCH_NOISE, PRESS_NOISE, OUTLIER = 0.0015, 0.0005, 0.01  # metres; from OUTLIER on a distance pulls no more strongly
SIDEWAYS, ALONG = 0.003, 0.04  # metres that a hand may well move across and along the line of sight
TURN = 0.1  # radians that it may well turn
SEARCH, STARTS = 0.06, 31  # metres either way along the line of sight, from where the least squares may start
STEPS, LONGEST, SETTLED = 40, 0.02, 1e-5  # of the least squares, metres
ROUNDS = 6  # of deforming and backing off
STEP, GROWTH = 0.0005, 1.2  # metres, least step backwards and how it grows
TO_CAMERA = np.array([0.0, 0, -1])


@dataclass(frozen=True)
class Claim:
    """A hand, and what is said of it.

    Attributes
    ----------
    vertices, faces
        (H, 3) metres in camera space; (G, 3), wound outward, open at the wrist.
    contact
        (H,) probability 0..1.
    """

    vertices: NDArray
    faces: NDArray
    contact: NDArray

    @property
    def touches(self) -> bool:
        """Whether any vertex is said to touch."""
        return bool((self.contact >= SAID).any())


@dataclass(frozen=True)
class Motion:
    """Turned about the pivot by a (3, 3) rotation, then shifted."""

    pivot: NDArray
    rotation: NDArray
    shift: NDArray

    def __call__(self, points: NDArray) -> NDArray:
        """(N, 3) -> (N, 3) metres."""
        return (points - self.pivot) @ self.rotation.T + self.pivot + self.shift

    @property
    def matrix(self) -> tuple[NDArray, NDArray]:
        """The same as a (3, 3) rotation about the camera and a (3,) shift."""
        return self.rotation, self.pivot + self.shift - self.rotation @ self.pivot

    def undone(self, points: NDArray) -> NDArray:
        """Where moved points were."""
        return (points - self.pivot - self.shift) @ self.rotation + self.pivot

    def shifted(self, shift: NDArray) -> Motion:
        """The same, and further by (3,) metres."""
        return replace(self, shift=self.shift + shift)


@dataclass(frozen=True)
class Fixed:
    """Hands on a head.

    Attributes
    ----------
    motions
        One for each hand.
    deformation, head_contact
        (V, 3) float32 metres to add, (V,) float32 0..1.
    hand_contacts
        (H,) float32 0..1 for each hand.
    """

    motions: tuple[Motion, ...]
    deformation: NDArray[np.float32]
    head_contact: NDArray[np.float32]
    hand_contacts: tuple[NDArray[np.float32], ...]


class SoftHead:
    """A head that hands are brought to.

    Parameters
    ----------
    vertices, faces
        (V, 3) metres in camera space, without deformation; (F, 3), wound outward. The largest piece is the skin, open
        where it likes; others, such as eyeballs, are hard.
    still
        (V,) bool, what never moves although it is skin: the neck.
    softness
        (V,) 0..1.
    """

    def __init__(self, vertices: NDArray, faces: NDArray, still: NDArray, softness: NDArray) -> None:
        self.vertices, self.faces = vertices.astype(np.float64), faces
        sound = faces[(faces != np.roll(faces, 1, axis=1)).all(1)].astype(np.int64)
        parts = pieces(sound)
        self.surfaces = [Surface(self.vertices, part, rims(part)) for part in parts]
        skin = np.isin(np.arange(len(vertices)), parts[0])
        self.flesh = Flesh(sound, skin, skin & ~still, softness)

    def nearest(self, points: NDArray) -> Nearest:
        """The nearest points of the piece that each of (N, 3) points is nearest to, or deepest in."""
        found = [surface.nearest(points) for surface in self.surfaces]
        which = np.argmin([one.distance for one in found], axis=0), np.arange(len(points))
        names = ("distance", "face", "point", "normal", "on_cap")
        return Nearest(*(np.stack([getattr(one, name) for one in found])[which] for name in names))

    def pressed(self, hand: NDArray) -> float:
        """How deep the deepest vertex of a hand is in the skin as it was, metres."""
        nearest = self.nearest(hand)
        return max(0.0, -float(np.where(nearest.on_cap, 0, nearest.distance).min()))

    def penetrated(self, hand: NDArray, displaced: NDArray | float = 0.0) -> float:
        """How deep the deepest vertex of a hand is in the skin as it has become, by the rule for results."""
        return float(judge(self.vertices + displaced, self.faces, hand, "closed").depth.max())


def fix(head: SoftHead, head_contact: NDArray, hands: Sequence[Claim], search: bool = True) -> Fixed:
    """Bring hands to a head.

    Parameters
    ----------
    head, head_contact
        The head, and (V,) the probability of contact said of its vertices.
    hands
        Those that touch, at least one.
    search
        Whether a hand may be far off along the line of sight; otherwise it is nearly where it belongs.
    """
    said = np.flatnonzero((head_contact >= SAID) & head.flesh.skin)
    surfaces = [_surface(hand.vertices, hand.faces) for hand in hands]
    apart = [surface.nearest(head.vertices[said]).distance for surface in surfaces]
    owner = np.where(np.min(apart, axis=0) < REACH, np.argmin(apart, axis=0), -1)
    motions = []
    for index, (hand, surface) in enumerate(zip(hands, surfaces, strict=True)):
        motion = laid(head, hand, surface, head.vertices[said[owner == index]], search)
        motions.append(backed_off(motion, hand, PRESS, head.pressed))
    motions, displaced = _deformed(head, hands, motions)
    on_head = np.zeros(len(head.vertices), np.float32)
    on_hands = []
    for hand, motion in zip(hands, motions, strict=True):
        there = motion(hand.vertices)
        mutual = mutual_contact(head.surfaces[0], _surface(there, hand.faces), head.flesh.skin)
        on_head = np.maximum(on_head, mutual[0])
        on_hands.append(mutual[1])
    return Fixed(tuple(motions), displaced, on_head, tuple(on_hands))


def _surface(vertices: NDArray, faces: NDArray) -> Surface:
    return Surface(vertices, faces, rims(faces))


def laid(head: SoftHead, hand: Claim, surface: Surface, touched: NDArray, search: bool = True) -> Motion:
    """The motion that brings what is said to touch together; Gauss-Newton, planes at the nearest points.

    Parameters
    ----------
    surface
        The hand's.
    touched
        (K, 3) points of the head that this hand is said to touch.
    search
        See `fix`.
    """
    place = Motion(hand.vertices[hand.contact >= SAID].mean(0), np.eye(3), np.zeros(3))
    starts = [place.shifted(TO_CAMERA * distance) for distance in np.linspace(-SEARCH, SEARCH, STARTS)]
    motion = min(starts, key=lambda start: _rows(head, hand, surface, touched, start).cost) if search else place
    for _ in range(STEPS):
        turn, shift = _rows(head, hand, surface, touched, motion).solution()
        rotation = Rotation.from_rotvec(turn).as_matrix() @ motion.rotation
        motion = Motion(motion.pivot, rotation, motion.shift + shift)
        if max(np.abs(shift).max(), 0.1 * np.abs(turn).max()) < SETTLED:
            break
    return motion


def _rows(head: SoftHead, hand: Claim, surface: Surface, touched: NDArray, motion: Motion) -> _Rows:
    """What is wrong where the hand is now, and what it costs to be there."""
    rows = _Rows(motion.pivot + motion.shift)
    vertices = motion(hand.vertices)
    nearest = head.nearest(vertices)
    drawn = (hand.contact >= SAID) & ~nearest.on_cap
    rows.draw(nearest.distance[drawn], nearest.normal[drawn], vertices[drawn])
    deep = (nearest.distance < -PRESS) & ~nearest.on_cap
    rows.add(nearest.distance[deep] + PRESS, nearest.normal[deep], vertices[deep], 1 / PRESS_NOISE)
    back = surface.nearest(motion.undone(touched))
    rows.draw(np.where(back.on_cap, 0, back.distance), -back.normal @ motion.rotation.T, touched)
    for axis, noise in zip(np.eye(3), (SIDEWAYS, SIDEWAYS, ALONG), strict=True):
        rows.add((vertices - hand.vertices) @ axis, np.broadcast_to(axis, vertices.shape), vertices, 1 / noise)
    rows.turned(Rotation.from_matrix(motion.rotation).as_rotvec())
    return rows


class _Rows:
    """Normal equations of a small motion: a turn about a centre, and a shift."""

    def __init__(self, centre: NDArray) -> None:
        self.centre = centre
        self.matrix, self.side, self.cost = np.zeros((6, 6)), np.zeros(6), 0.0

    def add(self, residual: NDArray, normal: NDArray, at: NDArray, weight: NDArray | float) -> None:
        """(N,) metres that change as (N, 3) points move along their normals; by their mean square."""
        if len(residual):
            by = np.hstack([np.cross(at - self.centre, normal), normal])
            scale = np.broadcast_to(weight, residual.shape) / np.sqrt(len(residual))
            self.matrix += (by * scale[:, None]).T @ (by * scale[:, None])
            self.side -= (by * scale[:, None]).T @ (residual * scale)
            self.cost += float(((residual * scale) ** 2).sum())

    def draw(self, distance: NDArray, normal: NDArray, at: NDArray) -> None:
        """Distances that should vanish; far ones pull no more strongly than near ones."""
        far = np.maximum(np.abs(distance) / OUTLIER, 1)
        self.add(distance, normal, at, 1 / TOUCH_NOISE / np.sqrt(far))

    def turned(self, turn: NDArray) -> None:
        """The whole turn so far."""
        self.matrix[:3, :3] += np.eye(3) / TURN**2
        self.side[:3] -= turn / TURN**2
        self.cost += float((turn**2).sum()) / TURN**2

    def solution(self) -> tuple[NDArray, NDArray]:
        found = np.linalg.solve(self.matrix + 1e-9 * np.trace(self.matrix) * np.eye(6), self.side)
        found = found / max(1.0, np.abs(found[3:]).max() / LONGEST, 0.1 * np.abs(found[:3]).max() / LONGEST)
        return found[:3], found[3:]


def _deformed(head: SoftHead, hands: Sequence[Claim], motions: list[Motion]) -> tuple[list[Motion], NDArray]:
    """The skin gives way; hands that are still in it back off, and it gives way anew."""
    for _ in range(ROUNDS):
        displaced = deformation(head.flesh, head.vertices, head.surfaces[0], [
            _surface(motion(hand.vertices), hand.faces) for hand, motion in zip(hands, motions, strict=True)
        ])  # fmt: skip
        left = [head.penetrated(motion(hand.vertices), displaced) for hand, motion in zip(hands, motions, strict=True)]
        if max(left) <= LEFT - MARGIN:
            return motions, displaced
        motions = [
            motion.shifted(TO_CAMERA * max(over - LEFT + MARGIN, STEP)) if over > LEFT - MARGIN else motion
            for motion, over in zip(motions, left, strict=True)
        ]
    motions = [backed_off(motion, hand, LEFT - MARGIN, head.penetrated)
               for hand, motion in zip(hands, motions, strict=True)]  # fmt: skip
    return motions, np.zeros_like(displaced)


def backed_off(motion: Motion, hand: Claim, limit: float, depth: Callable[[NDArray], float]) -> Motion:
    """Towards the camera until no vertex is deeper than the limit, and hardly further: a shift by no more than what is
    too deep is never too long, and longer ones come only when those do not help."""
    least = STEP
    while (over := depth(motion(hand.vertices)) - limit) > 0:
        motion = motion.shifted(TO_CAMERA * max(over, least))
        least *= GROWTH
    return motion
