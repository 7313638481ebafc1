# SPDX-License-Identifier: GPL-3.0-or-later
"""A captured sequence against the truth of the same clip: every frame as a picture, and the movement."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..body.openbody import SKIN, head_model
from ..errors import DiceError
from ..result.sequence import Sequence
from .comparison import Case, compare
from .figures import Figures, face_part, mean_of
from .metrics import similarity
from .motion import Jitter, bone_change, contact_figures, direction, lag_figures, spread_change

SKULL = 12  # points of it between which distances are told
RIGID = 1e-6  # metres that no expression moves them


def overlap(found: Sequence, true: Sequence, within: range | None = None) -> list[tuple[int, int]]:
    """Positions of the same frame of the source in both, of those `within`, where that is given.

    Raises
    ------
    DiceError
        When there are none.
    """
    frames = [range(one.info.start, one.info.start + one.info.count) for one in (found, true)]
    frames += [] if within is None else [within]
    first, last = max(one.start for one in frames), min(one.stop for one in frames)
    if last <= first:
        raise DiceError(f"{found.folder.name} and {true.folder.name} share no frame.", "Capture the whole clip.")
    return [(frame - found.info.start, frame - true.info.start) for frame in range(first, last)]


def compare_frames(found: Sequence, true: Sequence, every: int = 1) -> list[Case]:
    """Frames as pictures, named after their index in the source; what was not seen in one is missing in it."""
    shared = overlap(found, true)[::every]
    return [compare(f"{true.info.start + k:06}", found.capture(j), true.capture(k)) for j, k in shared]


def motion_figures(found: Sequence, true: Sequence, within: range | None = None) -> Figures:
    """How it moves: jitter, lag, contact over time, and whether it stays the same person; of all frames, or those of
    the source `within`. Hands' figures are means."""
    shared, rate = overlap(found, true, within), true.info.rate
    figures = _contact(found, true, shared, rate)
    if "head" in found.parts and "head" in true.parts:
        figures |= _head(found, true, shared, rate)
    hands = [_hand(found, true, name, other, shared, rate) for name, other in _pairs(found, true)]
    return figures | mean_of(hands)


def _pairs(found: Sequence, true: Sequence) -> Iterator[tuple[str, str]]:
    """Hands of the truth and of the prediction; a single one may have been taken for the other side."""
    hands = [name for name in true.parts if name != "head"]
    others = [name for name in found.parts if name != "head"]
    for name in hands:
        if name in others:
            yield name, name
        elif len(hands) == len(others) == 1:
            yield name, others[0]


def _contact(found: Sequence, true: Sequence, shared: list[tuple[int, int]], rate: float) -> Figures:
    ours, theirs = (np.array(positions) for positions in zip(*shared, strict=True))
    states = [one.curve("contact_state")[at] for one, at in ((found, ours), (true, theirs))]
    said, actual = (np.where(np.isin(state, ("no-hand", "no-head")), "no-touch", state) for state in states)
    return contact_figures(said, actual, found.curve("contact_probability")[ours], rate)


def _head(found: Sequence, true: Sequence, shared: list[tuple[int, int]], rate: float) -> Figures:
    jitter = Jitter()
    directions = []
    skull = _skull(len(found.parts["head"].bone_weights))
    rigid = []
    for j, k in shared:
        both = bool(found.seen("head")[j] and true.seen("head")[k])
        ours = found.vertices("head", j) + found.deformation(j).astype(np.float64) if both else None
        actual = true.vertices("head", k) + true.deformation(k).astype(np.float64) if both else None
        jitter.add(ours, actual)
        directions.append((direction(ours), direction(actual)))
        if found.seen("head")[j]:
            rigid.append(found.vertices("head", j)[skull].astype(np.float64))
    figures = jitter.figures("head") | lag_figures("head", *_velocities(directions), rate)
    return figures | {"head_change_mm": spread_change(np.array(rigid))}


def _velocities(directions: list[tuple[NDArray, NDArray]]) -> tuple[NDArray, NDArray]:
    """(n - 1, 2) by how much the directions of both change from frame to frame."""
    ours, actual = np.diff(np.array(directions), axis=0).swapaxes(0, 1)
    return ours, actual


def _hand(
    found: Sequence, true: Sequence, name: str, other: str, shared: list[tuple[int, int]], rate: float
) -> Figures:
    free, placed = Jitter(), Jitter()
    directions = []
    for j, k in shared:
        both = bool(found.seen(other)[j] and true.seen(name)[k])
        ours = found.vertices(other, j).astype(np.float64) if both else None
        actual = true.vertices(name, k).astype(np.float64) if both else None
        free.add(ours, actual)
        placed.add(_at_true_face(found, true, j, k, ours), actual)
        directions.append((direction(ours), direction(actual)))
    figures = free.figures("hand") | placed.figures("hand_at_head")
    joints = found.curve(f"{other}_joints")[found.seen(other)].astype(np.float64)
    return figures | lag_figures("hand", *_velocities(directions), rate) | {"hand_change_mm": bone_change(joints)}


def _at_true_face(found: Sequence, true: Sequence, j: int, k: int, hand: NDArray | None) -> NDArray | None:
    """The hand, moved as the predicted face must be to lie on the true one."""
    heads = "head" in found.parts and "head" in true.parts and found.seen("head")[j] and true.seen("head")[k]
    if hand is None or not heads:
        return None
    ours, actual = found.vertices("head", j), true.vertices("head", k)
    if len(ours) != len(actual):
        return None
    face = face_part(len(actual))
    return similarity(ours[face], actual[face]).apply(hand)


@lru_cache(maxsize=2)
def _skull(vertices: int) -> NDArray:
    """Indices of some points of the open head that no expression moves; of other heads none."""
    model = head_model()
    if vertices != len(model.mean):
        return np.zeros(0, int)
    still = (np.abs(model.expression).max((0, 2)) < RIGID) & (model.part == SKIN)
    index = np.flatnonzero(still)
    return index[np.linspace(0, len(index) - 1, SKULL).astype(int)]
