# SPDX-License-Identifier: GPL-3.0-or-later
"""Thousands of damaged and malicious files: none runs anything or takes much memory, each ends in an answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dice_core.paths import ROOT
from tests.core.bodies import fuzz

CASES = 5000


def run(folder: Path, *words: object) -> dict:
    variables = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.core.bodies.fuzz", str(folder), *map(str, words)]
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_nothing_happens(tmp_path: Path, record_property):
    told = run(tmp_path, CASES, 0)
    assert set(told["tally"]) == {"accepted", "refused"}, told["tally"]
    assert told["events"] == {} and told["files"] == ["case"]
    assert sum(told["tally"].values()) == told["cases"] >= CASES
    assert told["tally"]["refused"] > 0.9 * CASES  # mutations do damage
    assert told["tally"]["accepted"] > 0  # and are not so wild that no case gets far
    record_property("cases", told["cases"])


def test_the_watch_sees_what_python_s_own_unpickler_does(tmp_path: Path):
    """Without this, an empty list of events would say nothing."""
    told = run(tmp_path, 300, 0, "careless")
    assert any(event.startswith("pickle.find_class") for event in told["events"])
    assert any(event.startswith("import") for event in told["events"])
    assert any(result.startswith("FAILED") for result in told["tally"])


@pytest.mark.parametrize("name", fuzz.seeds())
def test_undamaged_files_are_understood(name: str, tmp_path: Path):
    """What is mutated gets as far as being told apart, so that its mutations do too."""
    from dice_core.body.containers import read_container

    path = tmp_path / name
    path.write_bytes(fuzz.seeds()[name])
    assert read_container(path) is not None
