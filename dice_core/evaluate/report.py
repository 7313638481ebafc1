# SPDX-License-Identifier: GPL-3.0-or-later
"""Result files, folders of them, and sequences against their truth: as a table for people, as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..errors import DiceError
from ..files import atomic
from ..result.sequence import Sequence
from ..result.sequence_info import CAPTURE
from ..result.store import load
from ..types import Capture
from .comparison import RULES, Case, compare
from .figures import Figures
from .plausibility import Plausibility
from .sequences import compare_frames, motion_figures
from .summary import ANSWERS, Summary, summarise

SCHEMA = 1
ENDING = ".npz"


@dataclass(frozen=True)
class Report:
    """The comparison of many pictures, or of the frames of a sequence.

    Attributes
    ----------
    cases, summary
        Those that could be compared, and their numbers.
    problems
        What was wrong with the others, by name.
    unknown
        Names of predictions that have no truth; they are left aside.
    motion
        Of a sequence: numbers of its movement.
    """

    cases: list[Case]
    summary: Summary
    problems: dict[str, DiceError]
    unknown: list[str]
    motion: Figures = field(default_factory=dict)


def evaluate(predictions: Path, truth: Path) -> Report:
    """Compare a result file with its truth, a folder of them, in which files of one stem belong together, or a
    captured sequence.

    A truth without a prediction counts as a picture in which nothing was found.

    Raises
    ------
    DiceError
        When a path does not exist, one is a file and the other a folder, one is a sequence and the other is not, or a
        folder holds no result. Of two files or sequences also when they cannot be compared; of folders that is one of
        the report's problems.
    """
    for path in (predictions, truth):
        if not path.exists():
            raise DiceError(f"There is no file or folder {path}.", "Check the path.")
    if predictions.is_dir() != truth.is_dir():
        folder, file = (predictions, truth) if predictions.is_dir() else (truth, predictions)
        raise DiceError(f"{folder} is a folder and {file} is a file.", "Name two files or two folders.")
    if not truth.is_dir():
        cases = [compare(truth.stem, load(predictions), load(truth))]
        return Report(cases, summarise(cases), {}, [])
    if (predictions / CAPTURE).is_file() or (truth / CAPTURE).is_file():
        return compare_sequences(predictions, truth)
    found, true = results(predictions), results(truth)
    for path, files in ((predictions, found), (truth, true)):
        if not files:
            raise DiceError(f"The folder {path} holds no {ENDING} file.", "Name a folder of capture results.")
    return compare_all(found, true)


def compare_sequences(predictions: Path, truth: Path, every: int = 1) -> Report:
    """Compare a captured sequence with its truth; of `every` so many frames one is also compared as a picture."""
    found, true = Sequence.load(predictions), Sequence.load(truth)
    cases = compare_frames(found, true, every)
    return Report(cases, summarise(cases), {}, [], motion_figures(found, true))


def results(folder: Path) -> dict[str, Path]:
    """The result files of a folder by stem, in the order of their names; hidden ones are not looked at."""
    return {path.stem: path for path in sorted(folder.glob(f"*{ENDING}")) if not path.name.startswith(".")}


def compare_all(found: Mapping[str, Path], true: Mapping[str, Path]) -> Report:
    """Compare the files of the same names."""
    cases, problems = [], {}
    for name, path in true.items():
        try:
            truth, prediction = _load(path), _load(found[name]) if name in found else None
            cases.append(compare(name, prediction, truth))
        except DiceError as error:
            problems[name] = error
    return Report(cases, summarise(cases), problems, sorted(set(found) - set(true)))


def _load(path: Path) -> Capture:
    """As `load`; the error says which of the two files of one name it is about."""
    try:
        return load(path)
    except DiceError as error:
        raise DiceError(f"{path}: {error.message}", error.remedy) from error


def render(report: Report) -> str:
    """The table: a line for each number, with how many cases it is of, and what was said of contact."""
    summary = report.summary
    lines = [f"{name:<36}{'-' if value is None else f'{value:.3f}':>10}" for name, value in report.motion.items()]
    lines += [""] * bool(lines) + [f"{'':<36}{'value':>10}{'cases':>8}"]
    for name, value in summary.values.items():
        number = "-" if value is None else f"{value:.3f}"
        lines.append(f"{name:<36}{number:>10}{summary.counts[name]:>8}")
    lines += ["", f"{'truth, said':<16}" + "".join(f"{answer:>10}" for answer in ANSWERS)]
    for truth, row in summary.confusion.items():
        lines.append(f"{truth:<16}" + "".join(f"{row[answer]:>10}" for answer in ANSWERS))
    if report.unknown:
        lines += ["", f"without a truth, left aside: {', '.join(report.unknown)}"]
    return "\n".join(lines)


def as_json(report: Report) -> dict[str, Any]:
    """The report of numbers, lists and texts only. docs/metrics.md describes it."""
    return {
        "schema": SCHEMA,
        "summary": report.summary.values,
        "counts": report.summary.counts,
        "contact_state": report.summary.confusion,
        "cases": {case.name: _case(case) for case in report.cases},
        "problems": {name: str(error) for name, error in report.problems.items()},
        "unknown": report.unknown,
    } | ({"motion": report.motion} if report.motion else {})


def _case(case: Case) -> dict[str, Any]:
    said = {name: value for name, value in asdict(case).items() if name not in ("name", "figures", "plausibility")}
    rules = {rule: _judgement(case.plausibility[rule]) for rule in RULES if rule in case.plausibility}
    return said | {"detected": case.detected, "figures": case.figures, "plausibility": rules}


def _judgement(one: Plausibility) -> dict[str, Any]:
    return {
        "collision_distance_mm": 1000 * one.collision_distance,
        "collides": not one.clear,
        "should_touch": bool(one.should_touch),
        "misses": bool(one.missed),
    }


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write JSON; the file appears whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
