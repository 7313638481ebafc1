# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the tests in the environments of DICE_RUNTIME that they belong to: `python -m tools.run_tests SUITE...`

    core      dice_core, in the runtime's Python
    blender   dice_blender, in the bpy wheel that fits
    matrix    dice_blender, in every bpy wheel that is supported, each in an environment of its own
    others    the same without the one that `blender` takes
    real      a real Blender executable without a screen, named in REAL_BLENDER; skipped without
    window    its window, driven by mouse and keyboard; skipped without
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from dice_core.installer.environment import Environment, find_python, parts_in
from dice_core.installer.plan import BPY, bpy_lock, installed
from dice_core.paths import ROOT, environment_python, runtime_dir
from install_deps import guarded

MINUTES = {"core": 30, "blender": 30, "real": 20, "window": 30}
REAL = {
    "real": ("tests/real_blender/test_command_line.py",),
    "window": tuple(f"tests/real_blender/test_{name}.py" for name in ("window", "clicks", "guide")),
}
os.environ.setdefault("DICE_RUNTIME", str(ROOT / ".venv"))
NO_TESTS = 5  # pytest's exit code


@dataclass(frozen=True)
class Run:
    """How one suite went. `verdict` is empty when it failed."""

    name: str
    verdict: str
    seconds: float


def pytest(name: str, python: Path, *paths: str, minutes: int) -> Run:
    """Run pytest on some of the tests, apart from the user's own Blender settings."""
    start = time.monotonic()
    print(f"\n== {name}: {python}", flush=True)
    with tempfile.TemporaryDirectory(prefix="dice-tests-") as folder:
        variables = os.environ | {"DICE_RUNTIME": str(runtime_dir()), "BLENDER_USER_RESOURCES": folder}
        command = [str(python), "-m", "pytest", "-rsfE", "-q", "--durations=5", *paths]
        try:
            code = subprocess.call(command, cwd=ROOT, env=variables, stdin=subprocess.DEVNULL, timeout=60 * minutes)
        except subprocess.TimeoutExpired:
            print(f"{name} took more than {minutes} minutes and was ended.")
            code = 1
    if code == NO_TESTS:
        print(f"{name}: no tests were found.")
    verdict = "" if code else "passed"
    return Run(name, verdict, time.monotonic() - start)


def bpy_python(version: str) -> Path:
    """The Python of an environment with this version of Blender's module, made when missing."""
    lock = bpy_lock(version)
    for folder in (runtime_dir() / "blender", runtime_dir() / f"blender-{version}"):
        if lock in parts_in(folder):
            return environment_python(folder)
    environment = Environment(folder, find_python((BPY[version],)))
    print(f"\n== making {folder}: Python {environment.base.version}, bpy {version}", flush=True)
    environment.create()
    with environment.adding(lock):
        environment.install(lock, line=lambda text: None)
    return environment.python


def suite(name: str) -> list[Run]:
    """Run one suite."""
    core = environment_python(runtime_dir() / "python")
    if name == "core":
        return [pytest("core", core, "tests/core", "tests/test_layers.py", minutes=MINUTES["core"])]
    if name in REAL:
        run = pytest(f"real Blender, {name}", core, *REAL[name], minutes=MINUTES[name])
        return [run if os.environ.get("REAL_BLENDER") or not run.verdict else replace(run, verdict="SKIPPED")]
    own = installed(runtime_dir())["bpy"]
    versions = {"matrix": list(BPY), "others": [one for one in BPY if one != own], "blender": [own]}[name]
    minutes = MINUTES["blender"]
    return [pytest(f"bpy {version}", bpy_python(version), "tests/blender", minutes=minutes) for version in versions]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suites", nargs="+", choices=("core", "blender", "matrix", "others", *REAL))
    runs = [run for name in parser.parse_args().suites for run in suite(name)]
    print()
    for run in runs:
        print(f"{run.name:<24}{run.verdict or 'FAILED':<16}{run.seconds:7.1f} s", flush=True)
    if not all(run.verdict for run in runs):
        sys.exit(1)


if __name__ == "__main__":
    sys.exit(guarded(main))
