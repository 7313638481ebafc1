# SPDX-License-Identifier: GPL-3.0-or-later
"""A hand that is followed against the face: `placement` for the frames of a sequence.

Which part touches is measured now and then, and decided over time (`sequence.open_touch`); then the hand is brought to
the skin in every frame, each time from where it was before.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..interaction.distance import Surface
from ..interaction.parts import PARTS, patches
from .glance import Glance
from .hand import HandFit, HandProblem, finish
from .placement import SAMPLES, Contact, reaches, resting, settled, unlikely

HOPELESS = 20.0  # what a part costs more that was given up, in half squared sigmas


def weighed(problem: HandProblem, fit: HandFit, head: Surface, allowed: NDArray, glance: Glance, betas: NDArray
            ) -> tuple[NDArray, float]:
    """How much each of PARTS bends the evidence, should it touch: (10,) half squared sigmas, NaN where it cannot; and
    the least gap between the surfaces along the line of sight, metres."""
    costs = np.full(len(PARTS), np.nan)
    offsets, gap = reaches(problem, fit, head)
    if not offsets:
        return costs, gap
    names, parts = list(offsets), patches(problem.model.side)
    starts = np.repeat(fit.parameters[None], len(names), axis=0)
    starts[:, 3:6] += np.stack([offsets[name] for name in names])
    _, cost = settled(problem, head, allowed, [parts[name] for name in names], starts, betas)
    cost = np.minimum(cost, cost.min() + HOPELESS) + [unlikely(name, glance) for name in names]
    costs[[PARTS.index(name) for name in names]] = cost
    return costs, gap


def brought(problem: HandProblem, start: NDArray, head: Surface, allowed: NDArray, part: str, betas: NDArray,
            rounds: int) -> HandFit:  # fmt: skip
    """The hand with a part of it on the skin.

    Parameters
    ----------
    start
        (HAND_PARAMETERS,) near to it.
    rounds
        How often the nearest points of the skin are found anew.
    """
    touching = [patches(problem.model.side)[part], *resting(problem, start, head, part)]
    contact = Contact(problem, head, allowed, [touching], SAMPLES, betas)
    (parameters,), (cost,) = contact.settle(start[None], rounds)
    return finish(problem, parameters, float(cost))


def first_touch(problem: HandProblem, fit: HandFit, head: Surface, part: str) -> NDArray:
    """(HAND_PARAMETERS,) the hand moved along the line of sight to where a part first touches, if it does."""
    offsets, _ = reaches(problem, fit, head)
    start = fit.parameters.copy()
    start[3:6] += offsets.get(part, np.zeros(3))
    return start
