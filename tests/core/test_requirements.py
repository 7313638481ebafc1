# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock files, and what pip's complaints mean for a user."""

from __future__ import annotations

from pathlib import Path

import pytest

from dice_core.errors import DiceError
from dice_core.installer import environment, plan


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        (
            "WARNING: Retrying (Retry(total=2)) after connection broken by 'NewConnectionError(': [Errno -3] Temporary "
            "failure in name resolution')'\nERROR: No matching distribution found for numpy==2.4.6",
            "network cannot be reached",
        ),
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "not the one that was pinned"),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate", "not trusted"),
        ("ERROR: No matching distribution found for libigl==2.6.3", r"finds no libigl==2\.6\.3"),
        (
            "ERROR: Cannot install torch==2.13.0+cpu because these package versions have conflicting dependencies.\n"
            "The conflict is caused by:\n    The user requested (constraint) torch<=3\nERROR: ResolutionImpossible",
            r"finds no torch==2\.13\.0\+cpu for",
        ),
        ("WARNING: old\nsomething unheard of", "pip failed: something unheard of"),
        ("", "left no message"),
    ],
)
def test_what_pip_means(said: str, meaning: str) -> None:
    with pytest.raises(DiceError, match=meaning) as caught:
        raise environment.explain(said.splitlines())
    assert caught.value.remedy


@pytest.mark.parametrize("lock", sorted(environment.LOCKS.glob("*.txt")), ids=lambda file: file.name)
def test_locks_pin_and_hash_everything_and_name_no_host(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    blocks = text.split("\n", 1)[1].replace("\\\n", " ").splitlines()
    assert blocks and all("==" in block.split()[0] and "--hash=sha256:" in block for block in blocks)
    assert "://" not in text and "index-url" not in text


def test_locks_hold_what_is_needed() -> None:
    assert {"numpy", "scipy", "opencv-python-headless", "ai-edge-litert", "trimesh", "libigl"} <= set(
        plan.packages("open.txt")
    )
    assert "torch" in plan.packages("dice.txt") and "torch" not in plan.packages("dice-cpu.txt", "open.txt", "dev.txt")
    assert not [name for name in plan.packages("dice-cpu.txt") if name.startswith("nvidia")]
    assert plan.packages("research.txt") == ["smplx"]  # its torch and NumPy are in the others
    assert all((environment.LOCKS / plan.bpy_lock(version)).is_file() for version in plan.BPY)
