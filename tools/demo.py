# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job from a shell: a photograph to a result file, a preview picture and a Blender scene.

    python -m tools.demo [PHOTO] [--out DIR]

Runs from the repository's root in the runtime environment; Blender is the bpy wheel beside it, or a `blender` on PATH.
Also writes demo.json with the quality figures and the seconds of each stage.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parent.parent

from dice_core.errors import DiceError  # noqa: E402
from dice_core.files import atomic  # noqa: E402
from dice_core.media.decode import read_picture  # noqa: E402
from dice_core.paths import environment_python, runtime_dir  # noqa: E402
from dice_core.pipeline import Pipeline  # noqa: E402
from dice_core.result.preview import write_preview  # noqa: E402
from dice_core.result.store import save  # noqa: E402
from dice_core.types import Capture  # noqa: E402

SAMPLE = ROOT / "tests" / "data" / "sample.jpg"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photo", type=Path, nargs="?", default=SAMPLE)
    parser.add_argument("--out", type=Path, default=ROOT / "out")
    options = parser.parse_args()
    try:
        run(options.photo, options.out)
    except DiceError as error:
        print(f"Error: {error.message}\n{error.remedy}", file=sys.stderr)
        return error.exit_code
    return 0


def run(photo: Path, out: Path) -> None:
    """Capture, preview, scene; then say where everything is and how long it took."""
    seconds: dict[str, float] = {}
    start = time.perf_counter()
    pipeline = Pipeline()
    pipeline.engine("open")
    seconds["load"] = time.perf_counter() - start
    capture = pipeline.capture(photo)
    seconds |= capture.timings
    result, picture, scene = (out / f"demo{extension}" for extension in (".npz", ".png", ".blend"))
    save(result, capture)
    start = time.perf_counter()
    write_preview(picture, read_picture(photo), capture)
    seconds["preview"] = time.perf_counter() - start
    start = time.perf_counter()
    build_scene(result, photo, scene)
    seconds["scene"] = time.perf_counter() - start
    report(capture, seconds, out / "demo.json")
    for path in (scene, result, picture):
        print(f"wrote {path}")


def build_scene(result: Path, photo: Path, scene: Path) -> None:
    """Let Blender build the .blend."""
    script = [str(Path(__file__).with_name("demo_scene.py"))]
    arguments = [str(path.absolute()) for path in (result, photo, scene)]
    wheel = environment_python(runtime_dir() / "blender")
    blender = shutil.which("blender")
    if wheel.is_file():
        command = [str(wheel), *script, *arguments]
    elif blender:
        command = [blender, "-b", "--factory-startup", "--python-exit-code", "1", "-P", *script, "--", *arguments]
    else:
        raise DiceError("There is no Blender to build the scene.", "Run install_deps.py --dev, or put blender on PATH.")
    scene.unlink(missing_ok=True)
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode or not scene.is_file():
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise DiceError(f"Blender could not build the scene: {' '.join(last)}.", "Run install_deps.py --repair.")


def report(capture: Capture, seconds: dict[str, float], path: Path) -> None:
    """Print the figures and write them to demo.json."""
    figures = {
        "source": capture.source,
        "contact_state": capture.contact_state,
        "contact_probability": capture.contact_probability,
        "hands": [hand.side for hand in capture.hands],
        "quality": capture.quality,
        "seconds": seconds,
        "capture_seconds": sum(capture.timings.values()),
    }
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    hands = " and ".join(f"{hand.side} hand" for hand in capture.hands) or "no hand"
    print(f"{capture.source}: {hands}, contact: {capture.contact_state} ({capture.contact_probability:.2f})")
    for name, value in capture.quality.items():
        print(f"  {name:<24}{value:8.2f}")
    print("seconds: " + ", ".join(f"{name} {value:.2f}" for name, value in seconds.items()))


if __name__ == "__main__":
    sys.exit(main())
