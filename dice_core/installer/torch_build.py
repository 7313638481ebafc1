# SPDX-License-Identifier: GPL-3.0-or-later
"""Which build of torch the dice engine gets, and why. Standard library only; torch itself is not imported here."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import DiceError
from .environment import Environment, NotFound

VERSION = "2.13.0"
LOCK, LOCK_WITHOUT_CUDA = "dice.txt", "dice-cpu.txt"
# Builds that the public index does not carry. pip finds them where its own settings lead (an extra index, a folder of
# wheels); they are pinned by version alone, because their hash depends on who built them. All else is hashed.
ELSEWHERE = {("linux", "cpu"): f"{VERSION}+cpu", ("win32", "cuda"): f"{VERSION}+cu130"}


@dataclass(frozen=True)
class Device:
    """What torch shall compute on, `cpu` or `cuda`, and why, in words."""

    kind: str
    reason: str


def choose(asked: str = "") -> Device:
    """CUDA when an NVIDIA driver is there, CPU otherwise; what is asked for (`cpu`, `cuda`) wins.

    Raises
    ------
    DiceError
        When CUDA is asked for on macOS.
    """
    if sys.platform == "darwin":
        if asked == "cuda":
            raise DiceError("There is no CUDA on macOS.", "Install with --cpu.")
        return Device("cpu", "there is no CUDA on macOS")
    if asked:
        return Device(asked, f"asked for with --{asked}")
    driver = shutil.which("nvidia-smi")
    if driver is None:
        return Device("cpu", "no NVIDIA driver is installed (nvidia-smi is missing)")
    query = [driver, "--query-gpu=name", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return Device("cpu", "the NVIDIA driver does not answer (nvidia-smi fails)")
    return Device("cuda", f"the NVIDIA driver finds {answer.stdout.strip().splitlines()[0]}")


def describe(device: Device) -> str:
    """What `install` will take."""
    elsewhere = ELSEWHERE.get((sys.platform, device.kind))
    if elsewhere is None:
        return f"torch {VERSION}" + (" with the CUDA libraries" if sys.platform == "linux" else "")
    words = f"torch {elsewhere} from where pip's settings lead (pinned by version, not by hash)"
    if device.kind == "cpu":
        words += "; the public build if they lead to none, which carries CUDA: 2750 MB to download, 4800 MB on disk"
    return words


def install(environment: Environment, device: Device, line: Callable[[str], None]) -> None:
    """Put torch into the environment.

    Raises
    ------
    DiceError
        When pip cannot, or has no CUDA build for Windows.
    """
    elsewhere = ELSEWHERE.get((sys.platform, device.kind))
    try:
        if elsewhere is not None:
            environment.pip("install", "--no-compile", "--no-deps", f"torch=={elsewhere}", line=line)
        environment.install(LOCK if elsewhere is None else LOCK_WITHOUT_CUDA, line=line)
    except NotFound:
        if elsewhere is None:
            raise
        if device.kind == "cuda":
            raise DiceError(
                f"pip's settings name no place that has torch {elsewhere}.",
                "Add the CUDA package index of the torch project to pip's settings, or install with --cpu.",
            ) from None
        environment.install(LOCK, line=line)
