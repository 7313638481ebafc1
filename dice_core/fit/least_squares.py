# SPDX-License-Identifier: GPL-3.0-or-later
"""Levenberg-Marquardt for several starts at once, within bounds.

scipy's `least_squares` takes one start at a time; the hypotheses of a hand are a dozen, with the same derivatives.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Linearised = Callable[[NDArray], tuple[NDArray, NDArray]]
DAMPING, EASED, DAMPED = 1e-3, 0.3, 50.0
ACTIVE_SETS = 4  # times a step is made anew, since something stops at a bound
TOLERANCE = 1e-3  # of the cost: a step that gains less is the last


def minimise(linearised: Linearised, starts: NDArray, low: NDArray, high: NDArray, steps: int
             ) -> tuple[NDArray, NDArray]:
    """Minimise half the sums of squared residuals (Marquardt 1963; bounds by projection).

    Parameters
    ----------
    linearised
        (n, P) parameters -> (n, R) residuals and (n, R, P) derivatives.
    starts
        (n, P).
    low, high
        (P,) bounds.
    steps
        At most so many.

    Returns
    -------
    (n, P) parameters and (n,) costs.
    """
    x = np.clip(starts, low, high)
    residuals, jacobian = linearised(x)
    cost = 0.5 * (residuals**2).sum(1)
    damping = np.full(len(x), DAMPING)
    for _ in range(steps):
        tried = np.clip(x + _step(residuals, jacobian, damping, low - x, high - x), low, high)
        new_residuals, new_jacobian = linearised(tried)
        new_cost = 0.5 * (new_residuals**2).sum(1)
        better = new_cost < cost
        done = (better & (new_cost > (1 - TOLERANCE) * cost)) | (~better & (damping > 1e3))
        x = np.where(better[:, None], tried, x)
        residuals = np.where(better[:, None], new_residuals, residuals)
        jacobian = np.where(better[:, None, None], new_jacobian, jacobian)
        cost = np.where(better, new_cost, cost)
        damping = np.clip(np.where(better, EASED, DAMPED) * damping, 1e-7, 1e6)
        if done.all():
            break
    return x, cost


def _step(residuals: NDArray, jacobian: NDArray, damping: NDArray, least: NDArray, most: NDArray) -> NDArray:
    """(n, P) the damped step within (n, P) bounds: what would go beyond one stops there, and the others take that into
    account (Bertsekas 1982)."""
    gradient = np.einsum("nrp,nr->np", jacobian, residuals)
    normal = jacobian.swapaxes(1, 2) @ jacobian
    diagonal = np.einsum("npp->np", normal)
    diagonal += damping[:, None] * diagonal + 1e-9
    step = np.zeros_like(gradient)
    held = ((least >= 0) & (gradient > 0)) | ((most <= 0) & (gradient < 0))
    for _ in range(ACTIVE_SETS):
        free = ~held
        system = normal * (free[:, :, None] & free[:, None])
        np.einsum("npp->np", system)[...] += held
        wanted = np.where(free, -gradient - (normal @ (step * held)[..., None])[..., 0], step)
        found = np.linalg.solve(system, wanted[..., None])[..., 0]
        step = np.clip(found, least, most)
        beyond = free & (step != found)
        if not beyond.any():
            break
        held |= beyond
    return step


def cauchy(residuals: NDArray, by: NDArray, outlier: float) -> tuple[NDArray, NDArray]:
    """Residuals (...) and derivatives (..., P) whose squares are Cauchy's loss: beyond `outlier` they pull less."""
    squared = (residuals / outlier) ** 2
    softened = outlier * np.sqrt(np.log1p(squared)) * np.sign(residuals)
    slope = np.where(squared > 1e-8, residuals / np.where(softened == 0, 1, softened) / (1 + squared), 1.0)
    return softened, by * slope[..., None]
