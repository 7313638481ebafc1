# SPDX-License-Identifier: GPL-3.0-or-later
"""The same numbers sooner: exact rewrites of the network for running it.

- Batch normalisation becomes part of the layer before it, a residual sum part of the layer it follows.
- Query, key and value come from one multiplication, attention from torch's fused kernel.
- Image tokens are A F + a: A (N x 49) spreads the 49 cells of the feature map F over the N tokens. Whatever is linear
  on them is applied to the 49 rows first and spread afterwards. The embedding, the shortcut, the deformation branch's
  way in and the first attention's query, key and value are such.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from . import packed
from .encoder import DROPPED, Encoder
from .heads import NormedLinear
from .hrnet import Convolution, Residual
from .transformer import Block, Layer

Kind = TypeVar("Kind", bound=nn.Module)


def fold(network: nn.Module) -> None:
    """Put packed layers in the place of convolutions and linear layers and of their normalisations."""
    replace(network, Residual, FastResidual)
    replace(network, Convolution, fold_convolution)
    replace(network, NormedLinear, fold_linear)
    replace(network, nn.Linear, lambda linear: packed.Linear(linear.weight, linear.bias))


def taken(chain: nn.Module) -> Iterator[nn.Module]:
    """The members of a chain, which it loses: nothing is in memory twice for longer than it takes to rewrite it."""
    chain = cast(nn.Sequential, chain)
    while len(chain):
        yield chain.pop(0)


def replace(module: nn.Module, kind: type[Kind], make: Callable[[Kind], nn.Module]) -> None:
    """Put `make(child)` in the place of every descendant of this kind."""
    for name, child in module.named_children():
        if isinstance(child, kind):
            setattr(module, name, make(child))
        else:
            replace(child, kind, make)


def fold_convolution(step: Convolution) -> packed.Convolution:
    """Convolution and normalisation in one."""
    weight, bias = packed.folded(step.norm, step.conv.weight, step.conv.bias)
    return packed.Convolution(weight, bias, step.conv.stride[0], step.relu)


def fold_linear(step: NormedLinear) -> packed.Linear:
    """Linear layer and normalisation in one."""
    return packed.Linear(*packed.folded(step.norm, step.linear.weight, step.linear.bias))


class FastResidual(nn.Module):
    """relu(body(x) + shortcut(x)), the sum made by the last convolution."""

    def __init__(self, block: Residual) -> None:
        super().__init__()
        steps = [fold_convolution(cast(Convolution, step)) for step in block.body]
        self.first, self.last = nn.Sequential(*steps[:-1]), steps[-1]
        self.last.relu = True
        self.shortcut = block.shortcut

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.first(x), add=self.shortcut(x))


class FastLayer(nn.Module):
    """A transformer layer, whose query, key and value can come from elsewhere."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.heads = layer.attention.heads
        self.qkv = packed.Linear(*stacked(layer.attention.query, layer.attention.key, layer.attention.value))
        self.output = packed.Linear(layer.attention.output.weight, layer.attention.output.bias)
        self.widen = packed.Linear(layer.widen.weight, layer.widen.bias, gelu=True)
        self.narrow = packed.Linear(layer.narrow.weight, layer.narrow.bias)
        self.attention_norm, self.norm = layer.attention_norm, layer.norm

    def forward(self, x: Tensor, qkv: Tensor | None = None) -> Tensor:
        qkv = self.qkv(x) if qkv is None else qkv
        query, key, value = qkv.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        x = self.attention_norm(self.output(mixed, add=x))
        return self.norm(self.narrow(self.widen(x), add=x))


class FastBlock(nn.Module):
    """A transformer block."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.embed, self.residual = block.embed, block.residual
        self.positions = block.positions
        self.layers = nn.ModuleList(FastLayer(cast(Layer, layer)) for layer in taken(block.layers))
        self.head = packed.Linear(block.head.weight, block.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        residual = self.residual(x)
        x = self.embed(x) + self.positions
        for layer in self.layers:
            x = layer(x)
        return self.head(x, add=residual)


class FirstBlock(nn.Module):
    """A block on tokens that are `basis @ rows`: (B, cells, C) features and (B, N, cells + 5) basis in.

    The rows are what the block makes of the features' cells, of the template's three axes, of a one in every image
    channel, and of a one in every channel.
    """

    table: Tensor
    qkv_table: Tensor
    of_rest: Tensor
    residual_bias: Tensor

    def __init__(self, block: Block, before: nn.Linear | None) -> None:
        super().__init__()
        weight, bias = stacked(block.embed, block.residual)
        if before is not None:
            bias = bias + (weight.double() @ before.bias.double()).to(bias)
            weight = (weight.double() @ before.weight.double()).to(weight)
        self.widths = [block.embed.out_features, block.residual.out_features]
        self.of_features = packed.Linear(weight[:, 3:].contiguous(), None)
        of_rest = torch.cat([weight[:, :3].T, weight[:, 3:].sum(1)[None], weight.sum(1)[None]])
        inner, outer = bias.split(self.widths)
        self.first, *others = (FastLayer(cast(Layer, layer)) for layer in taken(block.layers))
        table = inner + block.positions
        tables = {"table": table, "qkv_table": self.first.qkv(table), "of_rest": of_rest, "residual_bias": outer}
        for name, tensor in tables.items():
            self.register_buffer(name, tensor)
        self.first.qkv.bias = None  # it is in the table
        self.others = nn.Sequential(*others)
        self.head = packed.Linear(block.head.weight, block.head.bias)

    def forward(self, features: Tensor, basis: Tensor) -> Tensor:
        rows = torch.cat([self.of_features(features), self.of_rest.expand(len(features), -1, -1)], 1)
        inner, outer = rows.split(self.widths, -1)
        qkv = torch.baddbmm(self.qkv_table, basis, self.first.qkv(inner.contiguous()))
        x = self.others(self.first(torch.baddbmm(self.table, basis, inner), qkv))
        return self.head(x, add=torch.baddbmm(self.residual_bias, basis, outer))


def stacked(*layers: nn.Linear) -> tuple[Tensor, Tensor]:
    """Weight and bias of layers side by side."""
    return torch.cat([layer.weight for layer in layers]), torch.cat([layer.bias for layer in layers])


class FastEncoder(nn.Module):
    """`encoder.Encoder`, which it uses up, with what is linear on the tokens done on the cells of the feature map."""

    spread: Tensor

    def __init__(self, plain: Encoder) -> None:
        super().__init__()
        self.register_buffer("spread", torch.cat([plain.spread.squeeze(-1), plain.spread_bias[:, None]], 1))
        self.firsts, self.others = nn.ModuleList(), nn.ModuleList()
        for blocks, before in ((plain.trans_encoder, None), (plain.deform_encoder, plain.feat_downsampler)):
            chain = (cast(Block, block) for block in taken(blocks))
            self.firsts.append(FirstBlock(next(chain), before))
            self.others.append(nn.Sequential(*map(FastBlock, chain)))

    def forward(self, features: Tensor, reference: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        cells, ones = self.spread.expand(len(reference), -1, -1).split([self.spread.shape[1] - 1, 1], -1)
        basis = torch.cat([cells, reference, ones, torch.zeros_like(ones)], -1)
        if mask is not None:
            basis = basis * mask
            basis[..., -1:] = DROPPED * (1 - mask)
        coordinates, surface = (
            others(first(features, basis)) for first, others in zip(self.firsts, self.others, strict=True)
        )
        return coordinates, surface
