# SPDX-License-Identifier: GPL-3.0-or-later
"""What the official checkpoint's pickle may speak of, and how its module tree becomes a state dict."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..untrusted.archive import STORAGES, Archive, storage_of
from ..untrusted.pickles import Broken, Record, Reference, read_pickle

STEPS = 2_000_000  # instructions; five times what such a checkpoint has
MODULES, TENSORS = 20_000, 20_000  # the release has 2454 tensors
LONGEST_PATH = 200
DIMENSIONS, LARGEST = 8, 1 << 40
BATCH_NORM_EPS = 1e-5
BERT = "metro.modeling.bert.modeling_bert"
DTYPES = {  # of every kind of storage that `untrusted.archive` knows
    "<f4": torch.float32,
    "<f2": torch.float16,
    "<bf2": torch.bfloat16,
    "<f8": torch.float64,
    "<i8": torch.int64,
    "<i4": torch.int32,
    "<i2": torch.int16,
    "<i1": torch.int8,
    "<u1": torch.uint8,
    "<b1": torch.bool,
}

_CLASSES = {
    "torch.nn.modules.activation": "ReLU Sigmoid Tanh",
    "torch.nn.modules.batchnorm": "BatchNorm1d BatchNorm2d",
    "torch.nn.modules.container": "ModuleList Sequential",
    "torch.nn.modules.conv": "Conv1d Conv2d",
    "torch.nn.modules.dropout": "Dropout",
    "torch.nn.modules.linear": "Linear",
    "torch.nn.modules.normalization": "LayerNorm",
    "torch.nn.modules.sparse": "Embedding",
    "torch.nn.modules.upsampling": "Upsample",
    BERT: "BertAttention BertConfig BertEmbeddings BertEncoder BertIntermediate BertLayer BertLayerNorm BertOutput "
    "BertPooler BertSelfAttention BertSelfOutput gelu",
    "metro.modeling.bert.modeling_metro": "METRO METRO_Encoder METRO_Decaf_Network_DeformBranch_Presence",
    "metro.modeling.bert.param_regressor": "FCBlock FCResBlock Hand_Parameter_Regressor Face_Parameter_Regressor",
    "metro.modeling.hrnet.hrnet_cls_net_featmaps": "BasicBlock Bottleneck HighResolutionModule HighResolutionNet",
    "apex.normalization.fused_layer_norm": "FusedLayerNorm",
}
# The one list of what a checkpoint may name. These become records or data types; nothing of them is imported.
KNOWN = {(module, name): name for module, names in _CLASSES.items() for name in names.split()} | STORAGES | {
    ("collections", "OrderedDict"): "dict",
    ("yacs.config", "CfgNode"): "dict",
    ("__builtin__", "set"): "set",
    ("torch", "Size"): "Size",
    ("torch", "device"): "device",
    ("torch._utils", "_rebuild_parameter"): "parameter",
    ("torch._utils", "_rebuild_tensor_v2"): "tensor",
}
ATTENTION = "BertSelfAttention"
# Normalisations, and the attribute that holds their eps.
LAYER_NORMS = {"BertLayerNorm": "variance_epsilon", "FusedLayerNorm": "eps", "LayerNorm": "eps"}
BATCH_NORMS = ("BatchNorm1d", "BatchNorm2d")


class Contents(NamedTuple):
    """A state dict, and by transformer block the number of heads and the layer normalisations' eps, where known."""

    tensors: dict[str, Tensor]
    heads: dict[str, int]
    eps: dict[str, float]


def read(archive: Archive) -> Contents:
    """What a torch archive holds. Raises `Broken`."""
    root = read_pickle(archive.view("data.pkl"), KNOWN, steps=STEPS).value
    reader = _Reader(archive)
    if isinstance(root, dict):
        reader.add(root, "")
    elif isinstance(root, Record):
        for path, module in _modules(root):
            reader.note(path, module)
    else:
        raise Broken("it holds neither a network nor a state dict")
    return reader.contents


def _modules(root: Record) -> Iterator[tuple[str, Record]]:
    """Every module with its path, parents first, children in order."""
    waiting = [("", root)]
    for _ in range(MODULES):
        if not waiting:
            return
        path, module = waiting.pop()
        yield path, module
        children = _part(module, "_modules")
        if len(path) > LONGEST_PATH or len(waiting) + len(children) > MODULES:
            break
        for name, child in reversed(children.items()):
            if child is not None and not isinstance(child, Record):
                raise Broken(f"it holds something else in place of the module {path}{name}"[:200])
            if child is not None:
                waiting.append((f"{path}{name}.", child))
    raise Broken("it holds a network of more modules than DICE has")


def _part(module: Record, name: str) -> dict[str, Any]:
    part = _state(module).get(name, {})
    if not isinstance(part, dict) or not all(isinstance(key, str) and len(key) <= LONGEST_PATH for key in part):
        raise Broken(f"it holds a module with odd {name}")
    return part


def _state(module: Record) -> dict[Any, Any]:
    return module.state if isinstance(module.state, dict) else {}


class _Reader:
    """Collects what modules hold. All tensors together cannot be larger than the file."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.contents = Contents({}, {}, {})
        self.budget = len(archive.data)
        self.made: dict[int, Tensor] = {}  # by the identity of the record: one record in two places is one tensor

    def note(self, path: str, module: Record) -> None:
        """Add what a module holds."""
        for part in ("_parameters", "_buffers"):
            self.add(_part(module, part), path)
        state = _state(module)
        block, layers, _ = path.partition(".bert.encoder.layer.")
        if layers and module.kind == ATTENTION:
            _agree(self.contents.heads, block, state.get("num_attention_heads"), int)
        if layers and module.kind in LAYER_NORMS:
            _agree(self.contents.eps, block, state.get(LAYER_NORMS[module.kind]), float)
        if module.kind in BATCH_NORMS and state.get("eps") != BATCH_NORM_EPS:
            raise Broken(f"it normalises {path[:80]} in a way that this program does not know")

    def add(self, part: dict[Any, Any], path: str) -> None:
        """Add named tensors."""
        named = {name: value for name, value in part.items() if value is not None}
        strangers = [str(name)[:40] for name, value in named.items() if not isinstance(value, Record)]
        if strangers:
            raise Broken(f"it holds something else among its tensors: {', '.join(strangers[:5])}")
        if len(self.contents.tensors) + len(named) > TENSORS:
            raise Broken(f"it holds more than {TENSORS} tensors")
        for name, value in named.items():
            if not isinstance(name, str) or len(path + name) > LONGEST_PATH:
                raise Broken("it holds a tensor without a name, or with an endless one")
            self.contents.tensors[path + name] = self.tensor(value)

    def tensor(self, record: Record) -> Tensor:
        """The tensor that a record stands for, a view of the file."""
        if record.kind == "parameter" and record.arguments and isinstance(record.arguments[0], Record):
            record = record.arguments[0]
        if id(record) not in self.made:
            self.made[id(record)] = self.view(record)
        return self.made[id(record)]

    def view(self, record: Record) -> Tensor:
        if record.kind != "tensor" or len(record.arguments) < 4:
            raise Broken(f"it holds {record.kind} where a tensor should be")
        reference, offset, size, stride = record.arguments[:4]
        if not isinstance(reference, Reference) or type(offset) is not int or not 0 <= offset <= LARGEST:
            raise Broken("it has a tensor without numbers")
        for numbers in (size, stride):
            if not isinstance(numbers, tuple) or not all(type(n) is int and 0 <= n <= LARGEST for n in numbers):
                raise Broken("it holds a tensor of no shape")
        if len(size) != len(stride) or len(size) > DIMENSIONS:
            raise Broken(f"it holds a tensor of {len(size)} dimensions")
        storage = storage_of(reference)
        dtype, data = DTYPES[storage.kind], self.archive.numbers(storage)
        count = math.prod(size)
        reach = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) + 1 if count else 0
        self.budget -= count * dtype.itemsize
        if max(count, reach) > storage.count or self.budget < 0:
            raise Broken("it holds a tensor larger than its numbers")
        if not count:
            return torch.zeros(0, dtype=dtype)
        values = torch.frombuffer(data, dtype=dtype)
        if values.data_ptr() % dtype.itemsize:
            raise Broken("its numbers lie where torch puts none")
        return torch.as_strided(values, size, stride, offset)


def _agree(known: dict[str, Any], block: str, value: Any, kind: type[int | float]) -> None:
    if type(value) is not kind or not 0 < value < 1 << 16 or known.setdefault(block, value) != value:
        raise Broken(f"it has layers in {block[:80]} that do not agree")
