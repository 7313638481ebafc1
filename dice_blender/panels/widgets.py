# SPDX-License-Identifier: GPL-3.0-or-later
"""Pieces that several panels draw."""

from __future__ import annotations

import textwrap

import bpy

from ...dice_core.errors import Cancelled, DiceError
from .. import jobs, log
from ..languages.words import iface, stage
from ..program_job import ProgramFailed
from .remedies import BUTTONS

CHARACTER = 7.0  # pixels of interface text, on average, at scale 1
FEWEST = 20
MARGIN = 8  # characters beside a text: the panel's edges and an icon
BUTTON = 5  # characters that a button without text takes
SHOWN = 5  # lines of the log


def draw_text(
    layout: bpy.types.UILayout, context: bpy.types.Context, text: str, icon: str = "NONE", margin: int = MARGIN
) -> None:
    """A sentence in as many lines as the region's width, less some characters, asks for."""
    scale = context.preferences.system.ui_scale
    width = context.region.width / scale if context.region else 300
    column = layout.column(align=True)
    for number, line in enumerate(textwrap.wrap(iface(text), max(FEWEST, int(width / CHARACTER) - margin))):
        column.label(text=line, icon=icon if number == 0 else "BLANK1" if icon != "NONE" else "NONE")


def draw_job(layout: bpy.types.UILayout) -> None:
    """The running job's progress and the button that ends it."""
    job = jobs.state.job
    text = iface("Cancelling") if job.cancelling else stage(job.stage)
    left = jobs.seconds_left()
    if left is not None:
        text = iface("{}, {} left").format(text, duration(left))
    row = layout.row(align=True)
    row.progress(factor=job.fraction, type="BAR", text=text)
    row.operator("dice.cancel", text="", icon="X")


def duration(seconds: float) -> str:
    """`40 s`, `3 min`, `1 h 20 min`."""
    if seconds < 60:
        return f"{max(seconds, 1):.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def draw_notice(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """What the user should know about the last job."""
    notice = jobs.state.notice
    if notice is None:
        return
    box = layout.box()
    row = box.row()
    if isinstance(notice, str):
        draw_text(row, context, notice, "INFO", MARGIN + BUTTON)
    else:
        icon = "INFO" if isinstance(notice, Cancelled) else "ERROR"
        draw_text(row, context, notice.message, icon, MARGIN + BUTTON)
    row.operator("dice.dismiss", text="", icon="X", emboss=False)
    if isinstance(notice, DiceError):
        draw_remedy(box, context, notice)


def draw_remedy(layout: bpy.types.UILayout, context: bpy.types.Context, error: DiceError) -> None:
    """What to do about an error, and the buttons that do it."""
    if error.remedy:
        draw_text(layout, context, error.remedy, "BLANK1")
    if isinstance(error, ProgramFailed):
        draw_log(layout)
    buttons = next((BUTTONS[kind] for kind in type(error).__mro__ if kind in BUTTONS), ())
    row = layout.row(align=True)
    for button in buttons:
        drawn = row.operator(button.operator, text=button.text, icon=button.icon)
        for name in button.switches:
            setattr(drawn, name, True)


def draw_log(layout: bpy.types.UILayout) -> None:
    """The end of the log."""
    column = layout.column(align=True)
    column.scale_y = 0.7
    column.active = False
    for line in list(log.lines)[-SHOWN:]:
        column.label(text=line)
