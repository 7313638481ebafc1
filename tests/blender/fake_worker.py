# SPDX-License-Identifier: GPL-3.0-or-later
"""The real worker loop around a pipeline that does what the picture's name says. See `fake_runtime`."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import ModuleType

import numpy as np

sys.path.insert(0, os.getcwd())  # -m does this for the real worker


@dataclass(frozen=True)
class Settings:
    """As those of the module that captures sequences, which needs more than numpy."""

    engine: str
    hand: str
    face: int
    crop: tuple | None
    precision: str
    fix_contact: bool
    smoothing: float


sys.modules["dice_core.sequence.job"] = stub = ModuleType("dice_core.sequence.job")
stub.Settings = Settings  # type: ignore[attr-defined]

from dice_core import worker  # noqa: E402
from dice_core.errors import DiceError, NothingFound  # noqa: E402
from dice_core.result import store  # noqa: E402
from dice_core.types import Capture, Progress  # noqa: E402

CAPTURE = Path(sys.argv[1])
SEQUENCE = CAPTURE.with_name("sequence")  # a finished one
FRAMES = 10


class Pipeline:
    """Gives the same capture of every picture, and the same folder of everything that moves."""

    device = "test"

    def capture(self, picture: object, *, engine: str, source: str, report: Progress, **how: object) -> Capture:
        name = source if not isinstance(picture, str) else Path(picture).name
        report("loading", 0.0)
        _misbehave(name)
        steps = 300 if "slow" in name else 60 if "long" in name else 3
        for step in range(steps):
            report("looking", step / steps)
            time.sleep(0.05)
        if "stubborn" in name:
            time.sleep(600)
        return replace(store.load(CAPTURE), source=name, engine=engine)

    def capture_sequence(
        self, paths: list[str], output: Path, settings: Settings, *, start: int, end: int | None, rate: float,
        resume: bool, report: Progress, glimpses: object,
    ) -> Path:  # fmt: skip
        name = Path(next(filter(None, paths))).name
        facts = json.loads((SEQUENCE / "capture.json").read_text())
        resumed = (output / "capture.json").exists()
        if resumed:
            if not resume:
                raise DiceError(f"{output} holds a sequence already.", "Resume it.")
            facts = json.loads((output / "capture.json").read_text())
        else:
            plain = asdict(settings)
            facts |= {"engine": plain.pop("engine"), "settings": plain, "start": start, "end": end, "complete": False}
            facts |= {"source": facts["source"] | {"name": name, "paths": paths}, "asked_rate": rate}
        _write(output, facts)
        for frame in range(1, FRAMES + 1):
            report("looking", 0.8 * frame / FRAMES)
            picture = np.full((18, 32, 3), 25 * frame, np.uint8) if frame % 2 else None
            glimpses(frame, FRAMES, 12.5, picture)
            if frame == FRAMES // 2 and not resumed:
                _misbehave(name)
            time.sleep(2.0 if "slow" in name and not resumed else 0.02)
        return _finish(output, facts | {"resumed": resumed})

    def smooth_sequence(self, folder: Path, smoothing: float, report: Progress) -> Path:
        facts = json.loads((folder / "capture.json").read_text())
        facts["settings"]["smoothing"] = smoothing
        _write(folder, facts | {"complete": False})
        report("motion", 0.5)
        return _finish(folder, facts)


def _misbehave(name: str) -> None:
    if "crash" in name:
        sys.stderr.write("the ceiling came down\n")
        sys.stderr.flush()
        os._exit(7)
    if "empty" in name:
        raise NothingFound("No face and no hand were found.", "Use a picture that shows one.")


def _write(folder: Path, facts: dict) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "capture.json").write_text(json.dumps(facts))


def _finish(folder: Path, facts: dict) -> Path:
    shutil.copytree(SEQUENCE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("capture.json"))
    _write(folder, facts | {"complete": True})
    return folder


worker.Pipeline = Pipeline  # type: ignore[assignment,misc]
worker.main()
