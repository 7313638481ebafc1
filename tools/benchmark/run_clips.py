# SPDX-License-Identifier: GPL-3.0-or-later
"""Capture the benchmark's clips and compare with their truth: `python -m tools.benchmark.run_clips [FOLDER]`.

    --out DIR      where the results go (out): DIR/benchmark_clips.json, and DIR/benchmark/clips_found/NAME
    --only NAME    only the clips whose names contain this
    --again        capture clips again that were captured already

FOLDER (out/benchmark/clips/test) holds NAME.mp4 and the truth, the sequence folder NAME, as `tools.benchmark.clips`
makes them. Of WINDOW frames about the first touch each is also captured as a picture of its own: so much steadier is a
sequence.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np  # noqa: E402

from dice_core.errors import DiceError, NothingFound  # noqa: E402
from dice_core.evaluate.figures import Figures, mean_of  # noqa: E402
from dice_core.evaluate.report import write_json  # noqa: E402
from dice_core.evaluate.sequences import compare_frames, motion_figures  # noqa: E402
from dice_core.evaluate.summary import summarise  # noqa: E402
from dice_core.media.source import open_source  # noqa: E402
from dice_core.paths import ROOT  # noqa: E402
from dice_core.pipeline import Pipeline  # noqa: E402
from dice_core.result.sequence import Sequence  # noqa: E402
from dice_core.sequence.job import Settings  # noqa: E402
from dice_core.types import Capture, Frame, silent  # noqa: E402

from .clips import FOLDER  # noqa: E402
from .clips_folder import write_captures  # noqa: E402

WINDOW = 48  # frames that are also captured one by one
EVERY = 3  # of so many frames one is compared as a picture
SHAKES = ("acceleration_error_head_mm", "acceleration_error_hand_mm", "acceleration_error_hand_at_head_mm")
PICTURES = (
    "detection_rate", "wrong_side", "hand_rel_head_mm", "hand_rel_head_apart_mm", "pa_mpvpe_head_mm",
    "pa_mpvpe_hand_mm", "contact_f1_12mm_head", "contact_f1_12mm_hand", "contact_state_balanced_accuracy",
    "contact_state_unsure", "deformation_error_ratio", "penetration_mm_p95", "no_touch_deformation_max_mm",
)  # fmt: skip
COLUMNS = {
    "fps": "frames_per_second", "head": SHAKES[0], "hand": SHAKES[1], "hand@head": SHAKES[2],
    "1by1": "one_by_one_acceleration_error_hand_at_head_mm", "touch": "contact_accuracy", "on ms": "onset_error_ms",
    "off ms": "offset_error_ms", "lag ms": "lag_hand_ms", "found": "detection_rate", "mm": "hand_rel_head_mm",
    "F1": "contact_f1_12mm_head", "change": "hand_change_mm",
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER / "test")
    parser.add_argument("--out", type=Path, default=ROOT / "out")
    parser.add_argument("--only", default="")
    parser.add_argument("--again", action="store_true")
    options = parser.parse_args()
    movies = [path for path in sorted(options.folder.glob("*.mp4")) if options.only in path.stem]
    if not movies:
        sys.stderr.write(f"Error: {options.folder} holds no clip.\nRun `python -m tools.benchmark.clips`.\n")
        return DiceError.exit_code
    pipeline, figures = Pipeline(), {}
    print(f"{'':<15}" + "".join(f"{title:>10}" for title in COLUMNS))
    for movie in movies:
        found = options.out / "benchmark" / "clips_found" / movie.stem
        figures[movie.stem] = clip_figures(pipeline, movie, found, options.again)
        print(row(movie.stem, figures[movie.stem]), flush=True)
    total = mean_of(list(figures.values()))
    print(row("mean", total))
    write_json(options.out / "benchmark_clips.json", {"clips": figures, "mean": total, "every": EVERY})
    return 0


def row(name: str, figures: Figures) -> str:
    values = [figures.get(key) for key in COLUMNS.values()]
    return f"{name:<15}" + "".join(f"{'-' if value is None else f'{value:.2f}':>10}" for value in values)


def clip_figures(pipeline: Pipeline, movie: Path, found: Path, again: bool) -> Figures:
    """Capture a clip, in one and frame by frame, and compare."""
    true = Sequence.load(movie.with_suffix(""))
    hand = "both" if len(true.parts) > 2 else "auto"
    captured(pipeline, movie, found, hand, again)
    sequence = Sequence.load(found)
    cases = compare_frames(sequence, true, EVERY)
    values = summarise(cases).values
    figures = motion_figures(sequence, true) | {key: values.get(key) for key in PICTURES}
    facts = json.loads((found / "capture.json").read_text(encoding="utf-8"))
    figures["frames_per_second"] = sequence.info.count / max(sum(facts["timings"].values()), 1e-9)
    window = window_of(true)
    apart = found.with_name(f"{found.name}-one-by-one")
    one_by_one(pipeline, movie, apart, hand, window, again)
    if apart.is_dir():
        steady, shaky = (motion_figures(one, true, window) for one in (sequence, Sequence.load(apart)))
        figures |= {f"window_{key}": steady.get(key) for key in SHAKES}
        figures |= {f"one_by_one_{key}": shaky.get(key) for key in (*SHAKES, "contact_accuracy")}
    return figures


def captured(pipeline: Pipeline, movie: Path, found: Path, hand: str, again: bool) -> None:
    """The folder of the captured clip, made unless it is there."""
    facts = found / "capture.json"
    if not again and facts.is_file() and json.loads(facts.read_text(encoding="utf-8"))["complete"]:
        return
    shutil.rmtree(found, ignore_errors=True)
    found.parent.mkdir(parents=True, exist_ok=True)
    pipeline.capture_sequence([movie], found, Settings(hand=hand))


def window_of(true: Sequence) -> range:
    """WINDOW frames about the first touch, or in the middle of a clip without one."""
    count = true.info.count
    touches = np.flatnonzero(true.curve("contact_state") == "touch")
    middle = int(touches[0]) if len(touches) else count // 2
    first = int(np.clip(middle - WINDOW // 3, 0, max(count - WINDOW, 0)))
    return range(first, min(first + WINDOW, count))


def one_by_one(pipeline: Pipeline, movie: Path, folder: Path, hand: str, window: range, again: bool) -> None:
    """The folder of frames that were captured as pictures; none when nothing was found in any."""
    if folder.is_dir() and not again:
        return
    shutil.rmtree(folder, ignore_errors=True)
    engine, source = pipeline.engine("open"), open_source([movie])
    captures: list[Capture | None] = []
    for frame in source.frames(window.start, window.stop - 1):
        try:
            captures.append(engine.capture(frame, hand, silent) if isinstance(frame, Frame) else None)  # type: ignore[arg-type]
        except NothingFound:
            captures.append(None)
    if any(captures):
        write_captures(folder, captures, source.rate, window.start)


if __name__ == "__main__":
    sys.exit(main())
