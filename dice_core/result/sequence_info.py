# SPDX-License-Identifier: GPL-3.0-or-later
"""`capture.json` of a captured sequence, read and checked. docs/result-format.md describes it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DiceError
from .sequence_check import damaged

SCHEMA = 1
CAPTURE = "capture.json"


@dataclass(frozen=True)
class Info:
    """`capture.json`.

    Attributes
    ----------
    engine
        Who made it.
    source
        Name of the movie or folder, for people.
    paths
        Where it was: one path, or one for each frame, empty for a gap.
    rate
        Frames a second.
    start, count
        Index in the source of the first frame, and how many there are.
    image_size
        Width, height of the pictures.
    settings
        What was asked for.
    notes
        Sentences for the user.
    """

    engine: str
    source: str
    paths: tuple[str, ...]
    rate: float
    start: int
    count: int
    image_size: tuple[int, int]
    settings: dict[str, Any]
    notes: tuple[str, ...]


def read_info(folder: Path) -> Info:
    """The facts of a finished folder.

    Raises
    ------
    DiceError
        When there is none, it is unfinished, or written by a newer version.
    """
    path = Path(folder) / CAPTURE
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        if int(facts["schema"]) > SCHEMA:
            raise DiceError(f"{path.parent.name} was written by a newer version.", "Update this program.")
        if facts["complete"] is not True:
            raise DiceError(
                f"The capture in {path.parent.name} is not finished.", "Resume it, or choose another folder."
            )
        info = Info(
            engine=str(facts["engine"]),
            source=str(facts["source"]["name"]),
            paths=tuple(str(one) for one in facts["source"]["paths"]),
            rate=float(facts["rate"]),
            start=int(facts["start"]),
            count=int(facts["count"]),
            image_size=(int(facts["image_size"][0]), int(facts["image_size"][1])),
            settings=dict(facts["settings"]),
            notes=tuple(str(note) for note in facts["notes"]),
        )
    except FileNotFoundError as error:
        raise DiceError(f"{folder} holds no captured sequence.", "Choose a folder with a capture.json.") from error
    except OSError as error:
        raise DiceError(f"{path} cannot be read ({error.strerror}).", "Choose another folder.") from error
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        raise damaged(path.name) from error
    if not (0 < info.rate < 1e5 and info.count > 0 and info.start >= 0 and min(info.image_size) > 0):
        raise damaged(path.name)
    return info
