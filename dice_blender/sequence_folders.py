# SPDX-License-Identifier: GPL-3.0-or-later
"""Where sequences are kept: one folder for each capture, named after its footage, numbered where that is taken."""

from __future__ import annotations

import itertools
import json
import re
import tempfile
from dataclasses import fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import bpy

from ..dice_core.errors import DiceError
from .capture_job import Request
from .scene.moving import Footage, is_pictures
from .scene.naming import natural

FACTS = "capture.json"
REQUEST = [field.name for field in fields(Request)]


def base_of(chosen: str) -> Path:
    """The folder that the user chose for all sequences; `//` is the .blend file's own.

    Raises
    ------
    DiceError
        When the .blend file has no folder yet.
    """
    chosen = chosen or "//"
    if chosen.startswith("//") and not bpy.data.filepath:
        raise DiceError("The .blend file was not saved yet.", "Save it first, or choose an absolute cache folder.")
    return Path(bpy.path.abspath(chosen)).absolute()


def new_folder(base: Path, name: str) -> Path:
    """The folder of a new capture, one that nothing is in: `clip`, `clip 2`, ..."""
    folders = itertools.chain([base / name], (base / f"{name} {number}" for number in itertools.count(2)))
    return next(folder for folder in folders if not folder.is_file() and not _filled(folder))


def check_folder(folder: Path) -> None:
    """Make a folder. Raises `DiceError` when it cannot be made or written to: said before the work, not after."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DiceError(f"Cannot make the folder {folder} ({error.strerror}).", "Choose another.") from error
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise DiceError(
            f"Cannot write to the folder {folder} ({error.strerror}).", "Choose a folder you may write to."
        ) from error


@lru_cache(maxsize=8)
def unfinished(base: Path, name: str, first: str) -> Path | None:
    """The newest capture of footage of that name and first path that was not brought to its end. For drawing: what was
    found is kept until `forget`."""
    return newest(base, name, first, finished=False)


def is_unfinished(folder: Path) -> bool:
    """Whether a capture in the folder was begun and not brought to its end."""
    return _facts(folder).get("complete") is False


def check_new(folder: Path, resume: bool) -> None:
    """Make the folder of a capture. Raises `DiceError` when it cannot be written to, or holds something already that is
    not to be resumed."""
    if _filled(folder) and not (resume and _facts(folder)):
        raise DiceError(f"{folder} is not empty.", "Choose another folder, or resume the capture in it.")
    check_folder(folder)


def forget() -> None:
    """Look into the folders again: something changed there."""
    unfinished.cache_clear()


def begun(folder: Path) -> tuple[Footage, Request, float]:
    """What an unfinished capture is of, and how it was asked for: footage, request and smoothing.

    Raises
    ------
    DiceError
        When the folder holds none.
    """
    facts = _facts(folder)
    try:
        source, how = facts["source"], facts["settings"] | {"engine": facts["engine"]}
        rate = facts["rate"] if is_pictures(next(filter(None, source["paths"]))) else 0.0
        footage = Footage(Path(source["name"]).stem, tuple(source["paths"]), facts["start"], facts["end"], rate)
        request = Request(**{name: how[name] for name in REQUEST if name in how})
        return footage, replace(request, crop=tuple(request.crop) if request.crop else None), how["smoothing"]
    except (KeyError, TypeError, StopIteration) as error:
        raise DiceError(f"{folder} holds no unfinished capture.", "Capture the sequence again.") from error


def newest(base: Path, name: str, first: str, finished: bool = True) -> Path | None:
    """The newest capture of footage of that name and first path; unless `finished`, of those that are not."""
    found = None
    for folder in sorted(base.glob("*/"), key=lambda folder: natural(folder.name)):
        if not re.fullmatch(rf"{re.escape(name)}( \d+)?", folder.name):
            continue
        facts = _facts(folder)
        paths = facts["source"]["paths"] if facts else []
        if first == next(filter(None, paths), "") and (finished or facts.get("complete") is False):
            found = folder
    return found


def _filled(folder: Path) -> bool:
    return folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir())  # what a crash left


def _facts(folder: Path) -> dict[str, Any]:
    """What its capture.json says; nothing when there is none or it is broken."""
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        return facts if isinstance(facts["source"]["paths"], list) else {}
    except (OSError, ValueError, LookupError, TypeError):
        return {}
