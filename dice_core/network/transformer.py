# SPDX-License-Identifier: GPL-3.0-or-later
"""The transformer of METRO (Lin et al., End-to-End Human Pose and Mesh Reconstruction with Transformers, 2021): blocks
of BERT layers, each normalised after its residual sum, one token per joint or vertex.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import DiceError
from .weights import ANY, AT_LEAST, Weights

Number = TypeVar("Number", int, float)
Heads = int | Mapping[str, int]  # of all blocks, or by their names: {"trans_encoder.0": 4, ...}
Eps = float | Mapping[str, float]


class Attention(nn.Module):
    """Attention of every token to every token; (B, N, width) in and out."""

    def __init__(self, weights: Weights, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            weights.object(f"{weights.name} has {width} channels, which {heads} heads cannot share")
        self.heads = heads
        inner = weights.at("self")
        self.query = inner.linear("query", width, width)
        self.key = inner.linear("key", width, width)
        self.value = inner.linear("value", width, width)
        self.output = weights.at("output").linear("dense", width, width)

    def split(self, x: Tensor) -> Tensor:
        """(B, N, width) -> (B, heads, N, width / heads)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.split(self.query(x)), self.split(self.key(x)), self.split(self.value(x))
        scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
        mixed = torch.softmax(scores, -1) @ value
        return self.output(mixed.transpose(1, 2).flatten(2))


class Layer(nn.Module):
    """Attention, then two linear layers with GELU (the exact one) between them."""

    def __init__(self, weights: Weights, width: int, heads: int, eps: float) -> None:
        super().__init__()
        self.attention = Attention(weights.at("attention"), width, heads)
        self.attention_norm = weights.at("attention.output").layer_norm("LayerNorm", width, eps)
        self.widen = weights.at("intermediate").linear("dense", width)
        self.narrow = weights.at("output").linear("dense", self.widen.out_features, width)
        self.norm = weights.at("output").layer_norm("LayerNorm", width, eps)

    def forward(self, x: Tensor) -> Tensor:
        x = self.attention_norm(self.attention(x) + x)
        return self.norm(self.narrow(functional.gelu(self.widen(x))) + x)


class Block(nn.Module):
    """An embedding with positions, layers, and a head with a shortcut around it all.

    (B, N, inputs) -> (B, N, outputs). No dropout, no token types, no attention mask, no norm after the embedding.
    """

    def __init__(self, weights: Weights, inputs: int, outputs: int, tokens: int, heads: int, eps: float) -> None:
        super().__init__()
        bert = weights.at("bert")
        self.embed = bert.linear("img_embedding", inputs)
        hidden = self.embed.out_features
        positions = bert.take("position_embeddings.weight", AT_LEAST + tokens, hidden)[:tokens]
        self.positions = nn.Parameter(positions, requires_grad=False)
        self.layers = nn.Sequential(*(Layer(inner, hidden, heads, eps) for inner in bert.at("encoder.layer").row()))
        self.head = weights.linear("cls_head", hidden, outputs)
        self.residual = weights.linear("residual", inputs, self.head.out_features)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layers(self.embed(x) + self.positions)) + self.residual(x)


def blocks(weights: Weights, inputs: int, outputs: int, tokens: int, heads: Heads, eps: Eps) -> nn.Sequential:
    """As many blocks as there are, from so many channels to so many, each fed by the one before."""
    chain = nn.Sequential()
    row = weights.row()
    for inner in row:
        width = outputs if inner is row[-1] else ANY
        block = Block(inner, inputs, width, tokens, of_block(heads, inner.name), of_block(eps, inner.name))
        chain.append(block)
        inputs = block.head.out_features
    return chain


def of_block(value: Number | Mapping[str, Number], block: str) -> Number:
    """What holds for this block."""
    if not isinstance(value, Mapping):
        return value
    if block not in value:
        raise DiceError(f"Nothing is said of {block}.", "Convert the official checkpoint again.")
    return value[block]
