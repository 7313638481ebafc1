# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs inside the runtime's Python: imports every package, runs every model once on zeros, prints what it found.

    python -m dice_core.installer.selftest MODELS_FOLDER [torch] [smplx]

The last line is a JSON object: `packages` (name -> version), `models` (name -> milliseconds), `device` (in words),
`failures` (sentences). A failure is reported, never raised.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from ..landmarks import models

DISTRIBUTIONS = {
    "numpy": "numpy",
    "scipy": "scipy",
    "cv2": "opencv-python-headless",
    "ai_edge_litert.interpreter": "ai-edge-litert",
    "trimesh": "trimesh",
    "igl": "libigl",
    "PIL": "pillow",
}
RESEARCH = ("smplx", "manopth", "pytorch3d")  # never needed; a user may have installed them by hand


def packages(distributions: dict[str, str], failures: list[str]) -> dict[str, str]:
    """Import the modules; the versions of their packages."""
    versions = {}
    for module, name in distributions.items():
        try:
            importlib.import_module(module)
            versions[name] = metadata.version(name)
        except Exception as error:  # an import can fail in any way: a missing library, a wrong processor
            failures.append(f"{name} cannot be imported: {error}")
    return versions


def research() -> dict[str, str]:
    """The versions of the research packages that are installed. Not imported: a broken one breaks nothing else."""
    versions = {}
    for name in RESEARCH:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def run_models(folder: Path, failures: list[str]) -> dict[str, float]:
    """Load each model and run it on zeros; milliseconds of the run."""
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    times = {}
    for name in models.MODELS:
        try:
            interpreter = Interpreter(model_content=models.path(folder, name).read_bytes(), num_threads=1)
            interpreter.allocate_tensors()
            for item in interpreter.get_input_details():
                interpreter.set_tensor(item["index"], np.zeros(item["shape"], item["dtype"]))
            start = time.perf_counter()
            interpreter.invoke()
            times[name] = round(1000 * (time.perf_counter() - start), 1)
        except Exception as error:
            failures.append(f"The model {name} does not run: {error}")
    return times


def device(wants_torch: bool) -> str:
    """What the engines compute on, in words."""
    if not wants_torch:
        return "CPU: the open engine needs no GPU"
    if "torch" not in sys.modules:
        return "unknown: torch cannot be imported"
    from ..network.device import choose

    return choose().reason.removesuffix(".")


def main(folder: Path, extra: list[str]) -> None:
    failures: list[str] = []
    versions = packages(DISTRIBUTIONS | {name: name for name in extra}, failures) | research()
    times = run_models(folder, failures) if "ai-edge-litert" in versions else {}
    found = {"packages": versions, "models": times, "device": device("torch" in extra), "failures": failures}
    sys.stdout.write("\n" + json.dumps(found) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
