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
from collections.abc import Callable
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
def one_thread() -> None:
    """Tests run beside each other; several threads on a busy processor wait for one another most of the time."""
    torch = pytest.importorskip("torch", reason="torch is not installed (install_deps.py --engine dice)")
    torch.set_num_threads(1)


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


@pytest.fixture(scope="session")
def made_up() -> Callable[..., dict[str, Any]]:
    """`made_up(layers=3)`: a state dict of a small network that takes 64 x 64 pixels (2 x 2 cells)."""
    from tools.made_up_network import Sizes, state

    return lambda **sizes: state(Sizes(**sizes))


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
