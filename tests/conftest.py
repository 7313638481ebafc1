# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests use the runtime in .venv, never the user's own."""

from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path

import pytest

os.environ.setdefault("DICE_RUNTIME", str(Path(__file__).resolve().parent.parent / ".venv"))


@pytest.fixture
def made_up_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two tiny models in a made-up wheel, pinned in place of the real ones; the wheel."""
    from dice_core.landmarks import models

    contents = {"first": b"one" * 10, "second": b"two" * 20}
    wheel = tmp_path / "models-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in contents.items():
            archive.writestr(f"a/{name}.tflite", data)
        archive.writestr("a/code.py", b"raise SystemExit")
    made_up = {
        name: models.Model(f"a/{name}.tflite", len(data), hashlib.sha256(data).hexdigest())
        for name, data in contents.items()
    }
    monkeypatch.setattr(models, "MODELS", made_up)
    monkeypatch.setattr(models, "WHEEL_SHA256", hashlib.sha256(wheel.read_bytes()).hexdigest())
    return wheel
