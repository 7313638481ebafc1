# SPDX-License-Identifier: GPL-3.0-or-later
"""A checkpoint's tensors made into layers, and a list of everything that does not fit.

The network is built from the tensors: sizes are read from them, and where two must agree, the second is checked.
Faults are collected, so that one message names them all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeVar

from torch import Tensor, empty, nn

from ..errors import DiceError, printable

ANY = -1  # a size that the tensor itself decides
AT_LEAST = 1 << 32  # AT_LEAST + n: n rows or more
NAMED = 12  # faults that a message spells out
WIDEST = 1 << 20  # rows or columns; far above any real layer, far below what could hurt
MOST = 64  # blocks, layers, modules in a row
LONGEST_NAME, DEEPEST = 200, 20  # letters and parts of a tensor's name
TOLD = 300  # missing tensors that are told one by one; of more, the parts of the network that they belong to

CHOOSE = "Choose the model.bin of the DICE release."
Layer = TypeVar("Layer", bound=nn.Module)
Norm = TypeVar("Norm", nn.BatchNorm1d, nn.BatchNorm2d)


class Weights:
    """The tensors whose names begin with a prefix.

    Parameters
    ----------
    tensors
        A state dict.

    Attributes
    ----------
    used
        Names of the tensors that were taken, in the order of the taking.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = tensors
        self._prefix = ""
        self._missing: list[str] = []
        self._misshapen: list[str] = []
        self.used: list[str] = []
        self._children: dict[str, set[str]] = {}
        for name in tensors:
            if len(name) > LONGEST_NAME or name.count(".") > DEEPEST:
                raise DiceError(f"{name[:40]}... is the name of no tensor of DICE.", CHOOSE)
            while name:
                name, _, child = name.rpartition(".")
                self._children.setdefault(name, set()).add(child)

    def at(self, name: str) -> Weights:
        """The tensors below `name`."""
        inner = object.__new__(Weights)
        inner.__dict__ |= self.__dict__ | {"_prefix": f"{self._prefix}{name}."}
        return inner

    @property
    def name(self) -> str:
        """Where this is: `trans_encoder.0`."""
        return self._prefix[:-1]

    def has(self, name: str) -> bool:
        """Whether there is a tensor `name`, or anything below it."""
        full = self._prefix + name
        return full in self._tensors or full in self._children

    def numbers(self) -> list[int]:
        """The numbered children, in order."""
        numbers = sorted(int(child) for child in self._children.get(self.name, ()) if child.isdecimal())
        if numbers and (len(numbers) > MOST or numbers[-1] >= MOST):
            raise DiceError(f"{self.name} has more than {MOST} parts.", CHOOSE)
        if numbers and numbers[-1] > 4 * len(numbers):
            raise DiceError(f"{self.name} has a part {numbers[-1]}, but only {len(numbers)} of those before.", CHOOSE)
        return numbers

    def row(self) -> list[Weights]:
        """Children 0 to n-1, at least one. A gap counts as missing."""
        return [self.at(str(index)) for index in range(max(self.numbers(), default=0) + 1)]

    def take(self, name: str, *shape: int) -> Tensor:
        """The tensor `name`; a size of ANY fits every size. A fault is noted, and something of that shape returned."""
        full = self._prefix + name
        tensor = self._tensors.get(full)
        if tensor is None:
            self._missing.append(full)
        elif not _fits(shape, tensor.shape):
            wanted = ", ".join("any" if size == ANY else str(size % AT_LEAST) for size in shape)
            self._misshapen.append(f"{full} is {tuple(tensor.shape)}, not ({wanted})")
        elif not tensor.is_floating_point():
            self._misshapen.append(f"{full} holds {tensor.dtype}")
        else:
            self.used.append(full)
            return tensor
        return empty([max(size, 1) % AT_LEAST for size in shape], device="meta")

    def object(self, fault: str) -> None:
        """Note another fault."""
        self._misshapen.append(fault)

    def finish(self) -> None:
        """Raise a `DiceError` that names all that was missing or did not fit."""
        if not self.used:
            raise DiceError(
                f"The checkpoint is of another network: it has {some(list(self._tensors)) or 'no tensors at all'}.",
                CHOOSE,
            )
        if self._missing:
            raise DiceError(
                f"The checkpoint lacks {len(self._missing)} tensors of the DICE network: {_grouped(self._missing)}.",
                "Choose the model.bin of the DICE release; if it is that file, download it again.",
            )
        if self._misshapen:
            raise DiceError(
                f"The checkpoint's tensors do not fit together: {some(self._misshapen)}.",
                CHOOSE,
            )

    def linear(self, name: str, inputs: int = ANY, outputs: int = ANY) -> nn.Linear:
        """A linear layer."""
        inner = self.at(name)
        weight = inner.take("weight", outputs, inputs)
        layer = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
        return _filled(layer, weight=weight, bias=inner.take("bias", weight.shape[0]))

    def convolution(self, name: str, inputs: int, size: int, stride: int = 1, bias: bool = False) -> nn.Conv2d:
        """A square convolution that keeps the picture's size (but for the stride)."""
        inner = self.at(name)
        weight = inner.take("weight", ANY, inputs, size, size)
        layer = nn.Conv2d(inputs, weight.shape[0], size, stride, size // 2, bias=bias, device="meta")
        return _filled(layer, weight=weight, bias=inner.take("bias", weight.shape[0]) if bias else None)

    def batch_norm(self, name: str, width: int, kind: type[Norm]) -> Norm:
        """A batch normalisation, as it runs after training."""
        layer = kind(width, device="meta")
        layer.num_batches_tracked = None
        parts = ("weight", "bias", "running_mean", "running_var")
        return _filled(layer, **{part: self.at(name).take(part, width) for part in parts})

    def layer_norm(self, name: str, width: int, eps: float) -> nn.LayerNorm:
        """A layer normalisation over the last axis."""
        layer = nn.LayerNorm(width, eps, device="meta")
        return _filled(layer, **{part: self.at(name).take(part, width) for part in ("weight", "bias")})


def _filled(layer: Layer, **tensors: Tensor | None) -> Layer:
    """The layer with these tensors, uncopied, for its own."""
    for name, tensor in tensors.items():
        if name in layer._buffers:
            layer._buffers[name] = tensor
        elif tensor is not None:
            layer._parameters[name] = nn.Parameter(tensor, requires_grad=False)
    return layer


def _fits(wanted: Sequence[int], shape: Sequence[int]) -> bool:
    def fits(size: int, real: int) -> bool:
        return 0 < real <= WIDEST and (size in (ANY, real) or size > AT_LEAST and real >= size - AT_LEAST)

    return len(wanted) == len(shape) and all(fits(*pair) for pair in zip(wanted, shape, strict=True))


def _grouped(names: list[str]) -> str:
    """All names; of very many, how many there are in each part of the network."""
    if len(names) > TOLD:
        parts = Counter(".".join(name.split(".")[:2]) for name in names)
        return ", ".join(f"{part} ({count})" for part, count in parts.items())
    return ", ".join(names)


def some(names: list[str]) -> str:
    """The first names, for a person to read."""
    rest = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return printable(", ".join(names[:NAMED]) + rest)
