# SPDX-License-Identifier: GPL-3.0-or-later
"""Hostile checkpoints by the thousand: nothing runs, nothing is written, memory is bounded, every refusal is clear."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (install_deps.py --engine dice)")

from dice_core.body.kinds import NETWORK_FILE  # noqa: E402
from dice_core.network.checkpoint import SUMMARY, convert  # noqa: E402
from dice_core.paths import ROOT  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.slow]


def test_hostile_files(made_up, made_up_official, tmp_path, capsys):
    torch.save(made_up(), tmp_path / "state_dict.bin")
    convert(tmp_path / "state_dict.bin", tmp_path)
    work = tmp_path / "work"
    work.mkdir()
    bases = [made_up_official(), tmp_path / "state_dict.bin", tmp_path / NETWORK_FILE]
    command = [sys.executable, "-m", "tests.core.network.fuzz", str(work), "1000", *map(str, bases)]
    variables = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=work, timeout=900, env=variables)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    with capsys.disabled():
        print(f"\n{report['cases']} hostile files, {report['accepted']} of them harmless: {report['kinds']}; "
              f"the slowest took {report['slowest_s']:.2f} s")  # fmt: skip
    assert report["faults"] == []
    assert report["cases"] > 10_000
    assert report["slowest_s"] < 30
    assert set(report["left"]) <= {f"models/{NETWORK_FILE}", f"models/{SUMMARY}"}, "no marker, nothing half done"
    assert 0 < report["accepted"] < report["cases"] / 2
