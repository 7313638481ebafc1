# SPDX-License-Identifier: GPL-3.0-or-later
"""Contact that is fixed in all frames of the dice engine, so that hands neither jump when they touch nor tremble.

Where a hand touches, it is brought to the skin. How it had to move for that is smoothed over time, and holds for the
frames around too; then it is brought to the skin once more, for which it hardly moves. Where it does not touch, it
backs off as far as it is inside.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ..engines.contact import TOUCHES, fix_contact
from ..interaction.fix import LEFT, MARGIN, Claim, Motion, backed_off
from ..result.smooth import smooth, smooth_rotations
from ..types import Hand, Head, Side
from .dice_build import Moment
from .dice_frames import Depths
from .folder import Arrays
from .open_motion import BETA, cutoffs


class Fixer:
    """Brings hands to the skin.

    Parameters
    ----------
    stiff, soft
        See `fix_contact`.
    depths
        Of the heads.
    """

    def __init__(self, stiff: NDArray, soft: NDArray, depths: Depths) -> None:
        self.stiff, self.soft, self.depths = stiff, soft, depths

    def __call__(self, moment: Moment) -> Moment:
        """A frame whose hands are nearly where they belong, with its contact fixed."""
        head, hands = self._fixed(moment, search=False)
        skin = head.vertices + head.deformation
        return replace(moment, head=head, hands=tuple(
            hand if moment.presence[hand.side] > TOUCHES else self._kept_out(hand, skin) for hand in hands
        ))  # fmt: skip

    def _fixed(self, moment: Moment, search: bool) -> tuple[Head, tuple[Hand, ...]]:
        said = [moment.presence[hand.side] for hand in moment.hands]
        return fix_contact(moment.head, moment.hands, said, self.stiff, self.soft, search)[:2]

    def _kept_out(self, hand: Hand, skin: NDArray) -> Hand:
        start = Motion(np.zeros(3), np.eye(3), np.zeros(3))
        claim = Claim(hand.vertices, hand.faces, hand.contact)
        motion = backed_off(start, claim, LEFT - MARGIN, lambda points: self.depths.deepest(skin, points))
        return hand if motion is start else hand.moved(*motion.matrix)

    def moves(self, moments: Iterable[Moment], sides: list[Side]) -> Arrays:
        """How the hands of each side have to move for it in n frames: `..._fix_shift` (n, 3) metres of the wrist and
        `..._fix_turn` (n, 3) about it, a rotation vector, as the head sees them. NaN where a hand does not touch."""
        rows = []
        for moment in moments:
            row = {side: np.full(6, np.nan) for side in sides}
            for before, after in zip(moment.hands, self._fixed(moment, search=True)[1], strict=True):
                if after is not before:
                    row[before.side] = _move(before, after, moment.axes)
            rows.append(row)
        return {
            f"{side}_fix_{name}": np.array([row[side][part] for row in rows])
            for side in sides for name, part in (("shift", slice(3)), ("turn", slice(3, 6)))
        }  # fmt: skip


def _move(before: Hand, after: Hand, axes: NDArray) -> NDArray:
    assert before.skeleton is not None and after.skeleton is not None
    there, here = (bones.transforms[0, :3, :3].astype(float) for bones in (before.skeleton, after.skeleton))
    turn = Rotation.from_matrix(axes.T @ here @ np.linalg.inv(there) @ axes)
    shift = (after.joints[0] - before.joints[0]) @ axes
    return np.append(shift, turn.as_rotvec())


def smooth_moves(times: NDArray, moves: Arrays, sides: list[Side], smoothing: float) -> Arrays:
    """The same of all N frames, without gaps: between two touches from one to the other."""
    limits, everywhere = cutoffs(smoothing), np.ones(len(times), bool)
    found = {}
    for side in sides:
        shift, turn = moves[f"{side}_fix_shift"], moves[f"{side}_fix_turn"]
        known = np.isfinite(shift[:, 0])
        if known.any():
            shift, turn = (np.column_stack([np.interp(times, times[known], axis[known]) for axis in part.T])
                           for part in (shift, turn))  # fmt: skip
        else:
            shift, turn = np.zeros_like(shift), np.zeros_like(turn)
        found[f"{side}_fix_shift"] = smooth(times, shift, everywhere, limits["place"], BETA["place"])
        found[f"{side}_fix_turn"] = smooth_rotations(times, turn, everywhere, limits["turn"], BETA["turn"])
    return found


def with_moves(moment: Moment, motion: Arrays, position: int) -> Moment:
    """A frame whose hands are moved by what `motion` says of that, if it does."""
    hands = []
    for hand in moment.hands:
        if f"{hand.side}_fix_shift" not in motion:
            return moment
        shift, turn = (motion[f"{hand.side}_fix_{name}"][position] for name in ("shift", "turn"))
        rotation = moment.axes @ Rotation.from_rotvec(turn).as_matrix() @ moment.axes.T
        wrist = hand.joints[0]
        hands.append(hand.moved(rotation, wrist - rotation @ wrist + moment.axes @ shift))
    return replace(moment, hands=tuple(hands))
