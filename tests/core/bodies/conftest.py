# SPDX-License-Identifier: GPL-3.0-or-later
"""Made-up body files for every test; recorded behaviour of the official code where DICE_GOLDENS names its folder."""

from __future__ import annotations

import lzma
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.core.bodies import official_files

Golden = Callable[[str], dict[str, np.ndarray]]


@pytest.fixture(scope="session")
def mano_data() -> dict:
    return official_files.mano_data()


@pytest.fixture(scope="session")
def flame_data() -> dict:
    return official_files.flame_data()


@pytest.fixture(scope="session")
def made_up(tmp_path_factory: pytest.TempPathFactory, mano_data: dict, flame_data: dict) -> Path:
    """A folder with every official file, made up."""
    folder = tmp_path_factory.mktemp("official")
    official_files.write_all(folder, mano_data, flame_data)
    return folder


@pytest.fixture(scope="session")
def goldens() -> Path:
    folder = os.environ.get("DICE_GOLDENS")
    if not folder:
        pytest.skip("DICE_GOLDENS names no folder of recorded behaviour")
    return Path(folder) / "body-models"


@pytest.fixture(scope="session")
def golden(goldens: Path) -> Golden:
    """The arrays of a recorded file; float32 inputs as float64."""

    def load(name: str) -> dict[str, np.ndarray]:
        with np.load(goldens / f"{name}.npz") as archive:
            arrays = {key: archive[key] for key in archive.files}
        inputs = {key for key, value in arrays.items() if key.startswith("in_") and value.dtype.kind == "f"}
        return arrays | {key: arrays[key].astype(np.float64) for key in inputs}

    return load


@pytest.fixture(scope="session")
def golden_files(goldens: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recorded body files, unpacked."""
    folder = tmp_path_factory.mktemp("golden")
    for path in sorted(goldens.rglob("*")):
        target = folder / path.relative_to(goldens)
        if path.suffix in (".pt", ".npy"):
            target.write_bytes(path.read_bytes())
        elif path.suffix == ".xz":
            target.parent.mkdir(exist_ok=True)
            target.with_suffix("").write_bytes(lzma.decompress(path.read_bytes()))
    return folder


@pytest.fixture(scope="session")
def golden_bodies(golden_files: Path, tmp_path_factory: pytest.TempPathFactory):
    """The bodies of the recorded files, converted."""
    from dice_core.body.bodies import Bodies
    from dice_core.convert import convert

    folder = tmp_path_factory.mktemp("models")
    names = [path for path in sorted(golden_files.iterdir()) if path.is_file()]
    report = convert(names, folder)
    assert report.missing == ["network"] and not report.refused
    return Bodies.load(folder)


@pytest.fixture(scope="session")
def bodies(made_up: Path, tmp_path_factory: pytest.TempPathFactory):
    """The made-up bodies, converted."""
    from dice_core.body.bodies import Bodies
    from dice_core.convert import convert

    folder = tmp_path_factory.mktemp("models")
    convert([made_up], folder)
    return Bodies.load(folder)
