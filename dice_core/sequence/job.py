# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving pictures into a folder, from the first look to the last frame; what was interrupted goes on.

The frames are looked at one after another, decoded ahead in a thread; then the steps of the engine follow, chunks of
frames in as many processes as there are processors.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from ..errors import DiceError, MediaError, NothingFound
from ..files import sync
from ..media.source import is_pictures, open_source
from ..types import Crop, Progress, silent
from .folder import CHUNK, Folder
from .looking import LOOKING, Glimpses, add_notes, look_at_all, unseen
from .pool import Pool
from .steps import Eyes, Steps, steps_of

LOOK_SHARE = {"open": 0.35, "dice": 0.9}  # of the time, that looking takes
CACHES = "*.pc2.partial"
OTHER = {"source": "another path", "engine": "another engine", "start": "another range", "end": "another range",
         "rate": "another rate", "settings": "other settings"}  # fmt: skip


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
        Go on with what the folder holds, if that is of the same; start when it holds nothing.
    report, glimpses
        Told of the progress, and of what is seen; the first may raise `Cancelled`. What was finished stays.

    Raises
    ------
    MediaError, NothingFound, NotInstalled, Cancelled, DiceError
    """
    _check(settings.smoothing, start, end)
    folder = Folder(output)
    with folder.locked(), _leaving_nothing(folder):
        facts = folder.facts
        if facts and not facts["complete"] and folder.empty:
            facts = {}  # what never began does not count
        named = [os.path.abspath(path) if str(path) else "" for path in paths]
        asked = {"engine": settings.engine, "start": start, "end": end, "settings": _plain(settings)}
        if not facts:
            if folder.foreign is not None:
                raise DiceError(f"{folder.path} holds other files, as {folder.foreign}.", "Choose another folder.")
            source = open_source(named, rate)
            facts = asked | {"rate": source.rate, "count": None, "image_size": list(source.size), "complete": False,
                             "notes": [], "timings": {}}  # fmt: skip
            folder.note(**facts, source={"name": source.name, "paths": named, **source.fingerprint()})
        elif not resume:
            asking = "Resume it (--resume), or choose another folder."
            raise DiceError(f"{folder.path} holds a sequence already.", asking)
        else:
            _check_same(facts, asked, named, rate)
        if not facts["complete"]:
            folder.mend()
            _look(folder, eyes, report, glimpses)
            _steps(folder, report)
    return folder


@contextmanager
def _leaving_nothing(folder: Folder) -> Iterator[None]:
    """What fails before there is anything to go on with leaves a folder as it was."""
    fresh = not folder.facts and folder.foreign is None
    try:
        yield
    except (MediaError, NothingFound) as error:
        if fresh and (folder.empty or isinstance(error, NothingFound)):
            folder.clear()
        raise


def smooth_sequence(output: Path, smoothing: float, report: Progress = silent) -> Folder:
    """Smooth a captured sequence anew; nothing is captured again. The caches are replaced when all is there.

    Parameters
    ----------
    output
        The folder of a complete sequence, or of one that was interrupted after all frames were looked at: that is
        completed.
    smoothing
        0..1.

    Raises
    ------
    DiceError
        When there is none, or not all of its frames were looked at.
    """
    _check(smoothing)
    folder = Folder(output)
    facts = folder.facts
    if not facts or facts["count"] is None:
        raise DiceError(f"{output} holds no captured sequence.", "Capture it, or resume its capture.")
    with folder.locked():
        again = list(steps_of(folder).depend_on_smoothing)
        folder.note(complete=False, settings=facts["settings"] | {"smoothing": smoothing}, again=again)
        folder.mend()
        _steps(folder, _from_nothing(report))
    return folder


def _from_nothing(report: Progress) -> Progress:
    """The same, told of what is done since it was first told."""
    first: float | None = None

    def tell(stage: str, fraction: float) -> None:
        nonlocal first
        first = fraction if first is None else first
        report(stage, (fraction - first) / max(1 - first, 1e-9))

    return tell


def _check(smoothing: float, start: int = 0, end: int | None = None) -> None:
    if not 0 <= smoothing <= 1:
        raise DiceError(f"A smoothing of {smoothing} is impossible.", "Choose one from 0 to 1.")
    if start < 0:
        raise DiceError(f"There is no frame {start}.", "The first frame is 0.")
    if end is not None and end < start:
        raise DiceError(f"There are no frames from {start} to {end}.", "Choose a later end.")


def _check_same(facts: dict[str, Any], asked: dict[str, Any], paths: list[str], rate: float) -> None:
    """Raises DiceError when a folder holds something else than what is asked for; its smoothing may differ."""
    there = facts | {"settings": facts["settings"] | {"smoothing": asked["settings"]["smoothing"]}}
    different = [name for name, value in asked.items() if there[name] != value]
    if rate and is_pictures(paths) and abs(rate - facts["rate"]) > 1e-6:
        different = ["rate"]
    if facts["source"]["paths"] != paths:
        different = ["source"]
    if different:
        raise DiceError(
            f"The folder holds a capture of {facts['source']['name']} that was begun with {OTHER[different[0]]}.",
            "Resume it as it was begun, or choose another folder.",
        )


def _plain(settings: Settings) -> dict[str, Any]:
    """For JSON."""
    values = asdict(settings)
    del values["engine"]
    return values | {"crop": list(settings.crop) if settings.crop else None}


def _look(folder: Folder, eyes: EyesFor, report: Progress, glimpses: Glimpses | None) -> None:
    facts = folder.facts
    if facts["count"] is not None and folder.holds("seen", facts["count"]):
        return
    began = time.perf_counter()
    known = facts["source"]
    source = open_source(known["paths"], facts["rate"])
    source.check(known)
    settings = facts["settings"]
    crop = tuple(settings["crop"]) if settings["crop"] else None
    report(LOOKING, 0.0)
    watching = eyes(Settings(**settings | {"engine": facts["engine"], "crop": crop}))
    count = look_at_all(folder, source, watching, report, LOOK_SHARE[facts["engine"]], glimpses)
    if not count:
        raise unseen(source.name)
    _took(folder, "look", began, count=count)
    add_notes(folder, watching.notes)


def _steps(folder: Folder, report: Progress) -> None:
    """Everything after looking, as far as it was not done."""
    _settle(folder)
    steps, count = steps_of(folder), folder.facts["count"]
    done = LOOK_SHARE[folder.facts["engine"]]
    rest = 1 - done
    with Pool(folder) as pool:
        for step in steps.order:
            began = time.perf_counter()
            share = rest * steps.by_chunk.get(step, 0.0)
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


def _settle(folder: Folder) -> None:
    """Drop what is to be made again, and frames whose caches are not there."""
    again = folder.facts.get("again", [])
    steps, count = steps_of(folder), folder.facts["count"]
    if not again:
        last = steps.order[-1]
        caches = steps.caches(folder.load("static")) if folder.has("static") else None
        made = caches is not None and folder.holds(last, count)
        there = (cache.partial.is_file() or (made and cache.path.is_file()) for cache in caches or [])
        again = [] if caches is not None and all(there) else ["static", last]
    folder.drop(*again)
    folder.note(again=[])


def _finish(folder: Folder, steps: Steps) -> None:
    static = folder.load("static")
    for cache in steps.caches(static):
        cache.finish()
    for left in folder.path.glob(CACHES):  # of a hand that the new movement lacks
        left.unlink()
    gaps = int(folder.together("seen", steps.count, ["gap"])["gap"].sum())
    lost = [f"Frames that could not be read: {gaps}. The last pose is held there, hidden."] if gaps else []
    add_notes(folder, [*lost, *steps.notes()])
    sync(folder.path)  # the caches' names, before it is said that they are there
    known = {key.removeprefix("params_"): value.tolist() for key, value in static.items() if key.startswith("params_")}
    folder.note(complete=True, identity=known)


def _took(folder: Folder, step: str, began: float, **facts: Any) -> None:
    timings = folder.facts["timings"]
    seconds = round(timings.get(step, 0.0) + time.perf_counter() - began, 3)
    folder.note(timings=timings | {step: seconds}, **facts)
