# SPDX-License-Identifier: GPL-3.0-or-later
"""install_deps.py at work: it installs, repairs or removes the runtime."""

from __future__ import annotations

import sys
from pathlib import Path

from ..dice_core.errors import Cancelled
from ..dice_core.paths import ROOT
from .program_job import ProgramJob, failure


class InstallJob(ProgramJob):
    """One run of install_deps.py."""

    def __init__(self, runtime: Path, *options: str, stage: str) -> None:
        cancelled = Cancelled("The installation was cancelled.", "Press Install to go on with it.")
        if "--remove" in options:
            cancelled = Cancelled("The removal was cancelled.", "Press Install or Repair to make the runtime whole.")
        command = [sys.executable, str(ROOT / "install_deps.py"), "--target", str(runtime), *options]
        super().__init__(command, stage=stage, cancelled=cancelled, ended=_ended)


def _ended(code: int, said: list[str]) -> None:
    if code:
        raise failure(said)
