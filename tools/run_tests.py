# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the tests in the environments of DICE_RUNTIME that they belong to: `python -m tools.run_tests SUITE...`

    core      dice_core, in the runtime's Python
    blender   dice_blender, in the bpy wheel that fits
    matrix    dice_blender, in every bpy wheel that is supported, each in an environment of its own
    others    the same without the one that `blender` takes
    real      a real Blender executable without a screen, named in REAL_BLENDER; skipped without
    window    its window, driven by mouse and keyboard; skipped without

A suite is one run of pytest, or several: every bpy wheel is one, dice_core is a few, each of a share of its files. Two
go on at a time, each in a process of its own (`--only RUN`); what it said is shown when it ends.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from dataclasses import dataclass
from pathlib import Path

from dice_core.installer.environment import Environment, find_python, parts_in
from dice_core.installer.plan import BPY, bpy_lock, installed
from dice_core.installer.process import run
from dice_core.paths import ROOT, environment_python, runtime_dir
from install_deps import guarded

AT_ONCE = 2
CORE = 4  # runs of dice_core: short ones fill both places to the end
MINUTES = {"core": 30, "bpy": 30, "real": 20, "window": 30}
REAL = {
    "real": ["tests/real_blender/test_command_line.py"],
    "window": [f"tests/real_blender/test_{name}.py" for name in ("window", "clicks", "guide")],
}
os.environ.setdefault("DICE_RUNTIME", str(ROOT / ".venv"))
NO_TESTS = 5  # pytest's exit code


@dataclass(frozen=True)
class Run:
    """How one run went. `verdict` is empty when it failed."""

    name: str
    verdict: str
    seconds: float


def bpy_python(version: str) -> Path:
    """The Python of an environment with this version of Blender's module, made when missing."""
    lock = bpy_lock(version)
    for folder in (runtime_dir() / "blender", runtime_dir() / f"blender-{version}"):
        if lock in parts_in(folder):
            return environment_python(folder)
    environment = Environment(folder, find_python((BPY[version],)))
    print(f"== making {folder}: Python {environment.base.version}, bpy {version}", flush=True)
    environment.create()
    with environment.adding(lock):
        environment.install(lock, line=lambda text: None)
    return environment.python


def runs(suite: str) -> list[str]:
    """The runs that a suite is made of: `core 1`, `bpy 4.5.15`, `real`."""
    if suite == "core":
        return [f"core {part}" for part in range(1, CORE + 1)]
    if suite in REAL:
        return [suite]
    own = installed(runtime_dir())["bpy"]
    versions = {"matrix": list(BPY), "others": [one for one in BPY if one != own], "blender": [own]}[suite]
    return [f"bpy {version}" for version in versions]


def contents(name: str) -> tuple[Path, list[str]]:
    """The Python of a run and the paths of its tests."""
    kind, _, which = name.partition(" ")
    if kind == "bpy":
        return bpy_python(which), ["tests/blender"]
    files = sorted(str(file) for file in (ROOT / "tests/core").rglob("test_*.py"))
    paths = REAL[kind] if kind in REAL else [*files, "tests/test_layers.py"][int(which) - 1 :: CORE]
    return environment_python(runtime_dir() / "python"), paths


def late(*_: object) -> None:
    raise TimeoutError


def pytest(name: str) -> int:
    """Run pytest, apart from the user's own Blender settings, and end it when it takes too long; its exit code."""
    python, paths = contents(name)
    print(f"== {name}: {python}", flush=True)
    minutes = MINUTES[name.partition(" ")[0]]
    signal.signal(signal.SIGALRM, late)
    signal.alarm(60 * minutes)
    with tempfile.TemporaryDirectory(prefix="dice-tests-") as folder:
        os.environ |= {"DICE_RUNTIME": str(runtime_dir()), "BLENDER_USER_RESOURCES": folder, "OMP_NUM_THREADS": "1"}
        command = [python, "-m", "pytest", "-rsfE", "-q", "--durations=5", *paths]
        try:
            code = run(command, lambda text: print(text, flush=True))
        except TimeoutError:
            print(f"{name} took more than {minutes} minutes and was ended.")
            code = 1
    if code == NO_TESTS:
        print(f"{name}: no tests were found.")
    return code


async def go(name: str, places: asyncio.Semaphore) -> Run:
    """One run in a process of its own, when there is a place; what it said is shown when it ends."""
    async with places:
        start = time.monotonic()
        print(f"== {name} has begun", flush=True)
        words = [sys.executable, "-m", "tools.run_tests", "--only", name]
        process = await asyncio.create_subprocess_exec(
            *words, cwd=ROOT, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, start_new_session=True
        )
        try:
            said, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.terminate()  # it ends pytest
                await process.wait()
    print(f"\n{said.decode(errors='replace')}", flush=True)
    skipped = name in REAL and not os.environ.get("REAL_BLENDER")
    verdict = "" if process.returncode else "SKIPPED" if skipped else "passed"
    return Run(name, verdict, time.monotonic() - start)


async def everything(names: list[str]) -> list[Run]:
    places = asyncio.Semaphore(AT_ONCE)
    return await asyncio.gather(*(go(name, places) for name in names))


def main() -> None:
    if sys.argv[1:2] == ["--only"]:
        sys.exit(pytest(sys.argv[2]))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suites", nargs="+", choices=("core", "blender", "matrix", "others", *REAL))
    suites = parser.parse_args().suites
    done = asyncio.run(everything([name for suite in suites for name in runs(suite)]))
    print()
    for one in done:
        print(f"{one.name:<24}{one.verdict or 'FAILED':<16}{one.seconds:7.1f} s", flush=True)
    if not all(one.verdict for one in done):
        sys.exit(1)


if __name__ == "__main__":
    sys.exit(guarded(main))
