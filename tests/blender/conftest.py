# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender as a Python module: every test starts with an empty file, and nothing of the user's is read or written."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent
EXIT: list[int] = []

collect_ignore_glob = [] if importlib.util.find_spec("bpy") else ["test_*.py"]
if not collect_ignore_glob:
    RESOURCES = tempfile.mkdtemp(prefix="dice-blender-")
    os.environ["BLENDER_USER_RESOURCES"] = RESOURCES  # before Blender looks
    sys.path.append(str(HERE))
    import bpy

    from tools.demo_scene import load_extension

    load_extension()


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
        shutil.rmtree(RESOURCES, ignore_errors=True)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(EXIT[-1])


@pytest.fixture(autouse=True)
def empty_file() -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)


@pytest.fixture
def extension() -> ModuleType:
    """The repository's root as the package that Blender would import."""
    return sys.modules["dice_capture"]


@pytest.fixture
def registered(extension: ModuleType) -> Iterator[ModuleType]:
    """The extension, registered for one test."""
    extension.register()
    yield extension
    extension.unregister()


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The extension's zip."""
    import packing

    return packing.build(tmp_path_factory.mktemp("dist"))


@pytest.fixture
def blender(tmp_path: Path) -> Callable[..., str]:
    """Runs a script with Blender's module in a process of its own; gives what it printed.

    `python` runs it, Blender's own where it is left out, after the words `before`; `variables` are the environment's.
    """

    def run(
        script: str, *arguments: object, python: Path | str = sys.executable, before: tuple[str, ...] = (),
        **variables: str,
    ) -> str:  # fmt: skip
        file = tmp_path / "script.py"
        ending = "\nimport os, sys\nsys.stdout.flush()\nos._exit(0)\n"
        file.write_text(script + ending, encoding="utf-8")
        command = [*before, str(python), str(file), *map(str, arguments)]
        environment = os.environ | {"BLENDER_USER_RESOURCES": str(tmp_path / "user"), "PYTHONWARNINGS": "ignore"}
        environment |= variables
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run
