# SPDX-License-Identifier: GPL-3.0-or-later
"""How long Blender takes over a result: `python -m tools.bench_blender RESULT PHOTO FIGURES.json`, in the bpy wheel.

`make bench` runs it and puts the figures, milliseconds, under `blender` in out/bench.json. Each is the median of the
repeats after one to warm up, in a file that is empty before. Beside them, of a made-up sequence of 1000 frames of the
open head and a hand: seconds to import it, milliseconds to go to a frame, and megabytes of the .blend, as the command
line saves it (compressed) and as it is.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import bpy

from tools import made_up_sequence
from tools.demo_scene import load_extension

FRAMES = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("result", type=Path)
    parser.add_argument("photo", type=Path)
    parser.add_argument("figures", type=Path)
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    api = load_extension().api
    result = api.store.load(options.result)

    def fresh() -> bpy.types.Collection:
        bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
        return api.import_capture(result, options.photo)

    def empty() -> None:
        bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)

    figures = {
        "import_ms": median(lambda _: api.import_capture(result, options.photo), empty, options.repeats),
        "rig_ms": median(api.rig, fresh, options.repeats),
        "expressions_ms": median(api.add_expressions, fresh, options.repeats),
        "project_photo_ms": median(api.project_photo, fresh, options.repeats),
    }
    figures |= sequence(options.repeats)
    options.figures.write_text(json.dumps(figures), encoding="utf-8")


def sequence(repeats: int) -> dict[str, float]:
    """Figures of a sequence: see above."""
    from dice_capture.dice_blender.scene.sequence import build_sequence

    with tempfile.TemporaryDirectory() as name:
        folder, file = Path(name) / "clip", Path(name) / "scene.blend"
        made_up_sequence.write(folder, FRAMES, real=True)

        def saved() -> None:
            bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
            bpy.ops.wm.save_as_mainfile(filepath=str(file))

        def build(_: None) -> None:
            build_sequence(folder, bpy.context.scene, timing="source")

        found = {"import_1000_frames_s": median(build, saved, repeats // 5) / 1000}
        frames = iter(range(1, FRAMES))
        found["playback_ms"] = median(lambda _: bpy.context.scene.frame_set(next(frames)), lambda: None, FRAMES // 4)
        for key, compress in (("blend_uncompressed_mb", False), ("blend_mb", True)):
            bpy.ops.wm.save_as_mainfile(filepath=str(file), compress=compress)
            found[key] = file.stat().st_size / 1e6
        return found


def median(function: Callable, prepare: Callable, repeats: int) -> float:
    """Milliseconds that the function takes of what `prepare` gives."""
    seconds = []
    for _ in range(repeats + 1):
        given = prepare()
        start = time.perf_counter()
        function(given)
        seconds.append(time.perf_counter() - start)
    return 1000 * statistics.median(seconds[1:])


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # the wheel may hang in its own clean-up at interpreter exit
