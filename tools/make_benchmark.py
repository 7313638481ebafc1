# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the pictures of the benchmark and the truth about them: `python -m tools.make_benchmark tune|test`.

    --out DIR      where to; a folder for each half is made in it (out/benchmark)
    --only NAME    only the cases whose names contain this
    --truth-only   no pictures

Each case is posed (`benchmark.figures`), pressed by finite elements (`benchmark.tissue`), checked, dressed
(`benchmark.appearance`) and rendered by the Blender that `make test` uses (`benchmark.picture`). Everything follows
from the seeds in `benchmark.cases`. A case shows the first of its random people whose truth passes the check; when
none of PEOPLE does, it is left out, and index.json says why. What is there already is not made again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402
from scipy.spatial.transform import Rotation  # noqa: E402

from dice_core.files import atomic  # noqa: E402
from dice_core.paths import ROOT, environment_python, runtime_dir  # noqa: E402
from dice_core.result.store import load, save  # noqa: E402
from dice_core.types import Capture  # noqa: E402
from tools.benchmark import appearance  # noqa: E402
from tools.benchmark.cases import Case, cases  # noqa: E402
from tools.benchmark.check import complaint  # noqa: E402
from tools.benchmark.figures import figures, truth  # noqa: E402

PEOPLE, BATCH = 3, 6
SAMPLES, QUALITY = 12, 93
LOOKS, CAMERA = 1000, 2000  # which of a seed's random numbers decide about them
FILM = 36.0  # mm, the long side that the 35 mm equivalent of a focal length refers to


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("half", choices=("tune", "test"))
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "benchmark")
    parser.add_argument("--only", default="")
    parser.add_argument("--truth-only", action="store_true")
    options = parser.parse_args()
    folder = options.out / options.half
    folder.mkdir(parents=True, exist_ok=True)
    chosen = [case for case in cases(options.half) if options.only in case.name]
    dropped: dict[str, str] = {}
    for index, case in enumerate(chosen):
        start = time.perf_counter()
        verdict = make_truth(case, folder)
        if verdict:
            dropped[case.name] = verdict
        seconds = time.perf_counter() - start
        print(f"{index + 1}/{len(chosen)} {case.name}: {verdict or 'posed'} ({seconds:.1f} s)", flush=True)
    kept = [case for case in chosen if case.name not in dropped]
    if not options.truth_only:
        render(folder, kept)
    with atomic(folder / "index.json") as temporary:
        index = {"cases": [case.name for case in kept], "dropped": dropped}
        temporary.write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
    return 0


def make_truth(case: Case, folder: Path) -> str:
    """The truth of one case, unless it is there; gives the reason when the case is to be dropped."""
    known, reason = folder / f"{case.name}.npz", folder / f"{case.name}.dropped"
    if known.is_file():
        return ""
    if reason.is_file():
        return reason.read_text(encoding="utf-8")
    verdict = "nobody could hold the hand so"
    for made in islice(figures(case), PEOPLE):
        verdict = complaint(made)
        if not verdict:
            save(known, truth(made, f"{case.name}.jpg"))
            return ""
    reason.write_text(verdict, encoding="utf-8")
    return verdict


def render(folder: Path, chosen: list[Case]) -> None:
    """The pictures that are missing, BATCH at a time, so that little is lost when somebody interrupts."""
    missing = [case for case in chosen if not (folder / f"{case.name}.jpg").is_file()]
    for start in range(0, len(missing), BATCH):
        render_batch(folder, missing[start : start + BATCH])
        print(f"{min(start + BATCH, len(missing))}/{len(missing)} pictures", flush=True)


def render_batch(folder: Path, batch: list[Case]) -> None:
    """Dress everybody, let Blender draw them, and finish the pictures."""
    with tempfile.TemporaryDirectory() as name:
        jobs = []
        for case in batch:
            known = load(folder / f"{case.name}.npz")
            drawn = Path(name) / case.name
            appearance.save(dressed(known, case.seed), drawn.with_suffix(".npz"))
            focal = float(known.camera.matrix[0, 0])  # type: ignore[index]
            jobs.append([f"{drawn}.npz", f"{drawn}.png", known.camera.image_size, focal, SAMPLES])
        plan = Path(name) / "jobs.json"
        plan.write_text(json.dumps(jobs), encoding="utf-8")
        python = environment_python(runtime_dir() / "blender")
        command = [str(python), "-m", "tools.benchmark.picture", str(plan)]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        for case, job in zip(batch, jobs, strict=True):
            finish(Path(job[1]), folder / f"{case.name}.jpg", case.seed, job[3] / max(job[2]))


def dressed(known: Capture, seed: int) -> dict[str, np.ndarray]:
    """What `picture` draws."""
    assert known.head is not None
    turn = Rotation.from_rotvec(known.params["head_global_orient"]).as_matrix()
    hands = [(hand.side, hand.vertices.astype(float), hand.joints.astype(float)) for hand in known.hands]
    head = known.head.vertices.astype(float) + known.head.deformation
    return appearance.appearance(head, turn, hands, np.random.default_rng([seed, LOOKS]))


def finish(drawn: Path, picture: Path, seed: int, focal: float) -> None:
    """A JPEG as a camera would have written it; every second one says with which lens."""
    rng = np.random.default_rng([seed, CAMERA])
    with Image.open(drawn) as opened:
        pixels = appearance.finish(np.array(opened.convert("RGB")), rng)
    exif = Image.Exif()
    if rng.uniform() < 0.5:
        exif.get_ifd(0x8769)[0xA405] = round(FILM * focal)
    with atomic(picture) as temporary:
        Image.fromarray(pixels).save(temporary, "JPEG", quality=QUALITY, exif=exif)


if __name__ == "__main__":
    sys.exit(main())
