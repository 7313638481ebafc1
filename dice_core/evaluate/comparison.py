# SPDX-License-Identifier: GPL-3.0-or-later
"""One prediction against the truth of the same picture."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ..errors import DiceError
from ..types import Capture, Hand, Head
from .figures import (
    MM,
    Figures,
    contact_figures,
    deformation_figures,
    deformed,
    hand_at_head_figures,
    hand_figures,
    head_figures,
    mean_of,
    solid_faces,
    timing_figures,
    untouched_figures,
)
from .plausibility import Plausibility, Rule, judge, one_frame

RULES: tuple[Rule, Rule] = ("paper", "closed")
Answer = Literal["touch", "unsure", "no-touch", "missed"]
Pairs = list[tuple[Hand, Hand]]  # predicted, true


@dataclass(frozen=True)
class Case:
    """How a prediction did.

    Attributes
    ----------
    name
        Of the picture.
    truth
        What the truth says of contact: `touch`, `no-touch`, or `unsure` when it does not say.
    answer
        What the prediction says: of a hand or a head that is not there nothing touches. `missed` when it lacks a head
        or hands that the truth has.
    missing
        What the truth has and the prediction lacks: `head`, `right hand`, `left hand`.
    wrong_side
        How many hands were found, but as those of the other side.
    figures
        Numbers by name; None, or no such name, where a number is not defined.
    plausibility
        By rule; empty without a predicted head and hand.
    """

    name: str
    truth: Literal["touch", "no-touch", "unsure"]
    answer: Answer
    missing: tuple[str, ...]
    wrong_side: int = 0
    figures: Figures = field(default_factory=dict)
    plausibility: dict[Rule, Plausibility] = field(default_factory=dict)

    @property
    def detected(self) -> bool:
        """Whether everything was found that the truth has."""
        return not self.missing


def compare(name: str, prediction: Capture | None, truth: Capture) -> Case:
    """Compare a prediction, None where nothing was found, with the truth.

    Raises
    ------
    DiceError
        When the two are not of the same meshes.
    """
    pairs = matched_hands(name, prediction, truth)
    missing = tuple(f"{hand.side} hand" for hand in truth.hands if not any(hand is true for _, true in pairs))
    if truth.head is not None and (prediction is None or prediction.head is None):
        missing = ("head", *missing)
    true_state = _true_state(truth)
    answer = _answer(prediction, truth)
    if prediction is None:
        return Case(name, true_state, answer, missing)
    if prediction.head is not None and truth.head is not None:
        _check_meshes(name, "head", prediction.head, truth.head)
    plausibility, figures = _plausibility(prediction, truth)
    figures |= _errors(prediction.head, truth.head, pairs, true_state == "touch")
    if not missing:
        figures |= _contact(prediction.head, truth.head, pairs)
    if true_state == "no-touch":
        figures |= untouched_figures(prediction)
    figures |= timing_figures(prediction)
    wrong_side = sum(hand.side != true.side for hand, true in pairs)
    return Case(name, true_state, answer, missing, wrong_side, figures, plausibility)


def matched_hands(name: str, prediction: Capture | None, truth: Capture) -> Pairs:
    """Each true hand with the predicted one of its side, or else with one whose side the truth lacks.

    Left hands are right ones in a mirror, vertex by vertex, so that the two can be compared.
    """
    found = {} if prediction is None else {hand.side: hand for hand in prediction.hands}
    pairs: Pairs = []
    for true in truth.hands:
        hand = found.get(true.side)
        if hand is None and len(truth.hands) == 1:
            hand = next(iter(found.values()), None)
        if hand is not None:
            _check_meshes(name, "hand", hand, true)
            pairs.append((hand, true))
    return pairs


def _check_meshes(name: str, part: str, mesh: Head | Hand, truth: Head | Hand) -> None:
    found, true = len(mesh.vertices), len(truth.vertices)
    if found != true:
        raise DiceError(
            f"The truth of {name} is of another body model: its {part} has {true} vertices, the prediction's {found}.",
            "Compare results with a truth of the same meshes.",
        )


def _true_state(truth: Capture) -> Literal["touch", "no-touch", "unsure"]:
    if truth.contact_state in ("touch", "unsure"):
        return truth.contact_state  # type: ignore[return-value]
    return "no-touch"


def _answer(prediction: Capture | None, truth: Capture) -> Answer:
    if truth.head is not None and (prediction is None or prediction.head is None):
        return "missed"
    if truth.hands and (prediction is None or not prediction.hands):
        return "missed"
    if prediction is None or prediction.contact_state in ("no-hand", "no-head"):
        return "no-touch"
    return prediction.contact_state  # type: ignore[return-value]


def _errors(head: Head | None, true_head: Head | None, pairs: Pairs, touches: bool) -> Figures:
    """Against the truth, in which something touches or nothing does; the hands' figures are means over the hands."""
    figures: Figures = {}
    heads = None if head is None or true_head is None else (head, true_head)
    if heads:
        figures |= head_figures(*heads)
    each = []
    for hand, true in pairs:
        place = hand_at_head_figures(*heads, hand, true, touches) if heads else {}
        each.append(hand_figures(hand, true) | place)
    return figures | mean_of(each)


def _contact(head: Head | None, true_head: Head | None, pairs: Pairs) -> Figures:
    """Contact and deformation, which nothing can have where the head or a hand was not found."""
    figures = mean_of([contact_figures(hand, true, "hand") for hand, true in pairs])
    if head is None or true_head is None:
        return figures
    return contact_figures(head, true_head, "head") | deformation_figures(head, true_head) | figures


def _plausibility(prediction: Capture, truth: Capture) -> tuple[dict[Rule, Plausibility], Figures]:
    """All predicted hands at the predicted head, by rule, and the deepest point by the closed one."""
    head = prediction.head
    if head is None or not prediction.hands:
        return {}, {}
    hands = np.vstack([hand.vertices for hand in prediction.hands])
    judged = {rule: judge(deformed(head), solid_faces(head), hands, rule) for rule in RULES}
    frames = {rule: one_frame(judged[rule], _truly_touches(truth, rule)) for rule in RULES}
    return frames, {"penetration_mm": MM * float(judged["closed"].depth.max())}


def _truly_touches(truth: Capture, rule: Rule) -> bool:
    if truth.head is None or not truth.hands:
        return False
    hands = np.vstack([hand.vertices for hand in truth.hands])
    return judge(deformed(truth.head), solid_faces(truth.head), hands, rule).touching
