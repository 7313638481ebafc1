# SPDX-License-Identifier: GPL-3.0-or-later
"""The hand against the face: one picture does not tell how far away a hand is, the face that it touches does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..body.openbody import HandModel
from ..interaction.distance import Surface
from ..types import Camera, ContactState
from .hand import HandFit, HandObservation, HandProblem, finish, moved, solve

SEARCH = 0.25  # of the distance, either way
STEPS = 41
PRESSED = 0.015  # the share of the hand's vertices that touching presses in ...
PRESS = 0.003  # ... by this many metres
SURE_GAP, FAR_GAP = 0.006, 0.015  # metres between the surfaces: touching below, apart above
SURE_SHIFT, FAR_SHIFT = 0.16, 0.24  # relative change of distance that touching would need
DEPTH_NOISE = 0.008  # metres
SURFACE_NOISE, PULL_NOISE = 0.002, 0.004  # metres
PULL_REACH = 0.02  # metres from which a fingertip over the face is drawn to it
ROUNDS = 3
SAMPLES = 220
PIXEL_NOISE = 0.012
BACK_OFF_MM = 12  # at most
LIGHT_TOUCH = 0.002  # metres


@dataclass(frozen=True)
class Placement:
    """Where a hand belongs.

    Attributes
    ----------
    state
        `touch`, `no-touch` or `unsure`.
    probability
        0..1, that it touches.
    gap
        Metres between the surfaces at the best distance along the line of sight; 0 when they meet.
    shift
        Relative change of distance between the free fit and touching.
    """

    fit: HandFit
    state: ContactState
    probability: float
    gap: float
    shift: float


def place_hand(model: HandModel, seen: HandObservation, camera: Camera, fit: HandFit, head: Surface,
               allowed: NDArray) -> Placement:
    """Decide whether a hand touches the head and, unless it does not, bring it to the skin.

    Parameters
    ----------
    model, seen, camera, fit
        The hand, its landmarks, the camera and the free fit.
    head
        The head's surface.
    allowed
        (F,) metres that each face of the head may be pressed in.
    """
    offset, gap = _touching_offset(fit.vertices, head)
    distance = float(np.linalg.norm(fit.joints.mean(0)))
    shift = float(np.linalg.norm(offset)) / distance
    doubt = max(_ramp(gap, SURE_GAP, FAR_GAP), _ramp(shift, SURE_SHIFT, FAR_SHIFT))
    state: ContactState = "touch" if doubt == 0 else "no-touch" if doubt == 1 else "unsure"
    if state == "no-touch":
        return Placement(fit, state, 0.05, gap, shift)
    problem = HandProblem(model, seen, camera, PIXEL_NOISE)
    close = moved(fit, problem, offset)
    for _ in range(ROUNDS):
        close = _settle(problem, close, head, allowed)
    offset, _ = _touching_offset(close.vertices, head, search=0.04)
    close = moved(close, problem, offset)
    close = moved(close, problem, _back_off(close.vertices, head, allowed))
    return Placement(close, state, 0.95 - 0.9 * doubt, gap, shift)


def _ramp(value: float, low: float, high: float) -> float:
    return float(np.clip((value - low) / (high - low), 0, 1))


def _touching_offset(vertices: NDArray, head: Surface, search: float = SEARCH) -> tuple[NDArray, float]:
    """The shift along the line of sight at which a hand first touches, coming from the camera; and the gap left.

    A hand whose landmarks are seen is in front of what it covers, so the first touch is the right one.
    """
    center = vertices.mean(0)
    steps = np.linspace(-search, search, STEPS)
    sample = vertices[::5]
    moves = steps[:, None, None] * center
    nearest = head.nearest((sample + moves).reshape(-1, 3))
    over_cut = np.maximum(nearest.distance, FAR_GAP)  # there is no skin: apart, however near
    distance = np.where(nearest.on_cap, over_cut, nearest.distance).reshape(STEPS, -1)
    pressed = np.quantile(distance, PRESSED, axis=1) + PRESS
    touching = np.flatnonzero(pressed < 0)
    if len(touching):
        at = touching[0]
        if at == 0:
            return steps[0] * center, 0.0
        share = pressed[at - 1] / (pressed[at - 1] - pressed[at])
        return (steps[at - 1] + share * (steps[at] - steps[at - 1])) * center, 0.0
    gaps = np.maximum(distance.min(1), 0)
    at = int(np.argmin(gaps + 0.02 * np.abs(steps)))
    return steps[at] * center, float(gaps[at])


def _settle(problem: HandProblem, fit: HandFit, head: Surface, allowed: NDArray) -> HandFit:
    """One round of: find the nearest skin, then fit the hand again with the skin as a plane at each vertex."""
    model = problem.model
    chosen = _samples(model)
    current = fit.vertices[chosen]
    nearest = head.nearest(current)
    depth = np.append(allowed, np.zeros(nearest.face.max() + 1))[nearest.face]
    usable = ~nearest.on_cap & (np.abs(nearest.distance) < 0.05)
    pulled, pull = _pulled(model, chosen, nearest.distance, usable)
    target = fit.parameters[5]

    def residuals(x: NDArray) -> NDArray:
        vertices, joints = model.pose(x, chosen)
        height = ((vertices - nearest.point) * nearest.normal).sum(2)
        inside = usable * np.minimum(height + depth, 0) / SURFACE_NOISE
        drawn = pull * (height[:, pulled] + PRESS / 2) / PULL_NOISE
        return np.c_[problem.from_joints(x, joints), inside, drawn, (x[:, 5:6] - target) / DEPTH_NOISE]

    return finish(problem, *solve(residuals, fit.parameters, 5))


def _samples(model: HandModel) -> NDArray:
    """Vertices that stand for the hand, most of them on the outer finger bones, which do most of the touching."""
    outer = np.setdiff1d(np.arange(15), np.arange(0, 15, 3))
    distal = np.flatnonzero(model.weights[:, model.fingers[outer]].max(1) > 0.4)
    rest = np.setdiff1d(np.arange(len(model.mean)), distal)
    every = np.linspace(0, 1, SAMPLES // 2, endpoint=False)
    return np.union1d(distal[(every * len(distal)).astype(int)], rest[(every * len(rest)).astype(int)])


def _pulled(model: HandModel, chosen: NDArray, distance: NDArray, usable: NDArray) -> tuple[NDArray, NDArray]:
    """The vertex of each fingertip nearest to the skin, where it is near enough to be drawn, and how strongly."""
    vertices = []
    for bone in model.fingers[2::3]:
        tip = np.flatnonzero((model.weights[chosen, bone] > 0.5) & usable)
        if len(tip) and distance[tip].min() < PULL_REACH:
            vertices.append(tip[np.argmin(distance[tip])])
    picked = np.array(vertices, dtype=np.int64)
    return picked, 1 / np.sqrt(1 + (distance[picked] / 0.015) ** 2)


def _back_off(vertices: NDArray, head: Surface, allowed: NDArray) -> NDArray:
    """The shift towards the camera after which hardly a vertex is pressed in deeper than the skin allows.

    The hand keeps a light touch: a shift that would lift it off the skin is not taken.
    """
    toward = -vertices.mean(0) / np.linalg.norm(vertices.mean(0))
    best = np.zeros(3)
    near = vertices[head.nearest(vertices).distance < 0]
    for millimetres in range(BACK_OFF_MM if len(near) else 0):
        offset = toward * millimetres / 1000
        nearest = head.nearest(near + offset)
        depth = np.where(nearest.on_cap, 0.0, -nearest.distance)
        if depth.max() < LIGHT_TOUCH:
            break
        best = offset
        limit = np.append(allowed, np.zeros(nearest.face.max() + 1))[nearest.face]
        if np.quantile(depth - limit, 0.95) <= 0:
            break
    return best
