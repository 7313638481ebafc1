# SPDX-License-Identifier: GPL-3.0-or-later
"""A capture in the worker process, which stays warm for the next one and ends when nobody needs it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from ..dice_core import protocol
from ..dice_core.client import Client, finish
from ..dice_core.errors import Cancelled, DiceError, WorkerDied
from ..dice_core.result.store import from_arrays
from ..dice_core.types import Capture, Crop, Progress, silent
from . import jobs
from .occupied import occupied
from .scene.photo import Photo

Ask = Callable[[Client], object]  # sends the worker what is wanted of it

PATIENCE = 2.0  # seconds the worker may take to obey a cancel before it is ended
IDLE = 300.0  # seconds after the last capture until the worker ends


@dataclass(frozen=True)
class Request:
    """What to capture how: see `api.capture`."""

    engine: str = "open"
    hand: str = "auto"
    crop: Crop | None = None
    precision: str = "exact"
    fix_contact: bool = False
    face: int = 0


@dataclass
class Warm:
    """The worker process, the runtime folder that it was started from, and what the one before it logged."""

    client: Client | None = None
    runtime: Path | None = None
    greeted: bool = False
    log_before: str = ""


warm = Warm()


class CaptureJob:
    """One answer of the worker, a capture; `done` gets it in Blender's main thread. See `jobs.Job`."""

    belongs_to_file = True

    def __init__(self, ask: Ask, *, runtime: Path, done: Callable[[Any], None]) -> None:
        self.ask, self.done = ask, done
        self.stage, self.fraction, self.cancelling = "Starting", 0.0, False
        self.client = _ready(runtime)
        self._submitted = False
        self._result: Any = None
        self._deadline = float("inf")
        if warm.greeted:
            self._submit()

    def advance(self) -> bool:
        try:
            ended = self._take_all()
        except BaseException:
            _rest()
            raise
        if ended:
            _rest()
        return ended

    def cancel(self) -> None:
        self.client.cancel()
        self._deadline = time.monotonic() + PATIENCE

    def abandon(self) -> None:
        release()

    def _submit(self) -> None:
        self.ask(self.client)
        self._submitted = True

    def _take_all(self) -> bool:
        while True:
            try:
                message = self.client.events.get_nowait()
            except queue.Empty:
                break
            self._take(message)
        if self._result is None and time.monotonic() > self._deadline:
            release()
            raise Cancelled()
        return self._result is not None and self._hand_over(self._result)

    def _hand_over(self, result: Any) -> bool:
        """Give the result away as soon as the user is not busy; to a script that waits for it, at once."""
        if self.cancelling:
            raise Cancelled()
        if reason := "" if jobs.state.job is None else occupied():
            self.stage, self.fraction = reason, 1.0
            return False
        self.done(result)
        return True

    def _take(self, message: protocol.Message) -> None:
        if isinstance(message, protocol.Hello):  # until now nobody would have read a large picture
            warm.greeted = True
            if self.cancelling:
                raise Cancelled()
            self._submit()
        elif message.job != self.client.job or (not self._submitted and not isinstance(message, protocol.Failure)):
            return  # the tail of an earlier job
        else:
            self._hear(message)

    def _hear(self, message: protocol.Message) -> None:
        """Something about this job."""
        if isinstance(message, protocol.ProgressMessage):
            self.stage, self.fraction = message.stage, message.fraction
        elif isinstance(message, protocol.Failure):
            raise message.error()
        elif isinstance(message, protocol.Result):
            self._result = from_arrays(message.arrays)


def run(ask: Ask, *, runtime: Path, report: Progress = silent) -> Capture:
    """Ask and wait for the result. Raises the job's `DiceError`, and one when another job is running."""
    check_idle()
    client = _ready(runtime)
    warm.greeted = True  # `finish` reads the greeting
    ask(client)
    try:
        return finish(client, report)
    except BaseException as error:
        if isinstance(error, WorkerDied) or not isinstance(error, DiceError):
            release()
        raise
    finally:
        _rest()


def check_idle() -> None:
    """Raises `DiceError` when another job is running: it would lose its answers to us, or the runtime's files are being
    replaced."""
    if jobs.state.job is not None:
        raise DiceError("Another capture or an installation is running.", "Wait for it, or cancel it.")


def asking(photo: Photo, request: Request) -> Ask:
    """Asks for a capture of the photograph: sends its path, or its pixels."""
    path = "" if photo.path is None else str(photo.path)
    return lambda client: client.submit(
        path, image=photo.pixels, source=photo.source, frame=photo.frame, **vars(request)
    )


def fixing(capture: Capture) -> Ask:
    """Asks for the capture with its contact fixed."""
    return lambda client: client.fix_contact(capture)


def release(wait: bool = False) -> None:
    """End the worker process, in the background unless told to wait."""
    client, warm.client, warm.greeted = warm.client, None, False
    if bpy.app.timers.is_registered(_retire):
        bpy.app.timers.unregister(_retire)
    if client is None:
        return
    warm.log_before = client.log
    thread = threading.Thread(target=client.stop, daemon=True)
    thread.start()
    if wait:
        thread.join()


def log() -> str:
    """The last lines of the worker's error output, of the one before when there is none."""
    return warm.log_before if warm.client is None else warm.client.log


def _ready(runtime: Path) -> Client:
    if bpy.app.timers.is_registered(_retire):
        bpy.app.timers.unregister(_retire)
    if warm.client is None or not warm.client.alive or warm.runtime != runtime:
        release()
        warm.client, warm.runtime = Client(runtime), runtime
    return warm.client


def _rest() -> None:
    """Let the worker, if it lives, end when nobody needs it for a while."""
    if warm.client is not None and warm.client.alive and not bpy.app.timers.is_registered(_retire):
        bpy.app.timers.register(_retire, first_interval=IDLE, persistent=True)


def _retire() -> None:
    release()

