# SPDX-License-Identifier: GPL-3.0-or-later
"""Many cases in a few numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .comparison import RULES, Case
from .figures import MM, Figures, mean
from .plausibility import Rule, total

TRUTHS, ANSWERS = ("touch", "no-touch"), ("touch", "unsure", "no-touch", "missed")
Confusion = dict[str, dict[str, int]]


@dataclass(frozen=True)
class Summary:
    """Numbers over cases.

    Attributes
    ----------
    values
        By name; means unless docs/metrics.md says otherwise, None where no case defines one.
    counts
        By the same names: over how many cases.
    confusion
        How many cases: by what the truth says, then by what the prediction says.
    """

    values: Figures
    counts: dict[str, int]
    confusion: Confusion


def summarise(cases: list[Case]) -> Summary:
    """Sum up cases."""
    table = confusion(cases)
    numbers = _special(cases, table)
    for name in _names(cases):
        there = _values(cases, name)
        numbers.setdefault(name, (mean(list(there)), len(there)))
    values = {name: value for name, (value, _) in numbers.items()}
    return Summary(values, {name: count for name, (_, count) in numbers.items()}, table)


def confusion(cases: list[Case]) -> Confusion:
    """Rows: what is true. Columns: what was said. A truth that does not say is not counted."""
    return {
        truth: {answer: sum(case.truth == truth and case.answer == answer for case in cases) for answer in ANSWERS}
        for truth in TRUTHS
    }


def balanced_accuracy(table: Confusion) -> float | None:
    """The mean over what is true of how often it was said, of the decided: neither unsure nor missed."""
    shares: list[float | None] = []
    for truth in TRUTHS:
        decided = sum(table[truth][answer] for answer in TRUTHS)
        shares.append(table[truth][truth] / decided if decided else None)
    return mean(shares)


def _special(cases: list[Case], table: Confusion) -> dict[str, tuple[float | None, int]]:
    """What is no mean of a figure: (value, over how many cases) by name, the most telling first."""
    answers = {answer: sum(table[truth][answer] for truth in TRUTHS) for answer in ANSWERS}
    decided = answers["touch"] + answers["no-touch"]
    seen = decided + answers["unsure"]
    dents = [case.figures for case in cases if case.figures.get("zero_baseline_mm")]
    errors, baselines = (
        sum(dent[name] or 0.0 for dent in dents) for name in ("deformation_error_mm", "zero_baseline_mm")
    )
    depths, calm, contact, times = (
        _values(cases, name)
        for name in ("penetration_mm", "no_touch_deformation_max_mm", "no_touch_contact_max", "interaction_ms")
    )
    numbers = {
        "detection_rate": (float(np.mean([case.detected for case in cases])) if cases else None, len(cases)),
        "wrong_side": (float(sum(case.wrong_side for case in cases)), len(cases)),
        "contact_state_balanced_accuracy": (balanced_accuracy(table), decided),
        "contact_state_unsure": (answers["unsure"] / seen if seen else None, seen),
        "deformation_error_ratio": (errors / baselines if dents else None, len(dents)),
        "penetration_mm_p95": (float(np.percentile(depths, 95)) if depths else None, len(depths)),
        "no_touch_deformation_max_mm": (max(calm, default=0.0), len(calm)),
        "no_touch_contact_max": (max(contact, default=0.0), len(contact)),
        "interaction_ms_median": (float(np.median(times)) if times else None, len(times)),
    }
    for rule in RULES:
        numbers |= _plausible(cases, rule)
    return numbers


def _plausible(cases: list[Case], rule: Rule) -> dict[str, tuple[float | None, int]]:
    """The papers' four over the cases with a predicted hand and head; touching is judged where the truth touches."""
    frames = [case.plausibility[rule] for case in cases if rule in case.plausibility]
    sums = total(frames) if frames else None
    touches = sums if sums and sums.should_touch else None
    touching = touches.should_touch if touches else 0
    numbers = {
        "collision_distance_mm": (MM * sums.collision_distance if sums else None, len(frames)),
        "non_collision_ratio": (sums.non_collision_ratio if sums else None, len(frames)),
        "touchness_ratio": (touches.touchness_ratio if touches else None, touching),
        "plausibility_f_score": (touches.f_score if touches else None, len(frames) if touches else 0),
    }
    return {f"{name}_{rule}": number for name, number in numbers.items()}


def _values(cases: list[Case], name: str) -> list[float]:
    return [value for case in cases if (value := case.figures.get(name)) is not None]


def _names(cases: list[Case]) -> Iterable[str]:
    """Every figure's name, once, in the order of their appearance."""
    return dict.fromkeys(name for case in cases for name in case.figures)
