# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of movement that can be worked out by hand, and `evaluate` of two sequences as a user runs it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh

from dice_core.__main__ import main
from dice_core.body.openbody import hand_model, head_model
from dice_core.errors import DiceError
from dice_core.evaluate.motion import BONES, Jitter, bone_change, contact_figures, lag, spread_change
from dice_core.evaluate.report import evaluate
from dice_core.types import Camera, Capture, Hand, Head
from tools.benchmark.clips_folder import write_captures

RATE = 24.0
BALL, SMALL = trimesh.creation.icosphere(2, 0.1), trimesh.creation.icosphere(1, 0.02)


def a_path(time: np.ndarray) -> np.ndarray:
    """(n, 3) metres of a hand at seconds: a smooth wave."""
    return np.stack([0.13 + 0.02 * np.sin(4 * time), 0.03 * np.sin(2.3 * time + 1), 0.6 + 0 * time], 1)


def frames(count: int, late: float = 0.0, shake: float = 0.0, touch: range = range(0)) -> list[Capture]:
    """A ball that stands still and a small one that moves, so many frames late, and shakes by metres."""
    rng = np.random.default_rng(0)
    places = a_path((np.arange(count) - late) / RATE) + shake * rng.normal(size=(count, 3))
    camera = Camera((640, 480), np.float32([[700, 0, 320], [0, 700, 240], [0, 0, 1]]))
    still = np.float32(BALL.vertices + [0, 0, 0.6])
    nothing = np.zeros((len(still), 3), np.float32), np.zeros(len(still), np.float32)
    head = Head(still, np.int32(BALL.faces), *nothing, still[:68])
    made = []
    for k, place in enumerate(places):
        vertices = np.float32(SMALL.vertices + place)
        hand = Hand("right", vertices, np.int32(SMALL.faces), np.zeros(len(vertices), np.float32), vertices[:21])
        state = "touch" if k in touch else "no-touch"
        made.append(Capture("truth", "a.mp4", camera, head, (hand,), state, float(k in touch), frame=k))  # type: ignore[arg-type]
    return made


def added(jitter: Jitter, found: np.ndarray, true: np.ndarray) -> dict[str, float | None]:
    for one, other in zip(found, true, strict=True):
        jitter.add(one, other)
    return jitter.figures("hand")


def test_the_acceleration_of_a_parabola():
    """x = a k^2 / 2 is accelerated by a; a second point beside it by nothing."""
    time = np.arange(6.0)
    true, found = np.zeros((6, 2, 3)), np.zeros((6, 2, 3))
    found[:, 0, 1] = 0.004 * time**2 / 2
    true[:, 0, 0] = 0.003 * time**2 / 2
    found[:, 1] = true[:, 1] = time[:, None] * [0.1, 0.2, 0.3]  # as fast as it likes
    figures = added(Jitter(), found, true)
    assert figures["acceleration_error_hand_mm"] == pytest.approx(5 / 2)
    assert figures["acceleration_hand_mm"] == pytest.approx(4 / 2)
    assert figures["true_acceleration_hand_mm"] == pytest.approx(3 / 2)


def test_white_noise_shakes_by_the_root_of_six():
    """The second difference of noise of deviation s has s sqrt(6), and a mean length sqrt(8 / pi) as long."""
    noise = 0.001 * np.random.default_rng(1).normal(size=(60, 400, 3))
    figures = added(Jitter(), noise, np.zeros_like(noise))
    assert figures["acceleration_error_hand_mm"] == pytest.approx(np.sqrt(6) * np.sqrt(8 / np.pi), rel=0.02)


def test_a_gap_counts_nowhere():
    jitter, here, far = Jitter(), np.zeros((1, 3)), np.ones((1, 3))
    for found in (here, here, None, far, far):
        jitter.add(found, here)
    assert jitter.figures("hand")["acceleration_error_hand_mm"] is None
    jitter.add(far, here)
    assert jitter.figures("hand")["acceleration_error_hand_mm"] == 0


@pytest.mark.parametrize("late", [-3, 0, 2, 2.4])
def test_a_delay_is_found(late):
    time = np.arange(120.0)

    def signal(at):
        return np.stack([np.sin(0.21 * at) + 0.5 * np.sin(0.52 * at), np.cos(0.33 * at)], 1)

    found = lag(signal(time - late), signal(time), 12)
    assert found == pytest.approx(late, abs=0.1)
    hidden = signal(time - late)
    hidden[40:60] = np.nan
    assert lag(3 * hidden, signal(time), 12) == pytest.approx(late, abs=0.15)


def test_without_movement_there_is_no_lag():
    assert lag(np.zeros((50, 3)), np.zeros((50, 3)), 12) is None
    assert lag(np.full((50, 3), np.nan), np.ones((50, 3)), 12) is None


def test_contact_over_time():
    """Touched from 10 to 20 and 30 to 40; said 2 frames late, once too early at its end, and once for nothing."""
    true, found = np.full(60, "no-touch"), np.full(60, "no-touch")
    true[10:20] = true[30:40] = "touch"
    found[12:22] = found[32:39] = found[55:57] = "touch"
    figures = contact_figures(found, true, (found == "touch").astype(float), 25.0)
    assert figures["contact_accuracy"] == pytest.approx(1 - (2 + 2 + 2 + 1 + 2) / 60)
    assert figures["onset_error_ms"] == figures["onset_late_ms"] == pytest.approx(80)
    assert figures["offset_error_ms"] == pytest.approx((80 + 40) / 2)
    assert figures["offset_late_ms"] == pytest.approx((80 - 40) / 2)
    assert figures["contact_changes_missed"] == 0 and figures["contact_changes_false"] == 2


def test_unsure_is_not_right_and_a_touch_that_is_missed_counts():
    true, found = np.full(40, "no-touch"), np.full(40, "no-touch")
    true[10:30] = "touch"
    found[10:30] = "unsure"
    figures = contact_figures(found, true, np.full(40, 0.4), 24.0)
    assert figures["contact_accuracy"] == 0.5
    assert figures["contact_changes_missed"] == 2 and figures["onset_error_ms"] is None
    assert figures["lag_contact_ms"] is None


def test_bones_keep_their_lengths_or_not():
    model = hand_model("right")
    parameters = np.random.default_rng(2).normal(0, 0.2, (5, 55))
    parameters[:, 6:10] = 0
    joints = model.keypoints(parameters)
    assert len(BONES) == 20 and bone_change(joints) == pytest.approx(0, abs=1e-9)
    joints[3] *= 1.1
    longest = np.linalg.norm(joints[0, 9] - joints[0, 0])
    assert bone_change(joints) >= 99 * longest
    points = head_model().mean[None, :5] * np.array([1, 1.02])[:, None, None]
    span = np.linalg.norm(points[0][:, None] - points[0], axis=2).max()
    assert spread_change(points) == pytest.approx(1000 * 0.02 * span)


def test_sequences_by_the_command(tmp_path, capsys):
    """The truth itself; the same two frames late, larger, and shaking."""
    write_captures(tmp_path / "truth", frames(50, touch=range(10, 30)), RATE)
    assert main(["evaluate", str(tmp_path / "truth"), str(tmp_path / "truth")]) == 0
    assert "contact_accuracy" in capsys.readouterr().out
    same = evaluate(tmp_path / "truth", tmp_path / "truth").motion
    for name, value in same.items():
        expected = 1 if name == "contact_accuracy" else value if name.startswith("true") or name in MOVES else 0
        assert value is None or value == pytest.approx(expected, abs=1e-3), name
    write_captures(tmp_path / "late", frames(50, late=2, touch=range(12, 32)), RATE)
    report = tmp_path / "report.json"
    assert main(["evaluate", str(tmp_path / "late"), str(tmp_path / "truth"), "--json", str(report)]) == 0
    motion = json.loads(report.read_text())["motion"]
    assert motion["lag_hand_ms"] == pytest.approx(2000 / RATE, abs=3)
    assert motion["lag_contact_ms"] == pytest.approx(2000 / RATE, abs=3)
    assert motion["onset_late_ms"] == motion["offset_late_ms"] == pytest.approx(2000 / RATE)
    assert motion["hand_change_mm"] == pytest.approx(0, abs=1e-3) and motion["lag_head_ms"] is None


MOVES = ("acceleration_hand_mm", "acceleration_hand_at_head_mm")


def test_a_shaking_hand_and_one_that_was_not_found(tmp_path):
    true, found = frames(70), frames(70, shake=0.001)
    found = [replace(one, hands=(), contact_state="no-hand") if 30 <= k < 40 else one for k, one in enumerate(found)]
    write_captures(tmp_path / "truth", true, RATE)
    write_captures(tmp_path / "found", [None, *found[1:]], RATE)
    report = evaluate(tmp_path / "found", tmp_path / "truth")
    assert report.motion["acceleration_error_hand_mm"] == pytest.approx(np.sqrt(6) * np.sqrt(8 / np.pi), rel=0.25)
    assert report.motion["acceleration_error_head_mm"] == 0
    assert report.summary.values["detection_rate"] == pytest.approx(1 - 11 / 70)


def test_another_part_of_the_clip_and_another_kind_of_folder(tmp_path):
    write_captures(tmp_path / "truth", frames(30), RATE)
    write_captures(tmp_path / "part", frames(40)[10:20], RATE, start=10)
    report = evaluate(tmp_path / "part", tmp_path / "truth")
    assert [case.name for case in report.cases] == [f"{k:06}" for k in range(10, 20)]
    assert report.summary.values["pve_hand_mm"] == pytest.approx(0, abs=1e-3)
    write_captures(tmp_path / "later", frames(5), RATE, start=100)
    with pytest.raises(DiceError, match="share no frame"):
        evaluate(tmp_path / "later", tmp_path / "truth")
    with pytest.raises(DiceError, match="no captured sequence"):
        evaluate(Path(__file__).parent, tmp_path / "truth")
