# SPDX-License-Identifier: GPL-3.0-or-later
"""Train the network behind `dice_core/fit/hidden.py` on the faces that `make` kept: `python -m tools.learn.hidden`.

The other half (other heads, skins, hands, backgrounds) measures it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from dice_core.fit import hidden
from dice_core.landmarks.litert import FACE_FEATURES, FaceLandmarks

from .bank import FOLDER
from .data import Rows, load
from .net import Standard, descend

BASIS, SPOILT = 32, 0.05  # ways in which faces are off; of a deviation, by which what is given is changed


class Net(nn.Module):
    """(n, NUMBERS) and (n, FACE_FEATURES) -> (n, 956) offsets, and (n, 1) the logarithm of their deviation."""

    def __init__(self) -> None:
        super().__init__()
        self.standard = nn.ModuleDict({"numbers": Standard(hidden.NUMBERS), "features": Standard(FACE_FEATURES)})
        self.numbers = nn.Sequential(nn.Linear(hidden.NUMBERS, 256), nn.ReLU(), nn.Linear(256, 192))
        self.features = nn.Linear(FACE_FEATURES, 192)
        self.trunk, self.out = nn.Linear(384, 256), nn.Linear(256, BASIS)
        self.basis, self.wide = nn.Linear(BASIS, 956), nn.Linear(256, 1)
        self.basis.requires_grad_(False)
        self.given, self.joined = nn.Dropout(0.1), nn.Dropout(0.2)

    def forward(self, numbers: torch.Tensor, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        numbers = self.standard["numbers"](numbers)
        if self.training:
            numbers = numbers + SPOILT * torch.randn_like(numbers)
        features = self.features(self.given(self.standard["features"](features)))
        joined = F.relu(self.trunk(self.joined(F.relu(torch.cat([self.numbers(numbers), features], 1)))))
        return self.basis(self.out(joined)), self.wide(joined)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data", type=Path, default=FOLDER / "data")
    parser.add_argument("--out", type=Path, default=hidden.ASSET)
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    rows, kept_back = (prepared(load(options.data, f"{half}-faces")) for half in ("train", "check"))
    print(f"{len(rows['offset'])} faces to learn from, {len(kept_back['offset'])} to check with", flush=True)
    model = fit(rows, 60 * options.minutes)
    with torch.no_grad():
        said = model(*(torch.from_numpy(kept_back[key]) for key in ("numbers", "features")))[0].numpy()
    report(said, kept_back["offset"])
    data = {key.removeprefix("standard."): value.numpy().astype(np.float16) for key, value in model.state_dict().items()
            if not key.startswith("wide.")}  # fmt: skip
    np.savez_compressed(options.out, **data)
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.1f} MB")


def prepared(rows: Rows) -> Rows:
    """What is given, and (n, 956) how far the landmarks are off, in units of the face."""
    given, offsets = [], []
    for index, points in enumerate(rows["face"]):
        face = FaceLandmarks(points, float(rows["score"][index]), rows["face_features"][index])
        size, marks, hand = rows["size"][index], rows["landmarks"][index], rows["hand"][index]
        given.append(hidden.numbers(face, hand if np.isfinite(hand).all() else None, (int(size[0]), int(size[1]))))
        pixels = rows["focal"][index] * marks[:, :2] / marks[:, 2:] + size / 2
        frame = hidden.upright(points)
        offsets.append((frame.turn(pixels - points) / frame.size).ravel())
    return {"numbers": np.stack(given), "features": rows["face_features"].astype(np.float32),
            "offset": np.stack(offsets).astype(np.float32)}  # fmt: skip


def fit(rows: Rows, seconds: float) -> nn.Module:
    """Train for a time; gives the running average of the weights."""
    tensors = {key: torch.from_numpy(values) for key, values in rows.items()}
    model = Net()
    for name in ("numbers", "features"):
        model.standard[name].learn(tensors[name])
    middle = tensors["offset"].mean(0)
    model.basis.bias.data[:] = middle
    model.basis.weight.data[:] = torch.linalg.svd(tensors["offset"] - middle, full_matrices=False)[2][:BASIS].T

    def cost(chosen: torch.Tensor) -> torch.Tensor:
        said, wide = model(tensors["numbers"][chosen], tensors["features"][chosen])
        off, wide = ((said - tensors["offset"][chosen]) ** 2).mean(1, keepdim=True), wide.clamp(-6, 1)
        return (0.5 * off * torch.exp(-2 * wide) + wide).mean()  # hopeless faces do not count most

    return descend(model, len(tensors["offset"]), seconds, cost)


def report(said: NDArray, offsets: NDArray) -> None:
    """Errors of the landmarks in the units of a face's size, before and after."""
    for name, values in (("detector", offsets), ("uncovered", offsets - said)):
        off = np.linalg.norm(values.reshape(len(values), 478, 2), axis=2).mean(1)
        print(
            f"{name}: {off.mean():.4f} mean, {np.median(off):.4f} median, {np.quantile(off, 0.9):.4f} 90th percentile"
        )


if __name__ == "__main__":
    main()
