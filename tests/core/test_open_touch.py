# SPDX-License-Identifier: GPL-3.0-or-later
"""When a hand touches, and with what, decided over time."""

from __future__ import annotations

import numpy as np
import pytest

from dice_core.fit.hand import SHAPE_MEAN
from dice_core.fit.placement import USUAL
from dice_core.interaction.parts import PARTS
from dice_core.sequence.open_touch import SWITCH, averaged, cheapest, decided, hysteresis, intervals, lasting

RATE = 24.0
TIMES = np.arange(72) / RATE
BETAS = {"right": SHAPE_MEAN, "left": SHAPE_MEAN}


def fits(looks: np.ndarray, costs: np.ndarray | None = None) -> dict[str, np.ndarray]:
    made = {"right_looks": looks, "right_before": np.full(72, USUAL), "right_gap": np.zeros(72),
            "right_costs": np.full((72, len(PARTS)), np.nan) if costs is None else costs}  # fmt: skip
    return made | {name.replace("right", "left"): np.full_like(values, np.nan) for name, values in made.items()}


def parts(likely: int = 0) -> dict[str, np.ndarray]:
    return {f"{side}_glance_parts": np.eye(8)[np.full(72, likely)] for side in ("right", "left")}


def test_a_touch_begins_and_ends_once() -> None:
    """Although single frames say otherwise."""
    random = np.random.default_rng(0)
    true = (TIMES > 1) & (TIMES < 2)
    looks = np.clip(np.where(true, 0.75, 0.15) + random.normal(0, 0.15, 72), 0.01, 0.99)
    looks[[5, 30, 31, 60]] = 0.9, 0.1, 0.2, 0.95
    found = decided(fits(looks), parts(), TIMES, BETAS)
    (touch,) = intervals(found["right_touching"])
    assert abs(TIMES[touch[0]] - 1) < 0.13 and abs(TIMES[touch[-1]] - 2) < 0.13
    assert not found["left_touching"].any() and (found["left_part"] == -1).all()


@pytest.mark.parametrize(("gap", "size", "touching"), [(0.0, 0.0, True), (0.02, 0.0, False), (0.0, 6.0, False)])
def test_surfaces_that_cannot_meet_do_not_touch(gap: float, size: float, touching: bool) -> None:
    made = fits(np.full(72, 0.8))
    made["right_gap"] = np.where(np.arange(72) % 6, np.nan, gap)  # measured now and then
    betas = dict.fromkeys(BETAS, SHAPE_MEAN + [size, 0, 0, 0])
    assert decided(made, parts(), TIMES, betas)["right_touching"].any() == touching


def test_the_part_changes_only_for_good_reason() -> None:
    costs = np.full((72, len(PARTS)), np.nan)
    costs[::6] = 50.0
    costs[::6, 1], costs[::6, 2] = 10.0, 12.0
    costs[24, 2] = 7.0  # once the other one is better, by less than two changes cost
    made = fits(np.full(72, 0.9), costs)
    assert set(decided(made, parts(), TIMES, BETAS)["right_part"]) == {1}
    costs[36::6, 2] = 2.0
    found = decided(made, parts(), TIMES, BETAS)["right_part"]
    assert list(np.unique(found)) == [1, 2] and np.count_nonzero(np.diff(found)) == 1 and found[0] == 1


def test_a_touch_too_short_to_be_weighed_has_the_part_that_it_looks_like() -> None:
    looks = np.where((TIMES > 1) & (TIMES < 1.4), 0.95, 0.05)
    found = decided(fits(looks), parts(likely=3), TIMES, BETAS)
    assert set(found["right_part"][found["right_touching"]]) == {PARTS.index("ring")}


def test_the_cheapest_way() -> None:
    """Against all ways there are."""
    from itertools import product

    random = np.random.default_rng(2)
    for _ in range(20):
        costs = random.uniform(0, 10, (5, 3))

        def price(way: tuple[int, ...], costs: np.ndarray = costs) -> float:
            return costs[np.arange(5), list(way)].sum() + SWITCH * np.count_nonzero(np.diff(way))

        assert price(tuple(cheapest(costs))) == pytest.approx(min(map(price, product(range(3), repeat=5))))


def test_hysteresis_and_brief_runs() -> None:
    assert list(hysteresis(np.array([0.3, 0.45, 0.55, 0.45, 0.39, 0.45]))) == [False, False, True, True, False, False]
    times = np.arange(10) / 24
    flicker = np.array([0, 0, 1, 0, 0, 0, 1, 1, 0, 1], bool)
    assert list(lasting(times, flicker)) == [False] * 6 + [True] * 4
    assert averaged(times, np.full(10, 2.0)) == pytest.approx(2)
