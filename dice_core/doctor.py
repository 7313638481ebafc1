# SPDX-License-Identifier: GPL-3.0-or-later
"""What is installed, what is missing, which device, and what to do about it. Standard library only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import runtime
from .body.kinds import KINDS, converted, intact, where_from
from .errors import DiceError, NotInstalled
from .installer.plan import free_megabytes, installed
from .landmarks import models
from .paths import environment_python, install_command, models_dir, official_models_dir, runtime_python

INSTALL = "Run install_deps.py, or press Install in the add-on's preferences."
SPACE = 500  # megabytes that captures, previews and scenes may want


@dataclass(frozen=True)
class Check:
    """One line of the report; `remedy` is empty when it is fine."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""


def doctor(folder: Path) -> list[Check]:
    """Examine the runtime folder and what captures need besides. Changes nothing, never raises.

    Parameters
    ----------
    folder
        The runtime folder, which need not exist.
    """
    return [
        _python(),
        _complete(folder),
        _try("models", lambda: _models(folder)),
        *_self_test(folder),
        *_official(folder),
        _space(folder),
        _blender(folder),
    ]


def render(checks: list[Check]) -> str:
    """The checks as text, a line each, with the remedies below those that failed."""
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        lines.append(f"{'ok  ' if check.ok else 'FAIL'}  {check.name:<{width}}  {check.detail}")
        if not check.ok and check.remedy:
            lines.append(f"{'':<{width + 8}}{check.remedy}")
    return "\n".join(lines)


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    return Check("python", sys.version_info >= (3, 10), f"{version} ({sys.executable})", "Use Python 3.11 or newer.")


def _complete(folder: Path) -> Check:
    marker = installed(folder)
    if not marker:
        there = "is unfinished or broken" if (folder / runtime.LOCK).exists() else "is not installed"
        return Check("runtime", False, f"{folder} {there}", INSTALL)
    if not runtime.is_complete(runtime.Request(folder, marker["engine"])):
        return Check("runtime", False, f"{folder} is out of date or damaged", INSTALL)
    detail = f"{folder}: {marker['engine']} engine, Python {marker['python']}, {marker['megabytes']} MB"
    return Check("runtime", True, detail)


def _models(folder: Path) -> str:
    models.verify(models_dir(folder))
    return f"{len(models.MODELS)} files verified ({models.PACKAGE} {models.VERSION}, {models.LICENCE})"


def _self_test(folder: Path) -> list[Check]:
    """Packages and device, as the runtime's own Python sees them."""
    if not runtime_python(folder).is_file():
        return [Check("packages", False, "there is no environment", INSTALL)]
    try:
        found = runtime.self_test(folder, installed(folder).get("engine") == "dice")
    except DiceError as error:
        return [Check("packages", False, error.message, error.remedy)]
    packages = ", ".join(f"{name} {version}" for name, version in found["packages"].items())
    slowest = max(found["models"].values(), default=0.0)
    return [
        Check("packages", True, packages),
        Check("landmarks", True, f"{len(found['models'])} models run, the slowest in {slowest:.0f} ms"),
        Check("device", True, found["device"]),
    ]


def _official(folder: Path) -> list[Check]:
    """The user's own files. Their lack is a fault only where the dice engine was asked for."""
    models = official_models_dir()
    if installed(folder).get("engine") != "dice" and not models.is_dir():
        return [Check("official files", True, "none: only --engine dice needs them, and torch")]
    checks = []
    if installed(folder).get("engine") != "dice":
        remedy = f"Run {install_command('--engine dice')}."
        checks.append(Check("dice engine", False, "the official files need torch, which the runtime lacks", remedy))
    for key, kind in KINDS.items():
        file, remedy = converted(models, key), where_from(key)
        ok, detail = True, f"{kind.title}: {file} ({kind.source.licence})"
        if not os.path.isfile(file):
            ok, detail = not kind.needed, f"{kind.title}: missing"
            detail += "" if kind.needed else ", and not needed for captures"
        elif not intact(models, key):
            ok, detail, remedy = False, f"{kind.title}: {file} is damaged", f"Convert {kind.file} again."
        checks.append(Check(kind.file, ok, detail, remedy))
    return checks


def _space(folder: Path) -> Check:
    free = free_megabytes(folder.absolute())
    return Check("disk", free >= SPACE, f"{free} MB free", f"Free some space: captures want {SPACE} MB.")


def _blender(folder: Path) -> Check:
    wheel, blender = environment_python(folder / "blender"), shutil.which("blender")
    if wheel.is_file():
        return Check("blender", True, f"Python module in {folder / 'blender'}")
    if blender is None:
        remedy = "Only `make demo` and scripts need it: put blender on PATH, or run install_deps.py --dev."
        return Check("blender", True, f"none on PATH. {remedy}")
    try:
        answer = subprocess.run([blender, "--version"], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return Check("blender", False, f"{blender} does not start", "Install Blender 4.2 or newer again.")
    return Check("blender", True, f"{answer.stdout.splitlines()[0]} ({blender})")


def _try(name: str, examine: Callable[[], str]) -> Check:
    try:
        return Check(name, True, examine())
    except NotInstalled as error:
        return Check(name, False, error.message, error.remedy)
