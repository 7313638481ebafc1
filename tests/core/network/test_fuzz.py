# SPDX-License-Identifier: GPL-3.0-or-later
"""Hostile checkpoints by the thousand: nothing runs, nothing is written, memory is bounded, every refusal is clear."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (install_deps.py --engine dice)")

from dice_core.paths import ROOT  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.slow]


def test_hostile_files(made_up, made_up_official, tmp_path, capsys):
    torch.save(made_up(), tmp_path / "state_dict.bin")
    (tmp_path / "work").mkdir()
    bases = [made_up_official(), tmp_path / "state_dict.bin"]
    command = [sys.executable, "-m", "tests.core.network.fuzz", str(tmp_path / "work"), "3000", *map(str, bases)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=900)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    with capsys.disabled():
        print(f"\n{report['cases']} hostile files, {report['accepted']} of them harmless: {report['kinds']}; "
              f"memory grew by {report['grown_mb']:.0f} MB, the slowest took {report['slowest_s']:.2f} s")  # fmt: skip
    assert report["faults"] == []
    assert report["cases"] > 10_000
    assert report["grown_mb"] < 600
    assert report["slowest_s"] < 30
    assert report["left"] == []
    assert 0 < report["accepted"] < report["cases"] / 2
