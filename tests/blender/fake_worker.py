# SPDX-License-Identifier: GPL-3.0-or-later
"""The real worker loop around a pipeline that does what the picture's name says. See `fake_runtime`."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, os.getcwd())  # -m does this for the real worker

from dice_core import worker  # noqa: E402
from dice_core.errors import NothingFound  # noqa: E402
from dice_core.result import store  # noqa: E402
from dice_core.types import Capture, Progress  # noqa: E402

CAPTURE = Path(sys.argv[1])


class Pipeline:
    """Gives the same capture of every picture."""

    device = "test"

    def capture(self, picture: object, *, engine: str, source: str, report: Progress, **how: object) -> Capture:
        name = source if not isinstance(picture, str) else Path(picture).name
        report("loading", 0.0)
        if "crash" in name:
            sys.stderr.write("the ceiling came down\n")
            sys.stderr.flush()
            os._exit(7)
        if "empty" in name:
            raise NothingFound("No face and no hand were found.", "Use a picture that shows one.")
        steps = 300 if "slow" in name else 60 if "long" in name else 3
        for step in range(steps):
            report("looking", step / steps)
            time.sleep(0.05)
        if "stubborn" in name:
            time.sleep(600)
        return replace(store.load(CAPTURE), source=name, engine=engine)


worker.Pipeline = Pipeline  # type: ignore[assignment,misc]
worker.main()
