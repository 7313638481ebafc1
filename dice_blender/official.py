# SPDX-License-Identifier: GPL-3.0-or-later
"""The user's own official files, which the dice engine needs: what is there, and a job that makes them ready."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ..dice_core.body.kinds import KINDS, converted, intact, missing
from ..dice_core.errors import Cancelled, ModelsMissing
from ..dice_core.paths import official_models_dir
from . import jobs
from .languages.words import iface
from .program_job import ProgramJob, core, failure

TOLD_ELSEWHERE = re.compile(r"missing: |the \w+ page: |models folder: |captures look there ")  # by the list of files
COMPLETE = "All official files are there."
PASSED_OVER = "passed over "  # how `python -m dice_core convert` begins such a line


@dataclass
class State:
    """What became of the files that were chosen last, a line each, and which files were found whole or damaged.

    `verdicts` are by path: time of change in ns, bytes, whole.
    """

    report: list[str] = field(default_factory=list)
    verdicts: dict[Path, tuple[int, int, bool]] = field(default_factory=dict)


state = State()


def condition(key: str) -> str:
    """`found`, `missing`, or `damaged` where `check` saw it so. A look at the disk, quick enough for drawing."""
    path = converted(official_models_dir(), key)
    try:
        stat = path.stat()
    except OSError:
        return "missing"
    return "damaged" if state.verdicts.get(path) == (stat.st_mtime_ns, stat.st_size, False) else "found"


def check() -> None:
    """Read the files that changed since they were read."""
    folder = official_models_dir()
    for key in set(KINDS).difference(missing(folder)):
        path = converted(folder, key)
        if path.is_file():
            stat = path.stat()
            if state.verdicts.get(path, ())[:2] != (stat.st_mtime_ns, stat.st_size):
                state.verdicts[path] = stat.st_mtime_ns, stat.st_size, intact(folder, key)


def convert(runtime: Path, files: Iterable[Path], folder: Path) -> ProgramJob:
    """A job that turns official files into ours: `python -m dice_core convert`. They all lie in or below `folder`."""
    command, variables = core(runtime, "convert", *map(str, files))
    cancelled = Cancelled("The conversion was cancelled.", "What was converted before is still there.")
    return ProgramJob(command, stage="Reading official files", cancelled=cancelled, ended=_ended, variables=variables,
                      unnamed=folder)  # fmt: skip


def _ended(code: int, said: list[str]) -> None:
    if any(line.startswith("Error: ") for line in said) or code not in (0, 1):
        raise failure(said)
    state.report = [_briefly(line) for line in said if not TOLD_ELSEWHERE.match(line)]
    check()
    lacking, passed = missing(official_models_dir()), sum(line.startswith(PASSED_OVER) for line in state.report)
    if passed == len(state.report):
        raise ModelsMissing("The DICE engine needs none of the chosen files.", "The list of its files says why.")
    news = iface("Official files still missing: {}.").format(len(lacking)) if lacking else iface(COMPLETE)
    jobs.state.notice = iface("{} Passed over: {}.").format(news, passed) if passed else news


def _briefly(line: str) -> str:
    """Without the licence, which stands in the list of files."""
    for source in {kind.source for kind in KINDS.values()}:
        line = line.removesuffix(f" ({source.licence})")
    return line
