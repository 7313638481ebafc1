# SPDX-License-Identifier: GPL-3.0-or-later
"""Which device torch is installed for, and which build that means on each system."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dice_core.errors import DiceError
from dice_core.installer import environment, torch_build


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    monkeypatch.setattr(torch_build.sys, "platform", "linux")
    monkeypatch.setenv("PATH", str(tmp_path))

    def make(body: str) -> None:
        file = tmp_path / "nvidia-smi"
        file.write_text(f"#!/bin/sh\n{body}\n")
        file.chmod(0o755)

    return make


def test_device_follows_the_driver(driver: Callable[[str], None]) -> None:
    assert torch_build.choose() == torch_build.Device("cpu", "no NVIDIA driver is installed (nvidia-smi is missing)")
    driver("exit 9")
    assert torch_build.choose().kind == "cpu" and "does not answer" in torch_build.choose().reason
    driver("echo NVIDIA H200")
    assert torch_build.choose() == torch_build.Device("cuda", "the NVIDIA driver finds NVIDIA H200")
    assert torch_build.choose("cpu").kind == "cpu"


def test_no_cuda_on_macos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_build.sys, "platform", "darwin")
    assert torch_build.choose().kind == "cpu"
    with pytest.raises(DiceError, match="no CUDA on macOS"):
        torch_build.choose("cuda")


@pytest.mark.parametrize(
    ("system", "kind", "without", "asked"),
    [
        ("linux", "cpu", (), ["torch==2.13.0+cpu", "dice-cpu.txt"]),
        ("linux", "cpu", ("torch==2.13.0+cpu",), ["torch==2.13.0+cpu", "dice.txt"]),
        ("linux", "cuda", (), ["dice.txt"]),
        ("win32", "cpu", (), ["dice.txt"]),
        ("darwin", "cpu", (), ["dice.txt"]),
        ("win32", "cuda", (), ["torch==2.13.0+cu130", "dice-cpu.txt"]),
    ],
)
def test_builds_of_torch(
    system: str, kind: str, without: tuple[str, ...], asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch_build.sys, "platform", system)
    seen = []

    class Pip:
        def pip(self, verb: str, *arguments: str, line: object) -> None:
            seen.append(arguments[-1])
            if arguments[-1] in without:
                raise environment.NotFound("none")

        def install(self, lock: str, line: object) -> None:
            seen.append(lock)

    torch_build.install(Pip(), torch_build.Device(kind, ""), print)
    assert seen == asked


def test_windows_cuda_without_a_source_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_build.sys, "platform", "win32")

    class Pip:
        def pip(self, *arguments: str, line: object) -> None:
            raise environment.NotFound("none")

    with pytest.raises(DiceError, match="cu130") as caught:
        torch_build.install(Pip(), torch_build.Device("cuda", ""), print)
    assert "--cpu" in caught.value.remedy
