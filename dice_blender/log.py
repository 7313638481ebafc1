# SPDX-License-Identifier: GPL-3.0-or-later
"""What the programs that we started said, and the versions of everything: what a report of a fault needs."""

from __future__ import annotations

import json
import os
import platform
from collections import deque
from pathlib import Path

import bpy

from ..dice_core import __version__
from ..dice_core.installer.plan import installed

LONGEST = 500  # lines

lines: deque[str] = deque(maxlen=LONGEST)


def add(line: str) -> None:
    """Keep a line; the oldest is lost when there are too many."""
    lines.append(line)


def text(runtime: Path, worker: str) -> str:
    """The whole log, for people. The user's home folder is not named in it.

    Parameters
    ----------
    runtime
        The runtime folder.
    worker
        What the capture process wrote to its error output.
    """
    facts = {name: fact for name, fact in installed(runtime).items() if name != "locks"}
    head = [
        f"DICE Capture {__version__}, Blender {bpy.app.version_string}, {platform.platform()}",
        f"runtime: {runtime}",
        f"installed: {json.dumps(facts) if facts else 'no'}",
    ]
    parts = [("", head), ("installation and tools", lines), ("capture process", worker.splitlines())]
    told = [line for title, part in parts if part for line in (f"-- {title}" if title else "", *part)]
    return "\n".join(told).strip().replace(f"{Path.home()}{os.sep}", f"~{os.sep}") + "\n"
