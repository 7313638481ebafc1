# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights for the network's tests: the recorded full-size ones, rebuilt by their recipe, and small made-up ones.

DICE_GOLDENS names the folder with the recorded behaviour of the official code; what needs it skips without.
"""

from __future__ import annotations

import json
import lzma
import math
import os
import sys
import types
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

INPUTS = ("image", "rh_ref_kps", "head_ref_kps", "rh_ref_vs_sub", "head_ref_vs_sub2")


@pytest.fixture(scope="session")
def goldens() -> Path:
    """The recorded behaviour of the official network."""
    folder = os.environ.get("DICE_GOLDENS")
    if not folder:
        pytest.skip("DICE_GOLDENS names no folder with the recorded behaviour of the official network")
    return Path(folder) / "dice-network"


@pytest.fixture(scope="session", autouse=True)
def two_threads() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed (install_deps.py --engine dice)")
    torch.set_num_threads(2)


@pytest.fixture(scope="session")
def golden(goldens: Path) -> Callable[[str], tuple[list, dict[str, np.ndarray]]]:
    """`golden("tiny")`: the five inputs as float32 tensors, and everything recorded."""
    import torch

    def read(name: str) -> tuple[list, dict[str, np.ndarray]]:
        with np.load(goldens / f"golden_{name}.npz") as archive:
            recorded = {key: archive[key] for key in archive.files}
        return [torch.from_numpy(np.float32(recorded[f"in_{key}"])) for key in INPUTS], recorded

    return read


@pytest.fixture(scope="session", params=["tiny", "tiny_apex"])
def official(request, goldens: Path, tmp_path_factory) -> tuple[str, Path]:
    """A small network in the release's own format: its name and its file."""
    path = tmp_path_factory.mktemp("official") / "model.bin"
    path.write_bytes(
        lzma.decompress((goldens / f"official_{request.param.replace('tiny', 'tiny_model')}.bin.xz").read_bytes())
    )
    return request.param, path


@dataclass
class FullState:
    """The rebuilt full-size weights: tensors that forward reads, and the keys whose checksum is wrong."""

    tensors: dict[str, Any] = field(default_factory=dict)
    rebuilt: int = 0
    wrong: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def full_state(goldens: Path) -> FullState:
    """As recipe.md beside the recordings says."""
    import torch

    state = FullState()
    for key, entry in json.loads((goldens / "manifest_full.json").read_text())["state_dict"].items():
        if entry["kind"] == "counter":
            values = np.zeros((), np.int64)
        else:
            random = np.random.PCG64(zlib.crc32(key.encode()))
            steps = (random.random_raw(math.prod(entry["shape"])) >> np.uint64(40)).astype(np.int64) - 2**23
            values = np.float32(entry["mean"] + entry["std"] * (steps * (math.sqrt(3.0) / 2**23)))
        state.rebuilt += 1
        if zlib.crc32(values.tobytes()) != entry["crc32"]:
            state.wrong.append(key)
        if entry["used"]:
            state.tensors[key] = torch.from_numpy(values.reshape(entry["shape"]))
    return state


@dataclass(frozen=True)
class Sizes:
    """A small network of the same plan. Vertices: hand reduced and full, head twice, once reduced and full."""

    channels: int = 3
    features: int = 10
    vertices: tuple[int, int, int, int, int] = (6, 9, 8, 12, 20)
    trans: tuple[tuple[int, int], ...] = ((8, 7), (4, 3))
    down: int = 5
    deform: tuple[tuple[int, int], ...] = ((8, 6), (4, 4))
    layers: int = 2
    cells: int = 4

    @property
    def tokens(self) -> int:
        return 21 + 68 + self.vertices[0] + self.vertices[2]


def names(sizes: Sizes) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Keys and shapes of such a network, but for normalisations: ("norm:...", (width,))."""

    def residual(path: str, inputs: int, width: int, bottleneck: bool) -> Iterator[tuple[str, tuple[int, ...]]]:
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
            yield from step(f"{path}.downsample", inputs, outputs, 1)

    def step(path: str, inputs: int, outputs: int, size: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield f"{path}.0.weight", (outputs, inputs, size, size)
        yield f"norm:{path}.1", (outputs,)

    def linear(path: str, inputs: int, outputs: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield f"{path}.weight", (outputs, inputs)
        yield f"{path}.bias", (outputs,)

    c = sizes.channels
    yield "backbone.conv1.weight", (4, 3, 3, 3)
    yield "norm:backbone.bn1", (4,)
    yield "backbone.conv2.weight", (4, 4, 3, 3)
    yield "norm:backbone.bn2", (4,)
    yield from residual("backbone.layer1.0", 4, c, True)
    yield from step("backbone.transition1.0", 4 * c, c, 3)
    yield from step("backbone.transition1.1.0", 4 * c, 2 * c, 3)
    yield from step("backbone.transition2.2.0", 2 * c, 4 * c, 3)
    yield from step("backbone.transition3.3.0", 4 * c, 8 * c, 3)
    for branches in (2, 3, 4):
        stage = f"backbone.stage{branches}.0"
        for i in range(branches):
            yield from residual(f"{stage}.branches.{i}.0", c << i, c << i, False)
            for j in range(branches):
                if j > i:
                    yield from step(f"{stage}.fuse_layers.{i}.{j}", c << j, c << i, 1)
                for k in range(i - j):
                    last = k == i - j - 1
                    yield from step(f"{stage}.fuse_layers.{i}.{j}.{k}", c << j, c << (i if last else j), 3)
    for i in range(4):
        yield from residual(f"backbone.incre_modules.{i}.0", c << i, c << i, True)
    for i in range(3):
        yield from step(f"backbone.downsamp_modules.{i}", 4 * c << i, 8 * c << i, 3)
        yield f"backbone.downsamp_modules.{i}.0.bias", (8 * c << i,)
    yield from step("backbone.final_layer", 32 * c, sizes.features, 1)
    yield "backbone.final_layer.0.bias", (sizes.features,)
    yield from linear("backbone.classifier", sizes.features, 2)
    for chain, first, blocks in (
        ("trans_encoder", 3 + sizes.features, sizes.trans),
        ("deform_encoder", sizes.down, sizes.deform),
    ):
        inputs = first
        for number, (hidden, outputs) in enumerate(blocks):
            path = f"{chain}.{number}"
            yield f"{path}.bert.embeddings.word_embeddings.weight", (3, hidden)
            yield f"{path}.bert.position_embeddings.weight", (sizes.tokens + 5, hidden)
            yield from linear(f"{path}.bert.img_embedding", inputs, hidden)
            yield from linear(f"{path}.bert.pooler.dense", hidden, hidden)
            for layer in range(sizes.layers):
                inner = f"{path}.bert.encoder.layer.{layer}"
                for name in ("query", "key", "value"):
                    yield from linear(f"{inner}.attention.self.{name}", hidden, hidden)
                yield from linear(f"{inner}.attention.output.dense", hidden, hidden)
                yield from linear(f"{inner}.intermediate.dense", hidden, 4 * hidden)
                yield from linear(f"{inner}.output.dense", 4 * hidden, hidden)
                for name in ("attention.output", "output"):
                    yield f"{inner}.{name}.LayerNorm.weight", (hidden,)
                    yield f"{inner}.{name}.LayerNorm.bias", (hidden,)
            yield from linear(f"{path}.cls_head", hidden, outputs)
            yield from linear(f"{path}.residual", inputs, outputs)
            inputs = outputs
    hand_sub, hand, head2, head1, head = sizes.vertices
    yield from linear("hand_upsampling", hand_sub, hand)
    yield from linear("hand_contact_upsampling", hand_sub, hand)
    for name in ("head", "head_deform", "head_contact"):
        yield from linear(f"{name}_upsampling1", head2, head1)
        yield from linear(f"{name}_upsampling2", head1, head)
    for name, vertices, outputs in (("hand", hand, 61), ("face", head1, 162)):
        path = f"{name}_param_regressor.regressor"
        yield from linear(f"{path}.0.fc_block.0", 3 * vertices, 7)
        yield "norm:" + f"{path}.0.fc_block.1", (7,)
        for number, norm in (("0", "1"), ("3", "4")):
            yield from linear(f"{path}.1.fc_block.{number}", 7, 7)
            yield f"norm:{path}.1.fc_block.{norm}", (7,)
        yield from linear(f"{path}.2", 7, outputs)
    yield "conv_learn_tokens.weight", (sizes.tokens, sizes.cells, 1)
    yield "conv_learn_tokens.bias", (sizes.tokens,)
    yield from linear("cam_param_fc", 3, 1)
    yield from linear("cam_param_fc2", sizes.tokens, 11)
    yield from linear("cam_param_fc3", 11, 3)
    yield from linear("feat_downsampler", 3 + sizes.features, sizes.down)
    yield from linear("contact_feat_extractor.0", sizes.features, 6)
    yield from linear("contact_feat_extractor.2", 6, 1)
    yield from linear("contact_classifier.0", sizes.cells, 1)


@pytest.fixture(scope="session")
def made_up() -> Callable[..., dict[str, Any]]:
    """`made_up(layers=3)`: a state dict of a small network that takes 64 x 64 pixels (2 x 2 cells)."""
    import torch

    def make(**sizes: Any) -> dict[str, Any]:
        random = torch.Generator().manual_seed(3)
        state: dict[str, Any] = {}
        for name, shape in names(Sizes(**sizes)):
            norm = name.removeprefix("norm:")
            if norm != name:
                state[f"{norm}.weight"] = 1 + 0.1 * torch.randn(shape, generator=random)
                state[f"{norm}.bias"] = 0.1 * torch.randn(shape, generator=random)
                state[f"{norm}.running_mean"] = 0.1 * torch.randn(shape, generator=random)
                state[f"{norm}.running_var"] = 0.5 + torch.rand(shape, generator=random)
                state[f"{norm}.num_batches_tracked"] = torch.tensor(7)
            elif name.endswith("LayerNorm.weight"):
                state[name] = 1 + 0.1 * torch.randn(shape, generator=random)
            else:
                fan = math.prod(shape[1:]) if len(shape) > 1 else 100
                state[name] = torch.randn(shape, generator=random) / math.sqrt(fan)
        return state

    return make


@pytest.fixture(scope="session")
def small_inputs() -> list:
    """Two pictures of 64 x 64 pixels and the template that a `made_up` network takes."""
    import torch

    random = torch.Generator().manual_seed(4)
    shapes = [(2, 3, 64, 64), (1, 21, 3), (1, 68, 3), (1, 6, 3), (1, 8, 3)]
    return [torch.randn(shape, generator=random) for shape in shapes]


@pytest.fixture(scope="session")
def made_up_official(made_up, tmp_path_factory) -> Callable[..., Path]:
    """`made_up_official(heads=2, eps=1e-12, apex=True)`: such a network saved whole by torch, as the release is.

    The classes stand under the names of the release while the file is written, and nowhere afterwards.
    """
    import torch
    from torch import nn

    def classes(*paths: str) -> dict[str, type]:
        return {
            path: type(path.rpartition(".")[2], (nn.Module,), {"__module__": path.rpartition(".")[0]}) for path in paths
        }

    def save(heads: int = 2, eps: float = 1e-12, apex: bool = False, **sizes: Any) -> Path:
        bert, fused = "metro.modeling.bert.modeling_bert", "apex.normalization.fused_layer_norm.FusedLayerNorm"
        root, plain = (
            f"metro.modeling.bert.modeling_metro.{name}"
            for name in ("METRO_Decaf_Network_DeformBranch_Presence", "METRO")
        )
        attention, norm = f"{bert}.BertSelfAttention", fused if apex else f"{bert}.BertLayerNorm"
        kinds = classes(root, plain, attention, norm)
        modules: dict[str, nn.Module] = {"": kinds[root]()}

        def module(path: str) -> nn.Module:
            if path not in modules:
                parent, _, name = path.rpartition(".")
                if f"{path}.running_mean" in state:
                    modules[path] = nn.BatchNorm2d(1)
                elif name == "self":
                    modules[path] = kinds[attention]()
                    modules[path].num_attention_heads = heads
                elif name == "LayerNorm":
                    modules[path] = kinds[norm]()
                    setattr(modules[path], "eps" if apex else "variance_epsilon", eps)
                else:
                    modules[path] = kinds[plain]()
                module(parent).add_module(name, modules[path])
            return modules[path]

        state = made_up(**sizes)
        for key, value in state.items():
            path, _, name = key.rpartition(".")
            if name in ("running_mean", "running_var", "num_batches_tracked"):
                module(path).register_buffer(name, value)
            else:
                module(path).register_parameter(name, nn.Parameter(value))
        file = tmp_path_factory.mktemp("made_up") / "model.bin"
        homes = {}
        for path, kind in kinds.items():
            home, _, name = path.rpartition(".")
            for depth in range(1, home.count(".") + 2):
                homes.setdefault(".".join(home.split(".")[:depth]), types.ModuleType(home))
            setattr(homes[home], name, kind)
        with pytest.MonkeyPatch.context() as patch:
            for name, home in homes.items():
                patch.setitem(sys.modules, name, home)
            torch.save(modules[""], file)
        return file

    return save
