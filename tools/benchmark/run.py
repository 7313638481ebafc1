# SPDX-License-Identifier: GPL-3.0-or-later
"""Capture a folder of pictures whose truth is known, and compare: `python -m tools.benchmark.run FOLDER [--page]`.

The folder holds CASE.jpg and CASE.npz for each case (the truth, as dice_core/result/store.py writes it), and perhaps
an index.json that lists them. Writes OUT/benchmark/predictions/CASE.npz, OUT/benchmark.json and, with --page,
OUT/benchmark/index.html.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from dice_core.errors import DiceError, NothingFound  # noqa: E402
from dice_core.evaluate.report import Report, as_json, compare_all, render, results, write_json  # noqa: E402
from dice_core.paths import ROOT  # noqa: E402
from dice_core.pipeline import Pipeline  # noqa: E402
from dice_core.result.store import load, save  # noqa: E402

KEYS = (
    "detection_rate", "hand_rel_head_mm", "pa_mpvpe_head_mm", "pa_mpvpe_hand_mm", "contact_f1_12mm_head",
    "contact_f1_12mm_hand", "contact_state_balanced_accuracy", "contact_state_unsure", "deformation_error_ratio",
    "penetration_mm_p95", "no_touch_deformation_max_mm", "interaction_ms_median",
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="CASE.jpg and CASE.npz, the truth")
    parser.add_argument("--out", type=Path, default=ROOT / "out", help="where the results go (default: out)")
    parser.add_argument("--page", action="store_true", help="draw a page to leaf through")
    options = parser.parse_args()
    try:
        return run(options.folder, options.out, options.page)
    except DiceError as error:
        sys.stderr.write(f"Error: {error.message}\n{error.remedy}\n")
        return error.exit_code


def run(folder: Path, out: Path, page: bool = False) -> int:
    """Capture, compare, write; gives the exit code. Raises DiceError when there are no cases or no pictures."""
    tags = index(folder)
    truths = cases(folder, tags)
    found = predict(folder, truths, out / "benchmark" / "predictions")
    report = compare_all(found, truths)
    write_json(out / "benchmark.json", figures(report) | {"details": as_json(report) | {"index": tags}})
    print(render(report))
    for error in report.problems.values():
        sys.stderr.write(f"Error: {error.message}\n{error.remedy}\n")
    if page:
        from tools.benchmark.page import write_page

        write_page(out / "benchmark", folder, truths, found, report, tags)
    return DiceError.exit_code if report.problems else 0


def cases(folder: Path, named: Collection[str]) -> dict[str, Path]:
    """The truth files by case: of those named, or where none are, of all pictures that have one.

    Raises DiceError when there are none, or one that is named lacks its picture or its truth.
    """
    truths = {name: path for name, path in results(folder).items() if path.with_suffix(".jpg").is_file()}
    for name in named:
        if name not in truths:
            raise DiceError(f"{folder} lacks {name}.jpg or {name}.npz, which its index names.", "Make the cases again.")
    truths = {name: truths[name] for name in named} or truths
    if not truths:
        raise DiceError(f"The folder {folder} holds no case.", "Name a folder of CASE.jpg and CASE.npz.")
    return truths


def predict(folder: Path, truths: dict[str, Path], target: Path) -> dict[str, Path]:
    """Capture each picture with the open engine; the result files of those in which something was found.

    A picture is asked for both hands where the truth has two, and otherwise as users do, for the one that touches.
    """
    pipeline, found = Pipeline(), {}
    for number, (name, path) in enumerate(truths.items(), 1):
        file = target / f"{name}.npz"
        file.unlink(missing_ok=True)  # of an earlier run
        hand = "both" if len(load(path).hands) == 2 else "auto"
        try:
            save(file, pipeline.capture(folder / f"{name}.jpg", hand=hand))
            found[name] = file
        except NothingFound:
            pass
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{number} of {len(truths)} " + "\n" * (number == len(truths)))
    return found


def figures(report: Report) -> dict[str, Any]:
    """The numbers that a change of the engine is judged by."""
    return {"cases": len(report.cases)} | {key: report.summary.values.get(key) for key in KEYS}


def index(folder: Path) -> dict[str, Any]:
    """What index.json says of each case by name, in its order; empty without one.

    Its `cases` are names, or objects with a `name`, or objects by name.
    """
    path = folder / "index.json"
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))["cases"]
        if isinstance(content, dict):
            return content
        entries = [{"name": entry} if isinstance(entry, str) else entry for entry in content]
        return {entry["name"]: entry for entry in entries}
    except (ValueError, KeyError, TypeError) as error:
        raise DiceError(f"{path} does not list cases ({error}).", "Make the cases again, or remove it.") from error


if __name__ == "__main__":
    sys.exit(main())
