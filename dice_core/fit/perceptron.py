# SPDX-License-Identifier: GPL-3.0-or-later
"""Small networks that `tools/learn` trained, as numpy runs them: a few matrices in an npz."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FARTHEST = 6.0  # deviations from the mean beyond which a value says nothing more


class Perceptron:
    """The matrices of a network by the names that PyTorch gives them.

    Parameters
    ----------
    path
        An npz of `NAME.weight` (out, in), `NAME.bias` (out,), and for what is given `NAME.mean` and `NAME.deviation`.
    """

    def __init__(self, path: Path) -> None:
        with np.load(path, allow_pickle=False) as data:
            self.data = {key: data[key].astype(np.float32) for key in data.files}

    def standard(self, name: str, values: NDArray) -> NDArray:
        """Values in deviations from the mean of those that it learnt from."""
        return np.clip((values - self.data[f"{name}.mean"]) / self.data[f"{name}.deviation"], -FARTHEST, FARTHEST)

    def linear(self, name: str, values: NDArray) -> NDArray:
        """(..., in) -> (..., out)."""
        return values @ self.data[f"{name}.weight"].T + self.data[f"{name}.bias"]


def relu(values: NDArray) -> NDArray:
    return np.maximum(values, 0)
