# SPDX-License-Identifier: GPL-3.0-or-later
"""The official engine as a user meets it: convert, doctor, capture; what is said when something is missing or wrong."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from dice_core import protocol
from dice_core.body.kinds import KINDS, NETWORK_FILE, converted
from dice_core.client import Client, finish
from dice_core.errors import DiceError, NotInstalled
from dice_core.paths import ROOT
from dice_core.pipeline import Pipeline
from dice_core.result.store import load

torch = pytest.importorskip("torch", reason="torch is not installed (install_deps.py --engine dice)")

from dice_core.network.device import choose, meaning  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.slow]


def listing(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_from_official_files_to_a_result(command, official_files, sample, tmp_path):
    """In any order, whatever they are called; afterwards only our own files are read."""
    ran = command("convert", official_files, "-o", "models")
    assert ran.code == 0 and ran.err == ""
    for kind in KINDS.values():
        assert kind.title in ran.out and kind.source.licence in ran.out
    assert "missing" not in ran.out and f"DICE_MODELS is {tmp_path / 'models'}" in ran.out
    written = {converted(tmp_path, key).name for key in KINDS} | {"dice_network.json"}
    assert listing(tmp_path / "models") == written
    ran = command("capture", sample, "--engine", "dice", "-o", "r.npz", "--preview", "p.png", "--crop", "60,40,640",
                  DICE_MODELS=str(tmp_path / "models"))  # fmt: skip
    assert ran.code == 0, ran.err
    capture = load(tmp_path / "r.npz")
    assert capture.engine == "dice" and capture.head.vertices.shape == (5023, 3)
    assert (tmp_path / "p.png").stat().st_size > 10_000
    ran = command("doctor", DICE_MODELS=str(tmp_path / "models"))
    for key, kind in KINDS.items():
        assert f"{kind.title}: {converted(tmp_path / 'models', key)}" in ran.out
        assert kind.source.licence in ran.out
    assert "FAIL" not in ran.out


def test_what_is_missing_is_said_with_its_source(command, official_files, sample, tmp_path):
    ran = command("convert", official_files / "MANO_RIGHT.pkl", "-o", "models")
    assert ran.code == 0
    for key, kind in KINDS.items():
        if kind.needed and key != "mano_right":
            assert f"missing: {kind.title}: {kind.file}" in ran.out
    assert "https://flame.is.tue.mpg.de" in ran.out and "https://mano" not in ran.out
    ran = command("doctor", DICE_MODELS=str(tmp_path / "models"))
    assert ran.code == 1 and "the head of FLAME 2020: missing" in ran.out
    ran = command("capture", sample, "--engine", "dice", "-o", "r.npz", DICE_MODELS=str(tmp_path / "models"))
    assert ran.code == 1 and "Traceback" not in ran.err
    assert "FLAME" in ran.err and "python -m dice_core convert" in ran.err
    assert not (tmp_path / "r.npz").exists()


@pytest.mark.parametrize(
    "slot, file, words",
    [
        ("--flame", "MANO_RIGHT.pkl", "is the right hand of MANO, not the head of FLAME 2020"),
        ("--mano", "generic_model.pkl", "is the head of FLAME 2020, not the right hand of MANO"),
        ("--dice", "neck_idx.npy", "not the network's weights"),
    ],
)
def test_the_wrong_file_for_a_slot(slot, file, words, command, official_files, tmp_path):
    ran = command("convert", slot, official_files / file, "-o", "models")
    assert ran.code == 1 and words in ran.out
    assert not (tmp_path / "models").exists()


def test_an_expired_link_is_recognised(command, tmp_path):
    (tmp_path / "model.bin").write_bytes(b"<!DOCTYPE html><html><body>This link has expired.</body></html>")
    ran = command("convert", "--dice", "model.bin", "-o", "models")
    assert ran.code == 1 and "model.bin is a web page" in ran.out and "Traceback" not in ran.err


def test_no_file_at_all(command, tmp_path):
    ran = command("convert", "-o", "models")
    assert ran.code == 1 and "No file was named" in ran.err
    ran = command("convert", "", "-o", "models")
    assert ran.code == 2 and "the path is empty" in ran.err
    ran = command("convert", "nowhere.bin", "-o", "models")
    assert ran.code == 1 and "nowhere.bin" in ran.out + ran.err
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("options", [["", "-o", "x.npz"], ["x.png", "-o", ""], ["x.png", "-o", "x.txt"],
                                     ["x.png", "--obj", ""], ["x.png", "--preview", "x.gif"]])  # fmt: skip
def test_paths_that_make_no_sense_are_wrong_usage(options, command, tmp_path):
    ran = command("capture", *options)
    assert ran.code == 2 and "usage:" in ran.err and listing(tmp_path) == set()
    ran = command("convert", "x", "-o", "")
    assert ran.code == 2 and listing(tmp_path) == set()


@pytest.mark.parametrize("crop", ["1,2", "a,b,c", "0,0,-5", "0,0,nan", "0,0,inf", "0,nan,100", "1,2,3,4", "9e9,0,5"])
def test_a_crop_that_is_none_is_wrong_usage(crop, command, sample):
    ran = command("capture", sample, f"--crop={crop}")
    assert ran.code == 2 and "usage:" in ran.err and "Traceback" not in ran.err
    assert f"{crop} is no" in ran.err, "in words, not Python's own"


def test_without_torch_it_says_what_to_install(command, sample, official_files, official_models, tmp_path):
    """The environment of the open engine has none. `command` runs in tmp_path, whose modules come before."""
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')")
    ran = command("capture", sample, "--engine", "dice", "-o", "r.npz", DICE_MODELS=str(official_models),
                  PYTHONPATH=os.pathsep.join([str(broken), str(ROOT)]))  # fmt: skip
    assert ran.code == 1 and "needs torch" in ran.err and "install_deps.py --engine dice" in ran.err
    ran = command("convert", official_files / "model.bin", "-o", "models",
                  PYTHONPATH=os.pathsep.join([str(broken), str(ROOT)]))  # fmt: skip
    assert ran.code == 1 and "torch" in ran.out and "install_deps.py --engine dice" in ran.out


@pytest.mark.parametrize("option, package", [("--body-layer", "manopth"), ("--renderer", "pytorch3d")])
def test_packages_that_are_not_there(option, package, command, sample, official_models, tmp_path):
    if find_spec(package):
        pytest.skip(f"{package} is installed")
    ran = command("capture", sample, "--engine", "dice", option, package, "--preview", "p.png", "-o", "r.npz",
                  DICE_MODELS=str(official_models))  # fmt: skip
    assert ran.code == 1 and package in ran.err and "Traceback" not in ran.err
    assert listing(tmp_path) == set(), "said before anything is written"


def test_what_was_chosen_is_used(command, sample, official_models, tmp_path):
    """A broken smplx in its place shows that it was asked for. What a precision means on this machine is said in a
    note, where it differs from `exact`. The made-up bodies are nonsense, but once fixed, nothing is inside them."""
    (tmp_path / "smplx.py").write_text("raise ImportError('broken on purpose')")
    paths = os.pathsep.join([str(tmp_path), str(ROOT)])
    exact, fast = ["--body-layer", "own", "--precision", "exact"], ["--precision", "fast", "--fix-contact"]
    said = []
    for options in (exact, fast, ["--body-layer", "smplx"]):
        ran = command("capture", sample, "--engine", "dice", *options, "-o", "r.npz",
                      DICE_MODELS=str(official_models), PYTHONPATH=paths)  # fmt: skip
        broken = "smplx" in options
        assert ran.code == broken and ("broken on purpose" in ran.err) == broken, ran.err
        said.append(ran.out)
    assert "Precision" not in said[0] and "Contact was fixed" not in said[0]
    assert (f"note: {meaning('fast', choose())}" in said[1]) if meaning("fast", choose()) else choose().kind == "cuda"
    assert "note: Contact was fixed: the right hand was moved by" in said[1]
    assert load(tmp_path / "r.npz").quality["penetration_mm"] <= 2


@pytest.mark.parametrize(
    "options, word",
    [(["--precision", "fast"], "--engine dice"), (["--body-layer", "smplx"], "--engine dice"),
     (["--fix-contact"], "--engine dice"),
     (["--engine", "dice", "--renderer", "pytorch3d"], "--preview")],
)  # fmt: skip
def test_options_that_would_do_nothing_are_wrong_usage(options, word, command, sample, tmp_path):
    ran = command("capture", sample, *options, "-o", "r.npz")
    assert ran.code == 2 and word in ran.err and not (tmp_path / "r.npz").exists()


def test_a_converted_network_can_be_given_again(command, official_models, tmp_path):
    """As a file, in a folder, or as what it is taken for."""
    network = official_models / NETWORK_FILE
    for index, given in enumerate(([network], [official_models], ["--dice", network])):
        ran = command("convert", *given, "-o", f"models{index}")
        assert f"{network} is the network's weights" in ran.out and ran.code == 0, ran.out
        assert (tmp_path / f"models{index}" / NETWORK_FILE).read_bytes() == network.read_bytes()
    before = (tmp_path / "models0" / NETWORK_FILE).stat()
    ran = command("convert", "models0", "-o", "models0")
    assert ran.code == 0 and (tmp_path / "models0" / NETWORK_FILE).stat() == before, "it is there already"
    whole = network.read_bytes()
    (tmp_path / "models0" / NETWORK_FILE).write_bytes(whole[: len(whole) // 2])
    ran = command("convert", "models0", "-o", "models0")
    assert ran.code == 1 and "is incomplete" in ran.out


def test_another_network_is_named_in_its_slot(command, tmp_path):
    """A real state dict, as its module gives it; a training state; both say what is wrong with them."""
    other = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    torch.save(other.state_dict(), tmp_path / "resnet.bin")
    ran = command("convert", "--dice", "resnet.bin", "-o", "models")
    assert ran.code == 1 and "of another network: it has 0.weight, 0.bias" in ran.out
    torch.save({"model": other.state_dict(), "epoch": 3}, tmp_path / "training.bin")
    ran = command("convert", "--dice", "training.bin", "-o", "models")
    assert ran.code == 1 and "something else among its tensors: model, epoch" in ran.out
    assert not (tmp_path / "models").exists()


def test_a_folder_of_nothing_useful_is_no_success(command, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "model.bin").write_bytes(b"<html>expired</html>")
    ran = command("convert", "folder", "-o", "models")
    assert ran.code == 1 and "web page" in ran.out and not (tmp_path / "models").exists()


def test_the_worker_does_the_same(runtime, official_models, sample, monkeypatch):
    """Blender's way: crop and choices cross the wire, the notes come back, the engine stays loaded."""
    monkeypatch.setenv("DICE_MODELS", str(official_models))
    here = Pipeline(runtime).capture(sample, engine="dice", crop=(60.0, 40.0, 640.0))
    client = Client(runtime)
    try:
        for precision, fix in (("exact", False), ("fast", True)):
            client.submit(str(sample), engine="dice", crop=(60.0, 40.0, 640.0), precision=precision, fix_contact=fix)
            there = finish(client)
            assert np.allclose(there.head.vertices, here.head.vertices, atol=1e-4)
            assert np.array_equal(there.params["crop"], here.params["crop"])
            notes = [note for note in there.notes if "Contact was fixed" not in note]
            assert notes == [*here.notes, *filter(None, [meaning(precision, choose())])]
            assert len(there.notes) == len(notes) + fix
        client.submit(str(sample), engine="dice", crop=(9000.0, 0.0, 100.0))
        with pytest.raises(DiceError, match="lies outside"):
            finish(client)
        client.submit(str(sample))
        assert finish(client).engine == "open"
    finally:
        client.stop()
    assert protocol.VERSION == 1


def test_engines_are_loaded_once(runtime, official_models, monkeypatch):
    monkeypatch.setenv("DICE_MODELS", str(official_models))
    pipeline = Pipeline(runtime)
    exact = pipeline.engine("dice")
    assert pipeline.engine("dice") is exact and pipeline.engine("open") is pipeline.engine("open", "fast", "smplx")
    assert pipeline.engine("dice", "fast") is not exact
    fixing = pipeline.engine("dice", fix_contact=True)
    assert pipeline.engine("dice", fix_contact=True) is fixing and pipeline.engine("dice") is not fixing
    with pytest.raises(DiceError, match="no precision 'half'"):
        pipeline.engine("dice", "half")
    with pytest.raises(NotInstalled, match="no body layer 'clay'"):
        pipeline.engine("dice", body_layer="clay")
    monkeypatch.setenv("DICE_MODELS", str(official_models / "nowhere"))
    with pytest.raises(NotInstalled):
        Pipeline(runtime).engine("dice")
