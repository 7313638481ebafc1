# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving pictures into a folder, from the first look to the last frame; what was interrupted goes on.

The frames are looked at one after another, decoded ahead in a thread; then the steps of the engine follow, chunks of
frames in as many processes as there are processors.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from ..errors import DiceError
from ..media.source import open_source
from ..types import Crop, Progress, silent
from .folder import CHUNK, Folder
from .looking import LOOKING, Glimpses, look_at_all, unseen
from .pool import Pool
from .steps import Eyes, Steps, steps_of

LOOK_SHARE = 0.45  # of the time, that looking takes
CACHES = "*.pc2.partial"


class EyesFor(Protocol):
    """Gives the eyes of an engine, loaded."""

    def __call__(self, settings: Settings) -> Eyes: ...


@dataclass(frozen=True)
class Settings:
    """How to capture: see `engines.base` and `engines.dice`. `smoothing`: 0..1."""

    engine: str = "open"
    hand: str = "auto"
    face: int = 0
    crop: Crop | None = None
    precision: str = "exact"
    fix_contact: bool = False
    smoothing: float = 0.5


def capture_sequence(
    paths: Sequence[str | Path], output: Path, settings: Settings, eyes: EyesFor, *, start: int = 0,
    end: int | None = None, rate: float = 0.0, resume: bool = False, report: Progress = silent,
    glimpses: Glimpses | None = None,
) -> Folder:  # fmt: skip
    """Capture moving pictures into a folder.

    Parameters
    ----------
    paths, rate
        See `media.source.open_source`.
    output
        The folder; it must not hold a sequence, unless to `resume`.
    eyes
        Loads the engine's.
    start, end
        Index of the first and the last frame; the source's own last one without `end`.
    resume
        Go on with what the folder holds, whatever else was asked for; start when it holds nothing.
    report, glimpses
        Told of the progress, and of what is seen; the first may raise `Cancelled`. What was finished stays.

    Raises
    ------
    MediaError, NothingFound, NotInstalled, Cancelled, DiceError
    """
    folder = Folder(output)
    facts = folder.facts
    if facts and not resume:
        raise DiceError(
            f"{output} holds a sequence already.", "Resume it (--resume), or choose another folder."
        )
    if not facts:
        source = open_source(paths, rate)
        facts = {
            "engine": settings.engine, "start": start, "end": end, "rate": source.rate, "count": None,
            "image_size": list(source.size), "settings": _plain(settings), "complete": False, "notes": [],
            "timings": {},
            "source": {"name": source.name, "paths": [str(path) for path in paths], **source.fingerprint()},
        }  # fmt: skip
        folder.note(**facts)
    elif not facts["complete"]:
        folder.mend()
    if not facts["complete"]:
        _look(folder, eyes, report, glimpses)
        _steps(folder, report)
    return folder


def smooth_sequence(output: Path, smoothing: float, report: Progress = silent) -> Folder:
    """Smooth a captured sequence anew; nothing is captured again. The caches are replaced when all is there.

    Parameters
    ----------
    output
        The folder of a complete sequence, or of one whose smoothing was interrupted.
    smoothing
        0..1.

    Raises
    ------
    DiceError
        When there is none, or it was never completed.
    """
    if not 0 <= smoothing <= 1:
        raise DiceError(f"A smoothing of {smoothing} is impossible.", "Choose one from 0 to 1.")
    folder = Folder(output)
    facts = folder.facts
    if not facts or facts["count"] is None:
        raise DiceError(f"{output} holds no captured sequence.", "Capture it, or resume its capture.")
    folder.note(complete=False, settings=facts["settings"] | {"smoothing": smoothing})
    folder.drop(*steps_of(folder).depend_on_smoothing)
    _steps(folder, report)
    return folder


def _plain(settings: Settings) -> dict[str, Any]:
    """For JSON."""
    values = asdict(settings)
    del values["engine"]
    return values | {"crop": list(settings.crop) if settings.crop else None}


def _look(folder: Folder, eyes: EyesFor, report: Progress, glimpses: Glimpses | None) -> None:
    facts = folder.facts
    if facts["count"] is not None:
        return
    began = time.perf_counter()
    known = facts["source"]
    source = open_source(known["paths"], facts["rate"])
    source.check(known)
    settings = facts["settings"]
    crop = tuple(settings["crop"]) if settings["crop"] else None
    report(LOOKING, 0.0)
    watching = eyes(Settings(**settings | {"engine": facts["engine"], "crop": crop}))
    count = look_at_all(folder, source, watching, report, LOOK_SHARE, glimpses)
    if not count:
        raise unseen(source.name)
    _took(folder, "look", began, count=count, notes=[*facts["notes"], *source.notes, *watching.notes])


def _steps(folder: Folder, report: Progress) -> None:
    """Everything after looking, as far as it was not done."""
    steps, count = steps_of(folder), folder.facts["count"]
    done = LOOK_SHARE
    with Pool(folder) as pool:
        for step in steps.order:
            began = time.perf_counter()
            share = (1 - LOOK_SHARE) * steps.by_chunk.get(step, 0.0)
            if step in steps.by_chunk:
                starts = folder.starts(count)

                def tell(number: int) -> None:
                    report(step, done + share * min(CHUNK * number / count, 1))  # noqa: B023

                pool.run(steps, step, starts, tell)
            elif not folder.has(step):
                report(step, done)
                folder.save(step, steps.whole(step))
            done += share
            _took(folder, step, began)
    _finish(folder, steps)


def _finish(folder: Folder, steps: Steps) -> None:
    for cache in steps.caches(folder.load("static")):
        cache.finish()
    for left in folder.path.glob(CACHES):  # of a hand that the new movement lacks
        left.unlink()
    folder.note(complete=True, notes=list(dict.fromkeys([*folder.facts["notes"], *steps.notes()])))


def _took(folder: Folder, step: str, began: float, **facts: Any) -> None:
    timings = folder.facts["timings"]
    seconds = round(timings.get(step, 0.0) + time.perf_counter() - began, 3)
    folder.note(timings=timings | {step: seconds}, **facts)
