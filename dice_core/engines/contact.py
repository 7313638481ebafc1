# SPDX-License-Identifier: GPL-3.0-or-later
"""The contact of the dice engine's captures, fixed: during a capture, or afterwards in what was captured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..body.bodies import Bodies
from ..body.kinds import converted
from ..body.official import load
from ..errors import DiceError
from ..evaluate.plausibility import judge
from ..interaction.fix import Claim, SoftHead, fix
from ..types import Capture, Hand, Head

SOFTNESS = 0.3  # 0..1, of a head without a file that says how stiff it is
FAR_MOVED = 60.0  # mm, which the fix of a contact takes for more than a mistake about depth
TOUCHES = 0.5  # network.model.PRESENT, for those who have no torch


def fix_contact(
    head: Head, hands: tuple[Hand, ...], presences: Sequence[float], stiff: NDArray, soft: NDArray, search: bool = True
) -> tuple[Head, tuple[Hand, ...], tuple[str, ...]]:  # fmt: skip
    """Bring the hands that touch to the skin and deform the skin anew, see `interaction.fix`.

    Parameters
    ----------
    presences
        Of each hand, the probability that it touches.
    stiff, soft
        (V,) bool, the head's vertices that never deform; (V,) 0..1, how far the skin gives way.
    search
        See `fix`.

    Returns
    -------
    head, hands, notes
        And what was done, in words.
    """
    claims = {
        index: claim for index, (hand, presence) in enumerate(zip(hands, presences, strict=False))
        if presence > TOUCHES and (claim := Claim(hand.vertices, hand.faces, hand.contact)).touches
    }  # fmt: skip
    if not claims:
        return head, hands, ("There was no contact to fix: the network sees no hand that touches.",)
    fixed = fix(SoftHead(head.vertices, head.faces, stiff, soft), head.contact, list(claims.values()), search)
    placed, moves = list(hands), []
    for index, motion, contact in zip(claims, fixed.motions, fixed.hand_contacts, strict=True):
        hand = hands[index]
        placed[index] = replace(hand.moved(*motion.matrix), contact=contact)
        moved = 1000 * float(np.linalg.norm(placed[index].vertices - hand.vertices, axis=1).mean())
        doubtful = ", so far that this result is doubtful" if moved > FAR_MOVED else ""
        moves.append(f"the {hand.side} hand was moved by {moved:.1f} mm{doubtful}")
    head = replace(head, deformation=fixed.deformation, contact=fixed.head_contact)
    return head, tuple(placed), (f"Contact was fixed: {' and '.join(moves)}.",)


def fixed(capture: Capture, models: Path) -> Capture:
    """A capture of the dice engine with its contact fixed.

    Parameters
    ----------
    capture
        As the engine gave it.
    models
        Folder of the converted official files; the network's weights are not needed.

    Raises
    ------
    DiceError
        When it is none of that engine's, or a file is missing.
    """
    if capture.engine != "dice" or capture.head is None:
        raise DiceError(
            f"The {capture.engine} engine brings hands to the skin itself.", "Only captures of the dice engine need it."
        )
    bodies = Bodies.load(models)
    said = [float(capture.params[f"{hand.side}_presence"].item()) for hand in capture.hands]
    soft = softness(models, len(capture.head.vertices))
    head, hands, notes = fix_contact(capture.head, capture.hands, said, rigid(bodies), soft)
    moved = {f"hand_{hand.side}_error" for hand in hands}  # nobody has measured them where they are now
    quality = {name: value for name, value in capture.quality.items() if name not in moved} | depths(head, hands)
    return replace(capture, head=head, hands=hands, quality=quality, notes=(*capture.notes, *notes))


def rigid(bodies: Bodies) -> NDArray[np.bool_]:
    """(V,) which of the head's vertices never deform."""
    return bodies.deformable[:, 0] == 0


def softness(models: Path, count: int) -> NDArray:
    """(V,) 0..1 of so many vertices, by the user's file where it was converted."""
    if not converted(models, "stiffness_final").is_file():
        return np.full(count, SOFTNESS)
    return 1 - load(models, "stiffness_final")["stiffness"]


def depths(head: Head, hands: Sequence[Hand]) -> dict[str, float]:
    """How far the skin moves, and how deep the hands are in the head before and after that, in mm."""
    quality = {"deformation_mm": 1000 * float(np.linalg.norm(head.deformation, axis=1).max())}
    if hands:
        vertices = np.vstack([hand.vertices for hand in hands])
        for name, skin in (("pressed_mm", head.vertices), ("penetration_mm", head.vertices + head.deformation)):
            quality[name] = 1000 * float(judge(skin, head.faces, vertices, "closed").depth.max())
    return quality
