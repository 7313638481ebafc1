# SPDX-License-Identifier: GPL-3.0-or-later
"""The network: a small convolutional one over the crop, and a head that joins it with the landmarks' numbers."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from dice_core.fit.glance import CHANNELS, FEATURES, JOINTS, OUTPUTS

STEM, LOW, WIDE = 24, 48, 96  # channels at 1/2, 1/4 and 1/8 of the crop's side
DEEP = 160  # at 1/16
POINT = 24  # numbers kept of the picture at each joint
HIDDEN = 256


class Conv(nn.Sequential):
    """Convolution, batch normalisation, ReLU."""

    def __init__(self, inner: int, outer: int, size: int = 3, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inner, outer, size, stride, size // 2, bias=False), nn.BatchNorm2d(outer), nn.ReLU(inplace=True)
        )


class Block(nn.Module):
    """A residual block with half of its channels in the middle."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            Conv(width, width // 2, 1),
            Conv(width // 2, width // 2),
            nn.Conv2d(width // 2, width, 1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(x + self.inner(x))


class Eye(nn.Module):
    """(n, CHANNELS, CROP, CROP) -> what is seen on a raster, (n, WIDE, GRID, GRID), and overall, (n, DEEP)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(Conv(CHANNELS, STEM, 3, 2), Conv(STEM, LOW, 3, 2), Block(LOW), Block(LOW))
        self.middle = nn.Sequential(Conv(LOW, WIDE, 3, 2), Block(WIDE), Block(WIDE), Block(WIDE))
        self.deep = nn.Sequential(Conv(WIDE, DEEP, 3, 2), Block(DEEP), Block(DEEP), Block(DEEP))
        self.back = Conv(DEEP, WIDE, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        near = self.middle(self.stem(x))
        deep = self.deep(near)
        back = F.interpolate(self.back(deep), scale_factor=2.0, mode="nearest")
        return near + back, deep.mean((2, 3))


class Head(nn.Module):
    """The answers, from the raster sampled at the joints, the overall features and the landmarks' numbers."""

    def __init__(self, seeing: bool = True) -> None:
        super().__init__()
        self.seeing = seeing
        self.point = nn.Linear(WIDE, POINT)
        self.points = nn.Linear(JOINTS * POINT, 128)
        self.overall = nn.Linear(DEEP, 128)
        self.numbers = nn.Sequential(nn.Linear(FEATURES, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 128))
        self.trunk = nn.Sequential(nn.ReLU(), nn.Dropout(0.2), nn.Linear(384, HIDDEN), nn.ReLU(), nn.Dropout(0.1))
        self.out = nn.Linear(HIDDEN, OUTPUTS)

    def forward(
        self, grid: torch.Tensor, overall: torch.Tensor, weights: torch.Tensor, numbers: torch.Tensor
    ) -> torch.Tensor:
        if not self.seeing:
            nothing = numbers.new_zeros(len(numbers), 256)
            return self.out(self.trunk(torch.cat([nothing, self.numbers(numbers)], 1)))
        picked = weights @ grid.flatten(2).transpose(1, 2)  # (n, JOINTS, WIDE)
        points = self.points(F.relu(self.point(picked)).flatten(1))
        parts = [points, self.overall(overall), self.numbers(numbers)]
        return self.out(self.trunk(torch.cat(parts, 1)))
