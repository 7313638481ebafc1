# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the official network takes: part of `make bench`; `python -m tools.bench_network` does only this.

The weights are made up and as large as the official ones, so no file of anyone's is needed. Each way to compute is
timed in turn with the straightforward float32 forward, in one process; errors are against that forward. Loading and
memory are measured in processes of their own, as the worker runs: the median of three.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from dice_core.network import checkpoint
from dice_core.network.device import choose, computing
from dice_core.network.model import Prediction
from dice_core.network.preprocess import SIZE
from dice_core.network.runner import Runner, graph
from dice_core.paths import ROOT

from .made_up_network import FULL, state

BATCHES = (1, 32)
LOADS = range(3)
Forward = Callable[[], Prediction]


def measure(repeats: int) -> dict[str, float]:
    """Milliseconds of a picture, ratios, errors, and what loading takes; see the module."""
    with tempfile.TemporaryDirectory() as folder:
        tensors = state(FULL)
        torch.save(tensors, Path(folder) / "state_dict.bin")
        del tensors
        checkpoint.convert(Path(folder) / "state_dict.bin", Path(folder))
        (Path(folder) / "state_dict.bin").unlink()
        command = [sys.executable, "-m", __spec__.name if __spec__ else __name__, "--load", folder]
        os.sync()  # what was just written is not to be written while it is read
        runs = [json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout) for _ in LOADS]
        figures = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
        return figures | on_cpu(Path(folder), repeats) | on_gpu(Path(folder), repeats)


def inputs(count: int, device: str = "cpu") -> list[torch.Tensor]:
    """Pictures and a template of noise, with the spread of real ones."""
    random = torch.Generator().manual_seed(1)
    parts = (21, 68, FULL.vertices[0], FULL.vertices[2])
    images = torch.randn((count, 3, SIZE, SIZE), generator=random)
    return [part.to(device) for part in (images, *(0.1 * torch.randn((1, n, 3), generator=random) for n in parts))]


def on_cpu(folder: Path, repeats: int) -> dict[str, float]:
    """The plain forward and the rewritten one, in turn."""
    shown = inputs(1)
    plain, fast = checkpoint.load(folder), checkpoint.load(folder).optimize()
    seconds, answers = in_turn({"plain": lambda: plain(*shown), "fast": lambda: fast(*shown)}, repeats)
    return {
        "cpu_eager_ms": 1000 * seconds["plain"],
        "cpu_best_ms": 1000 * seconds["fast"],
        "ratio": seconds["plain"] / seconds["fast"],
        "max_error": difference(answers["fast"], answers["plain"]),
        "largest_output": max(float(part.abs().max()) for part in answers["plain"]),
        "threads": torch.get_num_threads(),
    }


def on_gpu(folder: Path, repeats: int) -> dict[str, float]:
    """Pictures a second at each batch size: plain float32, and rewritten as a graph in each precision."""
    if choose().kind != "cuda":
        return {}
    figures: dict[str, float] = {}
    plain, fast = checkpoint.load(folder).to("cuda"), checkpoint.load(folder).optimize("cuda")
    half = checkpoint.load(folder).optimize("cuda").to(torch.bfloat16)
    for count in BATCHES:
        shown = inputs(count, "cuda")
        ways = {"eager": lambda shown=shown: plain(*shown)}
        for name, network, precision in (("fp32", fast, "exact"), ("tf32", fast, "fast"), ("bf16", half, "fast")):
            kind = torch.bfloat16 if name == "bf16" else torch.float32
            images, *template = (part.to(kind) for part in shown)
            with computing(precision):
                replay = graph(network, template, images)
            ways[name] = lambda replay=replay, images=images: replay(images)
        with computing("exact"):
            seconds, answers = in_turn({name: synchronised(way) for name, way in ways.items()}, 5 * repeats)
        for name in ways:
            figures[f"gpu_{name}_fps_{count}"] = count / seconds[name]
            figures[f"gpu_{name}_error_{count}"] = difference(answers[name], answers["eager"])
        figures[f"gpu_ratio_{count}"] = seconds["eager"] / seconds["fp32"]
    figures["gpu_memory_mb"] = torch.cuda.max_memory_allocated() / 1e6
    return figures


def synchronised(way: Forward) -> Forward:
    def run() -> Prediction:
        prediction = way()
        torch.cuda.synchronize()
        return prediction

    return run


def in_turn(ways: dict[str, Forward], repeats: int) -> tuple[dict[str, float], dict[str, Prediction]]:
    """Median seconds of each way, a warm-up before, and what each gave."""
    answers = {name: Prediction(*(part.float().clone() for part in way())) for name, way in ways.items()}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in seconds.items()}, answers


def difference(prediction: Prediction, other: Prediction) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(prediction, other, strict=True))


def load_and_run(folder: Path) -> dict[str, float]:
    """Seconds until a converted checkpoint is ready, and how much memory that and two pictures take."""
    before = memory("VmRSS")
    start = time.perf_counter()
    images, *template = (part.numpy() for part in inputs(2))
    runner = Runner(lambda: checkpoint.load(folder), [part[0] for part in template], choose(), "exact")
    ready = time.perf_counter()
    runner.run(images[:1])
    first = time.perf_counter()
    runner.run(images)
    return {
        "load_s": ready - start,
        "first_picture_s": first - ready,
        "torch_mb": before,
        "memory_mb": memory("VmHWM") - before,
    }


def memory(kind: str) -> float:
    """Megabytes (10^6 bytes) of this process, now (VmRSS) or at most (VmHWM). Linux."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(kind)) * 1024 / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--load", type=Path, metavar="FOLDER", help="only load what was converted into this folder")
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    figures = load_and_run(options.load) if options.load else measure(options.repeats)
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
