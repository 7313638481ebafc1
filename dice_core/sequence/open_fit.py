# SPDX-License-Identifier: GPL-3.0-or-later
"""Chunks of what was seen to poses: head and hands, each by itself, and what speaks for a touch."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..body.openbody import HAND_PARAMETERS
from ..fit.glance import Glance
from ..fit.hand import HandFit, HandProblem, follow_hand
from ..fit.head import POSE, face_width, follow_head
from ..fit.observed import WORSE, detected, lifted
from ..fit.placement import REACH, before_skin
from ..fit.touching import weighed
from ..interaction.distance import Surface
from ..interaction.parts import PARTS
from ..landmarks.litert import HandLandmarks
from ..types import SIDES
from .folder import Arrays
from .open_eyes import hand_of
from .person import Person, weights

WEIGHED = 0.4  # seconds between two frames in which all parts are weighed
WORTH = 0.12  # of looking like a touch from which they are
POOR = 0.05  # of the hand's size: errors that are worth a second try
LOST_HEAD, LOST_HAND = 8.0, 4.0  # % of the face's width: fits that have gone astray
NEAR = 2 * REACH  # metres from the head at which a hand's joints may belong to a touch
INSIDE = 0.6  # of a hand's landmarks: with fewer in the picture it is guessed


@dataclass
class Before:
    """What was found in the frame before, to start from."""

    head: NDArray | None = None
    vertices: NDArray | None = None
    hands: dict[str, NDArray] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """A hand in a frame and the problem that it poses; `plain` if by the detector's landmarks alone."""

    problem: HandProblem
    glance: Glance | None
    fit: HandFit
    plain: bool = False


def fitted(rows: Arrays, person: Person, rate: float, first: int) -> Arrays:
    """Fit the frames of a chunk, one after another.

    Parameters
    ----------
    rows
        Of the chunk, see `open_eyes`.
    rate, first
        Frames a second, and the position of the first one.

    Returns
    -------
    Arrays with the frames in front: `head_pose` (POSE + E,), `head_error` in % of the face's width; of each side
    `parameters` (HAND_PARAMETERS,), `error` in % of the face's width, `looks` like a touch 0..1, metres `before` the
    skin, `gap` in metres, `costs` of each of PARTS, and whether the fit is by `plain` landmarks. What was not found
    is NaN.
    """
    before, found = Before(), []
    every = max(round(WEIGHED * rate), 1)
    for index in range(len(rows["face_seen"])):
        row = {key: values[index] for key, values in rows.items()}
        found.append(_frame(row, person, before, (first + index) % every == 0))
    return {key: np.stack([one[key] for one in found]) for key in found[0]}


def _frame(row: Arrays, person: Person, before: Before, weigh: bool) -> Arrays:
    found = {"head_pose": np.full(POSE + len(person.model.expression), np.nan), "head_error": np.array(np.nan)}
    if row["face_seen"]:
        found |= _head(row, person, before)
    else:
        before.head = None  # it may come back anywhere; the mesh stays where it was, for hands
    surface = None if before.vertices is None else person.surface(before.vertices)
    width = face_width(row["face_points"].astype(float)) if row["face_seen"] else np.nan
    for side in SIDES:
        hand = _hand(row, side, person, before, surface, width, weigh)
        found |= {f"{side}_{key}": value for key, value in hand.items()}
    return found


def _head(row: Arrays, person: Person, before: Before) -> Arrays:
    points = row["face_points"].astype(float)
    width = face_width(points)
    pose, errors = follow_head(person.face, points, person.camera, weights(row), before.head)
    if before.head is not None and 100 * np.median(errors) > LOST_HEAD * width:
        pose, errors = follow_head(person.face, points, person.camera, weights(row))
    if 100 * np.median(errors) > LOST_HEAD * width:
        before.head = None
        return {}
    before.head, before.vertices = pose, person.posed(pose)
    return {"head_pose": pose, "head_error": np.array(100 * np.median(errors) / width)}


def _hand(
    row: Arrays, side: str, person: Person, before: Before, surface: Surface | None, width: float, weigh: bool
) -> Arrays:  # fmt: skip
    blank = np.array(np.nan)
    found = {"parameters": np.full(HAND_PARAMETERS, np.nan), "error": blank, "looks": blank, "before": blank,
             "gap": blank, "plain": np.array(False), "costs": np.full(len(PARTS), np.nan)}  # fmt: skip
    eyes = None if before.vertices is None else person.eyes(before.vertices)
    seen = observed(row, side, person, eyes, before.hands.pop(side, None))
    if seen is None:
        return found
    unit = seen.problem.seen.size if np.isnan(width) else width
    error = 100 * np.median(seen.fit.errors) / unit
    if error > LOST_HAND:
        return found
    before.hands[side] = seen.fit.parameters
    found |= {"parameters": seen.fit.parameters, "plain": np.array(seen.plain), "error": np.array(error)}
    if surface is None or seen.glance is None:
        return found
    found |= {"looks": np.array(seen.glance.touch), "before": np.array(REACH)}
    if not _near(seen.fit.joints, surface):
        return found
    found["before"] = np.array(before_skin(seen.fit, surface))
    if weigh and seen.glance.touch > WORTH:
        costs, gap = weighed(seen.problem, seen.fit, surface, person.allowed, seen.glance, person.betas[side])
        found |= {"costs": costs, "gap": np.array(gap)}
    return found


def _near(joints: NDArray, surface: Surface) -> bool:
    low, high = surface.vertices.min(0) - NEAR, surface.vertices.max(0) + NEAR
    inside = joints[((joints > low) & (joints < high)).all(1)]
    return bool(len(inside) and np.abs(surface.nearest(inside).distance).min() < NEAR)


def observed(row: Arrays, side: str, person: Person, eyes: float | None, before: NDArray | None) -> Seen | None:
    """The hand of a side as a row shows it, fitted by itself."""
    shown = hand_of(row, side)
    if shown is None:
        return None
    hand, glance = shown
    if ((hand.points > 0) & (hand.points < person.camera.image_size)).all(1).mean() < INSIDE:
        return None
    betas = person.betas[side]
    problem = problem_of(hand, glance, person, eyes)
    fit = follow_hand(problem, betas, before)
    if before is not None and np.median(fit.errors) > POOR * problem.seen.size:
        again = follow_hand(problem, betas)
        fit = again if again.cost < fit.cost else fit
    if glance is not None and np.median(fit.errors) > POOR * problem.seen.size:
        plain = problem_of(hand, glance, person, eyes, plain=True)
        other = follow_hand(plain, betas)
        if np.median(fit.errors) > WORSE * np.median(other.errors):
            return Seen(plain, glance, other, plain=True)
    return Seen(problem, glance, fit)


def problem_of(hand: HandLandmarks, glance: Glance | None, person: Person, eyes: float | None, plain: bool = False
               ) -> HandProblem:  # fmt: skip
    """By the second look, where there is one, unless by the detector's `plain` landmarks."""
    if glance is None or plain:
        return detected(hand, glance, person.camera, eyes)
    return lifted(hand, glance, person.camera, eyes)
