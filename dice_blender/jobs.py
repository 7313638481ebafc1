# SPDX-License-Identifier: GPL-3.0-or-later
"""One job at a time, without making Blender wait.

Threads of a job fill queues; a timer empties them in Blender's main thread, the only one that may touch bpy. Under
`blender -b` timers never fire: there, callers run their work to its end instead of starting a job.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Protocol

import bpy

from ..dice_core.errors import Cancelled, DiceError, Unexpected
from ..dice_core.types import Progress, silent

TICK = 0.1  # seconds
FORESEEABLE = 0.05  # of the whole that must be done before the rest is foretold
WORTH_TELLING = 5.0  # seconds that a job takes in all
REGIONS = {  # where jobs are shown
    "VIEW_3D": "UI", "IMAGE_EDITOR": "UI", "CLIP_EDITOR": "UI", "SEQUENCE_EDITOR": "UI", "PREFERENCES": "WINDOW",
}  # fmt: skip


class Job(Protocol):
    """Long work that happens elsewhere.

    Attributes
    ----------
    stage, fraction
        What it does now, in words, and how much of the whole is done (0..1).
    cancelling
        Whether the user asked it to stop.
    belongs_to_file
        Whether it ends when another .blend is opened.
    """

    stage: str
    fraction: float
    cancelling: bool
    belongs_to_file: bool

    def advance(self) -> bool:
        """Take what has arrived; True when the job is done. Raises `DiceError` when it failed."""

    def cancel(self) -> None:
        """Ask it to stop soon."""

    def abandon(self) -> None:
        """Stop it now; nothing comes of it."""


@dataclass
class State:
    """The running job, since when and from which fraction on, and what the user should know about the last one: its
    error, or news."""

    job: Job | None = None
    began: float = 0.0
    done_before: float | None = None
    notice: DiceError | str | None = None


state = State()


def start(job: Job) -> None:
    """Run a job. Check `state.job` first: there is one at a time."""
    assert state.job is None
    state.job, state.began, state.done_before, state.notice = job, time.monotonic(), None, None
    if not bpy.app.timers.is_registered(tick):
        bpy.app.timers.register(tick, first_interval=TICK, persistent=True)
    redraw()


def seconds_left() -> float | None:
    """How long the running job will take if it goes on as it did; None while nobody can say."""
    if state.job is None or state.job.cancelling:
        return None
    seconds, done = time.monotonic() - state.began, state.job.fraction - (state.done_before or 0.0)
    if done < FORESEEABLE:
        return None
    left = seconds * (1 - state.job.fraction) / done
    return left if seconds + left > WORTH_TELLING else None


def finish(job: Job, report: Progress = silent) -> None:
    """Run a job and wait for its end. Raises its `DiceError`, and one when another job is running."""
    if state.job is not None:
        raise DiceError("Another job is running.", "Wait for it, or cancel it.")
    told: tuple[str, float] | None = None
    while not job.advance():
        if told != (job.stage, job.fraction):
            told = job.stage, job.fraction
            report(*told)
        time.sleep(TICK)


def cancel() -> None:
    """Ask the running job to stop."""
    if state.job is not None:
        state.job.cancelling = True
        state.job.cancel()
        redraw()


def abandon(reason: str = "") -> None:
    """End the running job at once."""
    job, state.job = state.job, None
    if job is not None:
        job.abandon()
        state.notice = Cancelled(reason) if reason else None


def tick() -> float | None:
    """The timer: let the job take what has arrived. None ends the timer."""
    job = state.job
    if job is None:
        return None
    seen = job.stage, job.fraction
    try:
        done = job.advance()
        if state.done_before is None and job.fraction > 0:
            state.began, state.done_before = time.monotonic(), job.fraction  # what is resumed does not begin at nothing
    except DiceError as error:
        done, state.notice = True, error
    except Exception as error:  # Blender drops a timer that raises: the job would seem to run for ever
        sys.excepthook(type(error), error, error.__traceback__)
        job.abandon()
        done, state.notice = True, Unexpected.of(error)
    if done and state.job is job:
        state.job = None
    if done or seen != (job.stage, job.fraction):
        redraw()
    return None if state.job is None else TICK


def redraw() -> None:
    """Let the panels that show the job draw again."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            for region in area.regions:
                if region.type == REGIONS.get(area.type):
                    region.tag_redraw()


@bpy.app.handlers.persistent
def _before_load(*_: object) -> None:
    if state.job is not None and state.job.belongs_to_file:
        abandon("The capture was cancelled because another file was opened.")


def register() -> None:
    bpy.app.handlers.load_pre.append(_before_load)


def unregister() -> None:
    bpy.app.handlers.load_pre.remove(_before_load)
    abandon()
    state.notice = None
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)
