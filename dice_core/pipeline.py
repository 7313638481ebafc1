# SPDX-License-Identifier: GPL-3.0-or-later
"""media -> frames -> engine -> result: the one place that strings the stages together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .engines.base import Engine
from .errors import DiceError
from .paths import models_dir, runtime_dir
from .types import HAND_CHOICES, Capture, Progress, silent

ENGINES = ("open",)


class Pipeline:
    """Captures pictures. Each engine is loaded when it is first asked for, and stays.

    Parameters
    ----------
    runtime
        The runtime folder; `paths.runtime_dir()` unless given.
    """

    def __init__(self, runtime: Path | None = None) -> None:
        self.runtime = runtime or runtime_dir()
        self._engines: dict[str, Engine] = {}

    def engine(self, name: str) -> Engine:
        """The engine of that name, loaded. Raises `DiceError` when there is no such engine."""
        if name not in ENGINES:
            raise DiceError(f"There is no engine {name!r}.", f"Choose one of: {', '.join(ENGINES)}.")
        if name not in self._engines:
            from .engines.open import OpenEngine

            self._engines[name] = OpenEngine(models_dir(self.runtime))
        return self._engines[name]

    def capture(
        self, picture: str | Path | NDArray[np.uint8], *, engine: str = "open", hand: str = "auto", source: str = "",
        report: Progress = silent,
    ) -> Capture:
        """Capture one picture.

        Parameters
        ----------
        picture
            A file, or an (h, w, 3) uint8 RGB array.
        engine, hand
            See `engines.base`.
        source
            What to call an array.
        report
            Told of the progress; may raise `Cancelled`.

        Raises
        ------
        MediaError, NothingFound, NotInstalled, Cancelled
        """
        from .media.decode import from_array, read_picture

        if hand not in HAND_CHOICES:
            raise DiceError(f"There is no hand {hand!r}.", f"Choose one of: {', '.join(HAND_CHOICES)}.")
        report("loading", 0.0)
        frame = from_array(picture, source) if isinstance(picture, np.ndarray) else read_picture(Path(picture))
        return self.engine(engine).capture(frame, hand, report)  # type: ignore[arg-type]
