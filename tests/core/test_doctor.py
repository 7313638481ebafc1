# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor on a healthy runtime, on none, and on broken ones; and on a Python that has nothing installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dice_core import doctor as module
from dice_core import paths
from dice_core.body.kinds import KINDS, converted
from dice_core.doctor import Check, doctor, render
from dice_core.installer.plan import installed
from dice_core.paths import MARKER, ROOT

OFFICIAL = {kind.file for kind in KINDS.values()}


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def test_healthy_runtime(runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All is well but the official files, which only the user can bring."""
    monkeypatch.setenv("DICE_MODELS", str(tmp_path / "none"))
    checks = [check for check in doctor(runtime) if check.name not in OFFICIAL]
    assert all(check.ok for check in checks), render(checks)
    found = by_name(checks)
    assert found["python"].detail.startswith(sys.version.split()[0])
    assert "numpy" in found["packages"].detail and "libigl" in found["packages"].detail
    assert found["device"].detail.startswith("CPU") or found["device"].detail.startswith("CUDA")
    assert found["models"].detail.startswith("5 files verified")


def test_official_files(runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each by its official name: there with its licence, or missing with the page to get it from."""
    monkeypatch.setenv("DICE_MODELS", str(tmp_path / "models"))
    alone = by_name(doctor(tmp_path / "no runtime"))
    assert alone["official files"].ok and not OFFICIAL & set(alone), "who has no dice engine misses nothing"
    (tmp_path / "models").mkdir()
    np.savez(converted(tmp_path / "models", "mano_right"), kind=np.array("mano_right"), template=np.zeros(3))
    found = by_name(doctor(tmp_path / "no runtime"))
    assert OFFICIAL <= set(found)
    assert not found["dice engine"].ok and "install_deps.py --engine dice" in found["dice engine"].remedy
    assert found["MANO_RIGHT.pkl"].ok and "MANO licence" in found["MANO_RIGHT.pkl"].detail
    assert not found["generic_model.pkl"].ok and "https://flame.is.tue.mpg.de" in found["generic_model.pkl"].remedy
    assert not found["model.bin"].ok and "dice_core convert" in found["model.bin"].remedy
    assert found["stiffness_final.npy"].ok, "captures do not need it"


def test_damaged_official_files(official_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut short, overwritten, empty, or another one under this name."""
    models = tmp_path / "models"
    shutil.copytree(official_models, models)
    monkeypatch.setenv("DICE_MODELS", str(models))
    assert all(check.ok for check in doctor(tmp_path / "none") if check.name in OFFICIAL), "which say nothing of torch"
    content = {key: converted(models, key).read_bytes() for key in KINDS}
    middle = len(content["flame"]) // 2
    damaged = {
        "network": content["network"][:-1],
        "flame": content["flame"][:middle] + bytes(100) + content["flame"][middle + 100 :],
        "mano_right": b"",
        "rh_ref_vs": content["head_ref_vs"],
        "neck_idx": b"PK\x03\x04" + bytes(50),
    }
    for key, data in damaged.items():
        converted(models, key).write_bytes(data)
    found = by_name(doctor(tmp_path / "none"))
    for key, kind in KINDS.items():
        assert found[kind.file].ok == (key not in damaged), key
        assert key not in damaged or ("is damaged" in found[kind.file].detail and "again" in found[kind.file].remedy)
    for data in (b"", b"\0" * 9, content["network"][:300], b"\xff" * 400):
        converted(models, "network").write_bytes(data)
        assert not by_name(doctor(tmp_path / "none"))["model.bin"].ok


def test_nothing_installed(tmp_path: Path) -> None:
    found = by_name(doctor(tmp_path / "none"))
    for name in ("runtime", "models", "packages"):
        assert not found[name].ok and found[name].remedy
    assert "not installed" in found["runtime"].detail
    assert not (tmp_path / "none").exists()


def test_unfinished_and_damaged_runtimes(runtime: Path, tmp_path: Path) -> None:
    (tmp_path / "install.lock").touch()
    assert "unfinished" in by_name(doctor(tmp_path))["runtime"].detail
    shutil.copytree(runtime / "models", tmp_path / "models")
    (tmp_path / MARKER).write_text(json.dumps(installed(runtime)))
    found = by_name(doctor(tmp_path))
    assert found["models"].ok and not found["runtime"].ok and "damaged" in found["runtime"].detail
    (tmp_path / "models" / "iris_landmark.tflite").write_bytes(b"")
    broken = by_name(doctor(tmp_path))["models"]
    assert not broken.ok and "iris_landmark.tflite" in broken.detail and "--repair" in broken.remedy


def test_little_space_and_a_blender_that_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "free_megabytes", lambda folder: 3)
    blender = tmp_path / "blender"
    blender.write_text("#!/bin/sh\nexit 1\n")
    blender.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = by_name(doctor(tmp_path / "none"))
    assert not found["disk"].ok and "3 MB" in found["disk"].detail and found["disk"].remedy
    assert not found["blender"].ok and "does not start" in found["blender"].detail


def test_report_shows_remedies_of_failures_only() -> None:
    text = render([Check("one", True, "fine", "hidden"), Check("second", False, "bad", "do this")])
    assert text.splitlines() == ["ok    one     fine", "FAIL  second  bad", "              do this"]


def test_bare_python(tmp_path: Path) -> None:
    """-S and -I: no site-packages at all, so no numpy."""
    program = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from dice_core.doctor import doctor, render
print(render(doctor(Path({str(tmp_path / "none")!r}))))
assert "numpy" not in sys.modules
"""
    command = [sys.executable, "-S", "-I", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "FAIL  runtime" in done.stdout


def test_a_runtimes_own_python_knows_its_folder(tmp_path, monkeypatch):
    """Without DICE_RUNTIME: whoever calls the runtime's Python means that runtime."""
    monkeypatch.delenv("DICE_RUNTIME", raising=False)
    monkeypatch.setattr(paths.sys, "prefix", str(tmp_path / "python"))
    assert paths.runtime_dir() == paths.data_dir() / "runtime"
    (tmp_path / paths.MARKER).write_text("{}")
    assert paths.runtime_dir() == tmp_path
