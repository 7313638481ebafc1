# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m dice_core doctor` at work: its report becomes a text in Blender."""

from __future__ import annotations

from pathlib import Path

import bpy

from ..dice_core.body.kinds import KINDS
from ..dice_core.errors import Cancelled, DiceError, ModelsMissing, NotInstalled
from . import jobs
from .languages.words import iface
from .program_job import ProgramJob, core, failure

REPORT = "DICE Doctor"  # name of the text
NAMED = 3  # faults at most
OF_RUNTIME = {"runtime", "models", "packages"}  # names of checks that a repair sets right
FAULT = "FAIL  "  # how the line of a fault begins


def job(runtime: Path) -> ProgramJob:
    """Test the runtime and what captures need besides; what is wrong is named in the notice."""
    command, variables = core(runtime, "doctor")
    cancelled = Cancelled("The self-test was cancelled.")
    return ProgramJob(command, stage="Testing", cancelled=cancelled, ended=_ended, variables=variables)


def _ended(code: int, said: list[str]) -> None:
    if code not in (0, 1) or not said:
        raise failure(said)
    text = bpy.data.texts.get(REPORT) or bpy.data.texts.new(REPORT)
    text.clear()
    text.write("\n".join(said) + "\n")
    faults = [line.removeprefix(FAULT).split("  ")[0] for line in said if line.startswith(FAULT)]
    if faults:
        told = iface("The self-test found faults: {}.").format(_some(faults))
        raise _class_of(faults)(told, iface("The text {} says what to do.").format(REPORT))
    jobs.state.notice = iface("The self-test found no fault. The text {} has the details.").format(REPORT)


def _class_of(faults: list[str]) -> type[DiceError]:
    """Of the error that draws what helps."""
    if OF_RUNTIME.intersection(faults):
        return NotInstalled
    return ModelsMissing if {kind.file for kind in KINDS.values()}.intersection(faults) else DiceError


def _some(names: list[str]) -> str:
    some = ", ".join(names[:NAMED])
    return some if len(names) <= NAMED else iface("{} and {} more").format(some, len(names) - NAMED)
