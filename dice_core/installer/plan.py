# SPDX-License-Identifier: GPL-3.0-or-later
"""What an installation is asked for, what is there already, and what is left to do."""

from __future__ import annotations

import platform
import re
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from .. import __version__
from ..errors import DiceError, NotInstalled
from ..landmarks import models
from ..paths import MARKER, models_dir
from . import torch_build
from .environment import LOCKS, Environment, find_python, is_unfinished, parts_in, read_json

OPEN, DEV, TORCH, MODELS, BLENDER = "open.txt", "dev.txt", torch_build.LOCK, "models", "blender"
RESEARCH = "research.txt"
RESEARCH_LICENCE = "its licence allows non-commercial scientific research only and does not agree with the GPL"
BPY = {"4.2.23": (3, 11), "4.5.15": (3, 11), "5.0.1": (3, 11), "5.2.3": (3, 13)}
FITTING = {(3, 11): "4.5.15", (3, 13): "5.2.3"}
UNSAID = {"engine": "open", "device": "", "dev": False, "research": False, "blender": False, "bpy": ""}
UNSAID |= {"python": "?", "megabytes": 0}
# Megabytes on disk and to download, on Linux x86_64 with Python 3.11 (the CUDA build: the sums over its wheels).
SIZES = {
    OPEN: (440, 165),
    DEV: (90, 30),
    "cpu": (750, 205),
    "cuda": (4800, 2750),
    RESEARCH: (1, 1),
    BLENDER: (900, 405),
    MODELS: (12, 36),
}


@dataclass(frozen=True)
class Request:
    """What to install where: the options of install_deps.py; `--dev` asks for the tests' tools and for Blender.

    `research` adds smplx, which needs the dice engine's torch.
    """

    target: Path
    engine: str = "open"
    device: str = ""
    dev: bool = False
    blender: bool = False
    wheelhouse: Path | None = None
    repair: bool = False
    research: bool = False


@dataclass(frozen=True)
class Plan:
    """How a request will be met.

    Attributes
    ----------
    device
        What torch computes on; None for no torch.
    blender, bpy
        The environment of Blender's Python module and its version; None and empty for none.
    todo
        The parts that are not there yet: part -> megabytes on disk and to download.
    """

    request: Request
    python: Environment
    device: torch_build.Device | None
    blender: Environment | None
    bpy: str
    todo: dict[str, tuple[int, int]]

    def __str__(self) -> str:
        words = {
            OPEN: ", ".join(packages(OPEN)),
            DEV: ", ".join(packages(DEV)),
            RESEARCH: f"{', '.join(packages(RESEARCH))} ({RESEARCH_LICENCE})",
            BLENDER: f"Blender {self.bpy} as a Python module, with pytest",
            MODELS: f"{len(models.MODELS)} landmark models out of the wheel {models.PACKAGE} {models.VERSION}",
        }
        if self.device:
            words[TORCH] = torch_build.describe(self.device)
        lines = [f"Folder   {self.request.target}", f"Python   {self.python.base.version} ({self.python.base.path})"]
        device = self.device or torch_build.Device("cpu", "the open engine needs no GPU")
        lines.append(f"Device   {device.kind.upper()}: {device.reason}")
        for part, (disk, download) in self.todo.items():
            lines.append(f"Install  {words[part]}: about {disk} MB, {download} MB to download")
        disk, free = self.megabytes, free_megabytes(self.request.target)
        return "\n".join([*lines, f"Disk     about {disk} MB needed, {free} MB free"])

    @property
    def megabytes(self) -> int:
        """What the disk must have room for: the parts and, while they are unpacked, their downloads."""
        return sum(disk + download for disk, download in self.todo.values())


def packages(*locks: str) -> list[str]:
    """The names in lock files."""
    text = "\n".join((LOCKS / lock).read_text(encoding="utf-8") for lock in locks)
    return list(dict.fromkeys(re.findall(r"^([\w.-]+)==", text, re.MULTILINE)))


def free_megabytes(target: Path) -> int:
    """Room on the disk that the folder lies on, or will."""
    there = next(folder for folder in (target, *target.parents) if folder.exists())
    return shutil.disk_usage(there).free // 2**20


def bpy_lock(version: str) -> str:
    """The lock file of a version of Blender's module."""
    return f"bpy-{version}.txt"


def installed(target: Path) -> dict:
    """What `complete.json` says; empty when the runtime is missing or unfinished."""
    marker = read_json(target / MARKER)
    return UNSAID | marker if marker else {}


def parts(target: Path) -> set[str]:
    """The parts that are there, whole and up to date."""
    there = set(parts_in(target / "python"))
    if any(bpy_lock(version) in parts_in(target / "blender") for version in FITTING.values()):
        there.add(BLENDER)
    try:
        models.verify(models_dir(target))
    except NotInstalled:
        return there
    return there | {MODELS}


def outdated(target: Path) -> str:
    """Why what is installed does not fit this version of the program; empty when it does, or when nothing is there.

    Quicker than `parts`, which reads the models: this looks at their sizes.
    """
    if not (target / MARKER).is_file():
        return ""
    marker = installed(target)
    if not marker:
        return f"{MARKER} is damaged."
    wanted = {OPEN} | ({TORCH} if marker["engine"] == "dice" else set())
    if not wanted.issubset(parts_in(target / "python")):
        by = marker.get("program", __version__)
        who = "This version" if by == __version__ else f"Version {by} installed it. This one, {__version__},"
        return f"{who} needs other libraries, or some are broken."
    try:
        for name in models.MODELS:
            models.path(models_dir(target), name)
    except NotInstalled as error:
        return error.message
    return ""


def is_complete(request: Request) -> bool:
    """Whether all that the request asks for is there, whole and up to date."""
    marker = installed(request.target)
    if not marker or request.repair:
        return False
    if request.engine == "dice" and request.device not in ("", marker["device"]):
        return False
    if request.blender and not marker["blender"]:
        return False
    wanted = [OPEN, MODELS] + [DEV] * request.dev + [TORCH] * (request.engine == "dice") + [RESEARCH] * request.research
    wanted += [BLENDER] * bool(request.blender and marker["bpy"])
    return parts(request.target).issuperset(wanted)


def plan(request: Request) -> Plan:
    """Decide how to meet a request; what was installed before stays or is renewed. Changes nothing.

    Raises
    ------
    DiceError
        When this system, or the Pythons on it, cannot do it.
    """
    if sys.platform == "darwin" and platform.machine() == "x86_64":
        raise DiceError("LiteRT has no build for Macs with Intel processors.", "Use Apple silicon, Linux or Windows.")
    if request.wheelhouse and not request.wheelhouse.is_dir():
        raise DiceError(f"There is no folder {request.wheelhouse}.", "Check the path of the wheelhouse.")
    before = installed(request.target)
    if before:
        engine = "dice" if "dice" in (request.engine, before["engine"]) else "open"
        kept = {part: getattr(request, part) or before[part] for part in ("device", "dev", "research", "blender")}
        request = replace(request, engine=engine, **kept)
    python = Environment(request.target / "python", find_python(), request.wheelhouse)
    device = torch_build.choose(request.device) if request.engine == "dice" else None
    bpy, blender = _blender(request, python) if request.blender else ("", None)
    wanted = {OPEN: SIZES[OPEN]}
    wanted |= {DEV: SIZES[DEV]} if request.dev else {}
    wanted |= {TORCH: SIZES[device.kind]} if device else {}
    wanted |= {RESEARCH: SIZES[RESEARCH]} if request.research else {}
    wanted |= {BLENDER: SIZES[BLENDER]} if blender else {}
    wanted |= {MODELS: SIZES[MODELS]}
    there = set() if request.repair else parts(request.target)
    other_torch = device is not None and TORCH in there and device.kind != before["device"]
    if other_torch or (is_unfinished(python.folder) and not there.issuperset(wanted)):
        there -= {OPEN, DEV, TORCH, RESEARCH}  # a new environment
    todo = {part: size for part, size in wanted.items() if part not in there}
    return Plan(request, python, device, blender, bpy, todo)


def _blender(request: Request, python: Environment) -> tuple[str, Environment | None]:
    """The version of Blender's module that fits a Python here, and its environment; none if there is a `blender`."""
    base = python.base
    if base.minor not in FITTING:
        try:
            base = find_python(tuple(FITTING))
        except DiceError:
            if shutil.which("blender"):
                return "", None
            raise
    return FITTING[base.minor], replace(python, folder=request.target / "blender", base=base)
