# SPDX-License-Identifier: GPL-3.0-or-later
"""Which buttons help against which error."""

from __future__ import annotations

from dataclasses import dataclass

from ...dice_core.errors import DiceError, MediaError, ModelsMissing, NothingFound, NotInstalled, Unexpected, WorkerDied
from ..program_job import ProgramFailed
from ..scene.obstacles import InTheWay
from ..sequence_job import Interrupted


@dataclass(frozen=True)
class Button:
    """An operator as a remedy, with its boolean properties that are set."""

    operator: str
    text: str
    icon: str
    switches: tuple[str, ...] = ()


COPY_LOG = Button("dice.copy_log", "Copy Log", "COPYDOWN")
REPAIR = Button("dice.install", "Repair", "FILE_REFRESH", ("repair",))
OTHER_PICTURE = Button("dice.capture_file", "Choose Picture", "FILE_IMAGE")
OFFICIAL_FILES = Button("dice.models", "Official Files", "DOCUMENTS")

# By class of error: the nearest of its ancestors counts. Those that are not here have none.
BUTTONS: dict[type[DiceError], tuple[Button, ...]] = {
    MediaError: (OTHER_PICTURE,),
    NothingFound: (Button("dice.draw_crop", "Draw Crop", "SELECT_SET"), OTHER_PICTURE),
    NotInstalled: (REPAIR,),
    ModelsMissing: (OFFICIAL_FILES,),
    WorkerDied: (COPY_LOG, REPAIR),
    Unexpected: (COPY_LOG,),
    Interrupted: (Button("dice.resume_sequence", "Resume", "PLAY"),),
    InTheWay: (Button("dice.hide_obstacles", "Hide", "HIDE_ON"),),
    ProgramFailed: (COPY_LOG,),
}
