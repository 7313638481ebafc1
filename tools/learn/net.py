# SPDX-License-Identifier: GPL-3.0-or-later
"""The network: the landmarks' numbers, the detector's features at each joint and those of the whole crop, joined."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel

from dice_core.fit.glance import JOINTS, JUDGED, NUMBERS, OUTPUTS
from dice_core.landmarks.litert import FEATURES, POINT_FEATURES

POINT, HIDDEN, WIDE = 32, 256, 384
BATCH, RATE, DECAY = 128, 1.5e-3, 0.05


class Standard(nn.Module):
    """Values in deviations from the mean."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(count))
        self.register_buffer("deviation", torch.ones(count))

    def learn(self, values: torch.Tensor) -> None:
        """Take mean and deviation from (n, count) values."""
        self.mean[:], self.deviation[:] = values.mean(0), values.std(0) + 0.02

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return ((values - self.mean) / self.deviation).clamp(-6, 6)


class Tower(nn.Module):
    """(n, NUMBERS) and (n, FEATURES), both standardised -> (n, outputs); `doubt`: what is left out of each layer."""

    def __init__(self, outputs: int, doubt: tuple[float, float, float]) -> None:
        super().__init__()
        self.numbers = nn.Sequential(nn.Linear(NUMBERS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 128))
        self.point = nn.Linear(POINT_FEATURES // JOINTS, POINT)
        self.points = nn.Linear(JOINTS * POINT, 192)
        self.whole = nn.Linear(FEATURES - POINT_FEATURES, 192)
        self.trunk, self.out = nn.Linear(512, WIDE), nn.Linear(WIDE, outputs)
        self.given, self.joined, self.last = (nn.Dropout(share) for share in doubt)

    def forward(self, numbers: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        features = self.given(features)
        at_joints = F.relu(self.point(features[:, :POINT_FEATURES].unflatten(1, (JOINTS, -1))))
        parts = [self.numbers(numbers), self.points(at_joints.flatten(1)), self.whole(features[:, POINT_FEATURES:])]
        return self.out(self.last(F.relu(self.trunk(self.joined(F.relu(torch.cat(parts, 1)))))))


class Net(nn.Module):
    """(n, NUMBERS) and (n, FEATURES) -> (n, OUTPUTS) of the judge, and (n, OUTPUTS - JUDGED) of how the hand is held.

    Whether and with what a hand touches is soon learnt by heart, how it is held is not: so two towers, one with much
    left out while it learns. `blind`: without the features, to compare with.
    """

    def __init__(self, blind: bool = False) -> None:
        super().__init__()
        self.blind = blind
        self.standard = nn.ModuleDict({"numbers": Standard(NUMBERS), "features": Standard(FEATURES)})
        self.judge, self.held = Tower(OUTPUTS, (0.3, 0.4, 0.3)), Tower(OUTPUTS - JUDGED, (0.1, 0.2, 0.1))

    def forward(self, numbers: torch.Tensor, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        numbers = self.standard["numbers"](numbers)
        features = self.standard["features"](features) * (0 if self.blind else 1)
        return self.judge(numbers, features), self.held(numbers, features)


def descend(model: nn.Module, count: int, seconds: float, cost: Callable[[torch.Tensor], torch.Tensor]) -> nn.Module:
    """Train for a time on `count` rows; `cost` takes the (BATCH,) indices of some.

    Gives the running average of the weights, which soon forgets the first.
    """

    def mean(old: torch.Tensor, new: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        keep = (steps / (steps + 10)).clamp(max=0.999)
        return keep * old + (1 - keep) * new

    average, step, done, start = AveragedModel(model, avg_fn=mean), 0, 0.0, time.perf_counter()
    optimiser = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], RATE, weight_decay=DECAY)
    model.train()
    while done < 1:
        for chosen in torch.randperm(count).split(BATCH):
            done = min((time.perf_counter() - start) / seconds, 1)
            for group in optimiser.param_groups:
                group["lr"] = RATE * min(1, (step + 1) / 200) * (0.5 + 0.5 * np.cos(np.pi * done))
            optimiser.zero_grad()
            cost(chosen).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 2.0)
            optimiser.step()
            average.update_parameters(model)
            step += 1
            if done >= 1:
                break
    print(f"{step} steps of {BATCH} in {time.perf_counter() - start:.0f} s", flush=True)
    return average.module.eval()
