# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands on the transformer's tokens: vertex upsamplers, camera, body parameters, and whether there is contact."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from .weights import Weights

HAND_PARAMETERS = {"rh_betas": 10, "rh_transl": 3, "rh_rot": 3, "rh_pose": 45}
FACE_PARAMETERS = {"face_shape": 100, "face_exp": 50, "face_pose": 6, "face_rot": 3, "face_transl": 3}


def over_vertices(linear: nn.Module, x: Tensor) -> Tensor:
    """(B, n, c) -> (B, m, c): a linear layer over the vertices."""
    return linear(x.transpose(1, 2)).transpose(1, 2)


class Camera(nn.Module):
    """(B, N, 3) coordinates of all tokens -> (B, 3) scale and translation."""

    def __init__(self, weights: Weights, tokens: int) -> None:
        super().__init__()
        self.flatten = weights.linear("cam_param_fc", 3, 1)
        self.gather = weights.linear("cam_param_fc2", tokens)
        self.finish = weights.linear("cam_param_fc3", self.gather.out_features, 3)

    def forward(self, coordinates: Tensor) -> Tensor:
        return self.finish(self.gather(self.flatten(coordinates).squeeze(-1)))


class NormedLinear(nn.Module):
    """A linear layer and its batch normalisation."""

    def __init__(self, weights: Weights, linear: str, norm: str, inputs: int) -> None:
        super().__init__()
        self.linear = weights.linear(linear, inputs)
        self.norm = weights.batch_norm(norm, self.linear.out_features, nn.BatchNorm1d)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.linear(x))


class Regressor(nn.Module):
    """Vertices to body parameters.

    (B, V, 3) -> one (B, n) per name in `parts`, cut from the last layer's outputs in this order.
    """

    def __init__(self, weights: Weights, vertices: int, parts: dict[str, int]) -> None:
        super().__init__()
        self.parts = parts
        row = weights.row()
        middle = [inner.at("fc_block") for inner in row[1:-1]]
        self.first = NormedLinear(row[0].at("fc_block"), "0", "1", 3 * vertices)
        width = self.first.linear.out_features
        self.middle = nn.ModuleList(
            nn.Sequential(
                NormedLinear(inner, "0", "1", width), nn.ReLU(), NormedLinear(inner, "3", "4", width)
            )
            for inner in middle
        )  # fmt: skip
        self.last = weights.linear(str(max(len(row) - 1, 1)), width, sum(parts.values()))

    def forward(self, vertices: Tensor) -> dict[str, Tensor]:
        x = functional.relu(self.first(vertices.flatten(1)))
        for residual in self.middle:
            x = functional.relu(x + residual(x))
        return dict(zip(self.parts, self.last(x).split(list(self.parts.values()), -1), strict=True))


class Presence(nn.Module):
    """(B, cells, C) image features -> (B, 1) probability that hand and face touch."""

    def __init__(self, weights: Weights, inputs: int, cells: int) -> None:
        super().__init__()
        extractor = weights.at("contact_feat_extractor")
        self.features = nn.Sequential()
        numbers = extractor.numbers() or [0]
        for number in numbers:
            last = number == numbers[-1]
            linear = extractor.linear(str(number), inputs, 1 if last else -1)
            inputs = linear.out_features
            self.features.extend([linear] if last else [linear, nn.ReLU()])
        self.classifier = weights.linear("contact_classifier.0", cells, 1)

    def forward(self, features: Tensor) -> Tensor:
        return self.classifier(self.features(features).squeeze(-1)).sigmoid()
