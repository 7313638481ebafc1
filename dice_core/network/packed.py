# SPDX-License-Identifier: GPL-3.0-or-later
"""Layers that only run: normalisation folded in, activation and sum in the same pass, weights in oneDNN's own order.

oneDNN is torch's library for processors. Its kernels want rearranged weights; torch rearranges them at every call, or
takes slower kernels, unless it is given rearranged ones. Elsewhere (CUDA, float64) these are ordinary layers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

NO_DILATION, NO_GROUPS = [1, 1], 1


def packable(weight: Tensor) -> bool:
    """Whether oneDNN has kernels for this weight here."""
    return weight.device.type == "cpu" and weight.dtype == torch.float32 and torch.backends.mkldnn.is_available()


class Linear(nn.Module):
    """A linear layer; with GELU (the exact one), or with something to add to what it gives."""

    weight: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None, gelu: bool = False) -> None:
        super().__init__()
        self.register_buffer("weight", weight.detach())
        self.register_buffer("bias", None if bias is None else bias.detach())
        self.gelu = gelu

    def pack(self) -> None:
        """Rearrange the weight for good."""
        if packable(self.weight):
            self.weight = torch.ops.mkldnn._reorder_linear_weight(self.weight.contiguous())

    def forward(self, x: Tensor, add: Tensor | None = None) -> Tensor:
        if not self.weight.is_mkldnn:
            x = functional.linear(x, self.weight, self.bias)
            x = functional.gelu(x) if self.gelu else x
            return x if add is None else x + add
        if add is not None:
            return torch.ops.mkldnn._linear_pointwise.binary(x, add, self.weight, self.bias, "add")
        kind = "gelu" if self.gelu else "none"
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, kind, [], "none")


class Convolution(nn.Module):
    """A square convolution with bias; with ReLU, before which something may be added.

    The weight is packed at the first call, for maps of that size.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, stride: int, relu: bool) -> None:
        super().__init__()
        self.register_buffer("weight", weight.detach().contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", bias.detach())
        self.stride, self.padding = [stride] * 2, [weight.shape[-1] // 2] * 2
        self.relu = relu

    def forward(self, x: Tensor, add: Tensor | None = None) -> Tensor:
        if not (self.weight.is_mkldnn or packable(self.weight)):
            x = functional.conv2d(x, self.weight, self.bias, self.stride, self.padding)
            x = x if add is None else x + add
            return functional.relu(x) if self.relu else x
        where = (self.padding, self.stride, NO_DILATION, NO_GROUPS)
        if not self.weight.is_mkldnn:
            self.weight = torch.ops.mkldnn._reorder_convolution_weight(self.weight, *where, list(x.shape))
        kind = "relu" if self.relu else "none"
        if add is None:
            return torch.ops.mkldnn._convolution_pointwise(x, self.weight, self.bias, *where, kind, [], "")
        return torch.ops.mkldnn._convolution_pointwise.binary(
            x, add, self.weight, self.bias, *where, "add", 1.0, kind, [], ""
        )


def folded(norm: nn.BatchNorm1d | nn.BatchNorm2d, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """Weight and bias of the layer before a batch normalisation, so that they do its work too."""
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight.double() * (norm.running_var.double() + norm.eps).rsqrt()
    shift = norm.bias.double() - norm.running_mean.double() * scale
    shift = shift if bias is None else shift + bias.double() * scale
    return weight * scale.to(weight).reshape(-1, *[1] * (weight.ndim - 1)), shift.to(weight)
