# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the clips of the benchmark and the truth about them: `python -m tools.benchmark.clips [tune|test]`.

    --out DIR      where to (out/benchmark/clips/HALF): NAME.mp4, and the truth as the sequence folder NAME
    --only NAME    only the clips whose names contain this

As of the pictures, the engine may be made better by the clips of the half `tune`, and is judged by those of `test`: the
same movements of other people.

Made-up people move about and touch their faces (`clips_people`), their skin gives way (`clips_press`), and they are
drawn (`clips_look`, `clips_shade`). Everything follows from the seeds below. What is there already is not made again.
Of the random people of a clip the first whose truth passes `clips_truth.complaint` is shown.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import cv2  # noqa: E402
import numpy as np  # noqa: E402

from dice_core.paths import ROOT  # noqa: E402

from .cases import Half  # noqa: E402
from .clips_look import lit_for, look, meshes  # noqa: E402
from .clips_motion import LAP, SIDE, Clip, HandPlan  # noqa: E402
from .clips_people import Motion, moved, person_of  # noqa: E402
from .clips_shade import frame, luminance  # noqa: E402
from .clips_truth import Truth, complaint, truth_of, write  # noqa: E402

FOLDER = ROOT / "out" / "benchmark" / "clips"
FIRST_SEED: dict[Half, int] = {"tune": 0, "test": 780_000}
PEOPLE = 12  # tried for a clip
ON = (0.0, 0.0, 0.0)
OFF = 0.10  # metres off the skin where a hand comes from


def clips(half: Half) -> list[Clip]:
    """All clips of a half, in a fixed order."""
    return [replace(clip, seed=FIRST_SEED[half] + clip.seed) for clip in _clips()]


def _clips() -> list[Clip]:
    return [
        Clip("approach", 301, 24, 4.0, (
            HandPlan("right", "index", "chin", "right", ((0.2, LAP), (2.6, ON)), ((0.2, OFF), (2.9, 0))),
        ), yaw=((0, 8), (4, -4))),
        Clip("stroke", 302, 24, 8.0, (
            HandPlan("right", "tips", "cheek", "right", ((0.4, LAP), (1.9, ON), (6.6, ON), (8, LAP)),
                     ((0.4, OFF), (2.1, 0), (6.5, 0), (7.6, OFF)), ((2.1, 0), (2.6, 0.003), (6, 0.002), (6.4, 0)),
                     ((1.0, -1), (2.5, -1), (3.8, 1), (4.9, -0.8), (6.2, 0.7)), (-0.3, 1, 0), 0.05),
        ), yaw=((0, -8), (8, 4))),
        Clip("press", 303, 30, 5.0, (
            HandPlan("left", "index", "cheek", "left", ((0, (-0.05, 0.12, -0.02)), (0.8, ON)), ((0, 0.06), (1.0, 0)),
                     ((1.0, 0), (1.6, 0.006), (2.3, 0.006), (2.8, 0.0005), (3.4, 0.004), (4.0, 0.004), (4.6, 0))),
        ), yaw=((0, 15),)),
        Clip("leave", 304, 24, 4.0, (
            HandPlan("left", "tips", "jaw", "left", ((1.7, ON), (3.4, LAP)), ((1.6, 0), (2.6, OFF)),
                     ((1.0, 0.0015), (1.6, 0))),
        ), yaw=((0, 12), (1.5, 12), (3.0, -5)), size=(960, 720)),
        Clip("fast", 305, 30, 3.0, (
            HandPlan("right", "middle", "nose", "right", ((0.5, LAP), (0.95, ON), (1.35, ON), (1.8, LAP), (2.0, LAP),
                     (2.35, ON), (2.55, ON), (2.95, LAP)),
                     ((0.5, OFF), (1.0, 0), (1.3, 0), (1.6, OFF), (2.0, OFF), (2.4, 0), (2.5, 0), (2.8, OFF))),
        )),
        Clip("talk", 306, 24, 5.0, (
            HandPlan("right", "thumb", "chin", "right", ((0, LAP), (1.0, ON)), ((0, OFF), (1.2, 0)),
                     ((1.2, 0), (1.6, 0.001))),
        ), talk=((0.3, 0), (0.8, 1)), yaw=((0, 5), (2, -10), (5, 8)), size=(960, 720)),
        Clip("out-of-frame", 307, 30, 5.0, (
            HandPlan("left", "tips", "temple", "left", ((0.3, ON), (1.6, SIDE), (2.6, SIDE), (4.0, ON)),
                     ((0.2, 0), (1.0, OFF), (3.2, OFF), (4.1, 0))),
        ), yaw=((0, 10),)),
        Clip("crossing", 308, 24, 5.0, (
            HandPlan("right", "open", "nose", "right", ((0, (-0.21, 0.10, 0)), (2.0, (0.15, -0.02, 0)),
                     (2.5, (0.15, -0.02, 0)), (4.6, (-0.20, 0.12, 0))), ((0, 0.06),)),
            HandPlan("left", "open", "nose", "left", ((0.2, (-0.21, 0.10, 0)), (2.3, (0.15, 0.02, 0)),
                     (2.8, (0.15, 0.02, 0)), (4.9, (-0.20, 0.12, 0))), ((0, 0.15),)),
        ), size=(960, 720)),
        Clip("both", 309, 30, 5.0, (
            HandPlan("right", "tips", "cheek", "right", ((0.1, LAP), (1.3, ON), (3.6, ON), (4.9, LAP)),
                     ((0.1, OFF), (1.5, 0), (3.5, 0), (4.4, OFF)), ((1.5, 0), (2, 0.002), (3.2, 0.002), (3.5, 0))),
            HandPlan("left", "tips", "jaw", "left", ((0.4, LAP), (1.7, ON), (3.2, ON), (4.6, LAP)),
                     ((0.4, OFF), (1.9, 0), (3.1, 0), (4.2, OFF)), ((1.9, 0), (2.3, 0.002), (2.9, 0.002), (3.1, 0))),
        )),
        Clip("enters", 310, 24, 4.0, (
            HandPlan("right", "index", "cheek", "right", ((1.8, LAP), (3.2, ON)), ((1.8, OFF), (3.4, 0))),
        ), place=((1.0, (-0.95, 0.0, 0.05)), (2.3, ON)), yaw=((1.0, -25), (2.4, 5)), size=(960, 540)),
        Clip("exits", 311, 24, 4.0, (
            HandPlan("left", "knuckles", "cheek", "left", ((0.9, ON), (2.0, LAP)), ((0.8, 0), (1.7, OFF)),
                     ((0.4, 0.001), (0.8, 0))),
        ), place=((1.6, ON), (3.0, (0.95, 0.0, 0.0))), yaw=((0.5, 5), (2.0, 30)), size=(960, 540)),
    ]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("half", choices=("tune", "test"), nargs="?", default="tune")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    out = options.out or FOLDER / options.half
    chosen = [clip for clip in clips(options.half) if options.only in clip.name]
    missing = [clip for clip in chosen if not (out / f"{clip.name}.mp4").is_file()]
    if len(missing) > 1 and options.processes > 1:
        return spread([clip.name for clip in missing], options.half, out, options.processes)
    cv2.setNumThreads(1)
    for clip in missing:
        start = time.perf_counter()
        verdict = make(clip, out)
        print(f"{clip.name}: {verdict} ({time.perf_counter() - start:.0f} s)", flush=True)
    return 0


def spread(names: list[str], half: Half, out: Path, processes: int) -> int:
    """Make clips in processes of their own, so many at a time."""
    waiting, worst = list(reversed(names)), 0
    running: list[subprocess.Popen] = []
    while waiting or running:
        while waiting and len(running) < processes:
            command = [sys.executable, "-m", "tools.benchmark.clips", half, "--out", str(out), "--processes", "1",
                       "--only", waiting.pop()]  # fmt: skip
            running.append(subprocess.Popen(command, cwd=ROOT))
        time.sleep(0.2)
        for one in [one for one in running if one.poll() is not None]:
            worst = max(worst, abs(one.returncode))
            running.remove(one)
    return worst


def make(clip: Clip, out: Path) -> str:
    """The truth of a clip and the clip; says who is in it."""
    out.mkdir(parents=True, exist_ok=True)
    reasons = []
    for trial in range(PEOPLE):
        person = person_of(clip, trial)
        if person is None:
            reasons.append("nobody could hold the hands so")
            continue
        motion = moved(clip, person, trial)
        truth = truth_of(motion)
        reasons.append(complaint(clip, motion, truth))
        if not reasons[-1]:
            write(out / clip.name, clip, motion, truth)
            draw(clip, motion, truth, out / f"{clip.name}.mp4")
            return f"person {trial}" + "".join(f"; {reason}" for reason in reasons[:-1])
    raise RuntimeError(f"nobody can act {clip.name}: {'; '.join(reasons)}")


def draw(clip: Clip, motion: Motion, truth: Truth, path: Path) -> None:
    """The movie."""
    person = motion.person
    hand = motion.hands[0]
    made = look(clip.seed, person.rest, hand.vertices[0], hand.model.faces, person.middle, clip.size)

    def shown(k: int, place: np.ndarray):  # type: ignore[no-untyped-def]
        hands = [(held.model.side, held.vertices[k] + place, held.joints[k] + place) for held in motion.hands]
        head = motion.head(k) + truth.dent[k] + place
        return meshes(made, head, motion.turn[k], hands, motion.origin[k] + place)

    made = lit_for(made, luminance(made, shown(0, person.middle - motion.origin[0]), clip.size, person.focal))
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        movie = Path(folder) / path.name
        writer = cv2.VideoWriter(str(movie), cv2.VideoWriter_fourcc(*"mp4v"), clip.rate, clip.size)
        for k in range(len(clip.times)):
            pixels = frame(made, shown(k, np.zeros(3)), clip.size, person.focal, k)
            writer.write(np.ascontiguousarray(pixels[..., ::-1]))
        writer.release()
        movie.replace(path)


if __name__ == "__main__":
    sys.exit(main())
