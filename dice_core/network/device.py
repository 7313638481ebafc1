# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the network runs, and in what precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from ..types import Precision

TF32_SINCE = (8, 0)  # compute capability: Ampere and later multiply in TF32


@dataclass(frozen=True)
class Device:
    """Where to compute.

    Attributes
    ----------
    kind
        `cuda`, `mps` or `cpu`, as torch calls them.
    reason
        One sentence for the user: what it is, or why it is nothing faster.
    tf32
        Whether it can multiply in TF32.
    """

    kind: str
    reason: str
    tf32: bool = False


def choose() -> Device:
    """The fastest device of this machine that this torch can use."""
    if torch.cuda.is_available():
        name, capability = torch.cuda.get_device_name(), torch.cuda.get_device_capability()
        if torch.version.hip or supported(capability, torch.cuda.get_arch_list()):
            return Device("cuda", f"CUDA: {name}.", capability >= TF32_SINCE and not torch.version.hip)
        return Device("cpu", f"CPU: this torch has no kernels for {name}.")
    if torch.backends.mps.is_available():
        return Device("mps", "MPS: the graphics processor of this Mac.")
    if torch.version.cuda or torch.version.hip:
        return Device("cpu", "CPU: no CUDA device was found.")
    return Device("cpu", "CPU: this torch was built without CUDA.")


def supported(capability: tuple[int, int], built_for: list[str]) -> bool:
    """Whether kernels built for these (`sm_80`, `compute_90`) run on a device of that compute capability.

    Machine code (sm) runs on later minor versions of the same major one, and intermediate code (compute) on all later
    ones.
    """
    major, minor = capability
    for name in built_for:
        kind, _, digits = name.partition("_")
        digits = digits.rstrip("af")
        if not digits.isdecimal():
            continue
        there = int(digits[:-1]), int(digits[-1])
        if kind == "sm" and there[0] == major and there[1] <= minor or kind == "compute" and there <= capability:
            return True
    return False


def meaning(precision: Precision, device: Device) -> str:
    """A sentence for the user where a precision cannot be had; empty where it can."""
    if precision == "exact" or device.tf32:
        return ""
    return f"Precision `fast` needs a GPU with TF32; the network computed in float32. {device.reason}"


@contextmanager
def computing(precision: Precision) -> Iterator[None]:
    """Inside, CUDA multiplies float32 numbers as they are (`exact`) or rounds them to TF32 first (`fast`)."""
    parts = torch.backends.cuda.matmul, torch.backends.cudnn.conv  # type: ignore[attr-defined]
    before = [part.fp32_precision for part in parts]
    try:
        for part in parts:
            part.fp32_precision = "tf32" if precision == "fast" else "ieee"
        yield
    finally:
        for part, value in zip(parts, before, strict=True):
            part.fp32_precision = value
