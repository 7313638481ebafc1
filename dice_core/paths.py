# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things are. The environment variables DICE_RUNTIME and DICE_MODELS override the folders.

A runtime folder holds `python/` (the virtual environment), `models/` (landmark models) and `complete.json`, which
install_deps.py writes last: without it the folder does not count. It lies outside Blender's own folders so that one
runtime serves every Blender version and survives an upgrade of the extension. The user's own files, converted for the
dice engine, lie elsewhere: removing the runtime must not remove them.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MARKER = "complete.json"
# Variables that lead another Python astray; the last makes it compile torch anew at every start, for ten seconds.
MISLEADING = ("PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH", "PYTHONDONTWRITEBYTECODE")


def tolerate_any_name() -> None:
    """Let stdout and stderr show file names that the console's encoding lacks, escaped."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def data_dir() -> Path:
    """The user's data folder of this program."""
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", home / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = home / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME", home / ".local" / "share"))
    return base / "dice-capture"


def runtime_dir() -> Path:
    """The runtime folder: DICE_RUNTIME, or the one that this Python belongs to, or `runtime` in the user's data."""
    override = os.environ.get("DICE_RUNTIME")
    if override:
        return Path(override).expanduser().absolute()
    own = Path(sys.prefix).parent
    return own if (own / MARKER).is_file() else data_dir() / "runtime"


def install_command(options: str) -> str:
    """What adds something to this runtime: `install_deps.py --engine dice`, with its folder when it is a chosen one."""
    runtime = runtime_dir()
    chosen = f' --target "{runtime}"' if runtime != data_dir() / "runtime" else ""
    return f"install_deps.py {options}{chosen}"


def official_models_dir() -> Path:
    """The converted official files: DICE_MODELS, or `official` in the user's data."""
    override = os.environ.get("DICE_MODELS")
    return Path(override).expanduser().absolute() if override else data_dir() / "official"


def environment_python(environment: Path) -> Path:
    """The interpreter of a virtual environment."""
    return environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def runtime_python(runtime: Path) -> Path:
    """The interpreter that the worker runs in."""
    return environment_python(runtime / "python")


def models_dir(runtime: Path) -> Path:
    """The landmark models."""
    return runtime / "models"
