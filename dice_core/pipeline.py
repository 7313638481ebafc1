# SPDX-License-Identifier: GPL-3.0-or-later
"""media -> frames -> engine -> result: the one place that strings the stages together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .engines.base import Engine
from .errors import DiceError, NotInstalled
from .media import KINDS
from .paths import install_command, models_dir, official_models_dir, runtime_dir
from .types import HAND_CHOICES, PRECISIONS, Capture, Crop, Frame, Progress, silent

if TYPE_CHECKING:
    from .sequence.job import Settings
    from .sequence.looking import Glimpses
    from .sequence.steps import Eyes

ENGINES = ("open", "dice")


class Pipeline:
    """Captures pictures. Each engine is loaded when it is first asked for, and stays.

    Parameters
    ----------
    runtime
        The runtime folder; `paths.runtime_dir()` unless given.
    """

    def __init__(self, runtime: Path | None = None) -> None:
        self.runtime = runtime or runtime_dir()
        self._engines: dict[tuple[str | bool, ...], Engine] = {}

    def engine(
        self, name: str, precision: str = "exact", body_layer: str = "own", fix_contact: bool = False
    ) -> Engine:
        """The engine of that name, loaded. The other options are the dice engine's; the open one has none.

        Raises
        ------
        DiceError
            When there is no such engine, or something that it needs is not installed.
        """
        _check("engine", name, ENGINES)
        _check("precision", precision, PRECISIONS)
        key = (name,) if name == "open" else (name, precision, body_layer, fix_contact)
        if key not in self._engines:
            self._engines.pop(next((other for other in self._engines if other[0] == name), key), None)  # one is enough
            self._engines[key] = self._load(name, precision, body_layer, fix_contact)
        return self._engines[key]

    def _load(self, name: str, precision: str, body_layer: str, fix_contact: bool) -> Engine:
        if name == "open":
            from .engines.open import OpenEngine

            return OpenEngine(models_dir(self.runtime))
        try:
            from .engines.dice import DiceEngine
        except ModuleNotFoundError as error:
            raise NotInstalled(
                f"The dice engine needs {error.name}, which is not installed.",
                f"Run {install_command('--engine dice')}.",
            ) from error
        return DiceEngine(
            models_dir(self.runtime), official_models_dir(), precision, body_layer, fix_contact  # type: ignore[arg-type]
        )  # fmt: skip

    def capture(
        self, picture: str | Path | NDArray[np.uint8], *, engine: str = "open", hand: str = "auto",
        crop: Crop | None = None, precision: str = "exact", body_layer: str = "own",
        fix_contact: bool = False, source: str = "", report: Progress = silent,
        frame: int | None = None, face: int = 0,
    ) -> Capture:
        """Capture one picture.

        Parameters
        ----------
        picture, source, frame
            See `read`.
        engine, hand, crop, face
            See `engines.base`.
        precision, body_layer, fix_contact
            See `engines.dice`.
        report
            Told of the progress; may raise `Cancelled`.

        Raises
        ------
        MediaError, NothingFound, NotInstalled, Cancelled
        """
        _check("hand", hand, HAND_CHOICES)
        report("loading", 0.0)
        shown = read(picture, source, frame)
        chosen = self.engine(engine, precision, body_layer, fix_contact)
        captured = chosen.capture(shown, hand, report, crop, face)  # type: ignore[arg-type]
        return replace(captured, picture=shown.picture)

    def capture_sequence(
        self, paths: Sequence[str | Path], output: Path, settings: Settings, *, start: int = 0, end: int | None = None,
        rate: float = 0.0, resume: bool = False, report: Progress = silent, glimpses: Glimpses | None = None,
    ) -> Path:  # fmt: skip
        """Capture moving pictures into a folder, see `sequence.job.capture_sequence`."""
        from .sequence.job import capture_sequence

        _check("engine", settings.engine, ENGINES)
        _check("hand", settings.hand, HAND_CHOICES)
        _check("precision", settings.precision, PRECISIONS)
        report("loading", 0.0)
        return capture_sequence(
            paths, output, settings, self._eyes, start=start, end=end, rate=rate, resume=resume, report=report,
            glimpses=glimpses,
        ).path  # fmt: skip

    def _eyes(self, settings: Settings) -> Eyes:
        models, asked = models_dir(self.runtime), (settings.hand, settings.face, settings.crop)
        if settings.engine == "dice":
            engine = self.engine("dice", settings.precision, fix_contact=settings.fix_contact)
            from .sequence.dice_eyes import DiceEyes

            return DiceEyes(engine, models, *asked)  # type: ignore[arg-type]
        from .sequence.open_eyes import OpenEyes

        return OpenEyes(models, *asked)  # type: ignore[arg-type]

    def smooth_sequence(self, folder: Path, smoothing: float, report: Progress = silent) -> Path:
        """See `sequence.job.smooth_sequence`."""
        from .sequence.job import smooth_sequence

        return smooth_sequence(folder, smoothing, report).path

    def fix_contact(self, capture: Capture, report: Progress = silent) -> Capture:
        """See `engines.contact.fixed`."""
        from .engines.contact import fixed

        report("contact", 0.0)
        return fixed(capture, official_models_dir())


def read(picture: str | Path | NDArray[np.uint8], source: str = "", frame: int | None = None) -> Frame:
    """What an engine gets.

    Parameters
    ----------
    picture
        A file, or an (h, w, 3) uint8 RGB array.
    source
        What to call an array.
    frame
        Which frame of a movie, the first is 0; pictures ignore it.

    Raises
    ------
    MediaError
    """
    from .media.decode import from_array, read_picture
    from .media.video import read_frame

    if isinstance(picture, np.ndarray):
        return from_array(picture, source)
    path = Path(picture)
    return read_picture(path) if frame is None or path.suffix.lower() in KINDS else read_frame(path, frame)


def _check(what: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise DiceError(f"There is no {what} {value!r}.", f"Choose one of: {', '.join(choices)}.")
