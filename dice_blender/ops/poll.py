# SPDX-License-Identifier: GPL-3.0-or-later
"""Greyed buttons say why, and an operator that fails says so where it can be read and acted upon."""

from __future__ import annotations

from collections.abc import Callable

import bpy

from ...dice_core.errors import DiceError
from .. import jobs
from ..languages.words import rpt, tip


def unless(cls: type[bpy.types.Operator], reason: str) -> bool:
    """What an operator's `poll` gives: whether there is no reason against it, which its button then shows."""
    if reason:
        cls.poll_message_set(tip(reason))
    return not reason


def told(error: DiceError) -> str:
    """An error as an operator reports it."""
    return f"{rpt(error.message)} {rpt(error.remedy)}".strip()


def fail(operator: bpy.types.Operator, error: DiceError) -> set[str]:
    """What an operator's `execute` gives when it failed: the error is reported, and stays in the panel."""
    operator.report({"ERROR"}, told(error))
    jobs.state.notice = error
    jobs.redraw()
    return {"CANCELLED"}


def run(operator: bpy.types.Operator, make: Callable[[], jobs.Job]) -> set[str]:
    """What an operator's `execute` gives that makes and starts a job; without a window it waits for the job's end."""
    try:
        job = make()
        if bpy.app.background:
            jobs.finish(job)
        else:
            jobs.start(job)
    except DiceError as error:
        return fail(operator, error)
    return {"FINISHED"}
