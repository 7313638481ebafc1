# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving pictures, as users capture them: frames a second of the whole command, and how memory grows (`make bench`).

The clip is the bundled sample, swaying: its hand touches the face in every frame, so every step has work to do.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from dice_core.paths import ROOT
from tools.demo import SAMPLE

SIZE, RATE = (1280, 720), 24.0
FRAMES, MANY = 300, 3000
PAUSE = 0.1  # seconds between two looks at the memory


def measure(many: bool = True) -> dict[str, float]:
    """`fps` of FRAMES frames and the share of each step, megabytes at the `peak` of all processes together, and by how
    many that grows when there are MANY."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "clip.mp4", FRAMES)
        seconds, peak = run(folder / "clip.mp4", folder / "clip")
        timings = json.loads((folder / "clip" / "capture.json").read_text(encoding="utf-8"))["timings"]
        figures = {"fps": FRAMES / seconds, "command_s": seconds, "peak_mb": peak}
        figures |= {f"{step}_share": taken / seconds for step, taken in timings.items()}
        if many:
            write(folder / "long.mp4", MANY)
            seconds, highest = run(folder / "long.mp4", folder / "long")
            figures |= {"fps_of_3000": MANY / seconds, "memory_growth_mb": highest - peak}
    return figures


def write(path: Path, frames: int) -> None:
    """The sample's person, swaying."""
    person = cv2.imread(str(SAMPLE))
    scale = SIZE[1] / len(person)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), RATE, SIZE)
    for index in range(frames):
        grown = scale * (1 + 0.03 * np.sin(index / 17))
        left = SIZE[0] / 2 - grown * len(person) / 2 + 40 * np.sin(index / 23)
        frame = np.full((SIZE[1], SIZE[0], 3), 110, np.uint8)
        cv2.warpAffine(person, np.array([[grown, 0, left], [0, grown, 0.0]]), SIZE, dst=frame,
                       borderMode=cv2.BORDER_TRANSPARENT)  # fmt: skip
        writer.write(frame)
    writer.release()


def run(movie: Path, output: Path) -> tuple[float, float]:
    """Seconds of the whole command, and megabytes that it and its processes held at most at once."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "dice_core", "capture", str(movie), "-o", str(output)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env=os.environ | {"PYTHONPATH": str(ROOT)})  # fmt: skip
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, held(process.pid))
        time.sleep(PAUSE)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    return time.perf_counter() - start, peak


def held(process: int) -> float:
    """Megabytes of a process and its children, without pages that files can give back (Linux only; else 0)."""
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
        children = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="utf-8").split()
    except OSError:
        return 0.0
    own = sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon:")) / 1024
    return own + sum(held(int(child)) for child in children)


if __name__ == "__main__":
    for key, value in measure("--short" not in sys.argv).items():
        print(f"sequence.{key:<28}{value:12.4g}")
