# SPDX-License-Identifier: GPL-3.0-or-later
"""A runtime folder whose worker needs no model: every picture gives the same capture, everything that moves the same
sequence, some names misbehave."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

from dice_capture.dice_core import paths
from dice_capture.dice_core.result import store
from dice_capture.dice_core.types import Capture


def make(folder: Path, capture: Capture, python: str = sys.executable, sequence: Path | None = None) -> Path:
    """Write the runtime; `python` needs numpy only. `sequence` is the folder of a finished one.

    A picture with `long` in its name takes 3 s and `slow` 15 s, `stubborn` ignores a cancel, `crash` ends the process
    and `empty` holds nothing. Of sequences `slow` takes 20 s and `crash` ends the process half-way; when they are
    resumed, neither happens.
    """
    store.save(folder / "capture.npz", capture)
    if sequence is not None:
        shutil.copytree(sequence, folder / "sequence")
    (folder / paths.MARKER).write_text('{"engine": "open", "megabytes": 1}')
    script = paths.runtime_python(folder)
    script.parent.mkdir(parents=True)
    command = [python, str(Path(__file__).parent / "fake_worker.py"), str(folder / "capture.npz")]
    script.write_text(f"#!/bin/sh\nexec {shlex.join(command)}\n")
    script.chmod(0o755)
    return folder
