# SPDX-License-Identifier: GPL-3.0-or-later
"""HRNet (Wang et al., Deep High-Resolution Representation Learning, 2019), the classification variant up to its last
feature map. Branches run side by side at resolutions that halve; at the end of a module each hears all others.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from .weights import Weights

BASIC = (3, 3)
BOTTLENECK = (1, 3, 1)
STAGES = (2, 3, 4)


class Convolution(nn.Module):
    """Convolution, batch normalisation and, if asked for, ReLU."""

    def __init__(
        self, weights: Weights, conv: str, norm: str, inputs: int, size: int,
        stride: int = 1, relu: bool = False, bias: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.conv = weights.convolution(conv, inputs, size, stride, bias)
        self.width = self.conv.out_channels
        self.norm = weights.batch_norm(norm, self.width, nn.BatchNorm2d)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x))
        return functional.relu(x) if self.relu else x


class Residual(nn.Module):
    """relu(body(x) + shortcut(x)), the body being convolutions of these sizes."""

    def __init__(self, weights: Weights, inputs: int, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.body = nn.Sequential()
        self.width = inputs
        for index, size in enumerate(sizes, 1):
            last = index == len(sizes)
            step = Convolution(weights, f"conv{index}", f"bn{index}", self.width, size, relu=not last)
            self.body.append(step)
            self.width = step.width
        self.shortcut: nn.Module = nn.Identity()
        if self.width != inputs:
            self.shortcut = Convolution(weights.at("downsample"), "0", "1", inputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.body(x) + self.shortcut(x))


def residuals(weights: Weights, inputs: int, sizes: tuple[int, ...]) -> tuple[nn.Sequential, int]:
    """Residual blocks one after the other, and how many channels come out."""
    chain = nn.Sequential()
    for inner in weights.row():
        block = Residual(inner, inputs, sizes)
        chain.append(block)
        inputs = block.width
    return chain, inputs


def shrinking(weights: Weights, inputs: int, steps: int, last_relu: bool) -> tuple[nn.Sequential, int]:
    """Convolutions that halve the map `steps` times."""
    chain = nn.Sequential()
    for index in range(steps):
        relu = last_relu or index < steps - 1
        step = Convolution(weights.at(str(index)), "0", "1", inputs, 3, stride=2, relu=relu)
        chain.append(step)
        inputs = step.width
    return chain, inputs


class Listener(nn.Module):
    """One branch hears all: relu(sum of the maps, each brought to this branch's size and channels)."""

    def __init__(self, weights: Weights, widths: list[int], target: int) -> None:
        super().__init__()
        self.steps = nn.ModuleList()
        for source, width in enumerate(widths):
            inner = weights.at(str(source))
            if source == target:
                self.steps.append(nn.Identity())
            elif source > target:
                enlarged = nn.Upsample(scale_factor=2 ** (source - target), mode="nearest")
                self.steps.append(nn.Sequential(Convolution(inner, "0", "1", width, 1), enlarged))
            else:
                self.steps.append(shrinking(inner, width, target - source, last_relu=False)[0])

    def forward(self, maps: list[Tensor]) -> Tensor:
        heard = [step(x) for step, x in zip(self.steps, maps, strict=True)]
        return functional.relu(sum(heard[1:], heard[0]))


class Module(nn.Module):
    """Branches of basic blocks, then their exchange."""

    def __init__(self, weights: Weights, widths: list[int]) -> None:
        super().__init__()
        branches = weights.at("branches")
        made = [residuals(branches.at(str(index)), width, BASIC) for index, width in enumerate(widths)]
        self.branches = nn.ModuleList(branch for branch, _ in made)
        self.widths = [width for _, width in made]
        exchange = weights.at("fuse_layers")
        self.exchange = nn.ModuleList(
            Listener(exchange.at(str(index)), self.widths, index) for index in range(len(widths))
        )

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        maps = [branch(x) for branch, x in zip(self.branches, maps, strict=True)]
        return [listener(maps) for listener in self.exchange]


class Transition(nn.Module):
    """From the branches of one stage to those of the next, whose additional ones come from the smallest map."""

    def __init__(self, weights: Weights, widths: list[int], branches: int) -> None:
        super().__init__()
        self.steps = nn.ModuleList()
        self.widths: list[int] = []
        for index in range(branches):
            inner = weights.at(str(index))
            step: nn.Module = nn.Identity()
            if index >= len(widths):
                step, width = shrinking(inner, widths[-1], 1 + index - len(widths), last_relu=True)
            elif weights.has(str(index)):
                step = Convolution(inner, "0", "1", widths[index], 3, relu=True)
                width = step.width
            else:
                width = widths[index]
            self.steps.append(step)
            self.widths.append(width)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        return [step(maps[min(index, len(maps) - 1)]) for index, step in enumerate(self.steps)]


class HRNet(nn.Module):
    """(B, 3, 224, 224) -> (B, C, 7, 7), C = 2048 in the release."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        first = Convolution(weights, "conv1", "bn1", 3, 3, stride=2, relu=True)
        second = Convolution(weights, "conv2", "bn2", first.width, 3, stride=2, relu=True)
        self.stem = nn.Sequential(first, second)
        self.layer1, width = residuals(weights.at("layer1"), second.width, BOTTLENECK)
        self.transitions, self.stages = nn.ModuleList(), nn.ModuleList()
        widths = [width]
        for number in STAGES:
            stage = weights.at(f"stage{number}")
            branches = len(stage.at("0.branches").row())
            transition = Transition(weights.at(f"transition{number - 1}"), widths, branches)
            widths = transition.widths
            modules = nn.Sequential()
            for inner in stage.row():
                module = Module(inner, widths)
                modules.append(module)
                widths = module.widths
            self.transitions.append(transition)
            self.stages.append(modules)
        self._head(weights, widths)

    def _head(self, weights: Weights, widths: list[int]) -> None:
        """All maps, brought to the smallest one's size and added."""
        increased = [residuals(weights.at(f"incre_modules.{i}"), width, BOTTLENECK) for i, width in enumerate(widths)]
        self.increase = nn.ModuleList(chain for chain, _ in increased)
        self.halve = nn.ModuleList(
            Convolution(weights.at(f"downsamp_modules.{index}"), "0", "1", width, 3, stride=2, relu=True, bias=True)
            for index, (_, width) in enumerate(increased[:-1])
        )
        self.final = Convolution(weights.at("final_layer"), "0", "1", increased[-1][1], 1, relu=True, bias=True)
        self.width = self.final.width

    def forward(self, image: Tensor) -> Tensor:
        maps = [self.layer1(self.stem(image))]
        for transition, stage in zip(self.transitions, self.stages, strict=True):
            maps = stage(transition(maps))
        x = self.increase[0](maps[0])
        for increase, halve, branch in zip(self.increase[1:], self.halve, maps[1:], strict=True):
            x = increase(branch) + halve(x)
        return self.final(x)
