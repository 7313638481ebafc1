# SPDX-License-Identifier: GPL-3.0-or-later
"""A hand that strokes along the skin of a resting head: where it is for each place on its way, just touching."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from dice_core.body.openbody import HandModel, head_model
from dice_core.interaction.distance import Surface
from dice_core.types import Side

from ..sample.raster import vertex_normals
from .lay import PARTS, kind_of, lay, target_vertices
from .people import Face, hand_pose, skin_faces

KNOTS = 17
BACK, REACH = 0.02, 0.03  # metres from which the hand is brought on, and beyond which it has passed by
TOUCH = 0.0003
FIRST = 0.02  # metres farther away than the nearest point, from which on others do not touch first
NORMALS = 0.016  # metres about a place over which the skin's direction is averaged
TRIES = 12


@dataclass(frozen=True)
class Way:
    """A hand on its way along the skin, in the axes of the resting head.

    Attributes
    ----------
    model, parameters
        The hand, and its parameters in the middle of the way.
    centre
        (3,) what the hand turns about, the place that touches in the middle.
    turn, shift, away
        Splines over -1..1: rotation vectors (3,) from the middle, (3,) where the place that touches is, and the
        direction (3,) in which the hand leaves.
    """

    model: HandModel
    parameters: NDArray
    centre: NDArray
    turn: CubicSpline
    shift: CubicSpline
    away: CubicSpline

    def at(self, along: float) -> tuple[Rotation, NDArray, NDArray]:
        """The rotation about `centre`, where that goes, and the unit direction in which the hand leaves."""
        away = self.away(along)
        return Rotation.from_rotvec(self.turn(along)), self.shift(along), away / np.linalg.norm(away)


def way(rng: np.random.Generator, model: HandModel, rest: NDArray, part: str, region: str, face_side: Side,
        direction: NDArray, length: float) -> Way | None:
    """Lay a part of the hand on a region of a resting head (V, 3), and follow the skin `length` metres in all along a
    direction (3,); None if the hand cannot lie so."""
    skin = skin_faces()
    laid = None
    for _ in range(TRIES):
        parameters = hand_pose(rng, kind_of(part))
        person = Face(rest, np.eye(3))
        touching = part if part in PARTS else "tips"  # of a hand that is only held somehow
        laid = lay(rng, model, parameters, touching, person, skin, target_vertices(face_side, region))
        if laid is not None:
            break
    if laid is None:
        return None
    surface = Surface(rest, head_model().solid, head_model().neck_rim)
    normals = vertex_normals(rest, skin)
    first = laid.away
    centre = laid.vertices[surface.nearest(laid.vertices).distance.argmin()]
    flat = direction - (direction @ first) * first
    flat /= np.linalg.norm(flat)
    places = [_followed(surface, centre, flat * side * length / 2) for side in np.linspace(-1, 1, KNOTS)]
    aways = np.array([_direction(rest, normals, place) for place in places])
    aways = gaussian_filter1d(aways, 1.5, axis=0, mode="nearest")
    aways /= np.linalg.norm(aways, axis=1, keepdims=True)
    middle = aways[KNOTS // 2].copy()
    turns = [Rotation.align_vectors([away], [middle])[0] for away in aways]
    gaps = []
    for place, turn, away in zip(places, turns, aways, strict=True):
        points = turn.apply(laid.vertices - centre) + place
        gap = brought_on(surface, points, away)
        if gap is None:
            return None
        gaps.append(gap)
    gaps = gaussian_filter1d(gaps, 1.0, mode="nearest")
    at = np.linspace(-1, 1, KNOTS)
    shifts = np.array(places) + np.array(gaps)[:, None] * aways
    vectors = np.array([turn.as_rotvec() for turn in turns])
    return Way(model, laid.parameters, centre, *(CubicSpline(at, values) for values in (vectors, shifts, aways)))


def _followed(surface: Surface, start: NDArray, offset: NDArray, steps: int = 10) -> NDArray:
    """Where one comes from a place on a surface by an offset, kept on the surface."""
    place = start
    for _ in range(steps):
        place = surface.nearest((place + offset / steps)[None]).point[0]
    return place


def _direction(rest: NDArray, normals: NDArray, place: NDArray) -> NDArray:
    near = np.linalg.norm(rest - place, axis=1) < NORMALS
    direction = normals[near].mean(0)
    return direction / np.linalg.norm(direction)


def brought_on(surface: Surface, points: NDArray, away: NDArray) -> float | None:
    """How far along `away` the points (H, 3) just touch; None if they never do, or already do from the start."""
    offset = BACK
    distance = surface.nearest(points + offset * away).distance
    gap = float(distance.min())
    if gap < 0:
        return None
    points = points[distance < gap + FIRST]
    while gap >= TOUCH and offset > -REACH:
        offset -= gap
        gap = float(surface.nearest(points + offset * away).distance.min())
    return offset if gap < TOUCH else None
