# SPDX-License-Identifier: GPL-3.0-or-later
"""From the feature map to one token per joint and vertex, and through the two chains of transformer blocks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .transformer import Eps, Heads, blocks
from .weights import ANY, Weights

DROPPED = 0.01  # what stands in place of a token that a mask drops


class Encoder(nn.Module):
    """Image features and template -> one token per joint and vertex -> where it is, how far it is pushed, contact.

    (B, cells, C) and (B, N, 3) -> (B, N, 3) coordinates and (B, N, 4) deformation and contact logit.
    """

    def __init__(self, weights: Weights, features: int, tokens: int, heads: Heads, eps: Eps) -> None:
        super().__init__()
        self.spread = nn.Parameter(weights.take("conv_learn_tokens.weight", tokens, ANY, 1), requires_grad=False)
        self.spread_bias = nn.Parameter(weights.take("conv_learn_tokens.bias", tokens), requires_grad=False)
        self.cells = self.spread.shape[1]
        self.trans_encoder = blocks(weights.at("trans_encoder"), 3 + features, 3, tokens, heads, eps)
        self.feat_downsampler = weights.linear("feat_downsampler", 3 + features)
        width = self.feat_downsampler.out_features
        self.deform_encoder = blocks(weights.at("deform_encoder"), width, 4, tokens, heads, eps)

    def forward(self, features: Tensor, reference: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        tokens = self.spread.squeeze(-1) @ features + self.spread_bias[:, None]
        x = torch.cat([reference, tokens], -1)
        if mask is not None:
            x = x * mask + DROPPED * (1 - mask)
        return self.trans_encoder(x), self.deform_encoder(self.feat_downsampler(x))
