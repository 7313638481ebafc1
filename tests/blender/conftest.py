# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender as a Python module: every test starts with an empty file, and nothing of the user's is read or written."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
EXIT: list[int] = []

collect_ignore_glob = [] if importlib.util.find_spec("bpy") else ["test_*.py"]
if not collect_ignore_glob:
    os.environ["BLENDER_USER_RESOURCES"] = tempfile.mkdtemp(prefix="dice-blender-")
    os.environ.setdefault("DICE_RUNTIME", str(Path(tempfile.gettempdir()) / "dice-no-runtime"))
    sys.path.append(str(HERE))
    import bpy

    spec = importlib.util.spec_from_file_location(
        "dice_capture", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    extension = importlib.util.module_from_spec(spec)
    sys.modules["dice_capture"] = extension
    spec.loader.exec_module(extension)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.bpy)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(exitstatus: int) -> None:
    EXIT.append(int(exitstatus))


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    if EXIT and "bpy" in sys.modules:  # Blender's module sometimes hangs when the interpreter ends in the usual way
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(EXIT[-1])


@pytest.fixture(autouse=True)
def empty_file() -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)


@pytest.fixture
def registered() -> Iterator[ModuleType]:
    """The extension, registered for one test."""
    extension.register()
    yield extension
    extension.unregister()


@pytest.fixture
def blender(tmp_path: Path) -> Callable[..., str]:
    """Runs a script with Blender's module in a process of its own; gives what it printed."""

    def run(script: str, *arguments: object) -> str:
        file = tmp_path / "script.py"
        ending = "\nimport os, sys\nsys.stdout.flush()\nos._exit(0)\n"
        file.write_text(script + ending, encoding="utf-8")
        command = [sys.executable, str(file), *map(str, arguments)]
        environment = os.environ | {"BLENDER_USER_RESOURCES": str(tmp_path / "user"), "PYTHONWARNINGS": "ignore"}
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run
