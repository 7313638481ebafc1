# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking the landmark models out of their wheel: by name, by size, by hash."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from dice_core.errors import NotInstalled
from dice_core.landmarks import models


def test_models_are_taken_by_name_and_checked(made_up_models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    models.extract(made_up_models, folder)
    assert sorted(file.name for file in folder.iterdir()) == ["first.tflite", "second.tflite"]
    models.verify(folder)
    assert models.path(folder, "first").read_bytes() == b"one" * 10
    (folder / "first.tflite").write_bytes(b"owt" * 10)
    with pytest.raises(NotInstalled, match="not the one expected"):
        models.verify(folder)
    (folder / "first.tflite").unlink()
    with pytest.raises(NotInstalled, match="missing or broken") as caught:
        models.path(folder, "first")
    assert "--repair" in caught.value.remedy


def test_another_wheel_is_refused(made_up_models: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(made_up_models, "a") as archive:
        archive.writestr("a/extra", b"")
    with pytest.raises(NotInstalled, match="not the file that was pinned"):
        models.extract(made_up_models, tmp_path / "models")
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("change", [{"sha256": "0" * 64}, {"size": 3}, {"member": "a/none.tflite"}])
def test_another_model_is_refused(
    change: dict, made_up_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(models.MODELS, "second", replace(models.MODELS["second"], **change))
    with pytest.raises(NotInstalled, match="not the file expected"):
        models.extract(made_up_models, tmp_path / "models")
    assert not (tmp_path / "models" / "second.tflite").exists()
