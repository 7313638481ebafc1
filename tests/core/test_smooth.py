# SPDX-License-Identifier: GPL-3.0-or-later
"""The one-euro filter against the official one's records, and where ours differs from it on purpose."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dice_core.result.smooth import OneEuro, continuous, held, smooth, smooth_rotations, zero_lag


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


def test_no_lag_either_way() -> None:
    """Of a slow wave the phase stays within a hundredth of a period; the live filter lags by tens of milliseconds."""
    times = np.arange(0, 8, 1 / 24)
    wave = np.sin(2 * math.pi * 0.5 * times)[:, None]
    offline = zero_lag(times, wave, 2.0, 0.0)[48:-48, 0]
    live = OneEuro(2.0)
    online = np.array([live(time, value) for time, value in zip(times, wave, strict=True)])[48:-48, 0]

    def lag(values: np.ndarray) -> float:
        turns = np.exp(-2j * math.pi * 0.5 * times[48:-48])
        return float(-np.angle((values * turns).sum() / (wave[48:-48, 0] * turns).sum()) / math.pi)

    assert abs(lag(offline)) < 0.001 and lag(online) > 0.05


def test_it_is_measured_in_seconds() -> None:
    """The same movement at 60 and at 240 frames a second comes out alike."""

    def filtered(rate: float) -> np.ndarray:
        times = np.arange(0, 4, 1 / rate)
        step = (times > 2).astype(float)[:, None]
        return np.interp(np.arange(0.5, 3.5, 0.1), times, zero_lag(times, step, 2.0, 0.0)[:, 0])

    assert np.abs(filtered(60) - filtered(240)).max() < 0.08


def test_a_straight_movement_stays_straight() -> None:
    times = np.arange(0, 3, 1 / 30)
    values = np.stack([times, 2 - 0.3 * times, np.zeros_like(times)], axis=1)
    assert np.abs(zero_lag(times, values, 1.0, 0.0) - values).max() < 5e-3
    assert np.array_equal(zero_lag(times[:1], values[:1], 1.0, 0.0), values[:1])


def test_noise_goes_and_fast_movements_stay() -> None:
    random = np.random.default_rng(1)
    times = np.arange(0, 4, 1 / 24)
    noise = random.normal(0, 0.003, (len(times), 3))
    still = zero_lag(times, noise, 2.0, 12.0)
    assert np.diff(still, 2, axis=0).std() < 0.15 * np.diff(noise, 2, axis=0).std()
    jump = np.where(times[:, None] < 2, 0.0, 0.2) * np.ones(3)
    assert np.abs(zero_lag(times, jump, 2.0, 12.0)[(times < 1.9) | (times > 2.1)] - jump[(times < 1.9) | (times > 2.1)]
                  ).max() < 0.05  # fmt: skip


def test_gaps_are_held_and_runs_do_not_see_each_other() -> None:
    times = np.arange(12) / 10
    seen = np.array([0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0], bool)
    values = np.where(seen, times * 10, np.nan)[:, None]
    assert list(held(seen)) == [2, 2, 2, 3, 3, 3, 3, 3, 8, 9, 9, 9]
    assert np.array_equal(smooth(times, values, seen, math.inf, 0.0)[:, 0], held(seen))
    smoothed = smooth(times, values, seen, 1.0, 0.0)[:, 0]
    assert np.isfinite(smoothed).all() and smoothed[7] < 4 and smoothed[8] > 7
    assert np.isfinite(smooth_rotations(times, np.full((12, 3), np.nan), np.zeros(12, bool), 1.0, 0.0)).all()


def test_rotations_take_the_short_way() -> None:
    """Twice around an axis, which rotation vectors jump at; the signs of quaternions do not matter."""
    times = np.arange(0, 4, 1 / 24)
    angles = np.linspace(0, 4 * math.pi, len(times))
    vectors = Rotation.from_rotvec(angles[:, None] * [0, 0, 1.0]).as_rotvec()
    smoothed = Rotation.from_rotvec(smooth_rotations(times, vectors, np.ones(len(times), bool), 2.0, 2.0))
    away = (smoothed.inv() * Rotation.from_rotvec(angles[:, None] * [0, 0, 1.0])).magnitude()
    assert away[12:-12].max() < 0.05
    quaternions = Rotation.from_rotvec(vectors).as_quat()
    assert (np.einsum("nd,nd->n", *(continuous(quaternions)[part] for part in (slice(1, None), slice(-1)))) > 0).all()
