# SPDX-License-Identifier: GPL-3.0-or-later
"""Made-up weights of the DICE network, small or as large as the official ones: random numbers, nothing of anyone's.

What such a network says of a picture is nonsense. How long it takes, and whether two ways to compute it agree, is not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

Names = Iterator[tuple[str, tuple[int, ...]]]


@dataclass(frozen=True)
class Sizes:
    """A network's sizes, those of a small one unless given.

    Attributes
    ----------
    stem, channels, heads
        Channels of the backbone's first layers, of its first branch, and of the narrowest bottleneck behind that.
    depths
        Blocks of layer1, blocks of every branch, modules of each of the three stages.
    features, cells
        Channels and pixels of the map that the backbone makes.
    trans, down, deform, layers, words
        Hidden and output width of each transformer block, what lies between the two chains, layers of a block, and
        the size of a vocabulary that nothing uses.
    vertices
        Hand reduced and full, head twice, once reduced and full.
    regressor, camera, presence
        Width and residual blocks; hidden widths.
    """

    stem: int = 4
    channels: int = 3
    heads: int = 3
    depths: tuple[int, int, int, int, int] = (1, 1, 1, 1, 1)
    features: int = 10
    cells: int = 4
    trans: tuple[tuple[int, int], ...] = ((8, 7), (4, 3))
    down: int = 5
    deform: tuple[tuple[int, int], ...] = ((8, 6), (4, 4))
    layers: int = 2
    words: int = 3
    vertices: tuple[int, int, int, int, int] = (6, 9, 8, 12, 20)
    regressor: tuple[int, int] = (7, 1)
    camera: int = 11
    presence: tuple[int, ...] = (6,)

    @property
    def tokens(self) -> int:
        return 21 + 68 + self.vertices[0] + self.vertices[2]


def names(sizes: Sizes) -> Names:
    """Keys and shapes of such a network, but for normalisations: ("norm:...", (width,))."""
    yield from _backbone(sizes)
    yield from _encoders(sizes)
    yield from _outputs(sizes)


def _backbone(sizes: Sizes) -> Names:
    c, stem = sizes.channels, sizes.stem
    first, depth, *modules = sizes.depths
    yield "backbone.conv1.weight", (stem, 3, 3, 3)
    yield "norm:backbone.bn1", (stem,)
    yield "backbone.conv2.weight", (stem, stem, 3, 3)
    yield "norm:backbone.bn2", (stem,)
    for number in range(first):
        yield from _residual(f"backbone.layer1.{number}", 4 * c if number else stem, c, True)
    yield from _step("backbone.transition1.0", 4 * c, c, 3)
    yield from _step("backbone.transition1.1.0", 4 * c, 2 * c, 3)
    yield from _step("backbone.transition2.2.0", 2 * c, 4 * c, 3)
    yield from _step("backbone.transition3.3.0", 4 * c, 8 * c, 3)
    for branches, module in [(2 + index, number) for index in range(3) for number in range(modules[index])]:
        stage = f"backbone.stage{branches}.{module}"
        for i in range(branches):
            for number in range(depth):
                yield from _residual(f"{stage}.branches.{i}.{number}", c << i, c << i, False)
            for j in range(branches):
                if j > i:
                    yield from _step(f"{stage}.fuse_layers.{i}.{j}", c << j, c << i, 1)
                for k in range(i - j):
                    last = k == i - j - 1
                    yield from _step(f"{stage}.fuse_layers.{i}.{j}.{k}", c << j, c << (i if last else j), 3)
    for i in range(4):
        yield from _residual(f"backbone.incre_modules.{i}.0", c << i, sizes.heads << i, True)
    for i in range(3):
        yield from _step(f"backbone.downsamp_modules.{i}", 4 * sizes.heads << i, 8 * sizes.heads << i, 3)
        yield f"backbone.downsamp_modules.{i}.0.bias", (8 * sizes.heads << i,)
    yield from _step("backbone.final_layer", 32 * sizes.heads, sizes.features, 1)
    yield "backbone.final_layer.0.bias", (sizes.features,)
    yield from _linear("backbone.classifier", sizes.features, 2)


def _encoders(sizes: Sizes) -> Names:
    for chain, first, blocks in (
        ("trans_encoder", 3 + sizes.features, sizes.trans),
        ("deform_encoder", sizes.down, sizes.deform),
    ):
        inputs = first
        for number, (hidden, outputs) in enumerate(blocks):
            path = f"{chain}.{number}"
            yield f"{path}.bert.embeddings.word_embeddings.weight", (sizes.words, hidden)
            yield f"{path}.bert.position_embeddings.weight", (sizes.tokens + 5, hidden)
            yield from _linear(f"{path}.bert.img_embedding", inputs, hidden)
            yield from _linear(f"{path}.bert.pooler.dense", hidden, hidden)
            for layer in range(sizes.layers):
                inner = f"{path}.bert.encoder.layer.{layer}"
                for name in ("query", "key", "value"):
                    yield from _linear(f"{inner}.attention.self.{name}", hidden, hidden)
                yield from _linear(f"{inner}.attention.output.dense", hidden, hidden)
                yield from _linear(f"{inner}.intermediate.dense", hidden, 4 * hidden)
                yield from _linear(f"{inner}.output.dense", 4 * hidden, hidden)
                for name in ("attention.output", "output"):
                    yield f"{inner}.{name}.LayerNorm.weight", (hidden,)
                    yield f"{inner}.{name}.LayerNorm.bias", (hidden,)
            yield from _linear(f"{path}.cls_head", hidden, outputs)
            yield from _linear(f"{path}.residual", inputs, outputs)
            inputs = outputs


def _outputs(sizes: Sizes) -> Names:
    hand_sub, hand, head2, head1, head = sizes.vertices
    yield from _linear("hand_upsampling", hand_sub, hand)
    yield from _linear("hand_contact_upsampling", hand_sub, hand)
    for name in ("head", "head_deform", "head_contact"):
        yield from _linear(f"{name}_upsampling1", head2, head1)
        yield from _linear(f"{name}_upsampling2", head1, head)
    for name, vertices, outputs in (("hand", hand, 61), ("face", head1, 162)):
        path = f"{name}_param_regressor.regressor"
        width, residuals = sizes.regressor
        yield from _linear(f"{path}.0.fc_block.0", 3 * vertices, width)
        yield f"norm:{path}.0.fc_block.1", (width,)
        for block in range(1, residuals + 1):
            for before, after in ((0, 1), (3, 4)):
                yield from _linear(f"{path}.{block}.fc_block.{before}", width, width)
                yield f"norm:{path}.{block}.fc_block.{after}", (width,)
        yield from _linear(f"{path}.{residuals + 1}", width, outputs)
    yield "conv_learn_tokens.weight", (sizes.tokens, sizes.cells, 1)
    yield "conv_learn_tokens.bias", (sizes.tokens,)
    yield from _linear("cam_param_fc", 3, 1)
    yield from _linear("cam_param_fc2", sizes.tokens, sizes.camera)
    yield from _linear("cam_param_fc3", sizes.camera, 3)
    yield from _linear("feat_downsampler", 3 + sizes.features, sizes.down)
    widths = (sizes.features, *sizes.presence, 1)
    for number, pair in enumerate(pairwise(widths)):
        yield from _linear(f"contact_feat_extractor.{2 * number}", *pair)
    yield from _linear("contact_classifier.0", sizes.cells, 1)


def _residual(path: str, inputs: int, width: int, bottleneck: bool) -> Names:
    outputs = 4 * width if bottleneck else width
    shapes = (
        [(width, inputs, 1), (width, width, 3), (outputs, width, 1)]
        if bottleneck
        else [(width, inputs, 3), (width, width, 3)]
    )
    for number, (out, into, size) in enumerate(shapes, 1):
        yield f"{path}.conv{number}.weight", (out, into, size, size)
        yield f"norm:{path}.bn{number}", (out,)
    if inputs != outputs:
        yield from _step(f"{path}.downsample", inputs, outputs, 1)


def _step(path: str, inputs: int, outputs: int, size: int) -> Names:
    yield f"{path}.0.weight", (outputs, inputs, size, size)
    yield f"norm:{path}.1", (outputs,)


def _linear(path: str, inputs: int, outputs: int) -> Names:
    yield f"{path}.weight", (outputs, inputs)
    yield f"{path}.bias", (outputs,)


# The official network's.
FULL = Sizes(
    stem=64, channels=64, heads=32, depths=(4, 4, 1, 4, 3), features=2048, cells=49,
    trans=((1024, 512), (256, 128), (128, 3)), down=512, deform=((256, 128), (128, 4)), layers=4,
    vertices=(195, 778, 559, 1675, 5023), regressor=(1024, 2), camera=250, presence=(512, 64),
)  # fmt: skip
# A small network on the official pictures and meshes.
ON_OFFICIAL_MESHES = Sizes(cells=FULL.cells, vertices=FULL.vertices)


def state(sizes: Sizes) -> dict[str, Tensor]:
    """A state dict of that size, the same at every call; numbers stay of order one on their way through it."""
    random = torch.Generator().manual_seed(3)
    tensors: dict[str, Tensor] = {}
    for name, shape in names(sizes):
        norm = name.removeprefix("norm:")
        if norm != name:
            tensors[f"{norm}.weight"] = 1 + 0.1 * torch.randn(shape, generator=random)
            tensors[f"{norm}.bias"] = 0.1 * torch.randn(shape, generator=random)
            tensors[f"{norm}.running_mean"] = 0.1 * torch.randn(shape, generator=random)
            tensors[f"{norm}.running_var"] = 3 * (0.5 + torch.rand(shape, generator=random))  # tames residual sums
            tensors[f"{norm}.num_batches_tracked"] = torch.tensor(7)
        elif name.endswith("LayerNorm.weight"):
            tensors[name] = 1 + 0.1 * torch.randn(shape, generator=random)
        else:
            fan = math.prod(shape[1:]) if len(shape) > 1 else 100
            tensors[name] = torch.randn(shape, generator=random) / math.sqrt(fan)
    return tensors
