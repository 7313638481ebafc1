# SPDX-License-Identifier: GPL-3.0-or-later
"""The one-euro filter against the official one's records, and where ours differs from it on purpose."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest

from dice_core.result.smooth import OneEuro


@pytest.fixture(scope="module")
def recorded() -> dict[str, np.ndarray]:
    folder = os.environ.get("DICE_GOLDENS")
    if not folder:
        pytest.skip("DICE_GOLDENS names no folder of recorded behaviour")
    with np.load(Path(folder) / "dice-network" / "one_euro.npz") as archive:
        return {name: archive[name] for name in archive.files}


def test_the_formula_is_the_official_one(recorded):
    """With settings under which it starts at the first frame, as ours always does."""
    smooth = OneEuro(min_cutoff=1.3, beta=0.7, d_cutoff=1.0)
    times, frames = recorded["general_t"], recorded["x"].astype(np.float64)
    assert np.array_equal(smooth(times[0], frames[0]), frames[0])
    for index, expected in enumerate(recorded["general_y"], 1):
        assert np.abs(smooth(times[index], frames[index]) - expected).max() < 1e-6


def test_the_first_frame_is_not_shrunk(recorded):
    """As the official demonstration is set: its first frame is 86 % of the truth, and the difference dies away."""
    smooth = OneEuro(min_cutoff=1.0, beta=0.0, d_cutoff=30.0)
    kept = 1 / (2 * math.pi + 1)  # of what was before
    frames, official = recorded["x"].astype(np.float64), recorded["official_y"]
    assert np.allclose(official[0], (1 - kept) * frames[0], atol=1e-6)
    for index, time in enumerate(recorded["official_t"]):
        expected = official[index] + kept ** (index + 1) * frames[0]
        assert np.abs(smooth(float(time), frames[index]) - expected).max() < 1e-6


def test_a_time_that_does_not_advance_gives_no_nan(recorded):
    smooth = OneEuro()
    first, second = recorded["x"][:2].astype(np.float64)
    smooth(1.0, first)
    assert np.isnan(recorded["repeated_t_y"]).any(), "the official one gives NaN"
    assert np.array_equal(smooth(1.0, second), second)


def test_the_frame_rate_counts():
    """A step, answered as an analogue filter of the same cutoff answers it, whatever the rate."""
    for rate in (200, 1000):
        smooth = OneEuro(min_cutoff=2.0)
        smooth(0.0, np.zeros(1))
        for frame in range(1, rate // 10 + 1):
            value = smooth(frame / rate, np.ones(1))
        assert value[0] == pytest.approx(1 - math.exp(-2 * math.pi * 2.0 * 0.1), abs=0.02)


def test_noise_shrinks_and_fast_motion_does_not_lag():
    random = np.random.default_rng(0)
    still = random.normal(0, 1, 300)
    calm = OneEuro(min_cutoff=1.0)
    smoothed = np.array([calm(index / 30, value) for index, value in enumerate(still)])
    assert smoothed[100:].std() < 0.4 * still[100:].std()
    ramp = np.arange(60.0)
    lagging, quick = OneEuro(), OneEuro(beta=1.0)
    lags = [60 - 1 - [one(index / 30, value) for index, value in enumerate(ramp)][-1] for one in (lagging, quick)]
    assert lags[0] > 3 > 1 > lags[1] > 0
