# SPDX-License-Identifier: GPL-3.0-or-later
"""What the official checkpoint's pickle may speak of, and how its module tree becomes a state dict."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from torch import Tensor

from .archive import STORAGES, Archive
from .pickles import Call, Reader, Record, Refused

DEEPEST, MODULES = 32, 100_000
BATCH_NORM_EPS = 1e-5
BERT = "metro.modeling.bert.modeling_bert"

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
    "yacs.config": "CfgNode",
    BERT: "BertAttention BertConfig BertEmbeddings BertEncoder BertIntermediate BertLayer BertLayerNorm BertOutput "
    "BertPooler BertSelfAttention BertSelfOutput gelu",
    "metro.modeling.bert.modeling_metro": "METRO METRO_Encoder METRO_Decaf_Network_DeformBranch_Presence",
    "metro.modeling.bert.param_regressor": "FCBlock FCResBlock Hand_Parameter_Regressor Face_Parameter_Regressor",
    "metro.modeling.hrnet.hrnet_cls_net_featmaps": "BasicBlock Bottleneck HighResolutionModule HighResolutionNet",
    "apex.normalization.fused_layer_norm": "FusedLayerNorm",
}
# The one list of what a checkpoint may name. These become records or data types; nothing of them is imported.
CLASSES = frozenset(f"{module} {name}" for module, names in _CLASSES.items() for name in names.split()) | set(STORAGES)
ATTENTION = f"{BERT} BertSelfAttention"
# Normalisations, and the attribute that holds their eps.
LAYER_NORMS = {
    f"{BERT} BertLayerNorm": "variance_epsilon",
    "apex.normalization.fused_layer_norm FusedLayerNorm": "eps",
    "torch.nn.modules.normalization LayerNorm": "eps",
}
BATCH_NORMS = ("torch.nn.modules.batchnorm BatchNorm1d", "torch.nn.modules.batchnorm BatchNorm2d")


def _dictionary(*arguments: Any) -> dict[Any, Any]:
    if arguments:
        raise Refused("fills a dictionary in an unknown way")
    return {}


def _sequence(*arguments: Any) -> Any:
    (items,) = arguments or ((),)
    if type(items) not in (tuple, list):
        raise Refused("makes a sequence of something else")
    return items


# What may be called, and what answers instead.
CALLS: dict[str, Call] = {
    "collections OrderedDict": _dictionary,
    "__builtin__ set": _sequence,
    "torch Size": _sequence,
    "torch device": lambda *_: None,
    "torch._utils _rebuild_parameter": lambda tensor, *_: tensor,
}


class Contents(NamedTuple):
    """A state dict, and by transformer block the number of heads and the layer normalisations' eps, where known."""

    tensors: dict[str, Tensor]
    heads: dict[str, int]
    eps: dict[str, float]


def read(archive: Archive) -> Contents:
    """What a torch archive holds. Raises `Refused`."""
    calls = CALLS | {"torch._utils _rebuild_tensor_v2": archive.tensor}
    root = Reader(archive.pickle(), CLASSES, calls, archive.storage).read()
    if type(root) is dict:
        return Contents(_tensors(root, ""), {}, {})
    if type(root) is not Record:
        raise Refused("holds neither a network nor a state dict")
    contents = Contents({}, {}, {})
    for path, module in _modules(root):
        _note(contents, path, module)
    return contents


def _modules(root: Record) -> Iterator[tuple[str, Record]]:
    """Every module with its path, parents first, children in order."""
    waiting = [("", root)]
    for _ in range(MODULES):
        if not waiting:
            return
        path, module = waiting.pop()
        yield path, module
        children = _part(module, "_modules")
        if path.count(".") >= DEEPEST or len(waiting) + len(children) > MODULES:
            break
        for name, child in reversed(children.items()):
            if child is not None and type(child) is not Record:
                raise Refused(f"holds something else in place of the module {path}{name}")
            if child is not None:
                waiting.append((f"{path}{name}.", child))
    raise Refused("holds a network of more modules than DICE has")


def _part(module: Record, name: str) -> dict[str, Any]:
    part = (module.state or {}).get(name, {})
    if type(part) is not dict or not all(type(key) is str for key in part):
        raise Refused(f"holds a module with odd {name}")
    return part


def _tensors(part: dict[Any, Any], path: str) -> dict[str, Tensor]:
    tensors = {name: value for name, value in part.items() if value is not None}
    if not all(type(name) is str and isinstance(value, Tensor) for name, value in tensors.items()):
        raise Refused("holds something else among its tensors")
    return {f"{path}{name}": value for name, value in tensors.items()}


def _note(contents: Contents, path: str, module: Record) -> None:
    """Add what a module holds."""
    state = module.state or {}
    for part in ("_parameters", "_buffers"):
        contents.tensors.update(_tensors(_part(module, part), path))
    block, layers, _ = path.partition(".bert.encoder.layer.")
    if layers and module.name == ATTENTION:
        _agree(contents.heads, block, state.get("num_attention_heads"), int)
    if layers and module.name in LAYER_NORMS:
        _agree(contents.eps, block, state.get(LAYER_NORMS[module.name]), float)
    if module.name in BATCH_NORMS and state.get("eps") != BATCH_NORM_EPS:
        raise Refused(f"normalises {path[:-1]} in a way that this program does not know")


def _agree(known: dict[str, Any], block: str, value: Any, kind: type[int | float]) -> None:
    if type(value) is not kind or not 0 < value < 1 << 16 or known.setdefault(block, value) != value:
        raise Refused(f"has layers in {block} that do not agree")
