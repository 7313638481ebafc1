# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the network runs, on machines that are not this one, and how it multiplies there."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (install_deps.py --engine dice)")

from dice_core.network import device  # noqa: E402
from dice_core.network.device import Device, choose, computing, meaning, supported  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.fixture
def machine(monkeypatch):
    """`machine(cuda=(8, 9), mps=False, built="13.0")`: torch as it is there."""

    def make(cuda: tuple[int, int] | None = None, mps: bool = False, built: str | None = "13.0") -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda is not None)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "A card")
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: cuda)
        monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_75", "sm_80", "sm_90", "compute_120"])
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        monkeypatch.setattr(torch.version, "cuda", built)

    return make


@pytest.mark.parametrize(
    "there, expected",
    [
        ({"cuda": (8, 9)}, Device("cuda", "CUDA: A card.", True)),
        ({"cuda": (7, 5)}, Device("cuda", "CUDA: A card.", False)),
        ({"cuda": (6, 1)}, Device("cpu", "CPU: this torch has no kernels for A card.")),
        ({"mps": True, "built": None}, Device("mps", "MPS: the graphics processor of this Mac.")),
        ({}, Device("cpu", "CPU: no CUDA device was found.")),
        ({"built": None}, Device("cpu", "CPU: this torch was built without CUDA.")),
    ],
)
def test_the_fastest_that_is_there(there, expected, machine):
    machine(**there)
    assert choose() == expected


def test_this_machine():
    chosen = choose()
    assert torch.ones(2, device=chosen.kind).sum().item() == 2
    assert chosen.reason.upper().startswith(chosen.kind.upper()) and chosen.reason.endswith(".")


@pytest.mark.parametrize(
    "capability, fits",
    [((8, 0), True), ((8, 9), True), ((7, 5), True), ((7, 0), False), ((9, 0), True), ((10, 0), False),
     ((12, 0), True), ((13, 0), True)],
)  # fmt: skip
def test_kernels_run_on_later_minor_versions(capability, fits):
    assert supported(capability, ["sm_75", "sm_80", "sm_90a", "compute_120"]) == fits


def test_what_fast_means():
    ampere, other = Device("cuda", "CUDA: A card.", True), Device("cpu", "CPU: no CUDA device was found.")
    assert meaning("exact", other) == "" == meaning("fast", ampere)
    assert "float32" in meaning("fast", other) and other.reason in meaning("fast", other)


def test_tf32_only_inside_and_only_when_asked_for():
    parts = torch.backends.cuda.matmul, torch.backends.cudnn.conv
    before = [part.fp32_precision for part in parts]
    with pytest.raises(KeyError), computing("fast"):
        assert [part.fp32_precision for part in parts] == ["tf32", "tf32"]
        with computing("exact"):
            assert [part.fp32_precision for part in parts] == ["ieee", "ieee"]
        raise KeyError
    assert [part.fp32_precision for part in parts] == before
    assert device.TF32_SINCE == (8, 0)
