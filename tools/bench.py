# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a capture takes, by stage, the official network, and Blender: `make bench [PHOTO=path]`, out/bench.json.

Every figure is the median of the repeats in one process after a warm-up, so that stages can be compared as ratios of
one run. Peak memory is the process' own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from dice_core.client import Client, finish  # noqa: E402
from dice_core.files import atomic  # noqa: E402
from dice_core.paths import environment_python, runtime_dir  # noqa: E402
from dice_core.pipeline import Pipeline  # noqa: E402
from dice_core.result import store  # noqa: E402
from tools.demo import ROOT, SAMPLE  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photo", type=Path, nargs="?", default=SAMPLE)
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    figures: dict[str, Any] = measure(options.photo, options.repeats)
    from tools import bench_network, bench_sequence  # now: torch is none of the open engine's memory

    figures["sequence"] = bench_sequence.measure()

    figures["network"] = bench_network.measure(options.repeats)
    figures["blender"] = in_blender(options.photo)
    for name, value in figures.items():
        inner = {f"{name}.{key}": one for key, one in value.items()} if isinstance(value, dict) else {name: value}
        for key, one in inner.items():
            print(f"{key:<28}{one:14.6g}")
    with atomic(ROOT / "out" / "bench.json") as temporary:
        temporary.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def measure(photo: Path, repeats: int) -> dict[str, float]:
    """Seconds of loading, of each stage, of a whole capture here and through the worker; megabytes at the peak."""
    start = time.perf_counter()
    pipeline = Pipeline()
    pipeline.engine("open")
    figures = {"load_s": time.perf_counter() - start}
    pipeline.capture(photo)
    whole, stages = [], []
    for _ in range(repeats):
        start = time.perf_counter()
        stages.append(pipeline.capture(photo).timings)
        whole.append(time.perf_counter() - start)
    figures |= {f"{stage}_s": statistics.median(one[stage] for one in stages) for stage in stages[0]}
    figures["capture_s"] = statistics.median(whole)
    figures["worker_s"] = statistics.median(through_worker(photo, repeats))
    figures["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return figures


def in_blender(photo: Path) -> dict[str, float]:
    """Milliseconds that Blender takes over the capture of the photograph: see `bench_blender`."""
    with tempfile.TemporaryDirectory() as folder:
        result, figures = Path(folder) / "result.npz", Path(folder) / "figures.json"
        store.save(result, Pipeline().capture(photo))
        python = environment_python(runtime_dir() / "blender")
        command = [str(python), "-m", "tools.bench_blender", str(result), str(photo.absolute()), str(figures)]
        variables = os.environ | {"BLENDER_USER_RESOURCES": folder}
        subprocess.run(command, cwd=ROOT, env=variables, check=True, stdout=subprocess.DEVNULL)
        return json.loads(figures.read_text(encoding="utf-8"))


def through_worker(photo: Path, repeats: int) -> list[float]:
    """Seconds of captures as Blender asks for them, the process being warm."""
    client = Client(runtime_dir())
    seconds = []
    try:
        for _ in range(repeats + 1):
            start = time.perf_counter()
            client.submit(str(photo))
            finish(client)
            seconds.append(time.perf_counter() - start)
    finally:
        client.stop()
    return seconds[1:]


if __name__ == "__main__":
    main()
