# SPDX-License-Identifier: GPL-3.0-or-later
"""Pieces that several panels draw."""

from __future__ import annotations

import textwrap

import bpy

from ...dice_core.errors import Cancelled
from .. import jobs

CHARACTER = 7.0  # pixels of interface text, on average, at scale 1
FEWEST = 20


def draw_text(layout: bpy.types.UILayout, context: bpy.types.Context, text: str, icon: str = "NONE") -> None:
    """A sentence in as many lines as the region's width asks for."""
    scale = context.preferences.system.ui_scale
    width = context.region.width / scale if context.region else 300
    column = layout.column(align=True)
    for number, line in enumerate(textwrap.wrap(text, max(FEWEST, int(width / CHARACTER) - 8))):
        column.label(text=line, icon=icon if number == 0 else "BLANK1" if icon != "NONE" else "NONE")


def draw_job(layout: bpy.types.UILayout) -> None:
    """The running job's progress and the button that ends it."""
    job = jobs.state.job
    text = "Cancelling" if job.cancelling else job.stage[:1].upper() + job.stage[1:]
    left = jobs.seconds_left()
    if left is not None:
        text += f", {duration(left)} left"
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
    draw_text(box, context, notice.message, "INFO" if isinstance(notice, Cancelled) else "ERROR")
    if notice.remedy:
        draw_text(box, context, notice.remedy, "BLANK1")
